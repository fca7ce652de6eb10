"""Whether a generator reads each word, from what a clip costs under a caption that is untrue."""

from collections.abc import Callable, Sequence

import pytest
import torch
from kinetoscope.data.worlds.stage.captions import Attributes, Thing, made_up_caption
from kinetoscope.data.worlds.stage.captions.attributes import Dice
from kinetoscope.data.worlds.stage.captions.facts import Deed
from kinetoscope.data.worlds.stage.captions.sentences import put_into_words
from kinetoscope.data.worlds.stage.scene import STYLES, WEATHERS, StageConfig
from kinetoscope.evaluation.stage import words
from kinetoscope.evaluation.stage.rows import Progress
from kinetoscope.evaluation.stage.words import COLUMN, Words, other_captions
from torch import Tensor

BALL = Thing(0, colour=0, shape=0, material=1, size=2, deeds=(Deed(1, 2),))


def test_one_word_is_untrue_and_the_others_stay() -> None:
    said = Attributes((BALL,), weather=WEATHERS.index("rain"), style=STYLES.index("pencil"))
    wrong = other_captions(said, seed=3)
    looks = {"colour", "shape", "material", "size", "motion", "direction"}
    assert set(wrong) == looks | {"weather", "style"}
    true = put_into_words(said, Dice(3)).text
    for name, text in wrong.items():
        assert text != true, name
    assert "rain" in wrong["colour"] and "rain" not in wrong["weather"]


def test_what_is_not_said_is_not_asked() -> None:
    plain = Attributes((Thing(0, colour=0, shape=0, material=-1, size=-1),))
    assert set(other_captions(plain, seed=1)) == {"colour", "shape"}
    for seed in range(40):
        said = made_up_caption(seed).said
        asked = other_captions(said, seed)
        assert ("ground" in asked) == (said.ground >= 0)
        assert ("motion" in asked) == bool(said.things[0].deeds)


@pytest.mark.parametrize(
    ("cost", "right"),
    [
        (lambda caption, true: float(caption != true), True),
        (lambda caption, true: -float(caption != true), False),
        (lambda caption, true: 0.0, False),  # who does not read has no preference
    ],
    ids=["reads", "misreads", "ignores"],
)
def test_a_word_counts_when_the_true_caption_is_cheaper(
    monkeypatch: pytest.MonkeyPatch, cost: Callable[[str, str], float], right: bool
) -> None:
    def bits(generator: object, codes: Tensor, captions: Sequence[str], given: object) -> Tensor:
        assert len(codes) == len(captions)
        return torch.tensor([cost(caption, captions[0]) for caption in captions])

    class Codes:
        indices = torch.zeros(4, 1, 2, 2, dtype=torch.int64)

    class Generator:
        decoder = type("Decoder", (), {"no_text": torch.zeros(1)})
        tokenizer = type("Tokenizer", (), {"encode": staticmethod(lambda video: Codes)})
        codebooks = type("Codebooks", (), {"take": staticmethod(lambda codes: codes)})

    monkeypatch.setattr(words, "bits_per_clip", bits)
    measure = Words(Generator(), 1, 16, config=StageConfig(max_objects=1))  # type: ignore[arg-type]
    progress = Progress({})
    measure(progress, range(4))
    assert set(progress.shares()[COLUMN].values()) == {float(right)}
