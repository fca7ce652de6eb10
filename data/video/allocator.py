"""How the memory of freed tensors goes back to the system."""

import contextlib
import ctypes
import sys

MMAP_THRESHOLD = -3  # M_MMAP_THRESHOLD of malloc.h
LARGE = 4 << 20  # bytes: maps of a whole picture are larger, those of a tile are not


def return_large_buffers() -> None:
    """From now on the memory of a large tensor goes back to the system as soon as the tensor is
    freed.

    glibc would do so at first. But with each such buffer that is freed (up to 32 MB) it decides to
    carve more of the later ones out of heaps that every thread has of its own, and there they leave
    holes that no other thread can use: between a quarter and a third of the peak of a large video.
    With another C library nothing happens.
    """
    if sys.platform == "linux":
        with contextlib.suppress(AttributeError):
            ctypes.CDLL(None).mallopt(MMAP_THRESHOLD, LARGE)
