"""Reads sound of the stage: when something is struck, and of which materials.

A small network of convolutions looks at the loudness of 48 bands, 200 times a second, and says for
each moment whether something was struck there and what it is made of. `heard` gives the same from
the exact state, so that readings can be scored.

Shapes: B clips, L samples, T moments, M bands, C channels.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from .....files import model_folder
from .....files.config_fields import read_fields
from ..scene import MATERIALS, Scenes
from ..sound import RATE, impacts

HOP = 120  # samples from one moment to the next
WINDOW = 480
BANDS = 48
LOWEST, HIGHEST = 50.0, 11_500.0  # Hz
FLOOR = 1e-4  # amplitude that counts as silence
TOGETHER = 0.030  # seconds within which strikes are one
TOLERANCE = 0.125  # seconds between a reading and the truth
SHIPPED = "stage-judge-sound"


@dataclass(frozen=True)
class Strike:
    """Something is struck: seconds from the clip's beginning, and words of MATERIALS."""

    time: float
    materials: frozenset[str]


@dataclass(frozen=True)
class SoundJudgeConfig:
    """Sizes of the network, and how sure it must be of a strike and of a material."""

    LIMITS: ClassVar = {
        "width": (1, 4096),
        "dilations": (1, 4096),
        "strike": (0, 1),
        "material": (0, 1),
    }

    width: int = 48
    dilations: tuple[int, ...] = (1, 2, 4, 8, 16)
    strike: float = 0.5
    material: float = 0.5


class SoundJudge(nn.Module):
    """Waves [B, L] to what is struck when."""

    bands_MK: Tensor

    def __init__(self, config: SoundJudgeConfig | None = None) -> None:
        super().__init__()
        self.config = config or SoundJudgeConfig()
        width = self.config.width
        self.register_buffer("bands_MK", band_filters(), persistent=False)
        self.begin = nn.Conv1d(BANDS, width, 5, padding=2)
        self.middle = nn.ModuleList(
            nn.Conv1d(width, width, 3, padding=step, dilation=step)
            for step in self.config.dilations
        )
        self.end = nn.Conv1d(width, 1 + len(MATERIALS), 1)

    @classmethod
    def from_pretrained(cls, name: str | os.PathLike[str] | None = None) -> SoundJudge:
        """Load the judge that ships, or one from a folder. ValueError if that is impossible."""
        folder = shipped_folder() if name is None else Path(name)
        config = model_folder.load_config(folder, partial(read_fields, SoundJudgeConfig))
        return model_folder.load_model(folder, lambda: cls(config)).eval()

    def save_pretrained(self, folder: str | os.PathLike[str]) -> None:
        """Write config.json and model.safetensors, in half precision."""
        model_folder.save_folder(folder, vars(self.config), self.state_dict())

    def forward(self, wave_BL: Tensor) -> Tensor:
        """Logits [B, T, 1 + len(MATERIALS)]: something is struck, and each material."""
        x_BCT = self.begin(self.loudness(wave_BL))
        for layer in self.middle:
            x_BCT = x_BCT + layer(functional.gelu(x_BCT))
        return self.end(functional.gelu(x_BCT)).transpose(1, 2)

    def loudness(self, wave_BL: Tensor) -> Tensor:
        """Log-loudness of the bands, [B, M, T]; moment t is about sample t * HOP."""
        spectrum = torch.stft(
            wave_BL,
            WINDOW,
            HOP,
            window=torch.hann_window(WINDOW, device=wave_BL.device),
            pad_mode="constant",
            return_complex=True,
        ).abs()
        bands = self.bands_MK @ (spectrum / (WINDOW / 4))
        return (bands + FLOOR).log() / 4 + 1.2

    @torch.no_grad()
    def read(self, wave_BL: Tensor) -> list[list[Strike]]:
        """What is struck in each clip, in the order of time.

        Raises ValueError unless the waves are floating point [B, L] of at least one window.
        """
        if wave_BL.dim() != 2 or not wave_BL.is_floating_point() or wave_BL.shape[1] < WINDOW:
            raise ValueError(
                f"waves must be floating point [B, L] with L of at least {WINDOW}; got "
                f"{list(wave_BL.shape)} {wave_BL.dtype}"
            )
        chances = self(wave_BL.float()).sigmoid()
        return [self._strikes(clip) for clip in chances]

    def _strikes(self, chances_TK: Tensor) -> list[Strike]:
        """Peaks of the first column; the materials are those at the peak, at least one."""
        strike = chances_TK[:, 0]
        around = functional.max_pool1d(strike[None], 7, 1, 3)[0]
        peaks = ((strike == around) & (strike > self.config.strike)).nonzero()[:, 0].tolist()
        found: list[Strike] = []
        for place in peaks:
            time = place * HOP / RATE
            if found and time - found[-1].time < TOGETHER:
                continue
            chance = chances_TK[place, 1:]
            names = {MATERIALS[i] for i in (chance > self.config.material).nonzero()[:, 0].tolist()}
            names.add(MATERIALS[int(chance.argmax())])
            found.append(Strike(time, frozenset(names)))
        return found


def shipped_folder() -> Path:
    """Where the judge that ships lies."""
    from importlib import resources

    return Path(str(resources.files("kinetoscope.pretrained"))) / SHIPPED


def band_filters() -> Tensor:
    """Triangles on a scale that is even up to about 700 Hz and logarithmic above, [M, K]."""
    low, high = (math.log1p(f / 700) for f in (LOWEST, HIGHEST))
    edges = torch.linspace(low, high, BANDS + 2).expm1() * 700
    frequency = torch.linspace(0, RATE / 2, WINDOW // 2 + 1)
    rise = (frequency - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    fall = (edges[2:, None] - frequency) / (edges[2:] - edges[1:-1])[:, None]
    filters = torch.minimum(rise, fall).clamp_min(0)
    nearest = (frequency[None] - edges[1:-1, None]).abs().argmin(1)
    filters[torch.arange(BANDS), nearest] = filters[torch.arange(BANDS), nearest].clamp_min(0.5)
    return filters


# ---- the truth, and scores ----


def heard(scenes: Scenes, wave_BL: Tensor) -> list[list[tuple[Strike, bool]]]:
    """Strikes of each clip from its exact state, and whether each can be heard.

    A strike is heard where the wave of the 12 ms after it is well above that of the 25 ms before;
    one that other sounds cover should neither be missed nor counted as an invention.
    """
    table = impacts(scenes)
    clips: list[list[tuple[Strike, bool]]] = [[] for _ in range(len(scenes))]
    rows = zip(table.clip.tolist(), table.sample.tolist(), table.material.tolist())
    for clip, sample, material in rows:
        time = sample / RATE
        name = MATERIALS[material]
        so_far = clips[clip]
        if so_far and time - so_far[-1][0].time < TOGETHER:
            last, loud = so_far[-1]
            both = Strike(last.time, last.materials | {name})
            so_far[-1] = (both, loud or _rises(wave_BL[clip], sample))
        else:
            so_far.append((Strike(time, frozenset([name])), _rises(wave_BL[clip], sample)))
    return clips


def _rises(wave_L: Tensor, sample: int) -> bool:
    after = wave_L[sample : sample + 288].square().mean().sqrt()
    before = wave_L[max(0, sample - 600) : sample]
    level = before.square().mean().sqrt() if len(before) else torch.tensor(0.0)
    return bool(after > 0.004) and bool(after > 1.5 * level)


@dataclass(frozen=True)
class Score:
    """Of readings against the truth: strikes found, missed and invented, and how many of those
    found have exactly the right materials."""

    found: int
    missed: int
    invented: int
    right_materials: int

    @property
    def f_measure(self) -> float:
        return 2 * self.found / max(1, 2 * self.found + self.missed + self.invented)

    @property
    def materials(self) -> float:
        return self.right_materials / max(1, self.found)


def score(
    readings: Sequence[Sequence[Strike]],
    truth: Sequence[Sequence[tuple[Strike, bool]]],
    tolerance: float = TOLERANCE,
) -> Score:
    """Match every reading with the nearest strike that is still free, within `tolerance` seconds.

    Raises ValueError unless there are as many clips of one as of the other.
    """
    if len(readings) != len(truth):
        raise ValueError(f"got {len(readings)} readings of {len(truth)} clips")
    found = missed = invented = right = 0
    for read, real in zip(readings, truth):
        free = list(real)
        for strike in read:
            near = [pair for pair in free if abs(pair[0].time - strike.time) <= tolerance]
            if not near:
                invented += 1
                continue
            best = min(near, key=lambda pair: (not pair[1], abs(pair[0].time - strike.time)))
            free.remove(best)
            if best[1]:  # what cannot be heard does not count
                found += 1
                right += best[0].materials == strike.materials
        missed += sum(loud for _, loud in free)
    return Score(found, missed, invented, right)
