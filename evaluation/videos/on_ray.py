"""Features made by the machines of a Ray cluster, which all see the data and the store's folder."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .settings import Settings

Share = Callable[[Settings, int, int], Any]


def fill_on_ray(settings: Settings, fill_share: Share, ranks: int | None = None) -> None:
    """Let every CPU (or GPU) of the cluster make a share of the missing rows.

    Args:
        fill_share: makes the rows of share `rank` of `ranks`.
        ranks: how many shares; as many as the cluster has processors if not given.

    Raises:
        ValueError: Ray is not installed.
    """
    try:
        import ray
    except ImportError:
        raise ValueError(
            "--engine ray needs Ray; install it with pip install 'kinetoscope[ray]'"
        ) from None
    if not ray.is_initialized():
        ray.init(include_dashboard=False, log_to_driver=False)
    gpus = 1 if settings.device.startswith("cuda") else 0
    there = ray.cluster_resources().get("GPU" if gpus else "CPU", 1)
    count = ranks or max(1, int(there))
    task = ray.remote(num_cpus=1, num_gpus=gpus)(fill_share)
    ray.get([task.remote(settings, rank, count) for rank in range(count)])
