"""Light of the stage by time of day, weather and place.

All colours are linear RGB. Shapes: B clips.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..scene import PLACES, WEATHERS, Scenes

# Per time of day: direction to the sun or moon, its colour, the sky's fill light, sky at the
# horizon, sky above.
SUN = ((-0.52, 0.80, -0.40), (0.80, 0.50, -0.34), (-0.42, 0.80, -0.44))
SUN_COLOUR = ((0.92, 0.87, 0.76), (0.98, 0.56, 0.28), (0.30, 0.38, 0.62))
FILL = ((0.36, 0.39, 0.44), (0.34, 0.26, 0.30), (0.12, 0.15, 0.26))
HORIZON = ((0.66, 0.80, 0.92), (0.96, 0.46, 0.18), (0.055, 0.085, 0.21))
ZENITH = ((0.13, 0.34, 0.78), (0.20, 0.15, 0.36), (0.006, 0.012, 0.055))
# A room has lamps of its own by night and in the evening.
ROOM_COLOUR = ((0.80, 0.77, 0.70), (0.94, 0.66, 0.40), (0.52, 0.44, 0.34))
ROOM_FILL = ((0.40, 0.41, 0.42), (0.34, 0.27, 0.24), (0.17, 0.15, 0.17))
# Per weather: share of the sun's light that comes through, how grey the sky is, haze per metre.
THROUGH = (1.0, 0.45, 0.6, 0.35)
GREY = (0.0, 0.75, 0.7, 0.9)
HAZE = (0.006, 0.02, 0.02, 0.045)


def lighting(scenes: Scenes) -> dict[str, Tensor]:
    """Rows [B, 3] named sun, sunlight, fill, horizon, zenith, and haze and shade [B, 1].

    shade is the strength of shadows: under a grey sky they are faint.
    """
    time, weather = scenes.time, scenes.weather
    room = (scenes.place == PLACES.index("room"))[:, None]
    sun = torch.tensor(SUN)
    sun = sun / sun.norm(dim=-1, keepdim=True)
    through = torch.tensor(THROUGH)[weather][:, None]
    grey = torch.tensor(GREY)[weather][:, None]
    horizon, zenith = torch.tensor(HORIZON)[time], torch.tensor(ZENITH)[time]
    overcast = 0.55 * horizon.mean(1, keepdim=True) + 0.25 * zenith.mean(1, keepdim=True)
    overcast = overcast * torch.tensor([0.97, 1.0, 1.06])
    snow_or_fog = (weather == WEATHERS.index("snow")) | (weather == WEATHERS.index("fog"))
    bright = torch.where(snow_or_fog, 1.45, 1.0)[:, None]
    sky = (overcast * bright).clamp(max=0.9)
    horizon = horizon + (sky - horizon) * grey
    zenith = zenith + (sky * 0.8 - zenith) * grey
    sunlight = torch.tensor(SUN_COLOUR)[time] * through
    fill = torch.tensor(FILL)[time] * (1 + 0.75 * (1 - through))
    sunlight = torch.where(room, torch.tensor(ROOM_COLOUR)[time], sunlight)
    fill = torch.where(room, torch.tensor(ROOM_FILL)[time], fill)
    return {
        "sun": sun[time],
        "sunlight": sunlight,
        "fill": fill,
        "horizon": horizon,
        "zenith": zenith,
        "haze": torch.where(room, 0.0, torch.tensor(HAZE)[weather][:, None]),
        "shade": torch.where(room, 0.75, 0.45 + 0.55 * through),
    }
