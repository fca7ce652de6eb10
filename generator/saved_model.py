"""A generator's folder: the decoder, and beside it the tokenizers and the text encoder that it
belongs to.

The decoder's config names the tokenizers by their ids, so that a folder put together from parts of
two models is refused.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..files.atomic import whole_folder, write_whole
from ..files.config_fields import read_fields, shown
from ..files.errors import UnreadableFile
from ..files.json_file import read_object
from ..files.model_folder import load_config, load_model, read_config, save_folder
from ..tokenizer import VideoTokenizer
from ..tokenizer.enlarge import with_patch
from .conditions.text_encoder import TextEncoder
from .model.decoder import Decoder, DecoderConfig
from .sampling.params import SamplingParams
from .sampling.quantize import has_lora, is_quantized

if TYPE_CHECKING:
    from ..tokenizer.sound import SoundTokenizer
    from .pipeline import VideoGenerator

SAMPLING = "sampling.json"  # as generation_config.json is for language models

# most of a small model; stored in eight bits, which costs no bits per code
TABLES = ("codes.full", "head.full", "sound.codes.full", "sound.head.full")

Parts = tuple[Decoder, VideoTokenizer, TextEncoder, "SoundTokenizer | None"]


def load(folder: Path, size: int | None) -> Parts:
    """The parts of the model in a folder.

    Args:
        size: height of its pictures in pixels; None for that of the tokenizer.

    Raises:
        ValueError: it is an adapter, its parts do not fit each other, or it has no such size.
    """
    told = read_config(folder)
    if "lora" in told:
        raise ValueError(
            f"'{folder}' holds an adapter of model {shown(told.get('base'))} and no model; "
            "give that as the model, and this as the adapter (--adapter, load_adapter)"
        )
    tokenizer_id = told.get("tokenizer")
    sizes = load_config(folder, DecoderConfig.from_dict)
    decoder = load_model(folder, lambda: Decoder(sizes))
    tokenizer = VideoTokenizer.from_pretrained(folder / "tokenizer", library=False)
    if tokenizer.id != tokenizer_id:
        wanted = f"the decoder in {folder} learned the codes of tokenizer {tokenizer_id}"
        raise ValueError(f"{wanted}, but the one beside it is {tokenizer.id}")
    if size is not None:
        cells = sizes.grid[0] * sizes.block
        tokenizer = _of_size(tokenizer, folder, size, cells)
    sound = _sound_tokenizer(folder, told.get("sound_tokenizer")) if decoder.sound else None
    return decoder, tokenizer, TextEncoder.from_pretrained(folder / "text"), sound


def read_sampling(folder: Path) -> SamplingParams:
    """How a model is drawn from unless somebody says otherwise: its folder may tell.

    Raises:
        UnreadableFile: naming the file and what is wrong in it.
    """
    file = folder / SAMPLING
    if not file.exists():
        return SamplingParams()
    told = read_object(file)
    try:
        return read_fields(SamplingParams, told)
    except ValueError as error:
        raise UnreadableFile(f"'{file}': {error}") from error


def save(generator: VideoGenerator, folder: str | os.PathLike[str], half: bool) -> None:
    """Write a model, see `VideoGenerator.save_pretrained`."""
    if is_quantized(generator.decoder):
        raise ValueError(
            "a quantized model cannot be saved; save it without, and quantize it when it is loaded"
        )
    if has_lora(generator.decoder):
        raise ValueError(
            "this model has an adapter beside its weights; call merge_lora(generator.decoder) "
            "to make it part of them, or save_adapter to write it alone"
        )
    generator.tokenizer.save_pretrained(Path(folder) / "tokenizer", half)
    with whole_folder(Path(folder) / "text") as beside:
        generator.text.save_pretrained(beside, half)
    if generator.sound is not None:
        generator.sound.save_pretrained(Path(folder) / "sound", half)
    _write_sampling(generator.sampling, Path(folder) / SAMPLING)
    save_folder(folder, config(generator), generator.decoder.state_dict(), half, TABLES)


def _write_sampling(sampling: SamplingParams, file: Path) -> None:
    """What differs from the usual settings; no file if nothing does."""
    usual = asdict(SamplingParams())
    own = {name: value for name, value in asdict(sampling).items() if value != usual[name]}
    if own:
        write_whole(file, json.dumps(own, indent=2) + "\n")
    else:
        file.unlink(missing_ok=True)


def config(generator: VideoGenerator) -> dict[str, Any]:
    """What `config.json` says."""
    told = {**generator.decoder.config.to_dict(), "tokenizer": generator.tokenizer.id}
    return told if generator.sound is None else {**told, "sound_tokenizer": generator.sound.id}


def _sound_tokenizer(folder: Path, wanted: Any) -> SoundTokenizer:
    """The one in a model's folder, whose id the decoder's config tells."""
    from ..tokenizer.sound import SoundTokenizer

    sound = SoundTokenizer.from_pretrained(folder / "sound")
    if sound.id != wanted:
        raise ValueError(
            f"the decoder in {folder} learned the codes of sound tokenizer {shown(wanted)}, but "
            f"the one beside it is {sound.id}"
        )
    return sound


def _of_size(own: VideoTokenizer, folder: Path, size: int, cells: int) -> VideoTokenizer:
    """The tokenizer in `folder` that draws `cells` cells over `size` pixels."""
    natural = cells * own.config.patch
    if size == natural:
        return own
    try:
        if size % cells:
            raise ValueError(f"it must be a multiple of {cells}")
        return with_patch(folder / "tokenizer", size // cells, library=False)
    except ValueError as error:
        raise ValueError(
            f"the model in {folder} draws pictures of {natural} pixels; size {size} cannot be had: "
            f"{error}"
        ) from error
