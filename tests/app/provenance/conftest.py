"""Generated videos of noise that moves, without a model."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from kinetoscope.app.provenance.generation import Generation
from kinetoscope.app.provenance.options import Disclosure
from kinetoscope.app.provenance.writer import GeneratedVideoWriter, Signing
from torch import Tensor

Make = Callable[..., GeneratedVideoWriter]
SENTENCE = "a violet walrus waltzes"


@pytest.fixture(autouse=True)
def as_for_people(usual_encoder: None) -> None:
    """What is written here is looked at closely."""


@pytest.fixture
def frames() -> Tensor:
    """uint8 [3, 6, 32, 48]."""
    picture = torch.randint(0, 255, (3, 1, 8, 12), generator=torch.Generator().manual_seed(0))
    large = picture.repeat_interleave(4, 2).repeat_interleave(4, 3).byte()
    return torch.cat([large.roll(shift, 3) for shift in range(6)], 1)


@pytest.fixture
def make(frames: Tensor) -> Make:
    """Writes a video and returns what has written it."""

    def make(
        path: Path,
        generation: Generation = Generation("tiny", "0123456789ab", SENTENCE, 7, {"top_k": 9}),
        disclosure: Disclosure = Disclosure(),
        say: Callable[[str], object] = print,
    ) -> GeneratedVideoWriter:
        with Signing(disclosure, say).writer(path, 12, generation) as writer:
            writer.write(frames[:, :1])
            writer.write(frames[:, 1:])
        return writer

    return make
