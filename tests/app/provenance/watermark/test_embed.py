"""The mark is weak, stands still, and is the same in chunks and tiles."""

import pytest
import torch
from kinetoscope.app.provenance.watermark import Mark, Owner, apply
from kinetoscope.app.provenance.watermark.embed import DECIBELS
from torch import Tensor

OWNER = Owner(b"a private key of some length", 4711)


@pytest.fixture
def video() -> Tensor:
    return torch.randint(0, 256, (3, 9, 48, 64), generator=torch.Generator().manual_seed(0)).byte()


def _decibels(video: Tensor, marked: Tensor) -> float:
    error = (video.double() - marked.double()).square().mean()
    return float(10 * torch.log10(255**2 / error))


@pytest.mark.parametrize("owner", [None, OWNER])
def test_the_mark_is_as_strong_as_asked(owner: Owner | None) -> None:
    grey = torch.full((3, 2, 128, 128), 128, dtype=torch.uint8)
    marked, _ = apply(grey, owner=owner)
    assert abs(_decibels(grey, marked) - DECIBELS) < 0.8
    marked, _ = apply(grey, owner=owner, decibels=41)
    assert abs(_decibels(grey, marked) - 41) < 0.8


def test_chunks_give_what_the_whole_gives(video: Tensor) -> None:
    whole, _ = apply(video, owner=OWNER)
    mark = Mark(OWNER)
    chunks = [mark(chunk) for chunk in video.split([1, 4, 3, 1], dim=1)]
    assert torch.equal(torch.cat(chunks, dim=1), whole)


def test_tiles_give_what_the_whole_gives(video: Tensor) -> None:
    whole, _ = apply(video)
    for top, left, height, width in [(0, 0, 20, 64), (20, 0, 28, 33), (20, 33, 28, 31)]:
        rows, columns = slice(top, top + height), slice(left, left + width)
        tile, _ = apply(video[..., rows, columns], size=(48, 64), corner=(top, left))
        assert torch.equal(tile, whole[..., rows, columns])


def test_what_stands_still_stays_still(video: Tensor) -> None:
    still = video[:, :1].expand(-1, 9, -1, -1)
    marked, _ = apply(still)
    assert torch.equal(marked, marked[:, :1].expand_as(marked))


def test_bytes_round_as_floats_do(video: Tensor) -> None:
    floats = video.float() / 127.5 - 1
    from_floats, _ = apply(floats)
    from_bytes, _ = apply(video)
    rounded = ((from_floats + 1) * 127.5).round().byte()
    # They may differ where a sum lies half-way between two numbers.
    assert (rounded != from_bytes).float().mean() < 1e-3
    assert from_floats.min() >= -1 and from_floats.max() <= 1


def test_the_input_is_left_alone(video: Tensor) -> None:
    before = video.clone()
    apply(video)
    assert torch.equal(video, before)


def test_a_state_of_other_pictures_is_not_used(video: Tensor) -> None:
    _, state = apply(video)
    smaller, _ = apply(video[..., :32], state)
    assert torch.equal(smaller, apply(video[..., :32])[0])


def test_what_cannot_be_marked_is_said() -> None:
    with pytest.raises(ValueError, match=r"got torch.uint8 \[3, 8, 8\]"):
        apply(torch.zeros(3, 8, 8, dtype=torch.uint8))
    with pytest.raises(ValueError, match="does not lie in a picture of 32 x 32"):
        apply(torch.zeros(3, 1, 8, 8), size=(32, 32), corner=(30, 0))
    with pytest.raises(ValueError, match="at least 16 bytes; got 3"):
        Owner(b"key", 1)
    with pytest.raises(ValueError, match="between 0 and 65535; got 65536"):
        Owner(bytes(16), 65536)


def test_an_owner_does_not_show_the_key() -> None:
    assert "private" not in repr(OWNER)
