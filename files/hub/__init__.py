"""Models on the Hugging Face hub: their card, and how they get there."""

from .on_hub import OnHub

__all__ = ["OnHub"]
