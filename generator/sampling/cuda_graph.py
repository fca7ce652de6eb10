"""Work on tensors that stay where they are, recorded once and replayed: a GPU gets a whole
forward in one call."""

from collections.abc import Callable

import torch

Work = Callable[[], None]
Capture = Callable[[Work], Work]


def cuda_graph(work: Work) -> Work:
    """Capture `work`, which has run before and is not run now, as a CUDA graph; returns what
    replays it.

    It must wait for nothing, and read and write the same tensors, of the same shapes, each time.
    """
    graph = torch.cuda.CUDAGraph()
    # other threads may go on using the device
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        work()
    return graph.replay


def graph_capture(device: torch.device) -> Capture | None:
    """How to record on a device; None where it does not pay."""
    return cuda_graph if device.type == "cuda" else None
