"""`kinetoscope serve --ray`: on the cluster that RAY_ADDRESS names, or on one of this machine."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import threading
from dataclasses import replace

import ray
from ray import serve

from ..guards import LOOPBACK
from ..settings import ServeSettings
from ..store.database import Database
from ..store.keys import Keys
from .application import NAME, application

OBJECTS = 100 * 2**20  # bytes of Ray's store of objects, in which nothing of ours lies


def run_on_ray(settings: ServeSettings, host: str, port: int) -> int:
    """Serve until a signal ends it; returns the exit status.

    Raises:
        ValueError: others could use it without a key, or the cluster is too small.
    """
    is_loopback = host in ("127.0.0.1", "::1", "localhost")
    folder = os.path.abspath(settings.folder)
    if not is_loopback and not Keys(Database(folder)).exist():
        raise ValueError(
            f"anybody who reaches {host} could use this server; make a key first, with --new-key "
            "NAME"
        )
    is_own = "RAY_ADDRESS" not in os.environ
    _join_cluster(settings, is_own)
    try:
        (device, workers) = _shares(settings)
        settings = replace(
            settings,
            folder=folder,
            model=_absolute(settings.model),
            adapter=settings.adapter and _absolute(settings.adapter),
            device=device,
            workers=workers,
        )
        port = port or _free_port(host)
        serve.start(proxy_location="HeadOnly", http_options={"host": host, "port": port})
        # the queue stays on the machine on which this was called
        here = f"node:{ray.util.get_node_ip_address()}"
        app = application(settings, LOOPBACK if is_loopback else None, here)
        serve.run(app, name=NAME, route_prefix="/", blocking=False)
        ending = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):  # Ray has set handlers of its own
            signal.signal(number, lambda *_: ending.set())
        shown = f"[{host}]" if ":" in host else host
        print(f"http://{shown}:{port}/v1 (docs: /docs)", file=sys.stderr, flush=True)
        ending.wait()
        serve.delete(NAME)
        if is_own:
            serve.shutdown()
    finally:
        ray.shutdown()
    return 0


def _join_cluster(settings: ServeSettings, is_own: bool) -> None:
    if not is_own:
        ray.init(logging_level=logging.WARNING)
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it tells nobody
    # processes of Ray start slowly on a machine that is busy
    os.environ.setdefault("RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S", "120")
    os.environ.setdefault("RAY_SERVE_PROXY_HEALTH_CHECK_TIMEOUT_S", "60")
    ray.init(
        address="local",
        num_cpus=max(settings.workers, len(os.sched_getaffinity(0))),
        include_dashboard=False,
        object_store_memory=OBJECTS,
        logging_level=logging.WARNING,
    )


def _absolute(name: str) -> str:
    """A folder as every process finds it; other names stay as they are."""
    return os.path.abspath(name) if os.path.isdir(name) else name


def _shares(settings: ServeSettings) -> tuple[str | None, int]:
    """Device and number of the replicas: one for each GPU of the cluster, or for each core."""
    there = ray.cluster_resources()
    device = settings.device
    if device is None and there.get("GPU", 0) >= 1:
        device = "cuda"
    kind = "GPU" if (device or "").startswith("cuda") else "CPU"
    found = int(there.get(kind, 0))
    if found < max(1, settings.workers):
        raise ValueError(
            f"--workers {max(1, settings.workers)} needs as many {kind}s in the cluster, and it "
            f"has {found}"
        )
    return device, settings.workers or found


def _free_port(host: str) -> int:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as found:
        return int(found.getsockname()[1])
