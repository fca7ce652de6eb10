"""All numbers that the renderer needs of a frame, as tables with one row per frame.

Shapes: B clips, F frames, M = B * F frames one after another, N object slots.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..colours import to_linear
from ..motion.bodies import rest_height
from ..scene import MATERIALS, PLACES, RADII, SHAPES, STYLES, TIMES, WEATHERS, Scenes
from .light import lighting
from .shapes import SHADOW

# Per ground, linear RGB of its two tones; strength of tiles and of boards; waves per metre along
# x and z and strength of a coarse and of a fine pattern; how much of the sky it mirrors.
TONE_0 = (
    (0.62, 0.60, 0.56),
    (0.10, 0.22, 0.03),
    (0.34, 0.17, 0.07),
    (0.62, 0.47, 0.27),
    (0.52, 0.66, 0.76),
)
TONE_1 = (
    (0.20, 0.22, 0.25),
    (0.20, 0.36, 0.06),
    (0.50, 0.28, 0.12),
    (0.75, 0.60, 0.38),
    (0.72, 0.83, 0.90),
)
TILES = (1.0, 0.0, 0.0, 0.0, 0.0)
BOARDS = (0.0, 0.0, 1.0, 0.0, 0.0)
COARSE = ((1, 1, 0.04), (0.9, 1.1, 0.35), (2.2, 0.35, 0.16), (0.6, 0.9, 0.22), (0.55, 0.7, 0.40))
FINE = ((3, 3, 0.02), (4.4, 3.4, 0.30), (8.0, 0.7, 0.16), (1.6, 5.2, 0.26), (2.3, 1.1, 0.16))
SHEEN = (0.16, 0.0, 0.12, 0.0, 0.55)
RIM = (
    (0.30, 0.30, 0.33),
    (0.30, 0.22, 0.14),
    (0.16, 0.08, 0.04),
    (0.40, 0.27, 0.14),
    (0.34, 0.4, 0.47),
)
PAINT = (
    (0.62, 0.55, 0.44),
    (0.40, 0.52, 0.56),
    (0.55, 0.40, 0.36),
    (0.44, 0.50, 0.38),
    (0.52, 0.46, 0.56),
    (0.60, 0.60, 0.58),
)
HILL = (0.13, 0.22, 0.12)


def frame_tables(scenes: Scenes) -> dict[str, Tensor]:
    """Tables [M, ...] of everything the shaders read, float32."""
    F = scenes.frames
    clip = {**lighting(scenes), **_grounds(scenes), **_sky(scenes), **_objects(scenes)}
    tables = {name: value.repeat_interleave(F, 0) for name, value in clip.items()}
    tables["eye"] = scenes.eye.flatten(0, 1)
    tables["view"] = scenes.view.flatten(0, 1)
    tables["lens"] = scenes.lens.reshape(-1, 1)
    tables["centre"] = scenes.position.flatten(0, 1)
    tables["rotation"] = scenes.rotation.flatten(0, 1)
    extent = torch.tensor(SHADOW)[scenes.shape] * scenes.radius[..., None]
    tables["squash"] = (scenes.rotation.transpose(-1, -2) / extent[:, None, ..., None]).flatten(
        0, 1
    )
    return tables


def _grounds(scenes: Scenes) -> dict[str, Tensor]:
    ground, room = scenes.ground, (scenes.place == PLACES.index("room"))[:, None]
    tone_0, tone_1 = torch.tensor(TONE_0)[ground], torch.tensor(TONE_1)[ground]
    coarse, fine = torch.tensor(COARSE)[ground], torch.tensor(FINE)[ground]
    flat = (scenes.style == STYLES.index("flat"))[:, None]
    plain = torch.tensor([1.0, 1.0, 0.0])
    coarse = torch.where(flat, coarse * plain, coarse)
    fine = torch.where(flat, fine * plain, fine)
    snow = (scenes.weather == WEATHERS.index("snow"))[:, None]
    rain = (scenes.weather == WEATHERS.index("rain"))[:, None]
    white = torch.tensor([0.80, 0.83, 0.88])
    tone_1 = torch.where(snow, 0.45 * tone_1 + 0.55 * white, tone_1)
    tone_0 = torch.where(snow, 0.75 * tone_0 + 0.25 * white, tone_0)
    wet = torch.where(rain, 0.72, 1.0)
    pick = (scenes.seed * 2654435761 >> 8) % 1009
    window = ((pick % 7) - 3).float()[:, None] * 0.32
    shift = torch.stack([pick % 31, pick % 37], -1).float() * 0.41
    paint = torch.tensor(PAINT)[pick % len(PAINT)]
    rim = torch.tensor(RIM)[ground]
    sheen = torch.tensor(SHEEN)[ground][:, None]
    sheen = torch.where(rain, 0.25 + 0.5 * sheen, sheen)
    return {
        "ground_0": tone_0 * wet,
        "ground_1": tone_1 * wet,
        "tiles": torch.tensor(TILES)[ground][:, None],
        "boards": torch.tensor(BOARDS)[ground][:, None],
        "coarse": coarse,
        "fine": fine,
        "sheen": torch.where(flat, 0.0, sheen),
        "rim": torch.where(snow, 0.6 * rim + 0.4 * white, rim),
        "paint": paint,
        "skirting": paint * 0.35,
        "window": window,
        "shift": shift,
        "room": room.float(),
        "side_from": torch.where(room, -50.0, -2.3),
        "wall_height": torch.where(room, 30.0, 0.22),
        "flat": flat.float(),
    }


def _sky(scenes: Scenes) -> dict[str, Tensor]:
    clear = (scenes.weather == WEATHERS.index("clear"))[:, None]
    fog = (scenes.weather == WEATHERS.index("fog"))[:, None]
    night = (scenes.time == TIMES.index("night"))[:, None]
    evening = (scenes.time == TIMES.index("evening"))[:, None]
    light = lighting(scenes)
    mean = light["horizon"].mean(1, keepdim=True)
    white = torch.where(evening, torch.tensor([1.0, 0.62, 0.50]), torch.tensor([1.0, 1.0, 1.0]))
    cloud_colour = torch.where(night, light["horizon"] * 1.1, white * (0.25 + 0.85 * mean))
    disc_colour = torch.tensor([1.0, 0.92, 0.72]).expand(len(scenes), 3)
    disc_colour = torch.where(evening, torch.tensor([1.0, 0.60, 0.25]), disc_colour)
    disc_colour = torch.where(night, torch.tensor([0.75, 0.80, 0.90]), disc_colour)
    # What shines in the picture stands before the camera, low enough to be seen.
    azimuth = ((scenes.seed % 17).float() / 16 - 0.5) * 0.8
    high = torch.tensor([0.20, 0.06, 0.14])[scenes.time]
    sky_sun = torch.stack([azimuth.sin(), high, azimuth.cos()], -1)
    hill = torch.tensor(HILL) * (light["sunlight"] * 0.6 + light["fill"])
    return {
        "cloud": torch.where(clear, 1.0, 0.55),
        "cloud_colour": cloud_colour,
        "disc": clear.float(),
        "disc_colour": disc_colour,
        "sky_sun": sky_sun / sky_sun.norm(dim=-1, keepdim=True),
        "hill": hill,
        "hill_haze": torch.where(fog, 0.95, torch.where(clear, 0.45, 0.7)),
        "sky_fog": torch.where(fog, 1.0, 0.25),
    }


def _objects(scenes: Scenes) -> dict[str, Tensor]:
    albedo = to_linear(scenes.rgb)
    bright = (albedo * torch.tensor([0.2126, 0.7152, 0.0722])).sum(-1, keepdim=True)
    second = torch.where(bright > 0.32, albedo * 0.22, albedo + (0.85 - albedo) * 0.8)
    is_ring = scenes.shape == SHAPES.index("ring")
    glows = scenes.material == MATERIALS.index("glowing")
    rest = rest_height(scenes.shape, scenes.lying, scenes.size).float()
    strength = torch.tensor([0.16, 0.34, 0.62])[scenes.time][:, None]
    wide = torch.tensor([0.55, 0.85, 0.8, 0.9, 0.9, 0.4])[scenes.shape]
    wide = torch.where(is_ring & scenes.lying, 0.45, wide)
    return {
        "there": scenes.present.float(),
        "shape": scenes.shape,
        "radius": torch.tensor(RADII)[scenes.size],
        "rest": rest,
        "spread": wide,
        "hollow": is_ring.float(),
        "glow": (glows & scenes.present) * strength,
        "albedo": albedo,
        "second": second,
        "shiny": (scenes.material == MATERIALS.index("shiny")).float(),
        "striped": (scenes.material == MATERIALS.index("striped")).float(),
        "glowing": glows.float(),
    }


@dataclass(frozen=True)
class Layout:
    """Where each table lies in the columns of all tables side by side."""

    places: tuple[tuple[str, int, tuple[int, ...]], ...]  # name, first column, shape of a row

    def unpack(self, rows: Tensor) -> dict[str, Tensor]:
        """The tables [K, ...] of packed rows [K, C], as views."""
        tables = {}
        for name, first, shape in self.places:
            tables[name] = rows[:, first : first + math.prod(shape)].unflatten(1, shape)
        return tables


def pack(tables: dict[str, Tensor]) -> tuple[Tensor, Layout]:
    """All tables side by side, float32 [M, C], and where each lies."""
    places = []
    first = 0
    for name, table in tables.items():
        places.append((name, first, tuple(table.shape[1:])))
        first += math.prod(table.shape[1:])
    packed = torch.cat([table.float().flatten(1) for table in tables.values()], 1)
    return packed, Layout(tuple(places))


def own_tables(tables: dict[str, Tensor]) -> dict[str, Tensor]:
    """Tables with a row for each slot of each frame, M * N rows: own_* are the slot's numbers."""
    M, N = tables["there"].shape
    rows = {name: value.repeat_interleave(N, 0) for name, value in tables.items()}
    others = 1 - torch.eye(N).repeat(M, 1)
    rows["there"] = rows["there"] * others  # an object throws no shadow on itself
    rows["glow"] = rows["glow"] * others
    for name in ("centre", "rotation", "albedo", "second"):
        rows[f"own_{name}"] = tables[name].flatten(0, 1)
    for name in ("radius", "shiny", "striped", "glowing"):
        rows[f"own_{name}"] = tables[name].reshape(M * N, 1)
    return rows


def pixel_size(tables: dict[str, Tensor], size: int) -> dict[str, Tensor]:
    """The tables with what depends on the size of the picture."""
    pixel = 2 * tables["lens"] / size
    return tables | {"pixel": pixel, "sharp": 0.7 / pixel}
