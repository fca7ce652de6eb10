"""Clips from shards as tokens: the right codes with the right captions, where some clips are left
out and captions are too long."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from kinetoscope.data.datasets.shards import (
    FORMAT,
    MANIFEST,
    Clip,
    ClipInfo,
    Shards,
    shard_path,
    write_shard,
)
from kinetoscope.files.json_file import write_json
from kinetoscope.generator import TextEncoder, VideoGenerator
from kinetoscope.generator.tokens.shards import ShardSet, embed_captions, shard_tokens

LONG = "a red ball rolls slowly"
# Of each clip; four tokens fit.
CAPTIONS: list[tuple[str, ...]] = [
    ("a red ball",),
    (LONG,),
    ("a blue cube", LONG),
    (),
    ("a cube falls slowly",),
    (LONG, "a ball"),
]
LATENTS = (3, 4, 2, 5, 3, 3)
MOST = 4


@pytest.fixture
def shards(tmp_path: Path, generator: VideoGenerator) -> Shards:
    """Two shards of three clips, each of its own length."""
    draw = np.random.default_rng(0)
    listed = []
    for number in range(2):
        clips = []
        for place in range(3 * number, 3 * number + 3):
            codes = draw.integers(0, 12, (LATENTS[place], 2, 3)).astype(np.int16)
            source = f"{place}.mp4"
            frames = 1 + 4 * (LATENTS[place] - 1)
            info = ClipInfo(
                CAPTIONS[place], source, 0, 1, frames, 8, 12, 12.0, sha256=str(place) * 64
            )
            clips.append(Clip(info, codes))
        path = shard_path(tmp_path, number)
        record = write_shard(path, clips) | {"skipped": [], "short_frames": 0}
        write_json(path.with_suffix(".json"), record)
        listed.append({"name": path.name, "sha256": record["sha256"], "bytes": record["bytes"]})
    about: dict[str, Any] = {"format": FORMAT, "complete": True, "text": None, "shards": listed}
    about["tokenizer"] = {"name": "tiny", "id": generator.tokenizer.id}
    write_json(tmp_path / MANIFEST, about)
    return Shards(tmp_path)


def opened(shards: Shards, generator: VideoGenerator, choice: Any, **more: Any) -> ShardSet:
    train, _ = shard_tokens(
        shards, generator.tokenizer, generator.text, 0.0, 0, most=MOST, long_captions=choice, **more
    )
    return train


def check(tokens: ShardSet, wanted: dict[int, tuple[str, ...]], encoder: TextEncoder) -> None:
    """Clips, by their numbers, have their own codes, and in turn the captions that are wanted."""
    assert tokens.clips == list(wanted) and len(tokens) == len(wanted)
    for turn in range(2):
        for row, (clip, captions) in enumerate(wanted.items()):
            batch = tokens.batch(torch.tensor([row]), LATENTS[clip], turn)
            codes = torch.from_numpy(tokens.shards.codes(clip)).long()
            assert torch.equal(batch["codes"][0], codes)
            length = int(batch["text_mask"].sum())
            if not captions:
                assert length == 0
                continue
            (states,) = embed_captions([captions[turn % len(captions)]], encoder)
            assert length == len(states) <= MOST
            assert torch.equal(batch["text"][0, :length], states.float())


def test_long_captions_stop_with_the_file_that_has_one(
    shards: Shards, generator: VideoGenerator
) -> None:
    with pytest.raises(ValueError, match=r"'1.mp4' has 5 tokens and the model takes 4, and 2 more"):
        opened(shards, generator, "stop")


def test_clips_without_another_caption_are_left_out(
    shards: Shards, generator: VideoGenerator, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        tokens = opened(shards, generator, "skip")
    assert "'1.mp4' has 5 tokens" in caplog.text and "left out" in caplog.text
    wanted = {0: CAPTIONS[0], 2: ("a blue cube",), 3: (), 4: CAPTIONS[4], 5: ("a ball",)}
    check(tokens, wanted, generator.text)
    assert tokens.captions(9) == ["a red ball", "a blue cube", "a cube falls slowly", "a ball"]


def test_long_captions_are_cut_to_the_words_that_fit(
    shards: Shards, generator: VideoGenerator
) -> None:
    cut = "a red ball rolls"
    tokens = opened(shards, generator, "cut")
    wanted = {0: CAPTIONS[0], 1: (cut,), 2: ("a blue cube", cut)}
    check(tokens, wanted | {3: (), 4: CAPTIONS[4], 5: (cut, "a ball")}, generator.text)
    # what is drawn of during training must fit, too
    assert tokens.captions(9) == ["a red ball", cut, "a blue cube", "a cube falls slowly", cut]
    assert tokens.longest_text == MOST


def test_what_is_struck_out_is_gone_and_the_rest_stays_what_it_is(
    shards: Shards, generator: VideoGenerator
) -> None:
    tokens = opened(shards, generator, "skip", left_out={"0" * 64, "4" * 64})
    check(tokens, {2: ("a blue cube",), 3: (), 5: ("a ball",)}, generator.text)
    with pytest.raises(ValueError, match=r"no clip in .* is left to train on"):
        opened(shards, generator, "skip", left_out={str(n) * 64 for n in range(6)})


def test_a_stage_takes_the_clips_that_are_long_enough_and_cuts_them(
    shards: Shards, generator: VideoGenerator
) -> None:
    tokens = opened(shards, generator, "skip")
    assert tokens.latents == 5
    rows = tokens.rows(3)
    assert [tokens.clips[row] for row in rows] == [0, 3, 4, 5]
    batch = tokens.batch(rows, 3)
    for codes, clip in zip(batch["codes"], [0, 3, 4, 5], strict=True):
        assert torch.equal(codes, torch.from_numpy(shards.codes(clip)[:3]).long())
    assert batch["text_mask"].sum(1).tolist() == [3, 0, 4, 2]
