"""Tones and noises whose loudness the decoder sets every few milliseconds.

A network finds it hard to go on with a tone in the right phase from step to step, and cannot spend
codes on the course of noise. So both run by themselves: sines of fixed frequencies, and noise in
bands, and the decoder says how loud each is (as in DDSP, Engel et al. 2020). All repeat after one
latent, so they need no state; between two steps loudness changes along a straight line.

Legend: B batch, S fine steps, P steps of a latent, K tones and noises, H samples of a hop.
"""

import math

import torch
from torch import Tensor, nn

from ..blocks import State
from .blocks import with_past

LOWEST, HIGHEST = 60.0, 11_400.0  # Hz
QUIET = -7.5  # logarithm of amplitudes at first
RANGE = 4.0  # what a change of one in the decoder means there
LOUDEST = 1.0


class Synthesis(nn.Module):
    """Loudness `[B, S, K]`, as logarithms of amplitudes, to samples `[B, S * hop]`."""

    table_PLH: Tensor

    def __init__(self, rate: int, latent_samples: int, hop: int, tones: int, noises: int) -> None:
        super().__init__()
        self.hop = hop
        self.steps = latent_samples // hop
        waves = torch.cat(
            [tone_table(rate, latent_samples, tones), noise_table(rate, latent_samples, noises)]
        )
        self.count = len(waves)
        blocks_PKH = waves.view(self.count, self.steps, hop).transpose(0, 1)
        rise_H = (torch.arange(hop) + 1) / hop
        # of a step's own loudness, and of that before it
        table = torch.cat([blocks_PKH * rise_H, blocks_PKH * (1 - rise_H)], dim=1)
        self.register_buffer("table_PLH", table.contiguous(), persistent=False)

    def forward(self, loudness_BSK: Tensor, state: State, new_state: State) -> Tensor:
        amplitude = loudness_BSK.float().clamp(max=LOUDEST).exp()
        S = amplitude.shape[1]
        joined = with_past(amplitude, 1, "amplitude", state, new_state)
        pairs_BSL = torch.cat([joined[:, 1:], joined[:, :-1]], dim=2)
        missing = -S % self.steps
        padded = nn.functional.pad(pairs_BSL, (0, 0, 0, missing))
        by_step = padded.unflatten(1, (-1, self.steps)).flatten(0, 1).transpose(0, 1)
        blocks_PNH = torch.bmm(by_step, self.table_PLH)
        wave = blocks_PNH.transpose(0, 1).reshape(len(amplitude), -1)
        return wave[:, : S * self.hop]


def scatter(count: int) -> Tensor:
    """`count` numbers in [0, 1) that look random and are the same everywhere."""
    return (torch.arange(1, count + 1, dtype=torch.float64) * 12.9898).sin().mul(43758.5453) % 1


def tone_frequencies(rate: int, tones: int) -> Tensor:
    """Hz `[tones]`, evenly spaced on a logarithmic scale."""
    ratio = torch.arange(tones, dtype=torch.float64) / max(1, tones - 1)
    highest = min(HIGHEST, 0.48 * rate)
    return LOWEST * (highest / LOWEST) ** ratio


def noise_edges(rate: int, noises: int) -> Tensor:
    """Hz `[noises + 1]` between neighbouring bands of noise."""
    low, high = math.log1p(LOWEST / 700), math.log1p(rate / 2 / 700)
    return torch.linspace(low, high, noises + 1, dtype=torch.float64).expm1() * 700


def tone_table(rate: int, period: int, tones: int) -> Tensor:
    """Sines `[tones, period]`, evenly spaced on a logarithmic scale, each with whole periods."""
    cycles = (tone_frequencies(rate, tones) * period / rate).round().clamp_min(1)
    phase = scatter(tones)
    time = torch.arange(period, dtype=torch.float64) / period
    return (2 * math.pi * (cycles[:, None] * time + phase[:, None])).sin().float()


def noise_table(rate: int, period: int, noises: int) -> Tensor:
    """Noise `[noises, period]` in neighbouring bands, each of an RMS of one."""
    lines = period // 2 + 1
    frequency = torch.linspace(0, rate / 2, lines, dtype=torch.float64)
    edges = noise_edges(rate, noises)
    spectrum = torch.polar(torch.ones(lines, dtype=torch.float64), 2 * math.pi * scatter(lines))
    bands = (frequency >= edges[:-1, None]) & (frequency < edges[1:, None])
    waves = torch.fft.irfft(spectrum * bands, period)
    return (waves / waves.square().mean(1, keepdim=True).sqrt().clamp_min(1e-9)).float()
