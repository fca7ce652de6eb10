"""What a process with limits gives back, and how it ends."""

import os
import time
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import torch
from kinetoscope.app.limited_process import Limits, run_apart, stream_apart
from kinetoscope.generator.conditions.base import Say
from torch import Tensor


@pytest.fixture(autouse=True, scope="module")
def started() -> None:
    """The first process starts the one that the others are forked from, which takes seconds."""
    run_apart(speaks, ("a word",), Limits())


def counts(number: int) -> Iterator[Mapping[str, Tensor]]:
    for each in range(number):
        yield {"number": torch.tensor(each), "process": torch.tensor(os.getpid())}


def fails(number: int) -> Iterator[Mapping[str, Tensor]]:
    yield from counts(number)
    raise ValueError("there is\nno more")


def hangs() -> Iterator[Mapping[str, Tensor]]:
    yield from counts(1)
    time.sleep(60)


def grows() -> Iterator[Mapping[str, Tensor]]:
    yield {"much": torch.zeros(10**10, dtype=torch.uint8)}


def dies() -> Iterator[Mapping[str, Tensor]]:
    yield from counts(1)
    os._exit(0)


def speaks(words: str, say: Say) -> Mapping[str, Tensor]:
    say(words)
    return {"number": torch.tensor(3)}


def test_a_stream_is_what_another_process_yields() -> None:
    found = list(stream_apart(counts, (3,), Limits()))
    assert [int(each["number"]) for each in found] == [0, 1, 2]
    assert int(found[0]["process"]) != os.getpid()


def test_its_process_ends_with_it() -> None:
    stream = stream_apart(counts, (10**9,), Limits())
    process = int(next(stream)["process"])
    os.kill(process, 0)  # it is there
    stream.close()  # type: ignore[attr-defined]
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


@pytest.mark.parametrize(
    ("read", "arguments", "pieces", "message"),
    [
        (fails, (2,), 2, "there is no more"),
        (hangs, (), 1, "it took too long to read"),
        (grows, (), 0, "memory"),
        (dies, (), 1, "it could not be read within the limits"),
    ],
)
def test_a_stream_that_breaks_gives_what_it_has_and_says_why(
    read: Any, arguments: tuple[Any, ...], pieces: int, message: str
) -> None:
    count = 0
    with pytest.raises(ValueError, match=message):
        for _ in stream_apart(read, arguments, Limits(seconds=2.0, memory=10**9)):
            count += 1
    assert count == pieces


def test_what_is_said_is_said_here() -> None:
    told: list[str] = []
    found = run_apart(speaks, ("a word",), Limits(), say=told.append)
    assert int(found["number"]) == 3 and told == ["a word"]
