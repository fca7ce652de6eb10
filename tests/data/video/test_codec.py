"""Files of video to files of codes and back: equal to whole clips in memory, at bounded memory,
clean when it fails."""

import dataclasses
import errno
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from kinetoscope.data.video import (
    VideoError,
    VideoWriter,
    probe,
    read_clip,
    read_metadata,
    to_float,
    write_video,
)
from kinetoscope.data.video.codec import decode_file, encode_file
from kinetoscope.tokenizer import (
    QuantizerConfig,
    StackConfig,
    TokenizerConfig,
    VideoCodes,
    VideoTokenizer,
)
from kinetoscope.tokenizer.codes import CodesWriter
from torch import Tensor


def make_tokenizer(codebooks: int = 1) -> VideoTokenizer:
    """Random weights of every kind; cells of 3 frames x 4 x 4 pixels."""
    torch.manual_seed(0)
    stack = StackConfig(width=12, depth=2, kernel=3, spatial=(1,), temporal=(0,))
    quantizer = QuantizerConfig("FSQ", {"levels": [5, 4], "num_codebooks": codebooks})
    tokenizer = VideoTokenizer(
        TokenizerConfig(
            patch=4,
            frames_per_latent=3,
            encoder=stack,
            decoder=stack,
            refine_channels=4,
            quantizer=quantizer,
        )
    )
    with torch.no_grad():
        for parameter in tokenizer.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        tokenizer.quantizer.project.weight.mul_(3)
    tokenizer.fit_whitening([2 * torch.rand(2, 3, 7, 16, 16) - 1])
    return tokenizer.eval()


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def tokenizer() -> VideoTokenizer:
    return make_tokenizer()


def drifting(frames: int, height: int, width: int) -> Tensor:
    f, y, x = torch.meshgrid(
        torch.arange(frames), torch.arange(height), torch.arange(width), indexing="ij"
    )
    return torch.stack([x * 8 + f, y * 12 + 3 * f, f * 20 + x]).to(torch.uint8)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Forty frames, so that they come in more than one chunk; 18 x 22 pixels."""
    write_video(tmp_path / "clip.mp4", drifting(40, 18, 22), fps=12)
    return tmp_path / "clip.mp4"


def workers() -> int:
    return sum(thread.name == "prefetch" for thread in threading.enumerate())


def test_a_file_of_codes_holds_those_of_the_whole_video(
    tokenizer: VideoTokenizer, clip: Path, tmp_path: Path
) -> None:
    done: list[int] = []
    out = tmp_path / "clip.safetensors"
    file = encode_file(
        tokenizer, clip, out, model="tiny", notes={"why": "a test"}, progress=done.append
    )
    whole = tokenizer.encode(to_float(read_clip(clip).video)[None])
    codes = VideoCodes.load(out)
    assert torch.equal(codes.indices, whole.indices)
    assert (codes.num_frames, codes.height, codes.width, codes.fps) == (40, 18, 22, 12)
    assert (codes.tokenizer, codes.model) == (tokenizer.id, "tiny")
    assert (file.notes, file.shape) == ({"why": "a test"}, tuple(whole.indices.shape))
    assert sum(done) == 40 and len(done) > 1
    assert sorted(os.listdir(tmp_path)) == ["clip.mp4", "clip.safetensors"] and workers() == 0


def test_codes_become_the_video_that_they_stand_for(
    tokenizer: VideoTokenizer, clip: Path, tmp_path: Path
) -> None:
    codes = tokenizer.encode(to_float(read_clip(clip).video)[None], fps=12)
    codes.save(tmp_path / "clip.safetensors")
    done: list[int] = []
    settings = {"upscale": 8, "metadata": {"why": "a test"}, "progress": done.append}
    assert (
        decode_file(tokenizer, tmp_path / "clip.safetensors", tmp_path / "back.mp4", **settings)
        == 40
    )
    info = probe(tmp_path / "back.mp4")
    assert (info.frames, info.height, info.width, info.fps) == (40, 18 * 8, 22 * 8, 12)
    shown = to_float(read_clip(tmp_path / "back.mp4", size=(18, 22)).video)
    assert (shown - tokenizer.decode(codes)[0]).abs().mean() < 0.06
    assert read_metadata(tmp_path / "back.mp4")["why"] == "a test"
    assert sum(done) == 40 and workers() == 0


def test_an_image_is_a_video_of_one_frame(tokenizer: VideoTokenizer, tmp_path: Path) -> None:
    from PIL import Image

    Image.new("RGB", (7, 5), (250, 120, 10)).save(tmp_path / "image.png")
    file = encode_file(tokenizer, tmp_path / "image.png", tmp_path / "image.safetensors")
    assert (file.num_frames, file.height, file.width, file.shape) == (1, 5, 7, (1, 1, 2, 2))
    assert decode_file(tokenizer, file.path, tmp_path / "back.mp4") == 1
    assert read_clip(tmp_path / "back.mp4").video.shape == (3, 1, 5, 7)


def test_tiles_and_other_sizes(
    tokenizer: VideoTokenizer, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = list[Tensor]()
    write = VideoWriter.write

    # before MP4 makes more of a difference than there was
    def keep(writer: VideoWriter, chunk: Tensor) -> None:
        written.append(chunk)
        write(writer, chunk)

    monkeypatch.setattr(VideoWriter, "write", keep)
    small = encode_file(tokenizer, clip, tmp_path / "small.safetensors", size=9, max_frames=5)
    assert (small.num_frames, small.height, small.width) == (5, 9, 11)
    whole = encode_file(tokenizer, clip, tmp_path / "whole.safetensors")
    tiled = encode_file(tokenizer, clip, tmp_path / "tiled.safetensors", tile=8)
    assert torch.equal(tiled.read(), whole.read())
    assert torch.equal(tiled.read(2, 4), whole.read()[:, 2:4])
    decode_file(tokenizer, whole.path, tmp_path / "whole.mp4")
    pixels = torch.cat(written, 1).int()
    written.clear()
    decode_file(tokenizer, tiled.path, tmp_path / "tiled.mp4", tile=8)
    assert pixels.shape == (3, 40, 18, 22)
    # sums in another order may round to the next level
    assert (torch.cat(written, 1) - pixels).abs().max() <= 1


def test_half_precision_changes_few_codes(
    tokenizer: VideoTokenizer, clip: Path, tmp_path: Path
) -> None:
    full = encode_file(tokenizer, clip, tmp_path / "full.safetensors").read()
    half = encode_file(tokenizer, clip, tmp_path / "half.safetensors", dtype=torch.bfloat16).read()
    assert half.shape == full.shape
    assert (half == full).float().mean() > 0.9
    assert not torch.is_autocast_enabled("cpu")


def test_fewer_codebooks_are_a_prefix(clip: Path, tmp_path: Path) -> None:
    tokenizer = make_tokenizer(codebooks=3)
    whole = encode_file(tokenizer, clip, tmp_path / "whole.safetensors")
    less = encode_file(tokenizer, clip, tmp_path / "less.safetensors", rate=2)
    assert torch.equal(less.read(), whole.read()[..., :2])
    assert (whole.rates, less.rates) == (3, 2)
    decode_file(tokenizer, whole.path, tmp_path / "whole.mp4", rate=2)
    decode_file(tokenizer, less.path, tmp_path / "less.mp4")
    assert torch.equal(
        read_clip(tmp_path / "whole.mp4").video, read_clip(tmp_path / "less.mp4").video
    )
    for rate in (0, 4):
        with pytest.raises(
            ValueError,
            match=f"at least 1 and at most 3, the codebooks .* this tokenizer; got {rate}",
        ):
            encode_file(tokenizer, clip, tmp_path / "no.safetensors", rate=rate)
    with pytest.raises(ValueError, match=r"at most 2, .*less.safetensors'; got 3"):
        decode_file(tokenizer, less.path, tmp_path / "no.mp4", rate=3)


def test_codes_of_others_are_refused(tokenizer: VideoTokenizer, tmp_path: Path) -> None:
    codes = VideoCodes(
        torch.zeros(2, 1, 2, 2, dtype=torch.int64), 1, 8, 8, tokenizer="stranger", model="its-name"
    )
    codes.save(tmp_path / "codes.safetensors")
    with pytest.raises(
        ValueError,
        match=rf"by tokenizer stranger \(its-name\), and this tokenizer is {tokenizer.id}",
    ):
        decode_file(tokenizer, tmp_path / "codes.safetensors", tmp_path / "no.mp4")
    dataclasses.replace(codes, tokenizer=tokenizer.id).save(tmp_path / "codes.safetensors")
    with pytest.raises(ValueError, match="holds 2 videos"):
        decode_file(tokenizer, tmp_path / "codes.safetensors", tmp_path / "no.mp4")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"indices": torch.full((1, 3, 2, 2), 20)}, "codes run from 0 to 19"),
        ({"num_frames": 8}, "7 of its 8 frames"),
    ],
)
def test_damaged_codes_leave_no_video(
    tokenizer: VideoTokenizer, tmp_path: Path, change: dict[str, object], message: str
) -> None:
    codes = VideoCodes(torch.zeros(1, 3, 2, 2, dtype=torch.int64), 7, 8, 8, tokenizer=tokenizer.id)
    dataclasses.replace(codes, **change).save(tmp_path / "codes.safetensors")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=f"damaged: {message}"):
        decode_file(tokenizer, tmp_path / "codes.safetensors", tmp_path / "no.mp4")
    assert os.listdir(tmp_path) == ["codes.safetensors"] and workers() == 0


def test_an_error_in_any_stage_ends_all_of_them(
    tokenizer: VideoTokenizer, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    half = tmp_path / "half.mp4"
    half.write_bytes(clip.read_bytes()[: clip.stat().st_size * 2 // 3])
    before = sorted(os.listdir(tmp_path))
    with pytest.raises(VideoError, match=r"half\.mp4"):
        encode_file(tokenizer, half, tmp_path / "no.safetensors")

    class Broken(VideoTokenizer):
        def stream_encode(self, *args: object) -> Iterator[Tensor]:  # type: ignore[override]
            yield torch.zeros(1, 1, 5, 6, dtype=torch.int64)
            raise RuntimeError("no more memory")

    with pytest.raises(RuntimeError, match="no more memory"):
        encode_file(Broken(tokenizer.config), clip, tmp_path / "no.safetensors")

    def full(writer: CodesWriter, indices: Tensor) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(CodesWriter, "write", full)
    with pytest.raises(OSError, match=r"No space left on device: '.*no.safetensors'"):
        encode_file(tokenizer, clip, tmp_path / "no.safetensors")

    def interrupted(writer: VideoWriter, chunk: Tensor) -> None:
        raise KeyboardInterrupt

    monkeypatch.undo()
    file = encode_file(tokenizer, clip, tmp_path / "codes.safetensors")
    monkeypatch.setattr(VideoWriter, "write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        decode_file(tokenizer, file.path, tmp_path / "no.mp4")
    assert sorted(os.listdir(tmp_path)) == sorted([*before, "codes.safetensors"]) and workers() == 0


def test_a_video_ends_where_it_is_stopped(
    tokenizer: VideoTokenizer, clip: Path, tmp_path: Path
) -> None:
    file = encode_file(tokenizer, clip, tmp_path / "codes.safetensors")
    written = decode_file(tokenizer, file.path, tmp_path / "back.mp4", stop=lambda: True)
    assert written == probe(tmp_path / "back.mp4").frames <= 40


PEAK = """
import sys
import torch
from kinetoscope.data.video.codec import decode_file, encode_file
from kinetoscope.tokenizer import VideoTokenizer

def memory(key):
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(key))

torch.set_num_threads(1)
tokenizer, clip = VideoTokenizer.from_pretrained(sys.argv[1]), sys.argv[2]
codes, back = clip + ".safetensors", clip + ".back.mp4"
for work, *files in ((encode_file, clip, codes), (decode_file, codes, back)):
    before = memory("VmRSS")
    open("/proc/self/clear_refs", "w").write("5")
    work(tokenizer, *files, tile=256)
    print(memory("VmHWM") - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="peak memory is read as Linux tells it"
)
def test_a_large_picture_needs_the_memory_of_few_frames(
    tokenizer: VideoTokenizer, tmp_path: Path
) -> None:
    """Of a float frame of 1280 x 720 pixels: three that make a latent frame, two of the past,
    and what FFmpeg keeps."""
    tokenizer.save_pretrained(tmp_path / "model")
    write_video(tmp_path / "large.mp4", drifting(9, 720, 1280), fps=24)
    words = [sys.executable, "-c", PEAK, str(tmp_path / "model"), str(tmp_path / "large.mp4")]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    frame = 3 * 720 * 1280 * 4 / 1024
    encode, decode = (int(line) / frame for line in done.stdout.split())
    print(f"peaks in float frames of the picture: {encode:.1f} to encode, {decode:.1f} to decode")
    assert encode < 16 and decode < 28


MEASURE = """
import sys
import torch
from kinetoscope.data.video.codec import decode_file, encode_file
from kinetoscope.tokenizer import VideoTokenizer
torch.set_num_threads(1)
tokenizer, clip = VideoTokenizer.from_pretrained(sys.argv[1]), sys.argv[2]
encode_file(tokenizer, clip, clip + ".safetensors")
assert decode_file(tokenizer, clip + ".safetensors", clip + ".back.mp4") == int(sys.argv[3])
lines = open("/proc/self/status").read().splitlines()
print(next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")))
"""


@pytest.mark.slow
@pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="peak memory is read as Linux tells it"
)
def test_a_long_video_needs_no_more_memory_than_a_short_one(
    tokenizer: VideoTokenizer, tmp_path: Path
) -> None:
    tokenizer.save_pretrained(tmp_path / "model")
    peaks = []
    for frames in (64, 2048):
        clip = tmp_path / f"{frames}.mp4"
        write_video(clip, (drifting(64, 64, 64) for _ in range(frames // 64)), fps=24)
        words = [sys.executable, "-c", MEASURE, str(tmp_path / "model"), str(clip), str(frames)]
        peaks.append(int(subprocess.run(words, capture_output=True, text=True, check=True).stdout))
    print(
        f"peak memory for 64 and 2,048 frames: {peaks[0] / 1024:.0f} and {peaks[1] / 1024:.0f} MiB"
    )
    assert peaks[1] < 1.05 * peaks[0]
