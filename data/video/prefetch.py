"""Stages of a pipeline that overlap: what an iterator yields is made by a thread of its own, a few
items in advance.

Decoding, encoding and tensor operations release Python's lock, so reading a file, a network and
writing run at once.
"""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterable
from contextlib import closing
from queue import SimpleQueue
from typing import Any, TypeVar

Item = TypeVar("Item")
AHEAD = 2
END = object()


def prefetch(items: Iterable[Item], ahead: int = AHEAD) -> Generator[Item, None, None]:
    """Yield `items` in order; a thread makes up to `ahead` of them while the caller works on the
    one before.

    An error in the thread surfaces here, after the items that came before it. Closing this
    generator (`closing`, or an exception in a `for` loop that alone holds it) ends the thread and
    closes `items` in it before it returns.
    """
    if ahead < 1:
        raise ValueError(f"ahead must be at least 1; got {ahead}")
    ready: SimpleQueue[tuple[Any, BaseException | None]] = SimpleQueue()
    slots = threading.Semaphore(ahead)
    stopped = threading.Event()

    def work() -> None:
        try:
            with closing(_each(items)) as source:
                item: Any = None
                while item is not END and slots.acquire() and not stopped.is_set():
                    item = next(source, END)
                    ready.put((item, None))
        except BaseException as error:
            ready.put((END, error))

    thread = threading.Thread(target=work, name="prefetch", daemon=True)
    try:
        thread.start()  # in here, because Ctrl-C may come while it starts
        while True:
            item, error = ready.get()
            if error is not None:
                raise error
            if item is END:
                return
            slots.release()
            yield item
            del item  # the next one is not waited for with two in hand
    finally:
        stopped.set()
        slots.release()
        if thread.ident is not None:
            thread.join()


def _each(items: Iterable[Item]) -> Generator[Item, None, None]:
    yield from items  # which hands on `close`
