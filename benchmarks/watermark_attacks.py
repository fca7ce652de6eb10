"""What happens to videos on their way, and what a person may do to a mark: functions from one video
uint8 [3, F, Y, X] to another. `watermark.py` measures the detector after each."""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import torch
import torch.nn.functional as F
from kinetoscope.data.video import read_clip, to_float, to_uint8, write_video
from kinetoscope.tokenizer import VideoTokenizer
from torch import Tensor

os.environ.setdefault("SVT_LOG", "1")  # errors only

RATE = 24
USUAL = 23  # x264's own default; whatever changes the pictures is written with it afterwards

Attack = Callable[[Tensor], Tensor]


def coded(video: Tensor, encoder: str, **options: str) -> Tensor:
    """Encoded and decoded again, with colours halved; odd sizes lose a line."""
    video = video[..., : video.shape[-2] // 2 * 2, : video.shape[-1] // 2 * 2]
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as container:
        stream = container.add_stream(encoder, rate=RATE, options=options)
        stream.pix_fmt = "yuv420p"
        (stream.height, stream.width) = video.shape[2:]
        stream.codec_context.thread_count = 1
        for image in video.permute(1, 2, 3, 0).contiguous().numpy():
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    file.seek(0)
    with av.open(file) as container:
        container.streams.video[0].codec_context.thread_count = 1
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    return torch.from_numpy(np.stack(frames)).permute(3, 0, 1, 2)


def h264(video: Tensor, crf: int = USUAL) -> Tensor:
    return coded(video, "libx264", crf=str(crf))


def vp9(video: Tensor) -> Tensor:
    return coded(video, "libvpx-vp9", crf="31", b="0", deadline="good", **{"cpu-used": "4"})


def av1(video: Tensor) -> Tensor:
    options = {"crf": "35", "preset": "8", "svtav1-params": "lp=1"}
    before = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        return coded(video, "libsvtav1", **options)
    finally:
        # For root this encoder makes its caller a real-time process, which starves all others.
        os.sched_setscheduler(0, *before)


def gif(video: Tensor) -> Tensor:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "video.gif"
        write_video(path, video, fps=12.5)
        return read_clip(path, threads=1).video


def scaled(video: Tensor, factor: float) -> Tensor:
    frames = video.transpose(0, 1).float()
    size = [max(2, round(side * factor)) for side in video.shape[2:]]
    frames = F.interpolate(frames, size, mode="bicubic", antialias=True)
    return frames.round().clamp(0, 255).byte().transpose(0, 1)


def cut(video: Tensor, share: float) -> Tensor:
    """A share of each side is cut off, a third of it on the left and at the top."""
    height, width = video.shape[2:]
    top = round(height * share / 3)
    left = round(width * share / 3)
    rows = round(height * (1 - share))
    columns = round(width * (1 - share))
    return video[..., top : top + rows, left : left + columns]


def cut_side(video: Tensor) -> Tensor:
    return video[..., video.shape[3] // 10 :]


def rate_up_and_down(video: Tensor) -> Tensor:
    return h264(video.repeat_interleave(2, dim=1))[:, 1::2]


def blurred(video: Tensor) -> Tensor:
    """As a screenshot of a player is: shown at nine tenths of the size, then a soft blur."""
    frames = scaled(video, 0.9).transpose(0, 1).float().flatten(0, 1)[:, None]
    taps = torch.exp(-0.5 * torch.arange(-3, 4.0) ** 2)
    taps /= taps.sum()
    wide = F.pad(frames, (3, 3, 3, 3), mode="replicate")
    soft = F.conv2d(F.conv2d(wide, taps.view(1, 1, 1, 7)), taps.view(1, 1, 7, 1))
    return soft[:, 0].unflatten(0, (-1, 3)).round().byte().transpose(0, 1)


def levels(video: Tensor, gain: float = 1.0, gamma: float = 1.0) -> Tensor:
    return ((video.float() / 255) ** gamma * gain * 255).round().clamp(0, 255).byte()


def after(change: Attack) -> Attack:
    """A change, then H.264 as usual."""
    return lambda video: h264(change(video).contiguous())


# What happens to videos
USES: dict[str, Attack] = {
    "nothing": lambda video: video,
    "H.264 crf 23": h264,
    "H.264 crf 28": lambda video: h264(video, 28),
    "VP9 crf 31": vp9,
    "AV1 crf 35": av1,
    "GIF": gif,
    "half the size, H.264": after(lambda video: scaled(video, 0.5)),
    "double the size, H.264": after(lambda video: scaled(video, 2)),
    "a tenth cut off both sides, H.264": after(lambda video: cut(video, 0.1)),
    "a tenth cut off one side, H.264": after(cut_side),
    "12 to 24 to 12 frames/s, H.264": rate_up_and_down,
    "mirrored, H.264": after(lambda video: video.flip(-1)),
    "brightness x 1.2, H.264": after(lambda video: levels(video, gain=1.2)),
    "gamma 1.4, H.264": after(lambda video: levels(video, gamma=1.4)),
    "screenshot (90 %, blur), H.264": after(blurred),
}


def tokenized(name: str) -> Attack:
    """Encoded and decoded by a tokenizer of this package."""
    tokenizer = VideoTokenizer.from_pretrained(name)

    def attack(video: Tensor) -> Tensor:
        with torch.inference_mode():
            return to_uint8(tokenizer.decode(tokenizer.encode(to_float(video[None]))))[0]

    return attack


def without(pattern: Tensor) -> Attack:
    """A pattern [3, Y, X] that somebody has learned is taken away again."""
    return lambda video: (video.float() - pattern[:, None]).round().clamp(0, 255).byte()


# What removes a mark, or tries to
REMOVALS: dict[str, Callable[[], Attack]] = {
    "H.264 crf 35": lambda: lambda video: h264(video, 35),
    "H.264 crf 40": lambda: lambda video: h264(video, 40),
    "cut to half of each side, H.264": lambda: after(lambda video: cut(video, 0.5)),
    "a quarter of the size, H.264": lambda: after(lambda video: scaled(video, 0.25)),
    "the tokenizer video-128": lambda: tokenized("video-128"),
    "the tokenizer physics-64": lambda: tokenized("physics-64"),
    "turned by 2 degrees": lambda: turned,
}


def turned(video: Tensor, degrees: float = 2.0) -> Tensor:
    height, width = video.shape[2:]
    angle = torch.deg2rad(torch.tensor(degrees))
    ratio = width / height
    rows = [
        torch.stack([angle.cos(), -angle.sin() / ratio, torch.zeros(())]),
        torch.stack([angle.sin() * ratio, angle.cos(), torch.zeros(())]),
    ]
    frames = video.transpose(0, 1).float()
    places = F.affine_grid(
        torch.stack(rows).expand(len(frames), 2, 3), list(frames.shape), align_corners=False
    )
    moved = F.grid_sample(frames, places, padding_mode="border", align_corners=False)
    return moved.round().clamp(0, 255).byte().transpose(0, 1)
