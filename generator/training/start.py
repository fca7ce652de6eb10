"""What a run begins with: a fresh decoder between a tokenizer and a text encoder, or a trained
model."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from ...tokenizer import VideoTokenizer
from ...tokenizer.sound import SoundTokenizer
from ..conditions.text_encoder import TextEncoder
from ..model.codebooks import Codebooks
from ..model.config import DecoderConfig, DecoderSize
from ..model.decoder import Decoder, with_conditions, with_sound
from ..model.sound_config import SoundConfig
from ..pipeline import VideoGenerator
from ..sampling.params import SamplingParams

# name of the tokenizer of sound, and tokens for the sound of a latent frame
SoundWanted = tuple[str, int | None]


@dataclass(frozen=True)
class Start:
    """What a run begins with.

    Args:
        tokenizer, text, sound: stay as they are; None for no sound.
        codebooks: of the tokenizer, as the decoder reads them.
        config: of the decoder.
        decoder: whose weights to begin with; None for fresh ones.
        sampling: how the model is drawn from where nobody says otherwise.
        base: name and id of the model that adapters belong to; empty for none.
    """

    tokenizer: VideoTokenizer
    text: TextEncoder
    sound: SoundTokenizer | None
    codebooks: Codebooks
    config: DecoderConfig
    decoder: Decoder | None = None
    sampling: SamplingParams = SamplingParams()  # noqa: RUF009 (frozen)
    base: tuple[str, str] = ("", "")


def fresh_start(
    tokenizer: str,
    text: str,
    size: DecoderSize,
    grid: tuple[int, int],
    sound: SoundWanted | None,
    codebooks: int | None,
    block: int,
    **further: Any,
) -> Start:
    """A decoder with fresh weights.

    Args:
        tokenizer, text: shipped names, folders or hub ids.
        size: of the decoder.
        grid: latent rows and columns of the clips, in cells of the tokenizer.
        sound: None for a decoder that draws none.
        codebooks: of a cell to learn; None for all.
        block: side of the square of cells that the decoder draws as one.
        further: fields of `DecoderConfig`.

    Raises:
        ValueError: parts that do not fit each other.
    """
    codec = VideoTokenizer.from_pretrained(tokenizer)
    encoder = TextEncoder.from_pretrained(text)
    heard = None if sound is None else SoundTokenizer.from_pretrained(sound[0])
    books = Codebooks.of(codec, codebooks, block)
    config = DecoderConfig(
        vocab_size=books.vocab_size,
        levels=books.levels(codec.levels),
        text_dim=encoder.dim,
        grid=books.grid(*grid),
        codebooks=books.count,
        block=block,
        frames_per_latent=codec.config.frames_per_latent,
        sound=_sound_config(heard, sound),
        **vars(size),
        **further,
    )
    return Start(codec, encoder, heard, books, config)


def start_from(
    name: str, conditions: dict[str, int], sound: SoundWanted | None, wavefront: int | None
) -> Start:
    """A trained model, with further conditions, sound or another decode order.

    Args:
        name: shipped name, folder or hub id.
        conditions: to add to those that it takes, each with its size.
        sound: None to leave sound as it is.
        wavefront: None for the model's own order.

    Raises:
        ValueError: there is no such model, or it cannot have these.
    """
    model = VideoGenerator.from_pretrained(name)
    decoder = with_conditions(model.decoder, conditions).train()
    heard = model.sound
    if sound is not None and heard is None:
        heard = SoundTokenizer.from_pretrained(sound[0])
        decoder = with_sound(decoder, _sound_config(heard, sound))
    if wavefront is not None:
        decoder.config = replace(decoder.config, wavefront=wavefront)
    return Start(
        model.tokenizer,
        model.text,
        heard,
        model.codebooks,
        decoder.config,
        decoder,
        model.sampling,
        base=(name, model.id),
    )


def _sound_config(tokenizer: SoundTokenizer | None, sound: SoundWanted | None) -> SoundConfig:
    if tokenizer is None or sound is None:
        return SoundConfig()
    return SoundConfig.of(tokenizer, sound[1])
