"""Shards of made-up codes, and a model that knows some of them by heart."""

import copy
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from kinetoscope.data.datasets.shards import FORMAT, MANIFEST, Clip, ClipInfo, write_shard
from kinetoscope.evaluation.memorisation.replay import caption_states
from kinetoscope.files.json_file import write_json
from kinetoscope.generator import VideoGenerator
from torch import Tensor, nn

LATENTS = 4
CLIPS = 8
LEARNED = 0  # seeds
UNSEEN = 1

MakeShards = Callable[..., Path]


def random_codes(seed: int, clips: int = CLIPS) -> Tensor:
    """int64 [clips, T, 2, 3] of a vocabulary of 12; each latent frame repeats half of the last."""
    draw = torch.Generator().manual_seed(seed)
    codes = torch.randint(0, 12, (clips, LATENTS, 2, 3), generator=draw)
    for t in range(1, LATENTS):
        keep = torch.rand(clips, 2, 3, generator=draw) < 0.5
        codes[:, t] = torch.where(keep, codes[:, t - 1], codes[:, t])
    return codes


@pytest.fixture(scope="session")
def make_shards(generator: VideoGenerator, tmp_path_factory: pytest.TempPathFactory) -> MakeShards:
    """Writes codes [clips, T, H, W] as shards of videos NAME-0.mp4, NAME-1.mp4, …"""

    def make(codes: Tensor, name: str) -> Path:
        folder = tmp_path_factory.mktemp(name)
        frames = 1 + 4 * (codes.shape[1] - 1)
        clips = []
        for number, own in enumerate(codes):
            info = ClipInfo((), f"{name}-{number}.mp4", 0.0, frames / 8, frames, 8, 12, 8.0, "MIT")
            clips.append(Clip(info, own.numpy().astype("int16")))
        record = write_shard(folder / "000000.tar", clips)
        write_json(folder / "000000.json", record)
        shard = {"name": "000000.tar", "bytes": record["bytes"], "clips": len(clips)}
        tokenizer = {"name": "debug", "id": generator.tokenizer.id}
        about = {"tokenizer": tokenizer, "text": None, "settings": {"size": [8, 12], "fps": None}}
        write_json(
            folder / MANIFEST, {"format": FORMAT, "complete": True, "shards": [shard], **about}
        )
        return folder

    return make


@pytest.fixture(scope="session")
def learned(make_shards: MakeShards) -> Path:
    return make_shards(random_codes(LEARNED), "learned")


@pytest.fixture(scope="session")
def never_seen(make_shards: MakeShards) -> Path:
    return make_shards(random_codes(UNSEEN), "never-seen")


@pytest.fixture(scope="session")
def parrot(generator: VideoGenerator) -> VideoGenerator:
    """A model that was trained on eight clips until it knew them by heart."""
    torch.manual_seed(0)
    model = copy.deepcopy(generator)
    codes = random_codes(LEARNED)
    text = caption_states(model, [""] * CLIPS)
    decoder = model.decoder.train()
    optimizer = torch.optim.AdamW(decoder.parameters(), lr=5e-3, weight_decay=0)
    for _ in range(250):
        logits = decoder(codes, *text)[:, 1:]
        loss = nn.functional.cross_entropy(logits.flatten(0, 2), codes[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.1
    return model.eval()
