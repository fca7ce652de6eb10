"""Rows are measured a few clips at a time and go on where they were stopped."""

from pathlib import Path

import pytest
import torch
from kinetoscope.data.worlds.stage.judge.pixels import PixelJudge
from kinetoscope.data.worlds.stage.scene import StageConfig
from kinetoscope.evaluation.stage.evaluate import evaluate
from kinetoscope.evaluation.stage.round_trip import RoundTrip
from kinetoscope.evaluation.stage.rows import Progress, format_row, measure_row

SETTINGS = {"model": "a", "seed": 0}


class Counting:
    """Every third clip is wrong; stops when it is told to."""

    def __init__(self, stop_at: int = 1000) -> None:
        self.stop_at = stop_at
        self.seen: list[int] = []

    def __call__(self, progress: Progress, numbers: range) -> None:
        if numbers.stop > self.stop_at:
            raise KeyboardInterrupt
        for number in numbers:
            self.seen.append(number)
            progress.add("renders", {"shape": [True, number % 3 > 0], "touch": []})


def test_a_stopped_row_goes_on_and_gives_the_same_as_one_that_was_not(tmp_path: Path) -> None:
    whole = measure_row("round-trip", tmp_path / "a", SETTINGS, 20, Counting())
    with pytest.raises(KeyboardInterrupt):
        measure_row("round-trip", tmp_path / "b", SETTINGS, 20, Counting(stop_at=16))
    rest = Counting()
    resumed = measure_row("round-trip", tmp_path / "b", SETTINGS, 20, rest)
    assert rest.seen == [16, 17, 18, 19]
    assert resumed.votes == whole.votes == {"renders": {"shape": [33, 40], "touch": [0, 0]}}
    again = Counting()
    measure_row("round-trip", tmp_path / "b", SETTINGS, 20, again)
    assert again.seen == []


def test_other_settings_begin_anew(tmp_path: Path) -> None:
    measure_row("round-trip", tmp_path, SETTINGS, 8, Counting())
    other = Counting()
    measure_row("round-trip", tmp_path, SETTINGS | {"seed": 1}, 8, other)
    assert other.seen == list(range(8))


def test_a_table_has_a_line_for_each_attribute(tmp_path: Path) -> None:
    progress = measure_row("round-trip", tmp_path, SETTINGS, 3, Counting())
    lines = format_row("round-trip", progress, ("shape",)).splitlines()
    assert lines[0] == "round-trip, 3 clips"
    assert "| shape | 83.3 % | 6 |" in lines


def test_failures_are_drawn(tmp_path: Path) -> None:
    torch.manual_seed(0)
    trip = RoundTrip(PixelJudge().eval(), None, StageConfig(max_objects=1), size=32)
    progress = Progress(SETTINGS)
    trip(progress, range(2))
    assert progress.votes["renders"]["all"] == [0, 2] and progress.failures == [0, 1]
    assert trip.failures(progress, tmp_path / "sheets" / "failures.png") == 2
    assert (tmp_path / "sheets" / "failures.png").stat().st_size > 1000


def test_mistakes_name_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least 1; got 0"):
        measure_row("round-trip", tmp_path, SETTINGS, 0, Counting())
    with pytest.raises(ValueError, match="unknown row 'text'"):
        evaluate("stage-256", ["text"])
