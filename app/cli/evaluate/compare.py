"""`kinetoscope evaluate compare`."""

from __future__ import annotations


def compare(first: str, second: str) -> int:
    """Say why the numbers of two results differ.

    Args:
        first: a file that --json of `kinetoscope evaluate videos` or `evaluate generator` wrote.
        second: another one.
    """
    from ....evaluation.compare import compare_results, read_result

    print("\n".join(compare_results(read_result(first), read_result(second))))
    return 0
