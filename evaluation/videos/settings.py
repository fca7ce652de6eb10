"""What is compared with what, and how."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ...data.datasets.wanted import Wanted
from ..metrics import METRICS
from ..protocols import Protocol
from .halves import HALVES

ROLES = sorted({metric.role for metric in METRICS.values() if metric.role})
ENGINES = ("local", "ray")


@dataclass(frozen=True)
class Settings:
    """What is compared with what, and how; `wanted` says which videos of the reference count, and
    `generated_wanted` which of the generated set.

    `networks` maps a role ("video", "picture", "classifier", "clip", "lpips", "sound") to a
    network's name, see `evaluation.features`. What stands below `halves` never changes a number.
    """

    reference: str
    generated: str
    metrics: Sequence[str]
    protocol: Protocol = field(default_factory=Protocol)
    networks: Mapping[str, str] = field(default_factory=dict)
    wanted: Wanted = field(default_factory=Wanted)
    generated_wanted: Wanted = field(default_factory=Wanted)
    halves: int = HALVES
    batch: int = 8
    workers: int = 2
    cache: str | None = None
    device: str = "cpu"
    engine: str = "local"


def check(settings: Settings) -> None:
    for name in settings.metrics:
        if name not in METRICS:
            raise ValueError(f"unknown metric {name!r}; there are {', '.join(METRICS)}")
    if not settings.metrics:
        raise ValueError(f"no metric is asked for; there are {', '.join(METRICS)}")
    for role in settings.networks:
        if role not in ROLES:
            raise ValueError(f"unknown role {role!r} of a network; there are {', '.join(ROLES)}")
    for name in ("batch", "workers"):
        if getattr(settings, name) < 1:
            raise ValueError(f"{name} must be at least 1; got {getattr(settings, name)}")
    if settings.halves < 0:
        raise ValueError(f"halves must be at least 0; got {settings.halves}")
    if settings.engine not in ENGINES:
        raise ValueError(f"engine must be one of {', '.join(ENGINES)}; got {settings.engine!r}")
