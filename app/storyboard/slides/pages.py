"""Slides: the pages of a PDF as pictures, and a storyboard that shows them to a voice.

slides = Slides(Path("slides.pdf"))
slides.picture(0, (720, 1280))  # uint8 [3, y, x]
"""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

HEIGHT = 720  # pixels of a video of slides
FPS = 24.0
LONGEST_TITLE = 80  # characters


class Slides:
    """The pages of a PDF file.

    Raises:
        ValueError: it is no PDF that can be read, or has no pages; or pypdfium2 is not there.
    """

    def __init__(self, path: Path) -> None:
        try:
            import pypdfium2
        except ImportError:
            raise ValueError("slides need more: pip install 'kinetoscope[compose]'") from None
        self.path = path
        try:
            self._pdf: Any = pypdfium2.PdfDocument(str(path))
        except (pypdfium2.PdfiumError, OSError) as error:
            raise ValueError(f"'{path}' cannot be read as a PDF: {error}") from None
        if not len(self._pdf):
            raise ValueError(f"'{path}' has no pages")

    def __len__(self) -> int:
        return len(self._pdf)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._pdf.close()

    def video_size(self, height: int = HEIGHT) -> tuple[int, int]:
        """Height and width, both even, of a video in the shape of the first page."""
        wide, tall = self._pdf[0].get_size()
        return height, max(2, round(height * wide / tall / 2) * 2)

    def picture(self, page: int, size: tuple[int, int]) -> Tensor:
        """A page, from 0, as large as fits into (height, width): uint8 [3, y, x]."""
        sheet = self._pdf[page]
        wide, tall = sheet.get_size()
        scale = min(size[0] / tall, size[1] / wide)
        bitmap = sheet.render(scale=scale, rev_byteorder=True)
        pixels = np.asarray(bitmap.to_numpy())[..., :3]
        picture = torch.from_numpy(pixels.copy()).permute(2, 0, 1)
        return picture[:, : size[0], : size[1]].contiguous()

    def title(self, page: int) -> str:
        """The first line of its text; "Slide 3" if it has none."""
        text = self._pdf[page].get_textpage().get_text_bounded()
        lines = [" ".join(line.split()) for line in text.splitlines()]
        return next((line[:LONGEST_TITLE] for line in lines if line), f"Slide {page + 1}")
