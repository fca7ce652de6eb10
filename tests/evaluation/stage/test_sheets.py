"""Sheets of clips: seeds as they come, and an order that follows the judge, then bits."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from kinetoscope.data.video import to_uint8
from kinetoscope.data.worlds.stage.captions import Attributes, Thing
from kinetoscope.data.worlds.stage.judge.reading import NO_SECOND, Reading, SeenThing
from kinetoscope.evaluation.stage import sheets
from kinetoscope.evaluation.stage.asked import Asked
from kinetoscope.evaluation.stage.sheets import SheetClip, draw_clips, write_sheets
from kinetoscope.generator import VideoGenerator
from PIL import Image
from torch import Tensor

SEEN = SeenThing(0, 0, 1, 2, 1, NO_SECOND, 2, 1, 0.5, 1.0)
READ = Reading((SEEN,), (), 3, 0, 1, 2, 0, camera=0, camera_speed=1)
SAID = Attributes((Thing(0, 0, 0, 1, 2),), weather=1)
WORDS = ["red ball", "blue cube", "a ball falls"]


def asked(numbers: Sequence[int]) -> Asked:
    return Asked([WORDS[number] for number in numbers], [SAID for _ in numbers])


class Judge:
    """Sees all that is said in the first clip, and one word less in each further one."""

    def __init__(self) -> None:
        self.clips = 0

    def read(self, video: Tensor) -> list[Reading]:
        readings = []
        for _ in video:
            wrong = [{}, {"weather": 0}, {"weather": 0, "things": (replace(SEEN, colour=3),)}]
            readings.append(replace(READ, **wrong[self.clips]))
            self.clips += 1
        return readings


@pytest.mark.parametrize("name", ["generator", "sounding"])
def test_clips_are_those_of_their_sentences_and_seeds(
    name: str, request: pytest.FixtureRequest
) -> None:
    generator: VideoGenerator = request.getfixturevalue(name)
    clips = draw_clips(generator, asked, 3, seed=5, judge=Judge(), batch=2)
    assert [(clip.caption, clip.seed) for clip in clips] == list(zip(WORDS, (5, 6, 7)))
    for clip in clips:
        drawn = to_uint8(generator.generate(clip.caption, 33, seed=clip.seed))[0]
        assert (clip.video.int() - drawn.int()).abs().max() <= 1
    assert [clip.words for clip in clips] == [1.0, 5 / 6, 4 / 6]
    with pytest.raises(ValueError, match="clips must be at least 2; got 1"):
        draw_clips(generator, asked, 1)


def test_bits_are_what_the_next_clips_sentence_costs_more(
    generator: VideoGenerator, monkeypatch: pytest.MonkeyPatch
) -> None:
    cost = {"red ball": 10.0, "blue cube": 13.0, "a ball falls": 11.5}

    def bits(generator: object, codes: Tensor, captions: Sequence[str], given: object) -> Tensor:
        return torch.tensor([cost[caption] for caption in captions])

    monkeypatch.setattr(sheets, "bits_per_clip", bits)
    clips = draw_clips(generator, asked, 3, batch=2)
    assert [clip.bits for clip in clips] == [3.0, -1.5, -1.5]
    assert all(clip.words is None for clip in clips)


def test_the_best_and_the_worst_are_by_words_first(tmp_path: Path) -> None:
    grey = torch.zeros(3, 33, 8, 8, dtype=torch.uint8)
    numbers = [(0.5, 9.0), (1.0, 1.0), (1.0, 4.0), (0.0, 50.0)]
    clips = [
        SheetClip(grey + 60 * seed, f"clip {seed}", seed, bits, words)
        for seed, (words, bits) in enumerate(numbers)
    ]
    ranked = sorted(clips, key=SheetClip.rank)
    assert [clip.seed for clip in ranked] == [3, 0, 1, 2]
    assert clips[2].label() == "clip 2 (seed 2, 100 % of its words seen, 4 bits)"
    paths = write_sheets(clips, tmp_path / "card", shown=3, extremes=1)
    assert [path.name for path in paths] == ["samples.webp", "best.webp", "worst.webp"]
    for path, level in zip(paths[1:], (120, 180)):
        picture = Image.open(path).convert("RGB")
        frames = picture.crop((0, picture.height - 50, *picture.size))
        assert frames.getextrema()[0][1] == pytest.approx(level, abs=20)
