"""The judge of sound hears what was struck, and its score counts what it should."""

from pathlib import Path

import pytest
import torch
from kinetoscope.data.worlds.stage.clips import HELD_OUT_SEED
from kinetoscope.data.worlds.stage.judge.sound import (
    BANDS,
    SoundJudge,
    Strike,
    band_filters,
    heard,
    score,
)
from kinetoscope.data.worlds.stage.sound import RATE, impacts, sound
from kinetoscope.data.worlds.stage.sound.made_up import made_up_scenes

WOOD = frozenset({"matte"})
METAL = frozenset({"shiny"})


def test_the_shipped_judge_hears_strikes_and_materials() -> None:
    scenes = made_up_scenes(range(HELD_OUT_SEED, HELD_OUT_SEED + 60), 25)
    wave = sound(scenes)
    judge = SoundJudge.from_pretrained()
    result = score(judge.read(wave), heard(scenes, wave), tolerance=0.025)
    assert result.found > 100
    assert result.f_measure > 0.95 and result.materials > 0.85


def test_silence_and_steady_noise_hold_no_strike() -> None:
    judge = SoundJudge.from_pretrained()
    noise = 0.02 * torch.randn(1, RATE, generator=torch.Generator().manual_seed(0))
    assert judge.read(torch.zeros(2, RATE)) == [[], []]
    assert len(judge.read(noise)[0]) == 0


def test_a_judge_can_be_saved(tmp_path: Path) -> None:
    torch.manual_seed(0)
    judge = SoundJudge().eval()
    judge.save_pretrained(tmp_path)
    again = SoundJudge.from_pretrained(tmp_path)
    wave = 0.1 * torch.randn(1, 6000)
    torch.testing.assert_close(again(wave), judge(wave), atol=0.02, rtol=0.02)
    assert again.config == judge.config


def test_bands_see_every_frequency() -> None:
    filters = band_filters()
    assert len(filters) == BANDS and (filters.amax(1) > 0.4).all()


def test_mistakes_are_named() -> None:
    judge = SoundJudge()
    for wave in (torch.zeros(6000), torch.zeros(1, 100), torch.zeros(1, 6000, dtype=torch.int16)):
        with pytest.raises(ValueError, match="floating point"):
            judge.read(wave)
    with pytest.raises(ValueError, match="1 readings of 2"):
        score([[]], [[], []])


def test_score_counts_found_missed_and_invented() -> None:
    truth = [[(Strike(1.0, WOOD), True), (Strike(2.0, METAL), True), (Strike(2.5, WOOD), False)]]
    readings = [[Strike(1.05, WOOD), Strike(1.5, WOOD), Strike(2.0, WOOD), Strike(2.55, METAL)]]
    result = score(readings, truth)
    # the one at 2.55 is real although it cannot be heard: neither found nor invented
    assert (result.found, result.missed, result.invented) == (2, 0, 1)
    assert result.right_materials == 1 and result.materials == 0.5
    assert result.f_measure == pytest.approx(0.8)
    nothing = score([[]], truth)
    assert nothing.missed == 2 and nothing.f_measure == 0
    assert score(readings, truth, tolerance=0.01).found == 1


def test_strikes_at_the_same_moment_are_one() -> None:
    scenes = made_up_scenes(range(40), 25, meetings=1.0)
    wave = sound(scenes)
    both = [
        strike for clip in heard(scenes, wave) for strike, _ in clip if len(strike.materials) > 1
    ]
    assert len(both) > 10
    assert sum(len(clip) for clip in heard(scenes, wave)) < len(impacts(scenes))
