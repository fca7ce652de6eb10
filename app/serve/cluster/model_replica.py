"""What runs on the other machines: a model, and a worker for whoever asks for it."""

from __future__ import annotations

import asyncio
import os
import tempfile
import threading
from dataclasses import replace
from pathlib import Path

import torch

from ..settings import ServeSettings
from ..workers.worker import Worker, load_generator
from .line import Address, call_back
from .remote_jobs import Line, RemoteJobs


class ModelReplica:
    """A model that works for one seat of the server at a time."""

    def __init__(self, settings: ServeSettings) -> None:
        self.settings = settings
        self._loaded = load_generator(settings)
        self._one_at_a_time = threading.Lock()

    async def work(self, name: str, address: Address, word: bytes) -> None:
        """Draw what the server at this address wants, until it ends the line."""
        await asyncio.to_thread(self._work, name, address, word)

    def _work(self, name: str, address: Address, word: bytes) -> None:
        torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))  # set by Ray
        with (
            self._one_at_a_time,
            tempfile.TemporaryDirectory(prefix="kinetoscope-") as folder,
            call_back(address, word) as pipe,
        ):
            pipe.send(os.getpid())
            line = Line(pipe)
            settings = replace(self.settings, folder=folder)
            jobs = RemoteJobs(line, Path(folder))
            try:
                Worker(settings, name, line, jobs, self._loaded).run()
            except (EOFError, ConnectionError):
                return  # the server is gone, and the next one will ask again
