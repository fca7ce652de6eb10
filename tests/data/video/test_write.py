"""Every container that a name asks for comes back as it was written, at its own times, and nothing
is moved, half-written or left lying."""

import errno
import os
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from kinetoscope.data.video import (
    VideoWriter,
    formats,
    probe,
    read_clip,
    read_metadata,
    write_video,
)
from kinetoscope.files.output_path import check_output, check_rate
from PIL import Image
from torch import Tensor

Numbers = Callable[[Tensor], list[int]]
Picture = Callable[[int], Tensor]
NAMES = ["a.mp4", "a.mov", "a.mkv", "a.webm", "a.gif", "a.webp", "frames/%03d.png"]
VIDEOS = NAMES[:4]
STATM = Path("/proc/self/statm")


@pytest.fixture
def film(picture: Picture) -> Tensor:
    """Frames 0 to 29."""
    return torch.stack([picture(index) for index in range(30)]).permute(3, 0, 1, 2)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("fps", [12.5, 10.0])
def test_what_is_written_comes_back_at_its_times(
    tmp_path: Path, film: Tensor, numbers: Numbers, name: str, fps: float
) -> None:
    path = tmp_path / name
    assert write_video(path, film, fps, {"prompt": "a ball"}) == 30
    rate = fps if name.endswith("png") else None
    clip = read_clip(path, fps=rate)
    assert numbers(clip.video) == list(range(30))
    assert clip.fps == pytest.approx(fps)
    assert probe(path, fps=rate).seconds == pytest.approx(30 / fps, abs=0.02)
    assert numbers(read_clip(path, fps=fps).video) == list(range(30))
    if name.endswith("png"):
        assert len(os.listdir(tmp_path / "frames")) == 30
        assert read_metadata(tmp_path / "frames/000.png")["prompt"] == "a ball"
    elif name in VIDEOS:
        assert read_metadata(path)["prompt"] == "a ball"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("height", "width"), [(63, 65), (2, 7), (1, 1)])
def test_odd_sizes_come_back(tmp_path: Path, name: str, height: int, width: int) -> None:
    video = 40 + 40 * torch.arange(4, dtype=torch.uint8)[None, :, None, None]
    video = video.expand(3, -1, height, width)
    write_video(tmp_path / name, video, 10)
    back = read_clip(tmp_path / name, fps=10 if name.endswith("png") else None).video
    assert back.shape == video.shape
    assert (back.int() - video.int()).abs().max() < 8


@pytest.mark.parametrize("name", NAMES)
def test_colours_are_those_that_were_written(tmp_path: Path, name: str) -> None:
    bars = torch.zeros(3, 5, 64, 96, dtype=torch.uint8)
    for channel in range(3):
        bars[channel, :, :, 32 * channel : 32 * (channel + 1)] = 220
    write_video(tmp_path / name, bars, 10)
    back = read_clip(tmp_path / name, fps=10 if name.endswith("png") else None).video
    error = (back[:, :, :, 16::32].int() - bars[:, :, :, 16::32].int()).abs().max()
    assert error < (20 if name == "a.webp" else 8)


def waves(period: int = 32, height: int = 64, width: int = 256) -> Tensor:
    """[3, 5, Y, X]: red against green from left to right, of one brightness."""
    swing = 40 * torch.sin(2 * torch.pi * torch.arange(width) / period)
    line = torch.stack([128 + 1.5748 * swing, 128 - 0.4681 * swing, 128 + 0 * swing])
    return line.round().to(torch.uint8)[:, None, None].expand(3, 5, height, width)


def shift(video: Tensor, original: Tensor, period: int = 32) -> float:
    """Columns by which the colours of a video lie to the right of the original's."""

    def phase(clip: Tensor) -> Any:
        difference = (clip[0].double() - clip[1].double()).mean((0, 1))[period:-period]
        turns = np.exp(-2j * np.pi * np.arange(len(difference)) / period)
        return (difference.numpy() * turns).sum()

    return float(-np.angle(phase(video) / phase(original)) * period / 2 / np.pi)


@pytest.mark.parametrize("name", VIDEOS)
def test_no_colour_is_moved(tmp_path: Path, name: str) -> None:
    write_video(tmp_path / name, waves(), 12, crf=0)
    back = read_clip(tmp_path / name).video
    assert abs(shift(back, waves())) < 0.03
    half = read_clip(tmp_path / name, size=32).video  # scaled down as well
    assert abs(shift(half, waves()[:, :, ::2, ::2], 16)) < 0.3


@pytest.mark.parametrize("name", VIDEOS[:3])
def test_colours_of_h264_lie_where_untagged_h264_has_them(tmp_path: Path, name: str) -> None:
    write_video(tmp_path / name, waves(), 12, crf=0)
    with av.open(str(tmp_path / name)) as container:
        frame: Any = next(container.decode(video=0))
        # BT.709 is named, so no player has to guess
        assert (frame.format.name, frame.colorspace) == ("yuv420p", 1)
        red = frame.to_ndarray()[64 + 16 :].reshape(32, -1)[:, :128].astype(float) - 128
    columns = 2 * np.arange(128)[16:-16]  # left of the two that share a sample
    wave = np.sin(2 * np.pi * columns / 32)
    turns = np.exp(-2j * np.pi * columns / 32)
    late = np.angle((red.mean(0)[16:-16] * turns).sum() / (wave * turns).sum()) * 32 / 2 / np.pi
    assert abs(late) < 0.03


@pytest.mark.parametrize("name", VIDEOS)
def test_luma_and_colour_are_those_of_ffmpeg(name: str) -> None:
    """The slow oracle: FFmpeg's own conversion of plain colours."""
    colours = torch.randint(0, 256, (3, 64, 1, 1), dtype=torch.uint8).expand(-1, -1, 8, 8)
    for ours, picture in zip(formats.FORMATS[name[1:]].frames(colours), colours.unbind(1)):
        image = picture.permute(1, 2, 0).contiguous().numpy()
        theirs = av.VideoFrame.from_ndarray(image, "rgb24").reformat(
            format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG"
        )
        assert abs(ours.to_ndarray().astype(int) - theirs.to_ndarray().astype(int)).max() <= 1


@pytest.mark.parametrize("fps", [0.001, 0.015, 0.5, 23.976, 30000 / 1001, 240.0, 1000.0])
def test_unusual_rates_are_written_as_asked(tmp_path: Path, film: Tensor, fps: float) -> None:
    write_video(tmp_path / "a.mp4", film[:, :4], fps)
    assert read_clip(tmp_path / "a.mp4").fps == pytest.approx(fps, rel=1e-3)


def test_rates_of_other_libraries_are_taken(tmp_path: Path, film: Tensor) -> None:
    for fps in (np.float32(12.5), np.int64(12), torch.tensor(12.5), Fraction(25, 2)):
        write_video(tmp_path / "a.mp4", film[:, :3], fps, upscale=np.int64(2))  # type: ignore
        assert probe(tmp_path / "a.mp4").width == 96
        assert read_clip(tmp_path / "a.mp4").fps == pytest.approx(float(fps))


@pytest.mark.parametrize("name", ["12:30.mp4", "http:x.webm", "%d%%.mp4", "-a.mkv"])
def test_names_are_never_taken_for_something_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, film: Tensor, numbers: Numbers, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write_video(name, film[:, :5], 10)
    assert os.listdir(tmp_path) == [name]
    assert numbers(read_clip(name).video) == list(range(5))


# ---- the place ----


@pytest.mark.parametrize("name", ["new/one/a.mp4", "new/one/%d.png"])
def test_a_missing_folder_is_made_and_goes_again_if_nothing_comes(
    tmp_path: Path, film: Tensor, name: str
) -> None:
    path = tmp_path / name
    with pytest.raises(RuntimeError), VideoWriter(path, 10) as writer:
        writer.write(film)
        raise RuntimeError
    assert os.listdir(tmp_path) == []
    write_video(path, film, 10)
    assert path.parent.is_dir()
    assert len(os.listdir(path.parent)) == (30 if name.endswith("png") else 1)


def test_a_folder_of_pictures_appears_as_a_whole(tmp_path: Path, film: Tensor) -> None:
    path = tmp_path / "frames/%03d.png"
    (tmp_path / "frames").mkdir()
    with VideoWriter(path, 10) as writer:
        writer.write(film)
        assert os.listdir(tmp_path / "frames") == []
    assert len(os.listdir(tmp_path / "frames")) == 30
    with pytest.raises(ValueError, match=r"'.*frames' is not empty; give a new folder"):
        write_video(path, film, 10)


def test_a_file_in_the_way_is_replaced_as_a_whole(tmp_path: Path, film: Tensor) -> None:
    path = tmp_path / "a.webm"
    path.write_text("the old one")
    with VideoWriter(path, 10) as writer:
        writer.write(film)
        assert path.read_text() == "the old one"
    assert probe(path).frames == 30
    assert os.listdir(tmp_path) == ["a.webm"]


@pytest.mark.skipif(not STATM.exists(), reason="memory is read as Linux tells it")
def test_an_encoder_does_not_outlive_its_video(tmp_path: Path) -> None:
    """A writer may be in a cycle of references, which Python finds late, and an encoder holds the
    memory of dozens of frames."""
    black = torch.zeros(3, 1, 256, 256, dtype=torch.uint8)
    writers = []
    begin = 0
    for number in range(24):
        writer = VideoWriter(tmp_path / f"{number}.mp4", 12)
        with writer:
            writer.write(black)
        writers.append(writer)
        if number == 3:
            begin = memory()
    assert memory() - begin < 32e6


def memory() -> int:
    """Bytes that this process holds."""
    return int(STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize("name", NAMES)
def test_a_full_disk_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, film: Tensor, name: str
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        write_video(tmp_path / name, film, 10)
    assert os.listdir(tmp_path) == []


def test_places_are_checked_before_anything_is_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    os.mkfifo(tmp_path / "pipe.mp4")
    for name, message in [
        ("file/a.mp4", "'.*file' is a file, no folder"),
        ("pipe.mp4", "is no ordinary file"),
        ("a.txt", r"must end in \.mp4, \.mov, \.mkv, \.webm, \.gif or \.webp, or be numbered"),
        ("a", "must end in"),
    ]:
        with pytest.raises(ValueError, match=message):
            check_output(tmp_path / name)
    assert check_output(tmp_path / "new/folder/A.MP4")
    with pytest.raises(ValueError, match=r"must end in \.safetensors"):
        check_output(tmp_path / "a.mp4", ".safetensors")
    assert check_rate(25) == 25.0
    assert sorted(os.listdir(tmp_path)) == ["file", "pipe.mp4"]
