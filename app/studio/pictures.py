"""One picture of a video, for a card."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from .save import enlargement

if TYPE_CHECKING:
    from torch import Tensor

QUALITY = 88


def poster(video_3fYX: Tensor) -> bytes:
    """The last of these frames, uint8, as a JPEG."""
    from PIL import Image

    pixels = video_3fYX[:, -1].permute(1, 2, 0).contiguous().numpy()
    times = enlargement(*pixels.shape[:2])
    image = Image.fromarray(pixels)
    image = image.resize((image.width * times, image.height * times), Image.Resampling.BICUBIC)
    target = io.BytesIO()
    image.save(target, "JPEG", quality=QUALITY, subsampling=0)
    return target.getvalue()
