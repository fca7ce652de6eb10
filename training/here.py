"""Where a program runs: its current folder, and what its terminal can show."""

from __future__ import annotations

import io
import os
import sys


def check_here() -> None:
    """ValueError if the current folder is gone: libraries that look for it end the process."""
    try:
        os.getcwd()
    except OSError:
        raise ValueError("the current folder does not exist any more; change to another") from None


def print_any_name() -> None:
    """Let names of files be printed that are no UTF-8, or that the terminal cannot show."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
