"""How near generated sound is: the distance of mel spectrograms.

Legend: B clips, S samples, M mel bands, T steps.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

from ..clips.feature_store import Rows
from ..clips.sound import SOUND_RATE
from .base import PAIRS, Batch, Metric, check_sounds, mean_of

WINDOW = 512
HOP = 160
BANDS = 64
FLOOR = 1e-5


def mel_filters(bands: int = BANDS, window: int = WINDOW, rate: int = SOUND_RATE) -> Tensor:
    """Triangles `[M, window / 2 + 1]` on the mel scale 2595 log10(1 + f / 700)."""
    top = 2595 * math.log10(1 + rate / 2 / 700)
    edges = 700 * (10 ** (torch.linspace(0, top, bands + 2, dtype=torch.float64) / 2595) - 1)
    places = torch.linspace(0, rate / 2, window // 2 + 1, dtype=torch.float64)
    rising = (places - edges[:-2, None]) / (edges[1:-1, None] - edges[:-2, None])
    falling = (edges[2:, None] - places) / (edges[2:, None] - edges[1:-1, None])
    return torch.minimum(rising, falling).clamp_min(0).float()


def log_mel(sound_S: Tensor) -> Tensor:
    """Natural logarithm of mel magnitudes `[M, T]` of a mono waveform."""
    shape = torch.hann_window(WINDOW)
    padded = functional.pad(sound_S, (0, max(0, WINDOW - len(sound_S))))
    spectrum = torch.stft(padded, WINDOW, HOP, window=shape, return_complex=True).abs()
    return (mel_filters() @ spectrum).clamp_min(FLOOR).log()


class MelDistance(Metric):
    """Mean |difference| of log-mel spectrograms of pairs (64 bands, windows of 32 ms every 10)."""

    name = "mel"
    title = "mel distance"
    of = PAIRS
    needs_sound = True

    @torch.inference_mode()
    def rows(self, batch: Batch) -> Tensor:
        check_sounds(batch.sounds)
        check_sounds(batch.reference_sounds)
        found = []
        for sound, reference in zip(batch.sounds, batch.reference_sounds):
            length = min(len(sound), len(reference))
            found.append((log_mel(sound[:length]) - log_mel(reference[:length])).abs().mean())
        return torch.stack(found)[:, None]

    def value(self, rows: Mapping[str, Rows]) -> float:
        return mean_of(rows["pairs"])
