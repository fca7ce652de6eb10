"""Rows of clips that a generator draws, with generators and judges whose answers are known."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from kinetoscope.data.worlds.stage.captions import Attributes, Thing
from kinetoscope.data.worlds.stage.captions.facts import Deed
from kinetoscope.data.worlds.stage.colours import BASIC, COLOURS, rgb_table
from kinetoscope.data.worlds.stage.judge.reading import NO_SECOND, Reading, SeenThing, obeyed
from kinetoscope.data.worlds.stage.scene import StageConfig
from kinetoscope.evaluation.stage.asked import Asked, OfScenes
from kinetoscope.evaluation.stage.colour_names import ColourNames, OfColours, seen_colours, to_lab
from kinetoscope.evaluation.stage.colour_names import summary as colour_summary
from kinetoscope.evaluation.stage.cuts import BEFORE, Cuts
from kinetoscope.evaluation.stage.long_videos.minute import there
from kinetoscope.evaluation.stage.obedience import CEILING, GENERATED, Obedience, missed
from kinetoscope.evaluation.stage.rows import Progress, format_row
from kinetoscope.evaluation.stage.strength import (
    OfSpeeds,
    Strength,
    longest_steps,
    rank_correlation,
    summary,
)
from torch import Tensor

SEEN = SeenThing(0, 0, 1, 2, 1, NO_SECOND, 2, 1, 0.5, 1.0)
READ = Reading((SEEN,), (), 3, 0, 1, 2, 0, camera=0, camera_speed=1)
SAID = Attributes((Thing(0, 0, 0, -1, 2, (Deed(1, 2),)),), weather=1, style=2)


def test_only_words_that_are_said_have_votes() -> None:
    votes = obeyed(READ, SAID)
    assert all(all(values) for values in votes.values())
    names = {"colour", "shape", "size", "motion", "direction", "count", "weather", "style"}
    assert set(votes) == names | {"looks", "all"}
    other = replace(READ, things=(replace(SEEN, direction=1),))
    assert obeyed(other, SAID)["direction"] == [False] == obeyed(other, SAID)["all"]
    assert obeyed(other, SAID)["looks"] == [True]
    crowd = obeyed(replace(READ, things=(SEEN, SEEN)), SAID)
    assert crowd["count"] == [False] == crowd["looks"] and crowd["shape"] == [True]


class Generator:
    """Draws grey clips; remembers what it was asked."""

    tokenizer = None

    def __init__(self) -> None:
        self.seeds: list[int] = []

    def generate(self, captions: Sequence[str], frames: int, seeds: Any, params: Any) -> Tensor:
        self.seeds += seeds
        return torch.zeros(len(captions), 3, frames, 8, 8)


class Judge:
    """Reads the same in every clip of 8 pixels, and something else in others."""

    def read(self, video: Tensor) -> list[Reading]:
        wrong = replace(READ, weather=0)
        return [READ if video.shape[-1] == 8 else wrong for _ in video]


def test_votes_failures_and_seeds_of_a_row(tmp_path: Path) -> None:
    true = replace(SAID, weather=0)

    def asked(numbers: Sequence[int]) -> Asked:
        return Asked(["a"] * len(numbers), [SAID if n % 2 else true for n in numbers])

    generator = Generator()
    row = Obedience(Judge(), generator, asked, seed=10)  # type: ignore[arg-type]
    progress = Progress({})
    row(progress, range(4))
    assert progress.votes[GENERATED]["weather"] == [2, 4] and progress.failures == [0, 2]
    assert generator.seeds == [10, 11, 12, 13] and CEILING not in progress.votes
    assert row.failures(progress, tmp_path / "sheet.png") == 2
    assert len(generator.seeds) == 4 and (tmp_path / "sheet.png").is_file()
    again = Obedience(Judge(), generator, asked, seed=10)  # type: ignore[arg-type]
    again.failures(progress, tmp_path / "again.png")
    assert generator.seeds[4:] == [10, 12]
    assert (tmp_path / "again.png").read_bytes() == (tmp_path / "sheet.png").read_bytes()
    assert missed(READ, true).startswith("not weather; read ")


def test_the_ceiling_is_read_from_the_true_scenes() -> None:
    asked = OfScenes(StageConfig(max_objects=1, moving_objects=0.0), 0, frames=2)
    progress = Progress({})
    row = Obedience(Judge(), Generator(), asked, size=16)  # type: ignore[arg-type]
    row(progress, range(2))
    assert progress.votes[CEILING]["all"][1] == progress.votes[GENERATED]["all"][1] == 2


@dataclass
class Look:
    tracks: list[Any]


def tracks(places: Sequence[float], mask: Tensor | None = None) -> Any:
    """One object that is at these places from left to right, or nowhere where one is negative."""
    x = torch.tensor(places)
    box = torch.zeros(1, len(x), 6)
    box[0, :, 0] = x
    maps = torch.zeros(len(x), 4, 4, dtype=torch.int8) if mask is None else mask
    return SimpleNamespace(seen=(x >= 0)[None], box=box, maps=maps, __len__=lambda: 1)


class Tracks(SimpleNamespace):
    def __len__(self) -> int:
        return len(self.seen)


class Looker:
    """Says that these tracks are seen."""

    def __init__(self, *found: Any) -> None:
        self.found = [Tracks(seen=t.seen, box=t.box, maps=t.maps) for t in found]

    def look(self, video: Tensor) -> Look:
        return Look(self.found[: len(video)])


def test_steps_are_those_between_frames_that_both_show_the_object() -> None:
    moving = tracks([0.1, 0.2, -1.0, 0.8, 0.9, 1.0])
    judge = Looker(moving, SimpleNamespace(seen=torch.zeros(0, 6), box=None, maps=None))
    steps = longest_steps(judge, torch.zeros(2, 3, 6, 8, 8))  # type: ignore[arg-type]
    assert steps == [pytest.approx(0.1), None]


def test_ranks_of_what_is_faster_agree() -> None:
    assert rank_correlation([0, 1, 2, 2], [0.1, 0.3, 0.5, 0.4]) == pytest.approx(0.9487, abs=1e-4)
    assert rank_correlation([0, 1, 2], [3.0, 2.0, 1.0]) == pytest.approx(-1.0)
    said = OfSpeeds(50, frames=33)(range(12))
    paces = [one.things[0].deeds[0].speed for one in said.said if one.things[0].deeds]
    assert set(paces) == {0, 1, 2}
    row = Obedience(Looker(*[tracks([0.1, 0.2, 0.3])] * 2), Generator(), OfSpeeds(50), size=8)  # type: ignore[arg-type]
    progress = Progress({})
    Strength(row)(progress, range(2))
    assert len(progress.numbers[GENERATED]["length of steps"]) == 2
    assert progress.votes[GENERATED]["object seen"] == [2, 2]
    numbers = {"a": {"speed that is said": [0.0, 1.0], "length of steps": [0.1, 0.2]}}
    assert summary(numbers) == {"rank correlation, a": pytest.approx(1.0)}


def test_colours_are_measured_in_cielab_where_the_object_is() -> None:
    lab = to_lab(torch.tensor([[1.0, 1.0, 1.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]))
    wanted = torch.tensor([[100.0, 0.0, 0.0], [53.24, 80.09, 67.20], [0.0, 0.0, 0.0]])
    torch.testing.assert_close(lab, wanted, atol=0.1, rtol=0)
    mask = torch.full((2, 4, 4), -1, dtype=torch.int8)
    mask[:, 1:3, 1:3] = 0
    video = torch.zeros(1, 3, 2, 8, 8, dtype=torch.uint8)
    video[:, 0, :, 2:6, 2:6] = 255
    (colour,) = seen_colours(Looker(tracks([0.5, 0.5], mask)), video)  # type: ignore[arg-type]
    assert colour is not None and colour.tolist() == [1.0, 0.0, 0.0]


def test_sentences_of_colours_name_further_ones() -> None:
    asked = OfColours(7)(range(6))
    for text, said in zip(asked.captions, asked.said):
        colour = said.things[0].colour
        assert colour >= len(BASIC)
        plain = text.lower().replace("-", " ").replace("gray", "grey")
        assert COLOURS[colour] in plain
    judge = Looker(*[tracks([0.5] * 5, torch.zeros(5, 4, 4, dtype=torch.int8))] * 3)
    progress = Progress({})
    row = Obedience(judge, Generator(), OfColours(7), size=8)  # type: ignore[arg-type]
    ColourNames(row)(progress, range(3))
    names = to_lab(rgb_table()[[said.things[0].colour for said in asked.said[:3]]])
    grey = to_lab(torch.full((3,), 128 / 255))
    found = torch.tensor(progress.numbers[GENERATED]["distance in CIELAB"])
    torch.testing.assert_close(found, (grey - names).norm(dim=-1), atol=1e-3, rtol=0)
    assert colour_summary(progress.numbers).keys() >= {"median distance in CIELAB, generated"}
    assert "median distance" in format_row("colour-names", progress, (), colour_summary)


class Session:
    """Grey frames; after a cut, frames of another grey, at once or a latent frame late."""

    def __init__(self, late: int) -> None:
        self.late = late
        self.drawn = 0
        self.cut_at: int | None = None
        self.prompts: list[str] = []

    def __next__(self) -> Tensor:
        changed = self.cut_at is not None and self.drawn >= self.cut_at + self.late
        self.drawn += 1
        noise = 0.02 * self.drawn
        return torch.full((1, 3, 4, 8, 8), 0.9 if changed else -0.9) + noise * (not changed)

    def cut(self) -> None:
        self.cut_at = self.drawn

    def set_prompt(self, prompts: list[str]) -> None:
        self.prompts = prompts


@pytest.mark.parametrize(("late", "right"), [(0, 1), (1, 0)], ids=["at once", "late"])
def test_a_cut_counts_if_it_happens_at_once(late: int, right: int) -> None:
    session = Session(late)

    def asked(numbers: Sequence[int]) -> Asked:
        return Asked([f"sentence {n}" for n in numbers], [SAID for _ in numbers])

    generator = SimpleNamespace(session=lambda *_: session)
    row = Obedience(Judge(), generator, asked)  # type: ignore[arg-type]
    progress = Progress({})
    Cuts(row)(progress, range(3, 4))
    assert progress.votes[GENERATED]["cut"] == [right, 1]
    assert session.cut_at == BEFORE and session.prompts == ["sentence 7"]
    assert progress.votes[GENERATED]["weather"] == [1, 1]


def test_what_is_named_is_still_there() -> None:
    assert there(READ, SAID) == [True]
    assert there(replace(READ, things=()), SAID) == [False]
    assert there(replace(READ, things=(replace(SEEN, colour=4),)), SAID) == [False]
    further = replace(SAID, things=(replace(SAID.things[0], colour=len(BASIC) + 3),))
    assert there(READ, further) == [True]  # the judge has no word for that colour
