"""Each kind of file that people give, or that lies between two commands, read as the product
reads it: an answer, or one line that says what is wrong."""

import copy
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any


def video(path: Path) -> None:
    from kinetoscope.data.video import probe, read_clip

    probe(path)
    read_clip(path, frames=8, size=(32, 32), fps=12.0)


def sound(path: Path) -> None:
    from kinetoscope.data.video.sound import read_sound, read_span

    read_sound(path, seconds=2.0)
    read_span(path, 0.3, 4000)


def codes(path: Path) -> None:
    from kinetoscope.tokenizer import VideoCodes

    VideoCodes.load(path)


@lru_cache(maxsize=1)
def model(folder: Path) -> Any:
    from kinetoscope.generator import VideoGenerator

    return VideoGenerator.from_pretrained(folder)


def session(path: Path) -> None:
    """By the model in the folder beside it. A session that was read goes on, too."""
    next(model(path.parent / "model").load_session(path))


def manifest(path: Path) -> None:
    from kinetoscope.data.datasets.video_list import list_videos

    list_videos(path.parent)


def decoder(path: Path) -> None:
    from kinetoscope.files.json_file import read_object
    from kinetoscope.generator import DecoderConfig

    values = read_object(path)
    values.pop("tokenizer", None)
    DecoderConfig.from_dict(values)


def tokenizer(path: Path) -> None:
    from kinetoscope.files.json_file import read_object
    from kinetoscope.tokenizer import TokenizerConfig

    TokenizerConfig.from_dict(read_object(path))


def weights(path: Path) -> None:
    from kinetoscope.tokenizer import VideoTokenizer

    VideoTokenizer.from_pretrained(path.parent)


def text(path: Path) -> None:
    """Any file of the folder of a text encoder, which then reads a sentence."""
    from kinetoscope.generator import TextEncoder

    TextEncoder.from_pretrained(path.parent).encode(["a red ball"])


def adapter(path: Path) -> None:
    """An adapter of the model in the folder beside that of the adapter."""
    from kinetoscope.generator.training.lora import load_adapter

    load_adapter(copy.deepcopy(model(path.parents[1] / "model")), path.parent)


def tokens(path: Path) -> None:
    """Codes and states that training keeps; the folder above knows which data they are of."""
    from kinetoscope.data.datasets.source import PhysicsSource
    from kinetoscope.data.worlds.physics.scene import PhysicsConfig
    from kinetoscope.generator.tokens.cache import build_tokens

    base = model(path.parents[2] / "model")
    source = PhysicsSource(2, 5, 8, PhysicsConfig(max_objects=1))
    read = build_tokens(source, base.tokenizer, base.text, path.parents[1])
    rows = read.rows(1)
    read.batch(rows, read.latents)


def shards(path: Path) -> None:
    """Any file of a folder of shards, of which every clip is read."""
    from kinetoscope.data.datasets.shards import Shards

    read = Shards(path.parent)
    for index in range(len(read)):
        for part in (read.codes, read.text, read.actions, read.sound, read.info):
            part(index)


def settings(path: Path) -> None:
    from kinetoscope.generator.training.cost import read_plan

    read_plan(str(path))


def story(path: Path) -> None:
    from kinetoscope.app.storyboard.read import read_file

    read_file(path)


def checkpoint(path: Path) -> None:
    from kinetoscope.training.checkpoints import WholeCheckpoints, check_checkpoint

    check_checkpoint(str(path))
    WholeCheckpoints().load_checkpoint(path)


KINDS: dict[str, Callable[[Path], None]] = {
    read.__name__: read
    for read in (
        *(video, sound, codes, session, manifest, decoder, tokenizer, weights, text, adapter),
        *(tokens, shards, settings, story, checkpoint),
    )
}
