"""Pictures that show what clips hold: a contact sheet (PNG) and a grid video with the sentences
written on it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import zip_longest

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torch.nn import functional

Font = ImageFont.ImageFont | ImageFont.FreeTypeFont
PAPER = (18, 18, 22)
INK = (235, 235, 235)


def contact_sheet(
    videos: Sequence[Tensor] | Tensor,
    captions: Sequence[str] | None = None,
    columns: int = 1,
    frames_shown: int = 8,
    frame_height: int = 96,
) -> Image.Image:
    """Draw a row of frames for each clip, evenly spaced from its first to its last, with its
    caption above.

    Args:
        videos: clips uint8 `[3, F, Y, X]`; sizes may differ.
        captions: one sentence per clip, or None.
        columns: clips side by side.
        frames_shown: frames per clip; shorter clips show all they have.
        frame_height: pixels; small frames are enlarged by whole pixels, as far as that goes.

    Raises:
        ValueError: no clips, another number of captions than of clips, or a number below 1.
    """
    _check(
        len(videos), captions, columns=columns, frames_shown=frames_shown, frame_height=frame_height
    )
    texts = captions or [""] * len(videos)
    cells = [
        _strip(video, text, frames_shown, frame_height)
        for video, text in zip(videos, texts, strict=True)
    ]
    rows = [cells[start : start + columns] for start in range(0, len(cells), columns)]
    widths = [max(cell.width for cell in column if cell) for column in zip_longest(*rows)]
    heights = [max(cell.height for cell in row) for row in rows]
    gap = max(6, frame_height // 10)
    sheet = Image.new(
        "RGB",
        (sum(widths) + gap * (len(widths) + 1), sum(heights) + gap * (len(heights) + 1)),
        PAPER,
    )
    for row, cells_of_row in enumerate(rows):
        for column, cell in enumerate(cells_of_row):
            sheet.paste(
                cell,
                (gap + sum(widths[:column]) + gap * column, gap + sum(heights[:row]) + gap * row),
            )
    return sheet


def caption_grid(
    videos: Tensor,
    captions: Sequence[str],
    scale: int = 3,
    columns: int | None = None,
) -> Tensor:
    """Set clips of one size side by side, enlarged, each with its sentence below.

    Args:
        videos: uint8 `[N, 3, F, Y, X]`.
        captions: N sentences.
        scale: pixels per pixel.
        columns: clips in a row; by default as wide as a screen likes (4 columns for 8 clips).

    Returns:
        uint8 video `[3, F, Y', X']` with even Y' and X'.

    Raises:
        ValueError: another number of captions than of clips, or a number below 1.
    """
    N, _, F, Y, X = videos.shape
    columns = _columns(N) if columns is None else columns
    _check(N, captions, columns=columns, scale=scale)
    gap = 2 * scale
    height = Y * scale
    width = X * scale
    font = _font(max(11, min(height, width) // 13))
    labels = [_label(caption, width, font) for caption in captions]
    label_height = max(label.height for label in labels)
    rows = -(-N // columns)
    cell_height = height + label_height + gap
    grid_height = rows * cell_height + gap
    grid_width = columns * (width + gap) + gap
    grid = torch.tensor(PAPER, dtype=torch.uint8)[:, None, None, None].repeat(
        1, F, grid_height + grid_height % 2, grid_width + grid_width % 2
    )
    for index, (video, label) in enumerate(zip(videos.cpu(), labels, strict=True)):
        top = gap + index // columns * cell_height
        left = gap + index % columns * (width + gap)
        large = video.repeat_interleave(scale, dim=2).repeat_interleave(scale, dim=3)
        grid[:, :, top : top + height, left : left + width] = large
        grid[:, :, top + height : top + height + label.height, left : left + width] = _pixels(
            label
        )[:, None]
    return grid


def _columns(clips: int) -> int:
    """As few empty places as possible, and about twice as many columns as rows."""
    choices = range(math.isqrt(max(0, clips - 1)) + 1, math.isqrt(4 * clips) + 1)
    return min(
        choices,
        key=lambda columns: (-clips % columns, abs(columns - math.sqrt(2 * clips))),
        default=1,
    )


def _strip(video: Tensor, caption: str, frames_shown: int, frame_height: int) -> Image.Image:
    """One clip: its caption, and below it some of its frames."""
    F = video.shape[1]
    shown = torch.linspace(0, F - 1, min(F, frames_shown)).round().long()
    frames = _enlarge(video[:, shown].cpu(), frame_height)
    height, width = frames.shape[2:]
    gap = 2
    label = (
        _label(caption, len(shown) * (width + gap) - gap, _font(max(11, height // 7)))
        if caption
        else None
    )
    top = label.height if label else 0
    strip = Image.new("RGB", (len(shown) * (width + gap) - gap, top + height), PAPER)
    if label:
        strip.paste(label, (0, 0))
    for index, frame in enumerate(frames.unbind(dim=1)):
        strip.paste(
            Image.fromarray(frame.permute(1, 2, 0).contiguous().numpy()),
            (index * (width + gap), top),
        )
    return strip


def _enlarge(frames: Tensor, height: int) -> Tensor:
    """uint8 `[3, F, Y, X]` to about `height` rows: small ones by whole pixels, so that every
    pixel can be judged."""
    Y, X = frames.shape[2:]
    if height >= Y:
        times = height // Y
        return frames.repeat_interleave(times, dim=2).repeat_interleave(times, dim=3)
    size = (height, max(1, round(X * height / Y)))
    scaled = functional.interpolate(
        frames.transpose(0, 1).float(), size=size, mode="bilinear", antialias=True
    )
    return scaled.round().clamp(0, 255).to(torch.uint8).transpose(0, 1)


def _font(size: int) -> Font:
    return ImageFont.load_default(size)


def _label(text: str, width: int, font: Font) -> Image.Image:
    """The text, wrapped to the width, on a strip as high as it needs."""
    draw = ImageDraw.Draw(Image.new("RGB", (1, 1)))
    margin = 4
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and draw.textlength(longer, font=font) <= width - 2 * margin:
            lines[-1] = longer
        else:
            lines.append(word)
    wrapped = "\n".join(lines)
    # so that lines without descenders are as high as the others
    even = "\n".join("Ag" for _ in lines)
    bottom = draw.multiline_textbbox((margin, margin), even, font=font)[3] if lines else 0
    label = Image.new("RGB", (width, int(bottom) + margin), PAPER)
    ImageDraw.Draw(label).multiline_text((margin, margin), wrapped, font=font, fill=INK)
    return label


def _pixels(image: Image.Image) -> Tensor:
    """uint8 `[3, Y, X]` of a picture."""
    flat = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8)
    return flat.view(image.height, image.width, 3).permute(2, 0, 1)


def _check(clips: int, captions: Sequence[str] | None, **numbers: int) -> None:
    if clips < 1:
        raise ValueError("there are no clips to show")
    if captions is not None and len(captions) != clips:
        raise ValueError(
            f"there must be one caption per clip; got {len(captions)} captions for {clips} clips"
        )
    for name, value in numbers.items():
        if value < 1:
            raise ValueError(f"{name} must be at least 1; got {value}")
