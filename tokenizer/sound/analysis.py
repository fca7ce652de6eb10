"""Which tones and noises a sound is made of: what the decoder's synthesis should be told.

A spectrum that begins at each fine step is searched for peaks that stand out of their neighbours;
each becomes the loudness of the nearest tone, and what is left becomes that of bands of noise
(spectral modelling, Serra and Smith 1990). Nothing is heard before it begins: a tone is never
louder than the few milliseconds around the step.

Legend: B batch, L samples, S fine steps, J frequencies, K tones or noises.
"""

import torch
from torch import Tensor
from torch.nn import functional

from .synthesis import noise_edges, tone_frequencies

LONG, SHORT = 1024, 256  # samples of the windows for tones and for noises
AROUND = 10  # frequencies to each side that are a peak's neighbours
PROMINENCE = 4.4  # times the mean (of logarithms) of the neighbours; noise is hardly ever as high
LEAST = 3e-4  # amplitude of a tone


def loudness_targets(wave_BL: Tensor, rate: int, hop: int, tones: int, noises: int) -> Tensor:
    """Amplitudes `[B, S, tones + noises]` that `Synthesis` should get, L a multiple of `hop`."""
    near_BSJ = _spectrum(wave_BL, SHORT, SHORT // 2, hop)
    tone_BSK = _tones(wave_BL, near_BSJ, rate, hop, tones)
    return torch.cat([tone_BSK, _noises(near_BSJ, rate, noises)], dim=2)


def _spectrum(wave_BL: Tensor, window: int, before: int, hop: int) -> Tensor:
    """Amplitudes `[B, S, J]` of pieces that begin `before` samples before the end of each step."""
    padded = functional.pad(wave_BL, (before, window))[:, hop:]
    pieces = padded.unfold(1, window, hop)[:, : wave_BL.shape[1] // hop]
    shape = torch.hann_window(window, device=wave_BL.device)
    return torch.fft.rfft(pieces * shape).abs() * (4 / window)


def _tones(wave_BL: Tensor, near: Tensor, rate: int, hop: int, tones: int) -> Tensor:
    """Amplitudes of tones `[B, S, K]`, of which none is louder than `near` is there."""
    long = _spectrum(wave_BL, LONG, 0, hop)
    level = (long + 1e-7).log()
    usual = _around(level, AROUND)
    left, middle, right = level[..., :-2], level[..., 1:-1], level[..., 2:]
    peak = (middle > left) & (middle >= right) & (long[..., 1:-1] > LEAST)
    peak &= long[..., 1:-1] > PROMINENCE * usual[..., 1:-1]
    # the top of a parabola through three logarithms
    bend = (left - 2 * middle + right).clamp(max=-1e-4)
    shift = (0.5 * (left - right) / bend).clamp(-0.5, 0.5)
    top = (middle - 0.25 * (left - right) * shift).exp()
    b, s, j = peak.nonzero().unbind(1)
    frequency = (j + 1 + shift[b, s, j]) * (rate / LONG)
    table = tone_frequencies(rate, tones).float().to(wave_BL.device)
    middle_of = (table[1:] * table[:-1]).sqrt()
    nearest = torch.bucketize(frequency, middle_of)
    amplitude = torch.zeros(*long.shape[:2], tones, device=wave_BL.device)
    amplitude.index_put_((b, s, nearest), top[b, s, j], accumulate=True)
    now = functional.max_pool1d(near, 3, 1, 1)
    place = (table * (SHORT / rate)).round().long().clamp(max=SHORT // 2)
    return torch.minimum(amplitude, now[..., place])


def _around(level: Tensor, reach: int) -> Tensor:
    """The usual amplitude of the frequencies around each, from logarithms `[B, S, J]`."""
    padded = functional.pad(level, (reach, reach), mode="reflect")
    return functional.avg_pool1d(padded, 2 * reach + 1, 1).exp()


def _noises(short: Tensor, rate: int, noises: int) -> Tensor:
    """Root mean square `[B, S, K]` of what is no tone in each band of noise."""
    usual = _around((short + 1e-7).log(), 4)
    power = torch.minimum(short, 2.0 * usual).square() / 3  # a Hann window's share of noise
    edges = noise_edges(rate, noises).float().to(short.device)
    frequency = torch.arange(short.shape[2], device=short.device) * (rate / SHORT)
    half = rate / SHORT / 2
    low = torch.maximum(frequency[None] - half, edges[:-1, None])
    high = torch.minimum(frequency[None] + half, edges[1:, None])
    share = (high - low).clamp_min(0) / (2 * half)
    return (power @ share.T).clamp_min(0).sqrt()
