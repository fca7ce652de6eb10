"""Stops a run whose codes have collapsed."""

from __future__ import annotations

from ...training.finite_loss import ADVICE
from ..metrics import CodeUsage


def check_usage(usage: CodeUsage, least: float = 1.5) -> None:
    """ValueError if the codes counted are nearly always the same one (perplexity below `least`)."""
    seen = int(usage.counts.sum())
    if seen and usage.perplexity < least:
        raise ValueError(
            f"the codebook has collapsed: {seen} tokens used {usage.used} of {len(usage.counts)} "
            f"codes (perplexity {usage.perplexity:.2f}), so training has stopped; {ADVICE}, or "
            "check that the videos show anything"
        )
