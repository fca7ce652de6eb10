"""A mark in the pixels of generated video that says that a model made it."""

from .detect import Detector, Verdict, detect
from .embed import Mark, MarkState, apply
from .owner import Owner

__all__ = ["Detector", "Mark", "MarkState", "Owner", "Verdict", "apply", "detect"]
