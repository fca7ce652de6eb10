"""Codes of clips and states of captions, computed once and kept in a folder.

The name of the folder contains the tokenizer's id, the text encoder's id and the data's key, so a
changed tokenizer never gets old codes. Parts are written beside their place and renamed, so a run
that was killed continues with the next part.

Legend: C clips, T H W latent grid, S text length, E text width.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from filelock import FileLock
from torch import Tensor

from ...data.datasets.source import ClipSource
from ...files.tensors import save_tensors
from ...tokenizer import TokenizerConfig, VideoTokenizer
from ...tokenizer.sound import SoundTokenizer
from ...training.progress import Progress
from ..conditions.text_encoder import TextEncoder
from ..model.codebooks import Codebooks
from .token_files import Wanted, joined, read_tokens

PART = 512  # clips per file
BLOCK = 16  # clips tokenised at once


@dataclass(frozen=True)
class TokenSet:
    """Clips in memory.

    codes int16 or int32 [C, T, H, W], or [C, T, H, W, Q] of Q codebooks; objects bool [C, T, H, W],
    all false if the data does not know them; text half [C, S, E]; text_length int64 [C]; recorded
    float [C, F, A], actions of each frame where the data has them; sound int16 or int32 [C, T, K],
    codes of the sound where the model draws some, and heard bool [C], whether a clip has any.
    """

    codes: Tensor
    objects: Tensor
    text: Tensor
    text_length: Tensor
    recorded: Tensor | None = None
    sound: Tensor | None = None
    heard: Tensor | None = None

    @property
    def latents(self) -> int:
        return self.codes.shape[1]

    @property
    def longest_text(self) -> int:
        return int(self.text_length.max())

    def __len__(self) -> int:
        return len(self.codes)

    def rows(self, latents: int) -> Tensor:
        """All clips, because they have one length."""
        return torch.arange(len(self) if latents <= self.latents else 0)

    def batch(self, rows: Tensor, latents: int, turn: int = 0) -> dict[str, Tensor]:
        """Training tensors of clips, cut to `latents` latent frames and the longest caption."""
        length = self.text_length[rows]
        longest = max(1, int(length.max()))
        batch = {
            "codes": self.codes[rows, :latents].long(),
            "objects": self.objects[rows, :latents],
            "text": self.text[rows, :longest].float(),
            "text_mask": torch.arange(longest) < length[:, None],
        }
        if self.recorded is not None:
            batch["recorded"] = self.recorded[rows]
        if self.sound is not None and self.heard is not None:
            batch["sound"] = self.sound[rows, :latents].long()
            batch["heard"] = self.heard[rows]
        return batch


def build_tokens(
    source: ClipSource,
    tokenizer: VideoTokenizer,
    text: TextEncoder,
    folder: Path,
    codebooks: Codebooks | None = None,
    sound: SoundTokenizer | None = None,
) -> TokenSet:
    """Tokenise every clip of `source`, or read what an earlier run left in `folder`.

    Args:
        codebooks: which codes of a cell are kept; all, if not given.
        sound: keeps codes of the clips' sound too, which the source then gives.
    """
    codebooks = codebooks or Codebooks.of(tokenizer)
    rate = f"-{codebooks.used}of{codebooks.rates}" if codebooks.rates > 1 else ""
    rate += f"-block{codebooks.block}" if codebooks.block > 1 else ""
    rate += "" if sound is None else f"-sound-{sound.id}"
    place = folder / f"{tokenizer.id}-{text.id}-{source.key}{rate}"
    place.mkdir(parents=True, exist_ok=True)
    wanted = Wanted(codebooks.size, text.dim, None if sound is None else sound.codebook_size)
    with FileLock(place / "lock"):  # other processes of the same run wait and read
        files = _write_parts(source, tokenizer, text, place, codebooks, sound)
        parts = [read_tokens(file, len(part), wanted) for part, file in zip(_parts(source), files)]
        return TokenSet(**joined(files, parts))


def _parts(source: ClipSource) -> list[range]:
    count = len(source)
    return [range(begin, min(begin + PART, count)) for begin in range(0, count, PART)]


def _write_parts(
    source: ClipSource,
    tokenizer: VideoTokenizer,
    text: TextEncoder,
    place: Path,
    codebooks: Codebooks,
    sound: SoundTokenizer | None,
) -> list[Path]:
    parts = _parts(source)
    files = [place / f"{part.start:08d}-{part.stop:08d}.safetensors" for part in parts]
    missing = [(part, file) for part, file in zip(parts, files) if not file.exists()]
    with Progress(
        sum(len(part) for part, _ in missing), label="tokenising, once: ", unit="clip"
    ) as progress:
        for part, file in missing:
            done = progress.update
            tokens = _tokenise(source, part, tokenizer, text, codebooks, sound, done)
            save_tensors(file, tokens)
    return files


@torch.inference_mode()
def _tokenise(
    source: ClipSource,
    rows: range,
    tokenizer: VideoTokenizer,
    encoder: TextEncoder,
    codebooks: Codebooks,
    sound: SoundTokenizer | None,
    done: Callable[[int], None],
) -> dict[str, Tensor]:
    codes: list[Tensor] = []
    objects: list[Tensor] = []
    captions: list[str] = []
    recorded: list[Tensor] = []
    heard: list[tuple[Tensor, Tensor]] = []
    small = torch.int16 if codebooks.size <= 32768 else torch.int32
    device = next(tokenizer.parameters()).device
    for begin in range(rows.start, rows.stop, BLOCK):
        batch = source.clips(range(begin, min(begin + BLOCK, rows.stop)))
        indices = tokenizer.encode(batch["video"].to(device).float() / 127.5 - 1).indices.cpu()
        codes.append(codebooks.take(indices).to(small))
        cells = _cells(batch.get("foreground"), indices, tokenizer.config)
        objects.append(codebooks.any(cells))
        captions += batch["caption"]
        if "actions" in batch:
            recorded.append(batch["actions"])
        if sound is not None:
            heard.append(_sound(batch, sound, indices.shape[1]))
        done(len(indices))
    text, length = _embed(captions, encoder)
    return {
        "codes": torch.cat(codes),
        "objects": torch.cat(objects),
        "text": text,
        "text_length": length,
        **({"recorded": torch.cat(recorded)} if recorded else {}),
        **_joined(heard),
    }


def _sound(batch: dict[str, Any], tokenizer: SoundTokenizer, latents: int) -> tuple[Tensor, Tensor]:
    """Codes [B, T, K] of the sound of clips, and which of them have any, bool [B]."""
    if "sound" not in batch:
        raise ValueError("the model draws sound, and these clips have none; leave model.sound out")
    wave_BL = batch["sound"]
    device = next(tokenizer.parameters()).device
    indices = tokenizer.encode(wave_BL.to(device)).indices.cpu()
    if indices.shape[1] != latents:
        raise ValueError(
            f"the sound of these clips has {indices.shape[1]} latent frames, and their pictures "
            f"{latents}"
        )
    small = torch.int16 if tokenizer.codebook_size <= 32768 else torch.int32
    every = torch.ones(len(wave_BL), dtype=torch.bool)
    return indices.to(small), batch.get("heard", every)


def _joined(heard: list[tuple[Tensor, Tensor]]) -> dict[str, Tensor]:
    if not heard:
        return {}
    codes, there = zip(*heard)
    return {"sound": torch.cat(codes), "heard": torch.cat(there)}


def _embed(captions: list[str], encoder: TextEncoder) -> tuple[Tensor, Tensor]:
    """States half [C, S, E] and lengths [C]; a clip without a caption has length 0."""
    spoken = torch.tensor([bool(caption.strip()) for caption in captions])
    states, mask = (
        x.cpu()
        for x in encoder.encode([caption for caption in captions if caption.strip()] or ["-"])
    )
    text = states.new_zeros(len(captions), *states.shape[1:], dtype=torch.half)
    length = torch.zeros(len(captions), dtype=torch.int64)
    if spoken.any():
        text[spoken] = states.half()
        length[spoken] = mask.sum(1)
    return text, length


def _cells(foreground: Tensor | None, indices: Tensor, config: TokenizerConfig) -> Tensor:
    """Cells [B, T, H, W] with an object in any frame, from pixels [B, 1, F, Y, X]."""
    if foreground is None:
        return torch.zeros(indices.shape[:4], dtype=torch.bool)
    k = config.frames_per_latent
    p = config.patch
    (F_, Y, X) = foreground.shape[2:]
    (T, H, W) = indices.shape[1:4]
    padding = (0, W * p - X, 0, H * p - Y, k - 1, (T - 1) * k + 1 - F_)
    return F.max_pool3d(F.pad(foreground.float(), padding, mode="replicate"), (k, p, p))[:, 0] > 0
