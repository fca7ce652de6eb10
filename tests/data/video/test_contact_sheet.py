"""Contact sheets and caption grids put every clip, and its sentence, where it can be seen."""

import pytest
import torch
from kinetoscope.data.video import write_video
from kinetoscope.data.video.contact_sheet import caption_grid, contact_sheet
from torch import Tensor


def plain(colour: tuple[int, int, int], frames: int, height: int, width: int) -> Tensor:
    return torch.tensor(colour, dtype=torch.uint8)[:, None, None, None].expand(
        3, frames, height, width
    )


def count(pixels: Tensor, colour: tuple[int, int, int]) -> int:
    """How many pixels of `[3, Y, X]` have exactly this colour."""
    return int((pixels == torch.tensor(colour, dtype=torch.uint8)[:, None, None]).all(0).sum())


def test_a_sheet_shows_frames_of_every_clip(tmp_path) -> None:
    clips = [
        plain((200, 0, 0), 9, 16, 16),
        plain((0, 200, 0), 2, 16, 24),
        plain((0, 0, 200), 5, 40, 80),
    ]
    sheet = contact_sheet(
        clips, ["red", "green", "a long sentence " * 9], columns=2, frames_shown=4, frame_height=32
    )
    pixels = torch.frombuffer(bytearray(sheet.tobytes()), dtype=torch.uint8)
    pixels = pixels.view(sheet.height, sheet.width, 3).permute(2, 0, 1)
    assert count(pixels, (200, 0, 0)) == 4 * 32 * 32
    assert count(pixels, (0, 200, 0)) == 2 * 32 * 48
    assert count(pixels, (0, 0, 200)) == 4 * 32 * 64
    bare = contact_sheet(clips, None, columns=2, frames_shown=4, frame_height=32)
    assert bare.height < sheet.height  # room for the sentences


def test_a_grid_shows_every_clip_in_full_and_can_be_written(tmp_path) -> None:
    clips = torch.stack([plain((40 * i, 0, 99), 3, 8, 10) for i in range(1, 6)])
    grid = caption_grid(
        clips, ["short", "a sentence that needs several lines"] * 2 + [""], scale=4, columns=3
    )
    assert grid.shape[:2] == (3, 3)
    for index in range(1, 6):
        assert count(grid[:, 2], (40 * index, 0, 99)) == 8 * 10 * 16
    assert (grid[:, 0].amin(0) > 150).sum() > 30  # ink
    write_video(tmp_path / "grid.mp4", grid, fps=10)


def test_impossible_sheets_are_refused() -> None:
    clip = plain((9, 9, 9), 2, 8, 8)
    with pytest.raises(ValueError, match="one caption per clip; got 2 captions for 1 clips"):
        contact_sheet([clip], ["a", "b"])
    with pytest.raises(ValueError, match="no clips"):
        contact_sheet([], [])
    with pytest.raises(ValueError, match="scale must be at least 1"):
        caption_grid(clip[None], ["a"], scale=0)
