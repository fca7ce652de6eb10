"""Only what changed is drawn again, and a run that was stopped or killed goes on."""

from pathlib import Path
from typing import Any

import pytest
import torch
from kinetoscope.app.provenance.policy import Gate, GuardedGenerator, Request, change, refuse
from kinetoscope.app.storyboard import drawing
from kinetoscope.app.storyboard.compose import Composer, Watching
from kinetoscope.app.storyboard.read import read_file
from kinetoscope.app.storyboard.stopped import Stopped
from kinetoscope.generator import SamplingParams, VideoGenerator
from kinetoscope.tokenizer import VideoCodes
from PIL import Image

from .conftest import Compose, tone, write_pdf

STORY = """
seed: 5
shots:
  - {say: a red ball rolls, for: 1 s, then: {say: a blue ball falls, for: 0.5 s}}
  - {say: a blue cube falls, for: 1 s, join: continue}
  - {say: a red cube, for: 9 frames}
"""


def chain_codes(composer: Composer) -> list[torch.Tensor]:
    assert composer.artist is not None
    return [composer.artist.codes(chain).pictures for chain in composer.plan.chains]


def test_a_shot_is_what_the_model_draws_of_its_sentence(composer: Compose, model: Path) -> None:
    made = composer(STORY)
    assert made.draw() == (4, 4)
    pixels = list(made.decoded(made.plan.chains[1]))
    generator = VideoGenerator.from_pretrained(model)
    alone = generator.generate("a red cube", frames=9, seed=5)
    assert torch.equal(torch.stack(pixels, 1), drawing_bytes(alone[0]))


def drawing_bytes(video: torch.Tensor) -> torch.Tensor:
    from kinetoscope.data.video import to_uint8

    return to_uint8(video)


def test_what_continues_is_drawn_as_a_session_would(composer: Compose, model: Path) -> None:
    made = composer(STORY)
    codes = chain_codes(made)[0]
    generator = VideoGenerator.from_pretrained(model)
    tokenizer = generator.tokenizer.id
    past = VideoCodes(codes[:, :6], 21, 8, 12, tokenizer=tokenizer)
    session = generator.session("a blue cube falls", 5, SamplingParams(), past)
    for _ in range(codes.shape[1]):
        next(session)
    given = generator.codebooks.give(session.engine.past[-1].unflatten(1, (1, 2, 3)))
    assert torch.equal(given, codes[:, -1:])
    assert made.plan.segments[1].first == 4 and made.plan.segments[2].first == 6


def test_only_what_changed_is_drawn_again(composer: Compose) -> None:
    assert composer(STORY).draw() == (4, 4)
    assert composer(STORY).draw() == (0, 4)
    assert composer(STORY.replace("say: a red cube", "title: x, say: a red cube")).draw() == (0, 4)
    assert composer(STORY.replace("a red cube", "a blue ball")).draw() == (1, 4)
    assert composer(STORY.replace("a blue ball falls", "a blue ball")).draw() == (2, 4)
    assert composer(STORY.replace("seed: 5", "seed: 6")).draw() == (4, 4)
    assert composer(STORY).draw() == (0, 4)


def test_a_damaged_piece_is_drawn_again(composer: Compose, tmp_path: Path) -> None:
    whole = chain_codes(composer(STORY))
    files = sorted((tmp_path / "shots").iterdir())
    assert len(files) == 4
    files[0].write_bytes(files[0].read_bytes()[:100])
    again = composer(STORY)
    assert again.draw() == (1, 4)
    assert all(torch.equal(one, two) for one, two in zip(whole, chain_codes(again)))


@pytest.mark.parametrize("latents", [1, 3, 5])
def test_a_run_that_is_stopped_goes_on_where_it_was(
    composer: Compose, tmp_path: Path, latents: int
) -> None:
    whole = chain_codes(composer(STORY))
    for path in (tmp_path / "shots").iterdir():
        path.unlink()
    shown: list[int] = []
    stopping: dict[str, Any] = {
        "drawn": lambda segment, pixels: shown.append(segment.shot),
        "stopped": lambda: len(shown) >= latents,
    }
    with pytest.raises(Stopped):
        composer(STORY, **stopping).draw()
    assert len(shown) == latents
    shown.clear()
    again = composer(STORY, drawn=stopping["drawn"])
    again.draw()
    assert len(shown) == sum(each.shape[1] for each in whole) - latents
    assert all(torch.equal(one, two) for one, two in zip(whole, chain_codes(again)))
    assert not list((tmp_path / "shots").glob("*.begun*"))


def test_a_run_that_is_killed_has_kept_what_it_drew(
    composer: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drawing, "KEEP_EVERY", 0.0)
    shown: list[int] = []

    def killed(segment: Any, pixels: Any) -> None:
        shown.append(segment.shot)
        if len(shown) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        composer(STORY, drawn=killed).draw()
    shown.clear()
    again = composer(STORY, drawn=lambda segment, pixels: shown.append(segment.shot))
    again.draw()
    assert len(shown) == sum(each.shape[1] for each in chain_codes(again)) - 2


def test_a_condition_that_is_made_up_decides_about_the_shot(composer: Compose, moody: Path) -> None:
    text = "shots:\n  - {say: a red ball, for: 1 s, mood: calm}\n"
    text += "  - {say: a red ball, for: 1 s, mood: wild}\n"
    text += "  - {say: a red ball, for: 1 s, mood: calm, join: continue}\n"
    made = composer(text, moody)
    calm, wild = chain_codes(made)
    assert not torch.equal(calm, wild[:, :4])
    other = chain_codes(composer(text.replace("calm, join", "wild, join"), moody))[1]
    assert torch.equal(wild[:, :4], other[:, :4]) and not torch.equal(wild, other)


def test_a_picture_is_how_a_shot_begins(
    composer: Compose, clip: Path, tmp_path: Path, write_clip: Any
) -> None:
    write_clip(tmp_path / "clip.mp4")
    text = "shots:\n  - {say: a red ball, for: 1 s, picture: clip.mp4}\n"
    one = chain_codes(composer(text))[0]
    write_clip(tmp_path / "clip.mp4", shift=90)
    changed = composer(text)
    assert changed.draw() == (1, 1)  # another content, by the same name
    assert not torch.equal(one, chain_codes(changed)[0])


class Strict:
    def __call__(self, request: Request) -> Any:
        if request.prompt and "cube" in request.prompt:
            return refuse("no cubes here")
        return change(request, prompt="a blue ball")


def test_a_policy_is_asked_before_anything_is_drawn(
    composer: Compose, model: Path, tmp_path: Path
) -> None:
    composer(STORY).draw()  # what is there already is not shown either
    generator = GuardedGenerator.from_pretrained(model)
    generator.gate = Gate([Strict()])
    watching = Watching(say=lambda line: None)
    with pytest.raises(ValueError, match=r"story.yaml, line 6: this is not drawn: no cubes here"):
        Composer(read_file(tmp_path / "story.yaml"), tmp_path / "shots", generator, watching)
    text = STORY.replace("cube", "ball")
    (tmp_path / "story.yaml").write_text(f"model: {model}\n{text}", encoding="utf-8")
    made = Composer(read_file(tmp_path / "story.yaml"), tmp_path / "shots", generator, watching)
    assert {segment.prompt for segment in made.plan.segments} == {"a blue ball"}


def test_a_sentence_that_is_too_long_is_named_with_its_line(composer: Compose) -> None:
    with pytest.raises(
        ValueError, match=r"^story.yaml, line 3: .* 12 tokens; the model takes 6. Shorten it$"
    ):
        composer("shots:\n  - {say: a a a a a a a a a a a a, for: 1 s}\n")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "shots:\n- {say: a, for: 1}\n- {say: a, for: 1, title: 漢}\n",
            "line 4: the font",
        ),
        ("shots:\n- {say: a, for: 1, caption: 😀}\n", "line 3: the font DejaVuSans.ttf has no"),
        ("shots:\n- {say: a, for: 1, narration: no.wav}\n", "line 3: 'no.wav' has no sound"),
        ("music: no.wav\nshots:\n- {say: a, for: 1}\n", "line 2: 'no.wav' has no sound"),
        ("narration: no.wav\nshots:\n- {say: a, for: 1}\n", "line 2: 'no.wav' has no sound"),
        ("font: no.wav\nshots:\n- {say: a, for: 1}\n", "line 2: 'no.wav' is no font"),
        ("subtitles: no.wav\nshots:\n- {say: a, for: 1}\n", "line 2: 'no.wav' "),
        (
            "slides: no.wav\nshots:\n- {say: a, for: 1}\n",
            "line 2: 'no.wav' cannot be read as",
        ),
        (
            "slides: two.pdf\nshots:\n- {say: a, for: 1}\n- {page: 3, for: 1}\n",
            "line 5: there is no page 3; there are 2",
        ),
        (
            "size: [64, 64]\nshots:\n- {say: a, for: 1}\n- {show: talk.wav, for: 1}\n",
            "line 5: 'talk.wav' has no video stream",
        ),
        (
            "shots:\n- {say: a, for: 1}\n- {say: a, for: 1, title: " + "words " * 99 + "}\n",
            "does not fit into the picture; shorten it",
        ),
    ],
)
def test_a_mistake_is_found_before_anything_is_drawn(
    composer: Compose, tmp_path: Path, text: str, message: str
) -> None:
    Image.new("RGB", (16, 16)).save(tmp_path / "no.png")
    (tmp_path / "no.png").rename(tmp_path / "no.wav")
    tone(tmp_path / "talk.wav", (300, 0.5))
    write_pdf(tmp_path / "two.pdf", ["one", "two"])
    with pytest.raises(ValueError) as error:
        composer(text)
    found = str(error.value).replace(f"{tmp_path}/", "")
    assert found.startswith("story.yaml, line ") and message in found
    assert not (tmp_path / "shots").exists()
