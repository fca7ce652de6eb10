"""Batches of pre-tokenised clips in stages of growing length; a step's batch does not depend on restarts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.data import IterableDataset

from .token_cache import TokenSet


@dataclass(frozen=True)
class Stage:
    """`steps` batches of `batch_size` clips, cut to their first `latents` latent frames. The last stage has no end.

    Short clips come first: an image costs a fraction of a clip and holds nearly all that a caption says of objects.
    """

    steps: int
    latents: int
    batch_size: int

    def __post_init__(self) -> None:
        for name in ("steps", "latents", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"a stage's {name} must be at least 1; got {getattr(self, name)}")


class TokenBatches(IterableDataset[dict[str, Tensor]]):
    """Endless shuffled batches of a `TokenSet`; use it with DataLoader(batch_size=None).

    Args:
        start: number of the first batch, so that a resumed run sees what it would have seen.
    """

    def __init__(self, tokens: TokenSet, stages: Sequence[Stage], seed: int = 0, start: int = 0) -> None:
        super().__init__()
        if not stages:
            raise ValueError("at least one stage is needed")
        longest = tokens.codes.shape[1]
        for stage in stages:
            if stage.latents > longest:
                raise ValueError(f"a stage asks for {stage.latents} latent frames; the clips have {longest}")
        self.tokens, self.stages, self.seed, self.start = tokens, tuple(stages), seed, start

    def stage(self, step: int) -> Stage:
        for stage in self.stages:
            if step < stage.steps:
                return stage
            step -= stage.steps
        return self.stages[-1]

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        seen = 0  # clips drawn by the batches before
        for step in range(self.start):
            seen += self.stage(step).batch_size
        step = self.start
        while True:
            stage = self.stage(step)
            yield self.tokens.batch(self._rows(seen, stage.batch_size), stage.latents)
            seen += stage.batch_size
            step += 1

    def _rows(self, seen: int, count: int) -> Tensor:
        """Clips number seen … seen + count of an endless row of shuffles."""
        total = len(self.tokens)
        rounds = range(seen // total, (seen + count - 1) // total + 1)
        order = torch.cat([self._shuffle(index) for index in rounds])
        offset = seen - rounds.start * total
        return order[offset : offset + count]

    def _shuffle(self, index: int) -> Tensor:
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + index)
        return torch.randperm(len(self.tokens), generator=generator)
