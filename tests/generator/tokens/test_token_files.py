"""Files of tokens that training keeps: what is damaged, or of something else, is refused in one
line that names the file."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from kinetoscope.files.errors import UnreadableFile
from kinetoscope.files.tensors import save_tensors
from kinetoscope.generator.tokens.token_files import Wanted, joined, read_tokens
from torch import Tensor

Tokens = dict[str, Tensor]
WANTED = Wanted(codebook_size=12, text_dim=6, sound_size=15)
SILENT = Wanted(codebook_size=12, text_dim=6)


def tokens(clips: int = 3, sound: bool = True, longest: int = 4) -> Tokens:
    draw = torch.Generator().manual_seed(clips)
    made = {
        "codes": torch.randint(0, 12, (clips, 3, 2, 2), generator=draw).short(),
        "objects": torch.zeros(clips, 3, 2, 2, dtype=torch.bool),
        "text": torch.randn(clips, longest, 6, generator=draw).half(),
        "text_length": torch.arange(clips).clamp(max=longest),
    }
    if sound:
        made["sound"] = torch.randint(0, 15, (clips, 3, 4), generator=draw).short()
        made["heard"] = torch.ones(clips, dtype=torch.bool)
    return made


def put(name: str, value: Callable[[Tensor], Tensor]) -> Callable[[Tokens], None]:
    def change(made: Tokens) -> None:
        made[name] = value(made[name])

    return change


def set_to(name: str, number: float) -> Callable[[Tokens], None]:
    def change(made: Tokens) -> None:
        made[name].view(-1)[-1] = number

    return change


CHANGES: dict[str, tuple[Callable[[Tokens], object], str]] = {
    "a missing one": (lambda made: made.pop("objects"), "objects is missing"),
    "no sound": (lambda made: made.pop("heard"), "heard is missing"),
    "a surplus one": (lambda made: made.update(x=torch.ones(3)), "x is none of a run like this"),
    "another type": (put("codes", lambda x: x.float()), r"codes is torch.float32 of shape"),
    "text as numbers": (put("text", lambda x: x.long()), "text is torch.int64"),
    "another shape": (put("codes", lambda x: x[0]), r"codes is torch.int16 of shape \[3, 2, 2\]"),
    "fewer clips": (put("text", lambda x: x[:2]), r"text has shape \[2, 4, 6\], and 3 clips"),
    "an empty grid": (put("codes", lambda x: x[:, :, :0]), r"codes has shape \[3, 3, 0, 2\]"),
    "other cells": (put("objects", lambda x: x[:, :2]), "objects and codes have not the same"),
    "another encoder": (put("text", lambda x: x[..., :5]), "text is 5 wide, and the encoder 6"),
    "less sound": (put("sound", lambda x: x[:, :2]), "sound and codes have not the same number"),
    "a code too far": (set_to("codes", 12), "codes run from 0 to 11; got 12"),
    "a code below": (set_to("codes", -1), "codes run from 0 to 11; got -1"),
    "a sound too far": (set_to("sound", 15), "codes run from 0 to 14; got 15"),
    "a long caption": (set_to("text_length", 5), "text_length must be from 0 to 4; got .*5"),
    "a negative length": (set_to("text_length", -1), "text_length must be from 0 to 4"),
    "no number": (set_to("text", torch.nan), "text holds something that is no number"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_holds_other_tokens_is_refused(tmp_path: Path, name: str) -> None:
    change, message = CHANGES[name]
    made = tokens()
    change(made)
    save_tensors(tmp_path / "a.safetensors", made)
    with pytest.raises(UnreadableFile, match=message) as caught:
        read_tokens(tmp_path / "a.safetensors", 3, WANTED)
    line = str(caught.value)
    assert "\n" not in line and "a.safetensors'" in line and "is made anew" in line


def test_sound_that_nobody_asked_for_is_refused(tmp_path: Path) -> None:
    save_tensors(tmp_path / "a.safetensors", tokens())
    with pytest.raises(UnreadableFile, match=r"(sound|heard) is none of a run like this"):
        read_tokens(tmp_path / "a.safetensors", 3, SILENT)


def test_whole_files_are_joined(tmp_path: Path) -> None:
    """With and without what not every run has."""
    for wanted, sound in ((WANTED, True), (SILENT, False)):
        made = [tokens(2, sound), tokens(3, sound, longest=2)]
        files = [tmp_path / name for name in ("a.safetensors", "b.safetensors")]
        for file, part in zip(files, made):
            save_tensors(file, part)
        parts = [read_tokens(file, n, wanted) for file, n in zip(files, (2, 3))]
        whole = joined(files, parts)
        assert torch.equal(whole["codes"], torch.cat([part["codes"] for part in made]))
        assert whole["text"].shape == (5, 4, 6) and not whole["text"][2:, 2:].any()
        assert whole.keys() == made[0].keys()


def test_parts_of_two_runs_are_not_joined(tmp_path: Path) -> None:
    files = [tmp_path / "a", tmp_path / "b"]
    other = tokens() | {"codes": torch.zeros(3, 3, 2, 3).short()}
    with pytest.raises(UnreadableFile, match=r"/b' holds other tokens than '.*/a'"):
        joined(files, [tokens(), other])
    with pytest.raises(UnreadableFile, match="holds other tokens than"):
        joined(files, [tokens(), tokens() | {"recorded": torch.ones(3, 9, 2)}])
