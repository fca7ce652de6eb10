"""Logs for machines: one JSON object a line, on standard error. No prompt, key or address of a
client is in them."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from typing import Any


def log(event: str, message: str | None = None, **facts: Any) -> None:
    """Write a line: when, what, and facts about it."""
    line: dict[str, Any] = {"time": round(time.time(), 3), "event": event}
    if message is not None:
        line["message"] = message
    with contextlib.suppress(OSError):  # nobody reads any more, and videos go on
        print(json.dumps(line | facts), file=sys.stderr, flush=True)
