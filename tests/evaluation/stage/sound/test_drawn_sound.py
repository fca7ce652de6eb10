"""What should be heard follows from what is seen; sound that differs from it has no votes."""

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from kinetoscope.data.worlds.stage.captions import Attributes, Thing
from kinetoscope.data.worlds.stage.captions.facts import Deed
from kinetoscope.data.worlds.stage.judge.reading import Touch
from kinetoscope.data.worlds.stage.judge.sound import SoundJudge
from kinetoscope.data.worlds.stage.scene import MATERIALS, WEATHERS, Scenes
from kinetoscope.data.worlds.stage.sound import SAMPLES, sound
from kinetoscope.evaluation.stage.asked import Asked, OfScenes
from kinetoscope.evaluation.stage.courses import Course, ShownClip
from kinetoscope.evaluation.stage.evaluate import evaluate
from kinetoscope.evaluation.stage.obedience import CEILING, GENERATED, Obedience
from kinetoscope.evaluation.stage.rows import Progress
from kinetoscope.evaluation.stage.sound import drawn as row
from kinetoscope.evaluation.stage.sound.drawn import CONFIG, DrawnSound, judged, summary
from kinetoscope.evaluation.stage.sound.expected import expected_strikes, quiet_frames
from torch import Tensor

CLIPS = 16
F = 33
CALM = {"weather": 0, "place": 0}
SAID = Attributes((Thing(0, 0, 0, 0, 1),))


@cache
def scenes() -> Asked:
    return OfScenes(CONFIG, 0)(range(CLIPS))


@cache
def waves() -> Tensor:
    assert isinstance(scenes().scenes, Scenes)
    return sound(scenes().scenes)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def no_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    """The judge of these tests needs none."""
    monkeypatch.setattr(row, "rendered", lambda *_: torch.zeros(CLIPS, 3, F, 8, 8))


def measured(true_judge: Any, grey: Any, drawn: Tensor) -> Progress:
    progress = Progress({})
    clips = Obedience(true_judge(scenes().scenes), grey(drawn), lambda _: scenes(), size=8)
    DrawnSound(clips, SoundJudge.from_pretrained())(progress, range(CLIPS))
    return progress


def test_sound_of_the_world_is_what_its_pictures_let_expect(true_judge: Any, grey: Any) -> None:
    progress = measured(true_judge, grey, waves())
    shares = progress.shares()
    assert progress.votes[GENERATED] == progress.votes[CEILING]
    assert progress.votes[GENERATED]["strikes heard"][1] >= 8
    assert progress.votes[GENERATED]["silence"][1] >= 3
    assert shares[GENERATED]["silence"] == 1
    assert summary(progress.numbers)[f"F of strikes, {GENERATED}"] > 0.95
    assert shares[GENERATED]["materials"] > 0.9


def test_silence_has_no_strikes_and_a_hum_is_no_silence(true_judge: Any, grey: Any) -> None:
    hum = 0.05 * torch.sin(torch.arange(F * SAMPLES) * 0.05).expand(CLIPS, -1)
    for drawn, silent in ((torch.zeros_like(hum), 1.0), (hum, 0.0)):
        progress = measured(true_judge, grey, drawn)
        assert summary(progress.numbers)[f"F of strikes, {GENERATED}"] == 0
        assert progress.shares()[GENERATED]["silence"] == silent
        assert progress.failures


def falling(there: Tensor | None = None) -> Course:
    """A medium striped ball that falls from 1.25 m for .7 s and then lies."""
    time = torch.arange(F) / 12
    height = 0.68 + (1.25 - 2.5 * time**2).clamp_min(0)
    place = torch.stack([torch.zeros(F), height, torch.zeros(F)], -1)
    box = torch.tensor([0.5, 0.5, 0.4, 0.6, 0.4, 0.6]).expand(F, 6)
    seen = torch.ones(F, dtype=torch.bool) if there is None else there
    return Course(place, seen, box, torch.full((F,), 5.0), 0, MATERIALS.index("striped"), 1, 3)


def test_a_landing_sounds_when_it_happens_and_of_what_lands() -> None:
    strikes = expected_strikes(ShownClip((falling(),), (), CALM), SAID)
    (strike,) = [strike for strike, loud in strikes if loud]
    assert strike.time == pytest.approx(0.5**0.5 + 1 / 12, abs=0.02)
    assert strike.materials == {"striped"}


def test_a_touch_sounds_of_both() -> None:
    beside = replace(falling(), place=torch.ones(F, 3), material=MATERIALS.index("shiny"))
    coming = replace(falling(), place=torch.stack([torch.arange(F) * -0.1, *torch.ones(2, F)], -1))
    clip = ShownClip((coming, beside), (Touch(0, 1, 12),), CALM)
    (strike,) = [strike for strike, loud in expected_strikes(clip, SAID) if loud]
    assert strike.time == pytest.approx(12.5 / 12)
    assert strike.materials == {"striped", "shiny"}


def test_what_cannot_be_seen_may_be_heard_but_need_not() -> None:
    there = torch.arange(F) < 20
    still = replace(falling(there), place=torch.zeros(F, 3))
    strikes = expected_strikes(ShownClip((still,), (), CALM), SAID)
    assert strikes and not any(loud for _, loud in strikes)
    late = [strikes[5][0]]
    votes, counts = judged(ShownClip((still,), (), CALM), SAID, late, torch.zeros(F * SAMPLES))
    assert counts == (0, 0, 0) and votes["silence"] == [True]


def test_words_and_pictures_give_reasons_to_sound() -> None:
    still = ShownClip((replace(falling(), place=torch.zeros(F, 3), motion=0),), (), CALM)
    assert quiet_frames(still, SAID, [], F) == F
    rain = WEATHERS.index("rain")
    assert quiet_frames(still, replace(SAID, weather=rain), [], F) == 0
    wet = replace(still, scene={"weather": rain, "place": 0})
    assert quiet_frames(wet, SAID, [], F) == 0
    assert quiet_frames(replace(wet, scene={"weather": rain, "place": 1}), SAID, [], F) == F
    rolls = replace(SAID, things=(replace(SAID.things[0], deeds=(Deed(1, 1),)),))
    assert quiet_frames(still, rolls, [], F) == 0
    fall = ShownClip((replace(falling(), motion=3),), (), CALM)
    strikes = expected_strikes(fall, SAID)
    assert 5 <= quiet_frames(fall, SAID, strikes, F) <= 8  # until shortly before it lands


def test_a_model_without_sound_is_told_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = evaluate("physics-64", ["sound-out"], 1, out=str(tmp_path))
    assert capsys.readouterr().out == "sound-out: this model draws no sound\n\n"
    assert report == {}
