import threading
from collections.abc import Iterator
from contextlib import closing

import pytest
from kinetoscope.data.video.prefetch import prefetch


def running() -> int:
    return sum(thread.name == "prefetch" for thread in threading.enumerate())


def test_items_keep_their_order_through_nested_stages() -> None:
    squares = prefetch(number * number for number in prefetch(range(50)))
    assert list(prefetch(squares, ahead=5)) == [number * number for number in range(50)]
    assert running() == 0


def test_items_are_made_in_advance_but_only_so_many() -> None:
    made = threading.Semaphore(0)
    count = 0

    def items() -> Iterator[int]:
        nonlocal count
        for number in range(100):
            count += 1
            made.release()
            yield number

    with closing(prefetch(items(), ahead=3)) as ahead:
        assert next(ahead) == 0
        for _ in range(4):  # the one that was taken and three in advance, while nobody asks
            assert made.acquire(timeout=5)
        assert not made.acquire(timeout=0.05)
    assert count == 4 and running() == 0
    with pytest.raises(ValueError, match="ahead must be at least 1; got 0"):
        next(prefetch([1], ahead=0))


def test_an_error_comes_after_the_items_before_it() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise OSError("the disk is gone")

    stage = prefetch(number + 1 for number in prefetch(items()))
    assert next(stage) == 2
    with pytest.raises(OSError, match="the disk is gone"):
        next(stage)
    assert running() == 0


def test_closing_ends_the_thread_and_what_it_reads() -> None:
    closed = []

    def items() -> Iterator[int]:
        try:
            while True:
                yield 1
        finally:
            closed.append(threading.current_thread().name)

    with closing(prefetch(items())) as stage:
        next(stage)
    assert closed == ["prefetch"] and running() == 0
