"""From the loudness of bands to samples: magnitudes are given, phases are made.

Where the spectrum has a peak, the frequencies around it get the phase of one steady tone, so that
what rings goes on from step to step. Everywhere else they get the phases of a fixed noise whose
own spectrum is as even as it can be made (Griffin and Lim 1984), so that nothing is louder for a
moment than it should be. Both repeat: tones after every latent, the noise after PERIOD of them.

Legend: B batch, S steps, K bands, J frequencies, W window, P steps until the noise repeats.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..blocks import State
from .analysis import GATE, band_weights
from .past import with_past

PERIOD = 4  # latents
ROUNDS = 8  # of making the noise even
PITCHES = 4  # a tone has a multiple of this many periods in a latent
AROUND = 8  # frequencies to each side that are a peak's neighbours
REACH = 3  # frequencies to each side that belong to a peak
PROMINENCE = 1.0  # natural logarithm of amplitude above the neighbours
LOUDEST = 1.0  # natural logarithm of amplitude


class Synthesis(nn.Module):
    """Levels `[B, S, K]`, natural logarithms of amplitudes, to samples `[B, S * hop]`.

    A piece of two hops begins with each step, so samples of a step follow from it and the one
    before.
    """

    noise_PJ: Tensor
    weights_KJ: Tensor
    fade: Tensor

    def __init__(self, rate: int, latent_samples: int, hop: int, window: int, bands: int) -> None:
        super().__init__()
        self.hop = hop
        self.window = window
        self.steps = latent_samples // hop
        self.cycle = self.steps * PERIOD
        self.unit = window * PITCHES / latent_samples  # of tones, in frequencies of the spectrum
        weights = band_weights(window, bands, rate).T.contiguous()
        self.register_buffer("weights_KJ", weights, persistent=False)
        noise = even_noise(self.cycle, hop, window)
        self.register_buffer("noise_PJ", noise.angle().float(), persistent=False)
        self.register_buffer("fade", _fade(hop, window), persistent=False)

    def forward(self, levels_BSK: Tensor, state: State, new_state: State) -> Tensor:
        B, S, _ = levels_BSK.shape
        step_S = self._steps(B, S, state, new_state, levels_BSK.device)
        levels_BSJ = levels_BSK.float().clamp(max=LOUDEST) @ self.weights_KJ
        power = (2 * levels_BSJ).exp() - GATE**2
        magnitude = power.clamp_min(1e-18).sqrt() * (power > 0) * (self.window / 4)
        phase = torch.where(*self._tones(levels_BSJ.detach(), step_S), self.noise_PJ[step_S])
        piece = torch.fft.irfft(torch.polar(magnitude, phase), self.window)
        # sample 0 is the middle of the window
        begin, end = piece[..., -self.hop :], piece[..., : self.hop]
        pieces_BSW = torch.cat([begin, end], dim=2) * self.fade
        past = with_past(pieces_BSW[..., self.hop :], 1, "overlap", state, new_state)
        return (pieces_BSW[..., : self.hop] + past[:, :S]).flatten(1)

    def _steps(
        self, batch: int, steps: int, state: State, new_state: State, device: torch.device
    ) -> Tensor:
        """The numbers of the steps within the noise's cycle, `[S]`."""
        first = int(state["step"][0]) if "step" in state else 0
        after = (first + steps) % self.cycle
        new_state["step"] = torch.full((batch,), after, dtype=torch.int64, device=device)
        return (first + torch.arange(steps, device=device)) % self.cycle

    def _tones(self, levels_BSJ: Tensor, step_S: Tensor) -> tuple[Tensor, Tensor]:
        """Which frequencies belong to a peak, and the phase of its tone, `[B, S, J]` each."""
        J = levels_BSJ.shape[2]
        padded = functional.pad(levels_BSJ, (AROUND, AROUND), mode="replicate")
        above = levels_BSJ - functional.avg_pool1d(padded, 2 * AROUND + 1, 1)
        left, middle, right = levels_BSJ[..., :-2], levels_BSJ[..., 1:-1], levels_BSJ[..., 2:]
        peak = functional.pad((middle > left) & (middle >= right), (1, 1))
        bend = (left - 2 * middle + right).clamp(max=-1e-4)
        shift = functional.pad((0.5 * (left - right) / bend).clamp(-0.5, 0.5), (1, 1))
        place = torch.arange(J, device=levels_BSJ.device).expand_as(levels_BSJ)
        before = torch.where(peak, place, -J).cummax(2).values
        after = torch.where(peak, place, 2 * J).flip(2).cummin(2).values.flip(2)
        nearest = torch.where(place - before <= after - place, before, after)
        distance = (place - nearest).abs()
        nearest = nearest.clamp(0, J - 1)
        tonal = (above.gather(2, nearest) > PROMINENCE) & (distance <= REACH)
        number = ((nearest + shift.gather(2, nearest)) / self.unit).round()
        periods = number * PITCHES * step_S[:, None] / self.steps % 1
        return tonal, 2 * math.pi * (periods + scatter(number))


def scatter(number: Tensor) -> Tensor:
    """Numbers in [0, 1) that look random and are the same everywhere."""
    return ((number.double() + 1) * 12.9898).sin().mul(43758.5453).remainder(1).float()


def even_noise(pieces: int, hop: int, window: int) -> Tensor:
    """Spectra `[pieces, J]`, of magnitude one, of pieces of a noise that repeats; phases are those
    at the middles of the pieces."""
    length = pieces * hop
    lines = scatter(torch.arange(length // 2 + 1))
    wave = torch.fft.irfft(torch.polar(torch.ones_like(lines), 2 * math.pi * lines), length)
    shape = torch.hann_window(window)
    place = (torch.arange(pieces)[:, None] * hop + torch.arange(window)) % length
    for _ in range(ROUNDS):
        spectra = _of_length_one(torch.fft.rfft(wave[place] * shape))
        parts = torch.fft.irfft(spectra, window) * shape
        wave = torch.zeros(length).index_add_(0, place.flatten(), parts.flatten())
    middle = torch.fft.rfft((wave[place] * shape).roll(-(window // 2), 1))
    return _of_length_one(middle)


def _of_length_one(spectrum: Tensor) -> Tensor:
    return spectrum / spectrum.abs().clamp_min(1e-9)


def _fade(hop: int, window: int) -> Tensor:
    """Weights of a piece, two hops, so that pieces with a Hann window's shape add up evenly."""
    rise = torch.hann_window(2 * hop)
    middle = window // 2
    shape = torch.hann_window(window)[middle - hop : middle + hop]
    total = rise * shape
    return rise / (total + total.roll(hop))
