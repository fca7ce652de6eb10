"""What a server is started with."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from ...pretrained import DEFAULT_MODEL
from ..provenance.options import Disclosure, Rules
from .store.queue import QueueLimits
from .webhooks.receiver import Webhook

BATCH = 8  # videos that a worker draws at a time


@dataclass(frozen=True)
class ServeSettings:
    """Set by the operator, never by a request.

    Args:
        model, adapter, dtype, quantize, device: as of `kinetoscope sample`.
        folder: where the queue, uploads and finished videos lie.
        workers: processes that draw, each with a model of its own; 0 for one per core, or one on a
            GPU.
        batch: videos that a worker draws at a time.
        max_frames: longest video that may be asked for.
        max_upload: bytes that a request may have.
        upload_time: seconds in which a request must have arrived, and an upload be decoded.
        upload_memory: bytes that decoding an upload may take.
        max_live: live connections at a time.
        grace: seconds that running videos have when the server ends; what is not done by then goes
            back into the queue.
        limits: of the queue.
        disclosure: what the videos say of where they came from.
        rules: who is asked before anything is drawn.
        webhook: who is told when a video has ended; None for nobody.
    """

    folder: str
    model: str = DEFAULT_MODEL
    adapter: str | None = None
    dtype: str = "float32"
    quantize: str | None = None
    device: str | None = None
    workers: int = 0
    batch: int = BATCH
    max_frames: int = 1200
    max_upload: int = 64 * 10**6
    upload_time: float = 60.0
    upload_memory: int = 2 * 10**9
    max_live: int = 4
    grace: float = 30.0
    limits: QueueLimits = field(default_factory=QueueLimits)
    disclosure: Disclosure = field(default_factory=Disclosure)
    rules: Rules = field(default_factory=Rules)
    webhook: Webhook | None = None

    def worker_count(self) -> int:
        """Processes that draw: one for each core, with one thread, so that none waits for another
        one's threads; a GPU wants one large batch. `benchmarks/serving.py` compares plans."""
        if self.workers:
            return self.workers
        from ...generator.devices import choose_device

        is_cpu = choose_device(self.device).type == "cpu"
        return len(os.sched_getaffinity(0)) if is_cpu else 1
