"""Copies are found although their files differ; other takes of one scene are not copies."""

from pathlib import Path

import pytest
import torch
from kinetoscope.data.datasets.video_list import list_videos
from kinetoscope.data.report.duplicates import (
    TABLE,
    find_duplicates,
    small_pictures,
    write_duplicates,
)
from kinetoscope.data.video import VideoError, write_video
from torch import Tensor
from torch.nn import functional


def scene(seed: int, path: int) -> Tensor:
    """A soft ground of its own, and a bright square that goes one of several ways, uint8."""
    draw = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, 6, 8, generator=draw) * 180
    video = functional.interpolate(coarse, (48, 64), mode="bilinear")[0][:, None]
    video = video.repeat(1, 24, 1, 1)
    for frame in range(24):
        top, left = [(16, 2 * frame), (frame, 40 - frame), (30, 44 - frame)][path]
        video[:, frame, top : top + 14, left : left + 14] = 250
    return video.to(torch.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("videos")
    first = scene(0, 0)
    write_video(root / "a.mp4", first, fps=12)
    write_video(root / "copy-strong.mp4", first, fps=12, crf=32)
    small = functional.interpolate(first.transpose(0, 1).float(), (36, 48), mode="area")
    write_video(root / "copy-small.webm", small.transpose(0, 1).to(torch.uint8), fps=24)
    bright = (first.float() * 0.8 + 40).to(torch.uint8)
    write_video(root / "copy-bright.mkv", bright, fps=12)
    write_video(root / "other-take.mp4", scene(0, 1), fps=12)
    write_video(root / "other-place.mp4", scene(1, 0), fps=12)
    write_video(root / "still.mp4", first[:, :1].expand(-1, 9, -1, -1), fps=12)
    (root / "broken.mp4").write_bytes(b"no video")
    return root


def test_copies_are_found_and_nothing_else(folder: Path) -> None:
    said: list[str] = []
    videos, _ = list_videos(folder)
    found = find_duplicates(videos, said.append)
    assert {each.name for each in found} == {
        "copy-bright.mkv",
        "copy-small.webm",
        "copy-strong.mp4",
    }
    assert {each.of for each in found} == {"a.mp4"}
    assert all(0.98 <= each.alike <= 1.001 for each in found)
    assert said == ["7 videos compared: 3 near-duplicates"]


def test_the_table_names_both(folder: Path, tmp_path: Path) -> None:
    found = find_duplicates(list_videos(folder)[0], lambda line: None)
    write_duplicates(tmp_path / TABLE, found)
    lines = (tmp_path / TABLE).read_text().splitlines()
    assert lines[0] == "file,duplicate_of,alike"
    assert len(lines) == 4 and lines[1].startswith("copy-bright.mkv,a.mp4,0.9")


def test_small_pictures_have_no_mean_and_no_contrast_of_their_own(folder: Path) -> None:
    looks = small_pictures(folder / "a.mp4")
    assert looks.shape == (8, 256)
    assert looks.mean(1).abs().max() < 1e-4
    assert float(looks.square().mean()) == pytest.approx(1, rel=1e-4)
    with pytest.raises(VideoError):
        small_pictures(folder / "broken.mp4")
