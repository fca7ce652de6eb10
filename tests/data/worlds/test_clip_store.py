"""Rendered clips are kept once: a store that is opened again, or stopped, gives the same clips and
renders only what is missing."""

from pathlib import Path

import pytest
import torch
from kinetoscope.data.worlds.clip_store import PART, ClipStore, pack_bits, unpack_bits
from torch import Tensor


class Renderer:
    """Clips that are their own seed, and a list of what was asked for."""

    def __init__(self) -> None:
        self.asked: list[range] = []

    def __call__(self, seeds: range) -> tuple[Tensor, Tensor]:
        self.asked.append(seeds)
        grey = torch.tensor([seed % 251 for seed in seeds], dtype=torch.uint8)
        video = grey.view(-1, 1, 1, 1, 1).expand(-1, 3, 2, 8, 16)
        return video, (video[:, :1] % 2).bool()


def test_clips_are_rendered_once_and_in_the_order_of_seeds(tmp_path: Path) -> None:
    render = Renderer()
    store = ClipStore(tmp_path, "key", render, first_seed=100)
    assert store.grow(3) == PART
    assert store.grow(PART + 1) == 2 * PART
    assert render.asked == [range(100, 100 + PART), range(100 + PART, 100 + 2 * PART)]
    again = ClipStore(tmp_path, "key", render, first_seed=100)
    again.grow(2 * PART)
    assert len(render.asked) == 2
    video, mask = again.read([PART + 2, 1])
    assert video[:, 0, 0, 0, 0].tolist() == [100 + PART + 2, 101]
    assert mask.shape == (2, 1, 2, 8, 16)
    assert mask[:, 0, 0, 0, 0].tolist() == [False, True]


def test_a_part_that_was_not_finished_is_rendered_again(tmp_path: Path) -> None:
    def stopped(seeds: range) -> tuple[Tensor, Tensor]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ClipStore(tmp_path, "key", stopped).grow(1)
    store = ClipStore(tmp_path, "key", Renderer())
    assert store.grow(1) == PART
    assert store.read([0])[0].shape == (1, 3, 2, 8, 16)


def test_a_part_that_is_damaged_is_named(tmp_path: Path) -> None:
    store = ClipStore(tmp_path, "key", Renderer())
    store.grow(1)
    (file,) = tmp_path.rglob("*.safetensors")
    whole = file.read_bytes()
    for damaged in (b"", whole[:-9], b"x" * 99, whole.replace(b"foreground", b"background")):
        file.write_bytes(damaged)
        with pytest.raises(ValueError, match="remove it to render it anew") as caught:
            store.read([0])
        assert "\n" not in str(caught.value) and str(file) in str(caught.value)


def test_another_key_has_clips_of_its_own(tmp_path: Path) -> None:
    render = Renderer()
    ClipStore(tmp_path, "one", render).grow(1)
    ClipStore(tmp_path, "two", render).grow(1)
    assert len(render.asked) == 2


def test_a_clip_that_is_not_there_is_named(tmp_path: Path) -> None:
    store = ClipStore(tmp_path, "key", Renderer())
    with pytest.raises(ValueError, match=r"clip 9 is not in .*grow the store first"):
        store.read([9])


def test_bits_come_back() -> None:
    mask = torch.rand(2, 3, 24) < 0.5
    assert pack_bits(mask).shape == (2, 3, 3)
    assert torch.equal(unpack_bits(pack_bits(mask)), mask)
    with pytest.raises(ValueError, match="multiple of 8; got 9"):
        pack_bits(torch.ones(1, 9, dtype=torch.bool))
