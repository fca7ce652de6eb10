"""What a sound becomes: codes in time that remember how long the sound was."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True)
class SoundCodes:
    """Codes of a batch of sounds of one length.

    indices: int64 `[B, T, K]` for K codes of each latent, or `[B, T, K, Q]` of a tokenizer with
        several codebooks, coarse to fine; num_samples: length of the sound before padding;
        tokenizer: the id of the sound tokenizer that wrote the codes and the only one that can read
        them.
    """

    indices: Tensor
    num_samples: int
    tokenizer: str = ""

    def __post_init__(self) -> None:
        if self.indices.dim() not in (3, 4):
            raise ValueError(
                f"indices must be [B, T, K] or [B, T, K, Q]; got shape {list(self.indices.shape)}"
            )
        if self.indices.dtype != torch.int64:
            raise ValueError(
                f"indices must be int64; got {self.indices.dtype}; call .long() on them"
            )
        if self.num_samples < 1:
            raise ValueError(f"num_samples must be at least 1; got {self.num_samples}")

    @property
    def rates(self) -> int:
        """How many codebooks there are per step: 1, or Q."""
        return self.indices.shape[-1] if self.indices.dim() == 4 else 1

    def prefix(self, rate: int) -> "SoundCodes":
        """The first `rate` codebooks: the same sound in fewer bits. ValueError if that many are
        not there."""
        if not 1 <= rate <= self.rates:
            raise ValueError(f"these codes have {self.rates} codebooks; got rate {rate}")
        if rate == self.rates:
            return self
        return replace(self, indices=self.indices[..., :rate].contiguous())
