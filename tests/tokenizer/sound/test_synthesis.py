"""Tones and noises go on by themselves, in the right place, whatever the chunks."""

import torch
from kinetoscope.tokenizer.sound.synthesis import Synthesis, noise_table, scatter, tone_table
from torch import Tensor

RATE, PERIOD, HOP = 24_000, 8_000, 125
SILENT = -40.0


def play(loudness: Tensor) -> Tensor:
    return Synthesis(RATE, PERIOD, HOP, 40, 8)(loudness, {}, {})


def test_a_tone_goes_on_without_a_break() -> None:
    loudness = torch.full((1, 192, 48), SILENT)
    loudness[..., 25] = -1.0
    wave = play(loudness)[0, 2 * HOP :]
    assert wave.diff().diff().abs().amax() < 0.2 * wave.abs().amax() * 2
    spectrum = torch.fft.rfft(wave[: 2 * PERIOD]).abs()
    peak = int(spectrum.argmax())
    assert spectrum[peak] ** 2 > 0.999 * (spectrum**2).sum()
    assert abs(float(wave.abs().amax()) - torch.tensor(-1.0).exp()) < 1e-3


def test_loudness_changes_along_a_line() -> None:
    loudness = torch.full((1, 8, 48), SILENT)
    loudness[:, 4:, 30] = 0.0
    wave = play(loudness)[0]
    assert wave[: 4 * HOP].abs().amax() < 1e-9
    rising, full = wave[4 * HOP : 5 * HOP], wave[5 * HOP :]
    assert rising[:20].abs().amax() < 0.2 < 0.9 < full.abs().amax()


def test_a_stream_plays_the_same() -> None:
    synthesis = Synthesis(RATE, PERIOD, HOP, 40, 8)
    loudness = torch.randn(2, 192, 48, generator=torch.Generator().manual_seed(0)) - 4
    whole = synthesis(loudness, {}, {})
    state: dict[str, Tensor] = {}
    parts = []
    for chunk in loudness.split([64, 128], dim=1):
        new_state: dict[str, Tensor] = {}
        parts.append(synthesis(chunk, state, new_state))
        state = new_state
    torch.testing.assert_close(torch.cat(parts, 1), whole, atol=1e-6, rtol=0)


def test_tables_repeat_and_cover_what_is_heard() -> None:
    tones, noises = tone_table(RATE, PERIOD, 160), noise_table(RATE, PERIOD, 24)
    cycles = torch.fft.rfft(tones).abs().argmax(1)
    assert (cycles.diff() >= 0).all() and cycles[0] * RATE / PERIOD < 70
    assert cycles[-1] * RATE / PERIOD > 11_000
    torch.testing.assert_close(noises.square().mean(1), torch.ones(24))
    spectra = torch.fft.rfft(noises).abs()
    assert ((spectra > 1e-3 * spectra.amax()).sum(0) <= 1).all()  # no line in two bands


def test_scattered_numbers_are_the_same_everywhere() -> None:
    numbers = scatter(2000)
    assert ((numbers >= 0) & (numbers < 1)).all()
    assert abs(float(numbers.mean()) - 0.5) < 0.03
    assert len(numbers.unique()) == 2000
