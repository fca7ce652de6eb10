"""A mark is found after what happens to videos, and nothing is found where there is none."""

import io

import av
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from kinetoscope.app.provenance.watermark import Detector, Owner, apply, detect
from torch import Tensor

OWNER = Owner(b"a private key of some length", 54321)
FRAMES = 17


def _scene(seed: int = 0, size: tuple[int, int] = (128, 192)) -> Tensor:
    """A soft textured ground with a bright square that moves across it, uint8 [3, F, Y, X]."""
    generator = torch.Generator().manual_seed(seed)
    ground = torch.rand(1, 3, 12, 18, generator=generator)
    fine = torch.rand(1, 3, 48, 72, generator=generator)
    ground = F.interpolate(ground, size, mode="bicubic") * 150
    ground += F.interpolate(fine, size, mode="bicubic") * 40
    frames = ground[0][:, None].repeat(1, FRAMES, 1, 1)
    for frame in range(FRAMES):
        frames[:, frame, 40:80, 10 + 6 * frame : 50 + 6 * frame] = 230
    return frames.round().clamp(0, 255).byte()


@pytest.fixture(scope="module")
def marked() -> Tensor:
    return apply(_scene(), owner=OWNER)[0]


def _h264(video: Tensor, crf: int) -> Tensor:
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as container:
        stream = container.add_stream("libx264", rate=24, options={"crf": str(crf)})
        stream.pix_fmt = "yuv420p"
        (stream.height, stream.width) = video.shape[2:]
        for image in video.permute(1, 2, 3, 0).contiguous().numpy():
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    file.seek(0)
    with av.open(file) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    return torch.from_numpy(np.stack(frames)).permute(3, 0, 1, 2)


def _scaled(video: Tensor, factor: float) -> Tensor:
    frames = video.float().transpose(0, 1)
    frames = F.interpolate(frames, scale_factor=factor, mode="bilinear", antialias=True)
    return frames.round().byte().transpose(0, 1)


ATTACKS = {
    "nothing": lambda video: video,
    "H.264": lambda video: _h264(video, 23),
    "half the size": lambda video: _scaled(video, 0.5),
    "double the size": lambda video: _scaled(video, 2),
    "a tenth cut off one side": lambda video: video[..., 19:],
    "cut off all around": lambda video: video[..., 7:120, 10:182],
    "a half left": lambda video: video[..., 30:94, 48:144],
    "mirrored": lambda video: video.flip(-1),
    "mirrored and cut": lambda video: video.flip(-1)[..., 6:, 9:],
    "half the rate": lambda video: video[:, ::2],
    "backwards": lambda video: video.flip(1),
    "one frame": lambda video: video[:, 8:9],
    "brighter": lambda video: (video.float() * 0.8 + 45).round().clamp(0, 255).byte(),
    "gamma": lambda video: ((video.float() / 255) ** 1.4 * 255).round().byte(),
    "grey": lambda video: video.float().mean(0, keepdim=True).expand(3, -1, -1, -1).byte(),
    "floats": lambda video: video.float() / 127.5 - 1,
}


@pytest.mark.parametrize("name", ATTACKS)
def test_it_is_found_after(name: str, marked: Tensor) -> None:
    verdict = detect(ATTACKS[name](marked))
    assert verdict.found
    assert verdict.false_alarm < 1e-6
    assert verdict.mirrored == ("mirrored" in name)


@pytest.mark.parametrize("name", ["nothing", "H.264", "cut off all around", "mirrored and cut"])
def test_the_owner_reads_the_payload_and_nobody_else(name: str, marked: Tensor) -> None:
    attacked = ATTACKS[name](marked)
    verdict = detect(attacked, OWNER.key)
    assert verdict.payload == OWNER.payload
    stranger = detect(attacked, b"a key of somebody else")
    assert stranger.found and stranger.payload is None
    assert stranger.payload_false_alarm is not None and stranger.payload_false_alarm > 1e-3


def test_a_mark_without_an_owner_has_no_payload() -> None:
    verdict = detect(apply(_scene())[0], OWNER.key)
    assert verdict.found and verdict.payload is None


@pytest.mark.parametrize("seed", range(4))
def test_nothing_is_found_where_there_is_no_mark(seed: int) -> None:
    verdict = detect(_scene(seed), OWNER.key)
    assert not verdict.found
    assert verdict.false_alarm > 1e-3
    assert verdict.payload is None


@pytest.mark.parametrize("level", [0, 128, 255])
def test_an_empty_picture_is_no_mark(level: int) -> None:
    verdict = detect(torch.full((3, 2, 40, 60), level, dtype=torch.uint8))
    assert not verdict.found


def test_a_small_picture_carries_a_mark() -> None:
    marked, _ = apply(_scene(1, (80, 80)))
    assert detect(marked).found


def test_chunks_are_read_as_the_whole(marked: Tensor) -> None:
    detector = Detector()
    for chunk in marked.split(5, dim=1):
        detector.add(chunk)
    by_chunks = detector.verdict()
    whole = detect(marked)
    assert by_chunks.frames == whole.frames == FRAMES
    assert by_chunks.strength == pytest.approx(whole.strength, rel=1e-3)


def test_mistakes_are_said(marked: Tensor) -> None:
    with pytest.raises(ValueError, match="give one video"):
        detect(torch.stack([marked, marked]))
    with pytest.raises(ValueError, match="no frames"):
        Detector().verdict()
    with pytest.raises(ValueError, match="of one size"):
        detector = Detector()
        detector.add(marked)
        detector.add(marked[..., :64])
    with pytest.raises(ValueError, match="between 0 and 1; got 0"):
        Detector(false_alarm=0)
    with pytest.raises(ValueError, match="at least 16 bytes"):
        Detector(private_key=b"short")
