"""Rendered clips as a dataset that never ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from torch.utils.data import IterableDataset, get_worker_info


class RenderedClips(IterableDataset[dict[str, Any]]):
    """Yields whole batches {"video", "foreground", "caption"}, for DataLoader(batch_size=None).

    Args:
        render: what the scenes of some seeds look like, with these keys and others.
        batches: how many before it ends; batch i holds the seeds first_seed + i * batch_size and
            up, so a resumed run can go on with `start_batch`.

    Raises:
        ValueError: batches or batch_size below 1.
    """

    def __init__(
        self,
        render: Callable[[range], dict[str, Any]],
        batches: int,
        batch_size: int,
        first_seed: int = 0,
        start_batch: int = 0,
    ) -> None:
        super().__init__()
        if batches < 1 or batch_size < 1:
            raise ValueError(
                f"batches and batch_size must be at least 1; got {batches} and {batch_size}"
            )
        self.render = render
        self.batches = batches
        self.batch_size = batch_size
        self.first_seed = first_seed
        self.start_batch = start_batch

    def __len__(self) -> int:
        return self.batches

    def __iter__(self) -> Iterator[dict[str, Any]]:
        worker = get_worker_info()
        offset, step = (worker.id, worker.num_workers) if worker else (0, 1)
        for index in range(self.start_batch + offset, self.start_batch + self.batches, step):
            begin = self.first_seed + index * self.batch_size
            batch = self.render(range(begin, begin + self.batch_size))
            yield {key: batch[key] for key in ("video", "foreground", "caption")}
