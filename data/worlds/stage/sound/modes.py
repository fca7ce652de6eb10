"""How an impact sounds: a few damped modes of what is hit, a click, and the thud of the ground.

A mode is a sine that dies away. The material gives the ratios of the frequencies and how fast they
die away, the size the pitch, the speed how loud it is and how much of the high modes is heard: a
hard blow is short, so it excites more of them (the spectrum of a half-sine pulse).

Shapes: K impacts, M modes, L samples.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..scene import MATERIALS, RADII
from .events import GROUND, RATE, WALL, Impacts
from .noise import white

# Of each material: pitch in Hz at the middle size, ratios and strengths of the modes, seconds in
# which the lowest falls to 1/e, how much faster higher ones die away, loudness.
PITCH = {"matte": 390.0, "shiny": 640.0, "striped": 235.0, "glowing": 1350.0}
RATIOS = {
    "matte": (1.0, 2.57, 4.95, 7.1),  # wood: a bar, soon over
    "shiny": (1.0, 2.76, 5.40, 8.93),  # metal: a free bar, rings
    "striped": (1.0, 2.1, 3.3, 4.8),  # plastic: dull and hollow
    "glowing": (1.0, 2.32, 4.25, 6.63),  # glass: high and clear
}
STRENGTHS = {
    "matte": (1.0, 0.55, 0.25, 0.1),
    "shiny": (0.8, 0.8, 0.6, 0.4),
    "striped": (1.0, 0.7, 0.35, 0.15),
    "glowing": (1.0, 0.6, 0.35, 0.2),
}
DECAY = {"matte": 0.030, "shiny": 0.30, "striped": 0.022, "glowing": 0.14}
DAMPING = {"matte": 0.9, "shiny": 0.45, "striped": 1.2, "glowing": 0.55}
LOUDNESS = {"matte": 0.34, "shiny": 0.26, "striped": 0.38, "glowing": 0.30}
# Of each ground: how hard it is for what falls on it, Hz and seconds of its own thud, strength of
# the thud and of its rustle.
HARDNESS = (1.0, 0.42, 0.85, 0.34, 0.95)
THUD_PITCH = (150.0, 70.0, 115.0, 60.0, 210.0)
THUD_DECAY = (0.020, 0.030, 0.035, 0.025, 0.018)
THUD = (0.22, 0.22, 0.30, 0.20, 0.16)
RUSTLE = (0.0, 0.16, 0.0, 0.22, 0.03)
RUSTLE_DECAY = 0.045
WALL_HARDNESS = 0.75
FULL_SPEED = 2.5  # m/s of an impact of the given loudness
QUIET = 1e-3  # of its beginning, where a mode ends
FADE = 240  # samples in which it then fades out
CLICK_DECAY = 0.0012


def strike(impacts: Impacts, seed: Tensor, wave: Tensor) -> None:
    """Add the sound of all impacts to a wave [B, L], in place; seed [B] is that of the clips."""
    for index, name in enumerate(MATERIALS):
        mine = impacts.material == index
        if mine.any():
            rows = mine.nonzero()[:, 0]
            _add(wave, impacts, rows, _modes(name, impacts, rows))
    if len(impacts):
        every = torch.arange(len(impacts))
        _add(wave, impacts, every, _click(impacts, seed))
        lands = (impacts.other == GROUND).nonzero()[:, 0]
        if len(lands):
            _add(wave, impacts, lands, _thud(impacts, lands, seed))


def _add(wave: Tensor, impacts: Impacts, rows: Tensor, sounds_KL: Tensor) -> None:
    """Each sound at its moment; what goes beyond the end is cut."""
    length = wave.shape[1]
    for row, sound in zip(rows.tolist(), sounds_KL):
        begin = int(impacts.sample[row])
        part = sound[: max(0, length - begin)]
        wave[impacts.clip[row], begin : begin + len(part)] += part


def _force(impacts: Impacts, rows: Tensor) -> Tensor:
    """How hard each impact is, [K]: its speed, less on a soft ground."""
    hardness = torch.tensor(HARDNESS)[impacts.ground[rows]]
    other = impacts.other[rows]
    soft = torch.where(other == GROUND, hardness, torch.where(other == WALL, WALL_HARDNESS, 1.0))
    return impacts.speed[rows] / FULL_SPEED * soft


def _modes(name: str, impacts: Impacts, rows: Tensor) -> Tensor:
    """The modes of impacts of one material, [K, L]."""
    ratios = torch.tensor(RATIOS[name])
    middle = RADII[1]
    pitch = PITCH[name] * (middle / torch.tensor(RADII)[impacts.size[rows]]) ** 0.9
    frequency_KM = pitch[:, None] * ratios
    decay_M = DECAY[name] * ratios ** -DAMPING[name]
    force = _force(impacts, rows)
    cutoff = PITCH[name] * (0.4 + 4.5 * force.clamp(max=1.5))  # a harder blow is shorter
    strength_KM = (
        torch.tensor(STRENGTHS[name]) * (-((frequency_KM / cutoff[:, None]) ** 2) / 4).exp()
    )
    strength_KM = torch.where(frequency_KM < 0.45 * RATE, strength_KM, 0.0)
    strength_KM[:, 0] = strength_KM[:, 0].clamp_min(0.15)
    loudness = LOUDNESS[name] * force.clamp(max=1.6) ** 0.9
    time_L = torch.arange(int(-math.log(QUIET) * DECAY[name] * RATE)) / RATE
    sound = torch.zeros(len(rows), len(time_L))
    for mode in range(len(ratios)):
        phase = 2 * math.pi * frequency_KM[:, mode, None] * time_L
        envelope = (-time_L / decay_M[mode]).exp()
        sound += strength_KM[:, mode, None] * envelope * phase.sin()
    return _faded(sound * loudness[:, None])


def _click(impacts: Impacts, seed: Tensor) -> Tensor:
    """The first touch: a few milliseconds of noise, [K, L]."""
    rows = torch.arange(len(impacts))
    time_L = torch.arange(int(6 * CLICK_DECAY * RATE)) / RATE
    noise = white(seed[impacts.clip], 11 + impacts.slot, impacts.sample, len(time_L))
    loudness = 0.10 * _force(impacts, rows).clamp(max=1.6)
    return _faded(noise * (-time_L / CLICK_DECAY).exp() * loudness[:, None], 24)


def _thud(impacts: Impacts, rows: Tensor, seed: Tensor) -> Tensor:
    """What the ground adds, [K, L]: a low thud and, where it is loose, a rustle."""
    ground = impacts.ground[rows]
    longest = max(*THUD_DECAY, RUSTLE_DECAY)
    time_L = torch.arange(int(-math.log(QUIET) * longest * RATE)) / RATE
    radius = torch.tensor(RADII)[impacts.size[rows]]
    force = (impacts.speed[rows] / FULL_SPEED).clamp(max=1.6) * radius / RADII[1]
    phase = 2 * math.pi * torch.tensor(THUD_PITCH)[ground][:, None] * time_L
    body = phase.sin() * (-time_L / torch.tensor(THUD_DECAY)[ground][:, None]).exp()
    noise = white(
        seed[impacts.clip[rows]], 23 + impacts.slot[rows], impacts.sample[rows], len(time_L)
    )
    loose = noise * (-time_L / RUSTLE_DECAY).exp() * (1 - (-time_L / 0.002).exp())
    strength = torch.tensor(THUD)[ground][:, None]
    rustle = torch.tensor(RUSTLE)[ground][:, None]
    return _faded((body * strength + loose * rustle) * force[:, None])


def _faded(sound_KL: Tensor, samples: int = FADE) -> Tensor:
    """Ends at exactly zero."""
    samples = min(samples, sound_KL.shape[1])
    fade = torch.linspace(1, 0, samples)
    sound_KL[:, -samples:] *= fade
    return sound_KL
