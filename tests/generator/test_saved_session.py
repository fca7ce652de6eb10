"""Files of sessions: what is damaged, edited or of another model is refused in one line, and never
goes on as another video."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from kinetoscope.files.tensors import load_tensors, save_tensors
from kinetoscope.generator import SamplingParams, VideoGenerator
from kinetoscope.generator.saved_session import BEFORE, checksum
from kinetoscope.generator.session import VideoSession
from torch import Tensor

Tensors = dict[str, Tensor]
About = dict[str, Any]


def file_of(session: VideoSession, latents: int, folder: Path) -> bytes:
    """What is saved of a session after so many latent frames."""
    for _ in range(latents):
        next(session)
    session.save(folder / "session.safetensors")
    return (folder / "session.safetensors").read_bytes()


@pytest.fixture(scope="module")
def six_latents(generator: VideoGenerator, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A guided session of one video, six latent frames old, so that its window has moved on."""
    return file_of(generator.session("a red ball", seed=3), 6, tmp_path_factory.mktemp("saved"))


@pytest.fixture
def saved(six_latents: bytes, tmp_path: Path) -> Path:
    path = tmp_path / "session.safetensors"
    path.write_bytes(six_latents)
    return path


def edit(path: Path, change: Callable[[About, Tensors], None], honest: bool = True) -> None:
    """Write a session again with something changed, with a checksum that fits or as a file of the
    format before, which has none."""
    tensors, metadata = load_tensors(path)
    tensors = {name: tensor.clone() for name, tensor in tensors.items()}
    about = json.loads(metadata["session"])
    change(about, tensors)
    if honest:
        about["checksum"] = checksum(about, tensors)
    else:
        about["format"] = BEFORE
        del about["checksum"]
    save_tensors(path, tensors, {"session": json.dumps(about)})


def test_no_mutant_goes_on(generator: VideoGenerator, saved: Path) -> None:
    """One to eight bytes of the file are other ones, or it ends early."""
    whole = saved.read_bytes()
    dice = random.Random(0)
    for number in range(150):
        content = bytearray(whole)
        for _ in range(dice.randint(1, 8)):
            content[dice.randrange(len(content))] ^= dice.randint(1, 255)
        if number % 10 == 0:
            content = content[: dice.randrange(len(content))]
        saved.write_bytes(bytes(content))
        with pytest.raises(ValueError, match="session"):
            generator.load_session(saved)


def set_(name: str, value: Any) -> Callable[[About, Tensors], None]:
    def change(about: About, tensors: Tensors) -> None:
        about[name] = value

    return change


def replace(name: str, make: Callable[[Tensor], Tensor]) -> Callable[[About, Tensors], None]:
    def change(about: About, tensors: Tensors) -> None:
        tensors[name] = make(tensors[name])

    return change


def drop(name: str) -> Callable[[About, Tensors], None]:
    def change(about: About, tensors: Tensors) -> None:
        del tensors[name]

    return change


def with_nan(tensor: Tensor) -> Tensor:
    tensor.view(-1)[7] = float("nan")
    return tensor


EDITS = {
    "no guidance with a cache of two rows": set_("params", {"guidance": 1.0}),
    "another window": set_("params", {"window": 2}),
    "an unknown setting": set_("params", {"warmth": 1.0}),
    "a setting of another type": set_("params", {"temperature": "hot"}),
    "four states": set_("pasts", 4),
    "many states": set_("pasts", 10**9),
    "states that are no number": set_("pasts", "5"),
    "no prompt": set_("prompts", []),
    "a prompt that is no sentence": set_("prompts", [3]),
    "more prompts than videos": set_("prompts", ["a red ball", "a blue cube"]),
    "a seed below 0": set_("seeds", [-1]),
    "a seed that is no number": set_("seeds", ["one"]),
    "no undo": set_("undo", 0),
    "an undo that nobody can count to": set_("undo", 10**30),
    "a frame counter of a million": replace("codes.frames", lambda _: torch.tensor(10**6)),
    "a frame counter below 0": replace("codes.frames", lambda _: torch.tensor(-2)),
    "a window ahead of the video": replace(
        "codes.counters", lambda c: c + torch.tensor([0, 9, 0, 0])
    ),
    "another prefix": replace("codes.counters", lambda c: c + torch.tensor([1, 0, 0, 0])),
    "no number in the cache": replace("codes.kv", with_nan),
    "a shorter cache": replace("codes.kv", lambda kv: kv[..., :-1, :].contiguous()),
    "a cache in half precision": replace("codes.kv", lambda kv: kv.half()),
    "no cache": drop("codes.kv"),
    "a code below 0": replace("codes.past", lambda past: past - 13),
    "a code beyond the table": replace("codes.past", lambda past: past + 12),
    "codes of another grid": replace("codes.past", lambda past: past[..., :-1].contiguous()),
    "a state less": drop("past.1.decoder"),
}


@pytest.mark.parametrize("honest", [True, False], ids=["with checksum", "of the format before"])
@pytest.mark.parametrize("name", EDITS)
def test_what_cannot_be_is_refused(
    generator: VideoGenerator, saved: Path, name: str, honest: bool
) -> None:
    change = EDITS[name]
    if name == "a state less":
        key = next(k for k in load_tensors(saved)[0] if k.startswith("past.1."))
        change = drop(key)
    edit(saved, change, honest)
    with pytest.raises(ValueError, match="session") as error:
        generator.load_session(saved)
    assert "\n" not in str(error.value)


def test_another_text_encoder_is_noticed(generator: VideoGenerator, saved: Path) -> None:
    edit(saved, set_("text", "0123456789ab"))
    with pytest.raises(ValueError, match="session with text encoder 0123456789ab"):
        generator.load_session(saved)


def test_files_of_the_format_before_still_go_on(generator: VideoGenerator, saved: Path) -> None:
    after = next(generator.load_session(saved))

    def as_before(about: About, tensors: Tensors) -> None:
        del about["text"]
        del about["params"]["weights"]
        for key in [key for key in tensors if key.startswith("codes.schedule.")]:
            del tensors[key]

    edit(saved, as_before, honest=False)
    assert torch.equal(next(generator.load_session(saved)), after)


def test_guidance_that_has_ended_is_saved(generator: VideoGenerator, tmp_path: Path) -> None:
    params = SamplingParams(guidance_frames=2)
    for latents in (1, 2, 3):
        session = generator.session("a red ball", seed=3, params=params)
        for _ in range(latents):
            next(session)
        session.save(tmp_path / "session.safetensors")
        loaded = generator.load_session(tmp_path / "session.safetensors")
        assert torch.equal(next(loaded), next(session))


# ---- sound ----


@pytest.fixture(scope="module")
def five_latents(sounding: VideoGenerator, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A session of two videos with sound, five latent frames old."""
    session = sounding.session(["a red ball", "a blue cube"], seed=3, sound=True)
    return file_of(session, 5, tmp_path_factory.mktemp("heard"))


@pytest.fixture
def heard(five_latents: bytes, tmp_path: Path) -> Path:
    path = tmp_path / "session.safetensors"
    path.write_bytes(five_latents)
    return path


SOUND_EDITS = {
    "whether it has sound is neither true nor false": set_("sound", "yes"),
    "which this model never has": set_("sound", False),
    "the codes of its sound are missing": drop("codes.sounds"),
    "there are 0 to 15": replace("codes.sounds", lambda codes: codes + 15),
    "its codes go from -1": replace("codes.sounds", lambda codes: codes.clamp(max=0) - 1),
    "remembers 5 frames, and the sound of 4": replace("codes.sounds", lambda codes: codes[1:]),
    "its codes are of shape": replace("codes.sounds", lambda codes: codes[..., :1].contiguous()),
    "overlap in the state of its sound tokenizer has shape": replace(
        "sound_past.1.overlap", lambda tensor: tensor[:, 1:].contiguous()
    ),
    "states of its sound tokenizer have other parts": drop("sound_past.2.overlap"),
    "overlap in the state of its sound tokenizer is no number": replace(
        "sound_past.2.overlap", with_nan
    ),
}


@pytest.mark.parametrize("said", SOUND_EDITS)
def test_sound_that_cannot_be_is_refused(sounding: VideoGenerator, heard: Path, said: str) -> None:
    edit(heard, SOUND_EDITS[said])
    with pytest.raises(ValueError, match="is damaged: ") as error:
        sounding.load_session(heard)
    assert said in str(error.value) and "\n" not in str(error.value)


def test_a_silent_session_holds_nothing_of_sound(saved: Path) -> None:
    tensors, metadata = load_tensors(saved)
    assert not any("sound" in name for name in tensors)
    assert "sound" not in json.loads(metadata["session"])
