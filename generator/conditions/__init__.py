"""What a person gives to a video: one class per kind of condition, in one file each.

A new condition is a new file and one line in `CONDITIONS`. Command line, storyboard, page and HTTP
interface are derived from what the classes say of themselves, so nothing here imports torch before
it is used.
"""

from .action_vector import ActionVector
from .actions import Actions
from .base import Canvas, Condition, Features
from .init import Init
from .negative import Negative
from .regions import Regions
from .text import Text

CONDITIONS: dict[str, Condition] = {
    condition.name: condition
    for condition in (Text(), Negative(), Init(), Actions(), ActionVector(), Regions())
}
EVERY_MODEL = (Text.name, Negative.name, Init.name)
"""Conditions that need no network of their own, so that every model takes them."""

__all__ = ["CONDITIONS", "EVERY_MODEL", "Canvas", "Condition", "Features"]
