"""How far a decoded sound is from the right one: spectra of several windows, and the wave itself.

Long windows tell pitches apart, short ones moments. Phases are free where the waveform's term is
small: noise need not be the same noise.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from ..analysis import loudness_targets
from ..config import SoundTokenizerConfig
from ..spectra import QUIETEST, magnitudes, mel_filters

FAINT = 1e-3  # RMS amplitude of a spectrum
SOFTEST = -8.0  # logarithm of the amplitude of a tone or noise below which differences do not count
TONES_MORE = 16.0  # few tones sound at a time, so a mean over all of them says little


@dataclass(frozen=True)
class SoundLossWeights:
    """Weights of the terms; `windows` and `bands` are those of the spectra, one number each.

    mel: of logarithms of bands; magnitude: of amplitudes of single frequencies, as a share of the
    whole (spectral convergence, Arik et al. 2018), which counts tones more than noise; wave: of
    samples; silence: of what is heard where the target is below QUIETEST; parts: of the loudness
    of the tones and noises that the decoder mixes, see `parts_loss`.
    """

    mel: float = 1.0
    magnitude: float = 0.5
    wave: float = 0.2
    silence: float = 20.0
    parts: float = 0.2
    windows: tuple[int, ...] = (2048, 1024, 512, 256, 128)
    bands: tuple[int, ...] = (128, 96, 64, 32, 16)

    def __post_init__(self) -> None:
        object.__setattr__(self, "windows", tuple(self.windows))
        object.__setattr__(self, "bands", tuple(self.bands))
        if len(self.windows) != len(self.bands) or not self.windows:
            raise ValueError(
                f"windows and bands need as many numbers; got {len(self.windows)} and "
                f"{len(self.bands)}"
            )


def sound_loss(
    wave_BL: Tensor, target_BL: Tensor, weights: SoundLossWeights, rate: int
) -> tuple[Tensor, dict[str, Tensor]]:
    """The weighted sum and its terms, scalars."""
    mel = wave_BL.new_zeros(())
    amplitude = wave_BL.new_zeros(())
    for window, bands in zip(weights.windows, weights.bands):
        filters = mel_filters(window, bands, rate).to(wave_BL.device)
        ours, theirs = magnitudes(wave_BL, window), magnitudes(target_BL, window)
        loud, wanted = ((filters @ x).clamp_min(QUIETEST).log10() for x in (ours, theirs))
        mel = mel + functional.l1_loss(loud, wanted)
        amplitude = amplitude + convergence(ours, theirs)
    count = len(weights.windows)
    still = functional.max_pool1d(target_BL.abs()[:, None], 481, 1, 240)[:, 0] < QUIETEST
    silence = (wave_BL.abs() * still).sum() / still.sum().clamp_min(1)
    terms = {
        "mel": mel / count,
        "magnitude": amplitude / count,
        "wave": functional.l1_loss(wave_BL, target_BL),
        "silence": silence,
    }
    loss = sum(getattr(weights, name) * term for name, term in terms.items())
    return torch.as_tensor(loss), terms


def convergence(ours_BKT: Tensor, theirs_BKT: Tensor) -> Tensor:
    """Difference of amplitudes over the target's, a scalar; below FAINT it hardly counts."""
    least = FAINT * theirs_BKT[0].numel() ** 0.5
    difference = (ours_BKT - theirs_BKT).flatten(1).norm(dim=1)
    return (difference / (theirs_BKT.flatten(1).norm(dim=1) + least)).mean()


def parts_loss(mix_BSK: Tensor, target_BL: Tensor, config: SoundTokenizerConfig) -> Tensor:
    """How far the tones and noises that the decoder mixes are from those that the target is made
    of, as squared differences of logarithms, a scalar.

    A spectrum alone teaches tones badly: one that is still faint below noise changes nothing.
    """
    wanted = loudness_targets(target_BL, config.rate, config.hop, config.tones, config.noises)
    wanted = wanted.log().clamp_min(SOFTEST)
    error = (mix_BSK.clamp_min(SOFTEST) - wanted).square()
    tones, noises = error.split([config.tones, config.noises], dim=2)
    return TONES_MORE * tones.mean() + noises.mean()
