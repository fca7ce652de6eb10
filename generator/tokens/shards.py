"""Training clips from shards, read from the disk batch by batch.

Legend: B clips of a batch, T H W latent grid, S text length, E text width.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Container, Mapping, Sequence

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from ...data.datasets.shards import Shards
from ...data.datasets.source import split_rows
from ...tokenizer import VideoTokenizer
from ...tokenizer.checks import check_table
from ...tokenizer.sound import SoundTokenizer
from ..conditions.text_encoder import TextEncoder
from ..model.codebooks import Codebooks
from .long_captions import LongCaptions, fitting

log = logging.getLogger(__name__)
BLOCK = 64  # captions embedded at once


def shard_tokens(
    shards: Shards,
    tokenizer: VideoTokenizer,
    text: TextEncoder,
    held_out: float,
    seed: int,
    codebooks: Codebooks | None = None,
    most: int | None = None,
    long_captions: LongCaptions = "stop",
    left_out: Container[str] = (),
    sound: SoundTokenizer | None = None,
) -> tuple[ShardSet, ShardSet | None]:
    """Clips to train on, and clips to validate on from a share `held_out` of the videos.

    Args:
        codebooks: which codes of a cell are taken; all if not given.
        most: tokens of a caption; as many as the encoder takes if not given.
        long_captions: what becomes of longer ones, see `long_captions.fitting`.
        left_out: hashes of the content of videos that are not learned from.
        sound: batches hold codes of sound too, of this tokenizer.

    Raises:
        ValueError: the codes are of another tokenizer, the caption states are of another encoder,
            the clips are not of one size, or a caption is too long.
    """
    made = shards.manifest.get("tokenizer")
    if made is None:
        raise ValueError(f"the shards in '{shards.folder}' do not say which tokenizer made them")
    if made["id"] != tokenizer.id:
        raise ValueError(
            f"the shards in '{shards.folder}' are codes of tokenizer {made['name']} "
            f"({made['id']}), and the model's is {tokenizer.id}; set model.tokenizer, or prepare "
            "them again"
        )
    if sound is not None:
        _check_sound(shards, sound)
    sizes = Counter(tuple(record["shape"][1:]) for record in shards.records)
    if len(sizes) > 1:
        grids = ", ".join(f"{count} of {list(shape)}" for shape, count in sizes.most_common(3))
        raise ValueError(f"the clips are not of one size ({grids}); prepare them with --size")
    encoder = shards.manifest.get("text")
    if encoder and encoder["id"] != text.id:
        raise ValueError(
            f"the shards in '{shards.folder}' hold states of caption encoder {encoder['name']} "
            f"({encoder['id']}), and the model's is {text.id}; set model.text, or prepare them "
            "again with --text"
        )
    words = {} if encoder else _words(shards, text, most or text.max_tokens, long_captions)
    spoken = None if encoder else _embedded(words, text)
    videos = sorted({record["source"] for record in shards.records})
    kept_back = {videos[row] for row in split_rows(len(videos), held_out, seed)[1]}
    codebooks = codebooks or Codebooks.of(tokenizer)
    k = tokenizer.config.frames_per_latent
    parts: tuple[list[int], list[int]] = ([], [])
    for index, record in enumerate(shards.records):
        if words.get(index, ()) is not None and record.get("sha256") not in left_out:
            parts[record["source"] in kept_back].append(index)
    train, validation = (
        ShardSet(shards, clips, text.dim, codebooks, spoken, k, sound, words) if clips else None
        for clips in parts
    )
    if train is None:
        raise ValueError(
            f"no clip in '{shards.folder}' is left to train on: they are held out, struck out, or "
            "have no caption that is kept"
        )
    return train, validation


def _check_sound(shards: Shards, tokenizer: SoundTokenizer) -> None:
    made = shards.manifest.get("sound")
    if made is None:
        raise ValueError(
            f"the shards in '{shards.folder}' hold no sound; prepare them again with --sound, or "
            "leave model.sound out"
        )
    if made["id"] != tokenizer.id:
        raise ValueError(
            f"the sound in '{shards.folder}' is of sound tokenizer {made['name']} ({made['id']}), "
            f"and the model's is {tokenizer.id}; set model.sound_tokenizer, or prepare them again"
        )


class ShardSet:
    """Some of the clips of `shards` as `Tokens`.

    Args:
        clips: their numbers in the shards.
        text_dim: E.
        codebooks: which codes of a cell are taken.
        spoken: states half [S, E] of each caption of every clip of the shards, if the shards do not
            hold them.
        frames_per_latent: k, to cut recorded actions to the latent frames of a batch.
        sound: the tokenizer of the codes of sound that batches hold; None for none.
        words: captions of each clip, where they are others than the shards hold.
    """

    def __init__(
        self,
        shards: Shards,
        clips: Sequence[int],
        text_dim: int,
        codebooks: Codebooks,
        spoken: list[list[Tensor]] | None = None,
        frames_per_latent: int = 1,
        sound: SoundTokenizer | None = None,
        words: Mapping[int, tuple[str, ...] | None] | None = None,
    ) -> None:
        self.shards = shards
        self.words = words or {}
        self.clips = list(clips)
        self.text_dim = text_dim
        self.spoken = spoken
        self.codebooks = codebooks
        self.frames_per_latent = frames_per_latent
        self.sound: tuple[int, int] | None = None  # codes of a latent's sound, and of the table
        if sound is not None:
            self.sound = sound.config.codes_per_latent, sound.codebook_size
        self._lengths = torch.tensor([shards.records[clip]["shape"][0] for clip in clips])

    @property
    def latents(self) -> int:
        return int(self._lengths.max())

    @property
    def longest_text(self) -> int:
        if self.spoken is None:
            lengths = (self.shards.records[clip]["text_lengths"] for clip in self.clips)
            return max((length for own in lengths for length in own), default=0)
        return max((len(states) for clip in self.clips for states in self.spoken[clip]), default=0)

    def __len__(self) -> int:
        return len(self.clips)

    def rows(self, latents: int) -> Tensor:
        return (self._lengths >= latents).nonzero().flatten()

    def captions(self, count: int) -> list[str]:
        """The first caption of each of the first `count` clips, if it has any."""
        kept = (
            self.words[clip] if clip in self.words else self.shards.info(clip).captions
            for clip in self.clips[:count]
        )
        return [own[0] for own in kept if own]

    def batch(self, rows: Tensor, latents: int, turn: int = 0) -> dict[str, Tensor]:
        clips = [self.clips[row] for row in rows.tolist()]
        indices = torch.stack(
            [torch.from_numpy(self.shards.codes(clip)[:latents]) for clip in clips]
        )
        check_table(indices, self.codebooks.size)
        codes = self.codebooks.take(indices)
        states = [self._text(clip, turn) for clip in clips]
        length = torch.tensor([len(text) for text in states])
        longest = max(1, int(length.max()))
        filled = pad_sequence([torch.zeros(longest, self.text_dim), *states], batch_first=True)[1:]
        batch = {
            "codes": codes,
            "objects": torch.zeros(codes.shape[:4], dtype=torch.bool),
            "text": filled,
            "text_mask": torch.arange(longest) < length[:, None],
        }
        return batch | self._recorded(clips, latents) | self._sound(clips, latents)

    def _recorded(self, clips: list[int], latents: int) -> dict[str, Tensor]:
        """Actions float [B, F, A] of the frames of these latent frames, where all clips have
        them."""
        frames = 1 + (latents - 1) * self.frames_per_latent
        actions = [self.shards.actions(clip) for clip in clips]
        rows = [torch.from_numpy(a[:frames]) for a in actions if a is not None]
        return {"recorded": torch.stack(rows)} if rows and len(rows) == len(clips) else {}

    def _sound(self, clips: list[int], latents: int) -> dict[str, Tensor]:
        """Codes int64 [B, T, K] of the sound, and which clips have any, bool [B]."""
        if self.sound is None:
            return {}
        codes, size = self.sound
        sound = torch.zeros(len(clips), latents, codes, dtype=torch.long)
        heard = torch.zeros(len(clips), dtype=torch.bool)
        for row, clip in enumerate(clips):
            found = self.shards.sound(clip)
            if found is not None:
                sound[row] = torch.from_numpy(found[:latents]).long()
                heard[row] = True
        check_table(sound, size)
        return {"sound": sound, "heard": heard}

    def _text(self, clip: int, turn: int) -> Tensor:
        """States float [S, E] of the caption for this turn; empty without captions."""
        if self.spoken is not None:
            captions = self.spoken[clip]
            return (
                captions[turn % len(captions)].float()
                if captions
                else torch.zeros(0, self.text_dim)
            )
        lengths = self.shards.records[clip]["text_lengths"]
        if not lengths:
            return torch.zeros(0, self.text_dim)
        stored = torch.from_numpy(self.shards.text(clip)).float()
        if stored.shape[1] != self.text_dim or not stored.isfinite().all():
            raise ValueError(
                f"the caption states of clip {clip} in '{self.shards.folder}' are damaged; run "
                "kinetoscope prepare again"
            )
        states = stored.split(lengths)
        return states[turn % len(lengths)]


def embed_captions(captions: Sequence[str], encoder: TextEncoder) -> list[Tensor]:
    """States half [S, E] of each caption, on the CPU."""
    states: list[Tensor] = []
    for begin in range(0, len(captions), BLOCK):
        block, mask = (x.cpu() for x in encoder.encode(captions[begin : begin + BLOCK]))
        states += [text[real].half() for text, real in zip(block, mask)]
    return states


def _words(
    shards: Shards, encoder: TextEncoder, most: int, choice: LongCaptions
) -> dict[int, tuple[str, ...] | None]:
    """The captions of every clip that are short enough; None where none is left."""
    captions = {clip: tuple(shards.info(clip).captions) for clip in range(len(shards))}
    names = {clip: str(record["source"]) for clip, record in enumerate(shards.records)}
    return captions | fitting(captions, names, encoder, most, choice)


def _embedded(
    words: Mapping[int, tuple[str, ...] | None], encoder: TextEncoder
) -> list[list[Tensor]]:
    """States of the captions of every clip; equal captions are embedded once."""
    captions = [own or () for own in words.values()]
    different = sorted({caption for own in captions for caption in own})
    log.info("embedding %d captions, because the shards hold only their words", len(different))
    states = dict(zip(different, embed_captions(different, encoder)))
    return [[states[caption] for caption in own] for own in captions]
