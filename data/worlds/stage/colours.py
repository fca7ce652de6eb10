"""Colours of the stage: ten names that are judged, and about a hundred further ones in the RGB
that CSS gives them."""

from __future__ import annotations

import torch
from torch import Tensor

BASIC = {
    "red": "#cd2024",
    "orange": "#f5821e",
    "yellow": "#f7d82c",
    "green": "#2ba03f",
    "cyan": "#2fc9cf",
    "blue": "#2450d2",
    "purple": "#7d2fa8",
    "pink": "#f58cb4",
    "brown": "#70401f",
    "white": "#f0f0f0",
}
"""The ten judged names with the middle of what each is drawn in; every object varies a little
around it."""

NAMED = {
    "aquamarine": "#7fffd4",
    "azure": "#f0ffff",
    "beige": "#f5f5dc",
    "bisque": "#ffe4c4",
    "black": "#000000",
    "blanched almond": "#ffebcd",
    "blue violet": "#8a2be2",
    "burlywood": "#deb887",
    "cadet blue": "#5f9ea0",
    "chartreuse": "#7fff00",
    "chocolate": "#d2691e",
    "coral": "#ff7f50",
    "cornflower blue": "#6495ed",
    "cornsilk": "#fff8dc",
    "crimson": "#dc143c",
    "dark blue": "#00008b",
    "dark cyan": "#008b8b",
    "dark goldenrod": "#b8860b",
    "dark green": "#006400",
    "dark grey": "#a9a9a9",
    "dark khaki": "#bdb76b",
    "dark magenta": "#8b008b",
    "dark olive green": "#556b2f",
    "dark orange": "#ff8c00",
    "dark orchid": "#9932cc",
    "dark red": "#8b0000",
    "dark salmon": "#e9967a",
    "dark sea green": "#8fbc8f",
    "dark slate blue": "#483d8b",
    "dark slate grey": "#2f4f4f",
    "dark turquoise": "#00ced1",
    "dark violet": "#9400d3",
    "deep pink": "#ff1493",
    "deep sky blue": "#00bfff",
    "dim grey": "#696969",
    "dodger blue": "#1e90ff",
    "firebrick": "#b22222",
    "forest green": "#228b22",
    "gainsboro": "#dcdcdc",
    "gold": "#ffd700",
    "goldenrod": "#daa520",
    "green yellow": "#adff2f",
    "grey": "#808080",
    "honeydew": "#f0fff0",
    "hot pink": "#ff69b4",
    "indian red": "#cd5c5c",
    "indigo": "#4b0082",
    "ivory": "#fffff0",
    "khaki": "#f0e68c",
    "lavender": "#e6e6fa",
    "lavender blush": "#fff0f5",
    "lawn green": "#7cfc00",
    "lemon chiffon": "#fffacd",
    "light blue": "#add8e6",
    "light coral": "#f08080",
    "light cyan": "#e0ffff",
    "light goldenrod": "#eedd82",
    "light green": "#90ee90",
    "light grey": "#d3d3d3",
    "light pink": "#ffb6c1",
    "light salmon": "#ffa07a",
    "light sea green": "#20b2aa",
    "light sky blue": "#87cefa",
    "light slate grey": "#778899",
    "light steel blue": "#b0c4de",
    "light yellow": "#ffffe0",
    "lime": "#00ff00",
    "lime green": "#32cd32",
    "linen": "#faf0e6",
    "magenta": "#ff00ff",
    "maroon": "#800000",
    "medium orchid": "#ba55d3",
    "medium purple": "#9370db",
    "medium sea green": "#3cb371",
    "medium slate blue": "#7b68ee",
    "medium turquoise": "#48d1cc",
    "midnight blue": "#191970",
    "mint cream": "#f5fffa",
    "misty rose": "#ffe4e1",
    "moccasin": "#ffe4b5",
    "navy": "#000080",
    "olive": "#808000",
    "olive drab": "#6b8e23",
    "orange red": "#ff4500",
    "orchid": "#da70d6",
    "pale green": "#98fb98",
    "pale turquoise": "#afeeee",
    "pale violet red": "#db7093",
    "peach puff": "#ffdab9",
    "peru": "#cd853f",
    "plum": "#dda0dd",
    "powder blue": "#b0e0e6",
    "rosy brown": "#bc8f8f",
    "royal blue": "#4169e1",
    "saddle brown": "#8b4513",
    "salmon": "#fa8072",
    "sandy brown": "#f4a460",
    "sea green": "#2e8b57",
    "sienna": "#a0522d",
    "silver": "#c0c0c0",
    "sky blue": "#87ceeb",
    "slate blue": "#6a5acd",
    "slate grey": "#708090",
    "spring green": "#00ff7f",
    "steel blue": "#4682b4",
    "tan": "#d2b48c",
    "teal": "#008080",
    "thistle": "#d8bfd8",
    "tomato": "#ff6347",
    "turquoise": "#40e0d0",
    "violet": "#ee82ee",
    "violet red": "#d02090",
    "wheat": "#f5deb3",
    "yellow green": "#9acd32",
}
"""Further names, drawn in exactly their own RGB; captions use them, the judge does not name
them."""

COLOURS = (*BASIC, *NAMED)
"""All names; the first `len(BASIC)` are the judged ones."""


def rgb_table() -> Tensor:
    """sRGB values of COLOURS in [0, 1], [len(COLOURS), 3]."""
    codes = (*BASIC.values(), *NAMED.values())
    return torch.tensor([[int(code[i : i + 2], 16) / 255 for i in (1, 3, 5)] for code in codes])


def to_linear(srgb: Tensor) -> Tensor:
    """Linear light in [0, 1] of sRGB values in [0, 1] (IEC 61966-2-1)."""
    return torch.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
