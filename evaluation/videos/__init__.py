"""Two sets of videos, whoever made them, compared as papers do: `kinetoscope evaluate videos`."""

from .compare_sets import evaluate_sets, make_metrics
from .result import format_result
from .settings import ROLES, Settings

__all__ = ["ROLES", "Settings", "evaluate_sets", "format_result", "make_metrics"]
