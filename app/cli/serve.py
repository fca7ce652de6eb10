"""`kinetoscope serve`."""

from __future__ import annotations

import os
from typing import Literal

from ..provenance.options import Disclosure, Rules
from ..wanted_model import wanted_model
from .options import Precision, at_least_one


def serve(
    *,
    model: str | None = None,
    adapter: str | None = None,
    folder: str = "outputs/serve",
    host: str = "127.0.0.1",
    port: int = 8000,
    workers: int | None = None,
    batch: int = 8,
    max_frames: int = 1200,
    disk: float = 10.0,
    keep: float = 168.0,
    grace: float = 30.0,
    webhook: str | None = None,
    new_key: str | None = None,
    dtype: Precision = "float32",
    quantize: Literal["none", "int8"] = "none",
    device: str | None = None,
    ray: bool = False,
    disclosure: Disclosure = Disclosure(),
    rules: Rules = Rules(),
) -> int:
    """Make videos for programs that ask over HTTP, as OpenAI's clients do.

    Videos that have been accepted wait in a file and survive a kill. /docs of the server explains
    all that can be asked for. On another address than the loopback one a key is needed, which
    --new-key makes.

    Args:
        model: a shipped model, a folder, or a hub id; by default that of the adapter, and
            stage-256 without one.
        adapter: a folder of low-rank adapters of the model.
        folder: where queue, uploads and finished videos lie.
        host: the address to listen on.
        port: the port to listen on; 0 for a free one.
        workers: processes that draw; by default one per core, or one on a GPU.
        batch: videos that a worker draws at a time.
        max_frames: longest video that may be asked for.
        disk: gigabytes that finished videos may take; then nothing more is accepted.
        keep: hours for which a finished video is kept.
        grace: seconds that running videos have when the server is told to end; what is not done by
            then waits for the next start.
        webhook: an address that is told when a video has ended, with messages that the secret in
            the environment variable KINETOSCOPE_WEBHOOK_SECRET signs.
        new_key: make a key for a client of this name, print it, and end.
        dtype: float32, or bfloat16, which takes half the memory and gives another video, about as
            good.
        quantize: none, or int8 to hold the model in eight bits per weight.
        device: such as cpu or cuda; by default a GPU if there is one.
        ray: have the workers on the machines of a Ray cluster, which the environment variable
            RAY_ADDRESS names, or else kept by Ray on this one.
        disclosure: what the videos say about where they came from.
        rules: who is asked before anything is drawn.
    """
    at_least_one({"workers": workers, "batch": batch, "max-frames": max_frames})
    for name, value in {"disk": disk, "keep": keep}.items():
        if value <= 0:
            raise ValueError(f"--{name} must be above 0; got {value:g}")
    if not 0 <= port <= 65535:
        raise ValueError(f"--port must be 0 to 65535; got {port}")
    disclosure.check()
    try:
        from ..serve.main import make_key, run_server
        from ..serve.settings import ServeSettings
        from ..serve.store.queue import QueueLimits
        from ..serve.webhooks.receiver import SECRET, Webhook
    except ModuleNotFoundError as error:
        raise ValueError(
            f"kinetoscope serve needs '{error.name}'; install it with: "
            "pip install 'kinetoscope[serve]'"
        ) from error

    settings = ServeSettings(
        folder,
        wanted_model(model, adapter),
        adapter,
        dtype,
        None if quantize == "none" else quantize,
        device,
        workers or 0,
        batch,
        max_frames,
        grace=grace,
        limits=QueueLimits(keep=keep * 3600, disk=int(disk * 10**9)),
        disclosure=disclosure,
        rules=rules,
        webhook=None if webhook is None else Webhook(webhook, os.environ.get(SECRET, "")),
    )
    if new_key is not None:
        print(make_key(folder, new_key))
        return 0
    if ray:
        try:
            from ..serve.cluster.main import run_on_ray
        except ModuleNotFoundError as error:
            raise ValueError(
                f"kinetoscope serve --ray needs '{error.name}'; install it with: "
                "pip install 'kinetoscope[serve,ray]'"
            ) from error
        return run_on_ray(settings, host, port)
    return run_server(settings, host, port)
