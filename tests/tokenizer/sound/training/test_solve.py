"""A tokenizer is solved for: it keeps what sounds, and the command writes what it learned from."""

from pathlib import Path

import pytest
import torch
from kinetoscope.data.ledger.rows import RENDERED, read_ledger
from kinetoscope.tokenizer.sound import SoundTokenizer, SoundTokenizerConfig
from kinetoscope.tokenizer.sound.__main__ import main
from kinetoscope.tokenizer.sound.block_codes import layout
from kinetoscope.tokenizer.sound.spectra import mel_distance
from kinetoscope.tokenizer.sound.training.solve import best_points, shares, solve
from kinetoscope.tokenizer.sound.training.sounds import made_up_sounds, pieces_of


def test_points_are_where_the_values_are() -> None:
    values = torch.tensor([[0.0, 5.0], [1.0, 5.0], [10.0, 9.0], [11.0, 9.0]])
    points, error = best_points(values, 2)
    torch.testing.assert_close(points, torch.tensor([[0.5, 10.5], [5.0, 9.0]]))
    torch.testing.assert_close(error, torch.tensor([0.25, 0.0]))


def test_bits_go_where_they_help_most() -> None:
    errors = [torch.tensor([16.0, 4.0, 0.1]), torch.tensor([4.0, 1.0, 0.02])]
    errors.append(torch.tensor([1.0, 0.25, 0.01]))
    assert shares(errors, 3) == [2, 1, 0]


def test_no_bit_of_a_code_is_used_twice() -> None:
    bits, code, shift = layout([6, 5, 4, 3, 3, 2, 1, 1, 1], 2, 13)
    used = [(c, s + b) for n, c, s in zip(bits, code, shift) for b in range(n)]
    assert len(used) == len(set(used)) == sum(bits) == 26
    assert all(bit < 13 for _, bit in used)


@pytest.mark.slow
def test_the_command_makes_a_tokenizer_that_keeps_blows(tmp_path: Path) -> None:
    main([f"--out={tmp_path}", "--clips=192", "--frames=13"])
    tokenizer = SoundTokenizer.from_pretrained(tmp_path)
    wave = made_up_sounds(range(1_000, 1_016), 13)
    codes = tokenizer.encode(wave)
    assert codes.indices.shape == (16, 4, tokenizer.config.codes_per_latent)
    played = tokenizer.decode(codes)
    assert float(mel_distance(played, wave).mean()) < 5
    (row,) = read_ledger(tmp_path / "training_data.csv")
    assert row.source == RENDERED


def test_too_few_sounds_are_refused() -> None:
    with pytest.raises(ValueError, match="are too few for 768 numbers"):
        solve(SoundTokenizerConfig(), torch.zeros(1, 16, 96))


def test_a_long_sound_is_cut_into_pieces() -> None:
    assert pieces_of(torch.arange(9_000.0), 2).shape == (2, 4_000)
    assert pieces_of(torch.zeros(100), 2).shape == (0, 4_000)
