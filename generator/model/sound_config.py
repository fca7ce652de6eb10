"""Sizes of the codes of sound that a decoder draws."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from ...tokenizer.sound import SoundTokenizer

AT_ONCE = 4  # codes of a token unless told otherwise, where they can be divided so


@dataclass(frozen=True)
class SoundConfig:
    """Which codes of sound follow the picture of a latent frame.

    Args:
        codes: of a latent frame, in order of time; 0 for a decoder without sound.
        tokens: that carry them, the same number each; the codes of a token are drawn one after
            another (depth.py), so fewer tokens are faster.
        vocab_size: codes that there are.
        levels: sizes of the FSQ dimensions, fastest first; () when codes have no inner structure.

    Raises:
        ValueError: sizes that do not fit each other.
    """

    LIMITS: ClassVar = {
        "codes": (0, 4096),
        "tokens": (0, 4096),
        "vocab_size": (0, 1 << 24),
        "levels": (2, 4096),
    }

    codes: int = 0
    tokens: int = 0
    vocab_size: int = 0
    levels: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "levels", tuple(self.levels))  # JSON and YAML give lists
        if not self.codes:
            if self.tokens or self.vocab_size or self.levels:
                raise ValueError("a decoder without codes of sound has no tokens of them either")
            return
        if self.tokens < 1 or self.codes % self.tokens:
            raise ValueError(
                f"tokens must be at least 1 and divide codes={self.codes}; got {self.tokens}"
            )
        if self.vocab_size < 1:
            raise ValueError(f"vocab_size must be at least 1; got {self.vocab_size}")
        if self.levels and math.prod(self.levels) != self.vocab_size:
            raise ValueError(
                f"levels {list(self.levels)} make {math.prod(self.levels)} codes, not "
                f"vocab_size={self.vocab_size}"
            )

    @classmethod
    def of(cls, tokenizer: SoundTokenizer, tokens: int | None = None) -> SoundConfig:
        """Of a tokenizer; four codes a token unless told otherwise.

        Raises:
            ValueError: it has several codebooks, or codes that cannot be divided into so many
                tokens.
        """
        if tokenizer.rates > 1:
            raise ValueError(
                f"a generator draws sound of one codebook, and this sound tokenizer has "
                f"{tokenizer.rates}; train one with a single one"
            )
        codes = tokenizer.config.codes_per_latent
        return cls.sized(codes, tokenizer.codebook_size, tokenizer.levels_of_codes, tokens)

    @classmethod
    def sized(
        cls, codes: int, vocab_size: int, levels: tuple[int, ...], tokens: int | None = None
    ) -> SoundConfig:
        """Of a tokenizer of these sizes; see `of`."""
        if tokens is None:
            tokens = codes // AT_ONCE if codes % AT_ONCE == 0 else codes
        return cls(codes, tokens, vocab_size, tuple(levels))

    @property
    def codes_per_token(self) -> int:
        return self.codes // self.tokens
