"""Batches of tokenised clips, in stages of growing length, that do not depend on restarts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import count
from typing import NamedTuple, Protocol

import torch
from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info


class Tokens(Protocol):
    """Numbered clips of one latent grid.

    `latents` is the length of the longest clip, `longest_text` that of the longest caption in
    tokens.
    """

    @property
    def latents(self) -> int: ...

    @property
    def longest_text(self) -> int: ...

    def __len__(self) -> int: ...

    def rows(self, latents: int) -> Tensor:
        """The numbers of the clips with at least `latents` latent frames, int64."""
        ...

    def batch(self, rows: Tensor, latents: int, turn: int = 0) -> dict[str, Tensor]:
        """Clips cut to their first `latents` latent frames.

        They are codes int64 [B, T, H, W] (or [B, T, H, W, Q] of Q codebooks), objects bool [B, T,
        H, W], text float [B, S, E] and text_mask bool [B, S]. A clip with several captions uses one
        of them per turn. Where sound is learned, also its codes sound int64 [B, T, K], and heard
        bool [B], false for clips without a sound track.
        """
        ...


@dataclass(frozen=True)
class Stage:
    """`steps` batches of `batch_size` clips, cut to their first `latents` latent frames. The last
    stage has no end.

    Short clips come first: an image costs a fraction of a clip and holds nearly all that a caption
    says of objects. So that this is not forgotten while motion is learned, every
    `pictures_every`-th batch may hold that many `pictures`, single latent frames, in place of clips
    (joint training on images and videos, as in Phenaki, Villegas et al. 2022).
    """

    steps: int
    latents: int
    batch_size: int
    pictures: int = 0
    pictures_every: int = 2

    def __post_init__(self) -> None:
        for name in ("steps", "latents", "batch_size", "pictures_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"a stage's {name} must be at least 1; got {getattr(self, name)}")
        if self.pictures < 0:
            raise ValueError(f"a stage's pictures must be at least 0; got {self.pictures}")

    def turn(self, step: int) -> Turn:
        """What the stage's batch number `step` is made of."""
        if self.pictures and step % self.pictures_every == self.pictures_every - 1:
            return Turn(True, 1, self.pictures)
        return Turn(False, self.latents, self.batch_size)


class Turn(NamedTuple):
    """A batch: `size` clips of `latents` latent frames, or pictures."""

    pictures: bool
    latents: int
    size: int


class TokenBatches(IterableDataset[dict[str, Tensor]]):
    """Endless shuffled batches of `Tokens`, for DataLoader(batch_size=None) and any workers.

    Args:
        start: number of the first batch, so that a resumed run gets the batches it would have got.
        rank, ranks: number of this process, and how many there are. Each process gets batches of
            its own, as many and as large as those of the others. Together they are the batches of
            a single process with a batch `ranks` times as large.
        pictures: what batches of pictures are taken from; the beginnings of the clips, if not
            given.
    """

    def __init__(
        self,
        tokens: Tokens,
        stages: Sequence[Stage],
        seed: int = 0,
        start: int = 0,
        rank: int = 0,
        ranks: int = 1,
        pictures: Tokens | None = None,
    ) -> None:
        super().__init__()
        if not stages:
            raise ValueError("at least one stage is needed")
        for stage in stages:
            if stage.latents > tokens.latents:
                raise ValueError(
                    f"a stage asks for {stage.latents} latent frames; the clips have "
                    f"{tokens.latents}"
                )
        self.tokens = tokens
        self.pictures = pictures or tokens
        self.stages = tuple(stages)
        self.seed = seed
        self.start = start
        self.rank = rank
        self.ranks = ranks

    def turn(self, step: int) -> Turn:
        for stage in self.stages[:-1]:
            if step < stage.steps:
                return stage.turn(step)
            step -= stage.steps
        return self.stages[-1].turn(step)

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        worker = get_worker_info()
        # a loader takes one batch of each worker in turn
        number, workers = (worker.id, worker.num_workers) if worker else (0, 1)
        shuffle = lru_cache(maxsize=4)(self._shuffle)
        seen = {True: 0, False: 0}  # pictures and clips that all ranks have used
        for step in count():
            turn = self.turn(step)
            if step >= self.start and (step - self.start) % workers == number:
                yield self._batch(turn, seen[turn.pictures] + self.rank * turn.size, shuffle)
            seen[turn.pictures] += self.ranks * turn.size

    def _batch(
        self, turn: Turn, seen: int, shuffle: Callable[[bool, int, int], Tensor]
    ) -> dict[str, Tensor]:
        """Clips `seen` to `seen + size` of an endless sequence of shuffles."""
        pictures, latents, size = turn
        total = len(shuffle(pictures, latents, 0))
        stop = seen + size
        rounds = range(seen // total, (stop - 1) // total + 1)
        order = torch.cat([shuffle(pictures, latents, index) for index in rounds])
        first = rounds.start * total
        tokens = self.pictures if pictures else self.tokens
        return tokens.batch(order[seen - first : stop - first], latents, rounds.start)

    def _shuffle(self, pictures: bool, latents: int, index: int) -> Tensor:
        rows = (self.pictures if pictures else self.tokens).rows(latents)
        return rows[
            torch.randperm(
                len(rows), generator=torch.Generator().manual_seed(self.seed * 1_000_003 + index)
            )
        ]
