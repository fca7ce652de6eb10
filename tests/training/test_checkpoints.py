"""Checkpoints that a run must not resume from are refused in one line, and nothing in them runs."""

import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from kinetoscope.files.errors import UnreadableFile
from kinetoscope.training.checkpoints import WholeCheckpoints, check_checkpoint, newest_checkpoint
from kinetoscope.training.precision import kept_precision


class Trap:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def content(**more: Any) -> dict[str, Any]:
    return {"state_dict": {"x": torch.ones(3)}, "global_step": 7, **more}


def with_trap(path: Path) -> str:
    torch.save(content(hyper_parameters=Trap(path.parent / "sprung")), path)
    return r"needs more than tensors \(posix\.mkdir\), which could run code"


def with_class(path: Path) -> str:
    from kinetoscope.tokenizer import StackConfig

    torch.save(content(config=StackConfig()), path)
    return r"needs more than tensors \(.*StackConfig\)"


def plain_pickle(path: Path) -> str:
    path.write_bytes(pickle.dumps(Trap(path.parent / "sprung")))
    return "is truncated or no checkpoint"


def another_zip(path: Path) -> str:
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("notes", "nothing")
    return "is no checkpoint"


def cut(path: Path) -> str:
    torch.save(content(), path)
    path.write_bytes(path.read_bytes()[:-20])
    return "is truncated or no checkpoint"


def flipped(path: Path) -> str:
    torch.save(content(), path)
    whole = bytearray(path.read_bytes())
    whole[whole.index(torch.ones(3).numpy().tobytes())] ^= 1
    path.write_bytes(whole)
    return "is damaged in"


def another_version(path: Path) -> str:
    """Of the zip format, as the last list of what is in the file says."""
    torch.save(content(), path)
    whole = bytearray(path.read_bytes())
    whole[whole.index(b"PK\x01\x02") + 6] = 113
    path.write_bytes(whole)
    return "is truncated or no checkpoint"


def another_compression(path: Path) -> str:
    torch.save(content(), path)
    whole = bytearray(path.read_bytes())
    whole[whole.index(b"PK\x01\x02") + 10] = 77
    path.write_bytes(whole)
    return "is truncated or no checkpoint"


def folder(path: Path) -> str:
    path.mkdir()
    return "is a folder without a whole checkpoint"


def pipe(path: Path) -> str:
    os.mkfifo(path)
    return "is no ordinary file"


def missing(path: Path) -> str:
    return "does not exist; --ckpt_path last"


KINDS = [with_trap, with_class, plain_pickle, another_zip, cut, flipped, folder, pipe, missing]
KINDS += [another_version, another_compression]


@pytest.mark.parametrize("make", KINDS, ids=lambda make: make.__name__)
def test_what_is_no_whole_checkpoint_is_refused(
    tmp_path: Path, make: Callable[[Path], str]
) -> None:
    path = tmp_path / "bad.ckpt"
    message = make(path)
    with pytest.raises(UnreadableFile, match=f"bad.ckpt' {message}") as caught:
        check_checkpoint(str(path))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("name", ["https://example.org/a.ckpt", "s3://bucket/a.ckpt", "hf://a/b"])
def test_an_address_is_refused_without_asking_for_it(name: str) -> None:
    with pytest.raises(UnreadableFile, match="is an address; download it"):
        check_checkpoint(name)


def test_a_whole_checkpoint_is_taken_and_the_newest_sound_one_found(tmp_path: Path) -> None:
    torch.save(content(), tmp_path / "good.ckpt")
    check_checkpoint(str(tmp_path / "good.ckpt"))
    with_trap(tmp_path / "newer.ckpt")
    os.utime(tmp_path / "good.ckpt", (1, 1))
    assert newest_checkpoint(tmp_path) == tmp_path / "good.ckpt"


def test_loading_takes_tensors_and_plain_values_only(tmp_path: Path) -> None:
    torch.save(content(epoch=2, name="run", nested=[{"a": (1, None)}]), tmp_path / "good.ckpt")
    io_plugin = WholeCheckpoints()
    loaded = io_plugin.load_checkpoint(tmp_path / "good.ckpt")
    assert loaded["nested"] == [{"a": (1, None)}] and torch.equal(
        loaded["state_dict"]["x"], torch.ones(3)
    )
    with_trap(tmp_path / "bad.ckpt")
    with pytest.raises(UnreadableFile, match="cannot be loaded") as caught:
        io_plugin.load_checkpoint(tmp_path / "bad.ckpt", weights_only=False)
    assert "\n" not in str(caught.value) and not (tmp_path / "sprung").exists()
    torch.save([1, 2], tmp_path / "list.ckpt")
    with pytest.raises(UnreadableFile, match=r"list.ckpt' is none of a training run"):
        io_plugin.load_checkpoint(tmp_path / "list.ckpt")
    assert kept_precision(tmp_path / "list.ckpt") is None
    folder(tmp_path / "parts.ckpt")
    with pytest.raises(UnreadableFile, match="of several processes"):
        io_plugin.load_checkpoint(tmp_path / "parts.ckpt")


def test_tensors_of_every_kind_pass(tmp_path: Path) -> None:
    kinds = (torch.float32, torch.bfloat16, torch.int8, torch.bool)
    tensors = {str(kind): torch.zeros(2, dtype=kind) for kind in kinds}
    torch.save(content(tensors=tensors, module=torch.nn.Linear(2, 3).state_dict()), tmp_path / "a")
    check_checkpoint(str(tmp_path / "a"))
