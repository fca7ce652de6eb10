"""Keys of clients. Only their hashes are kept.

A key is 256 random bits, so a plain hash of it cannot be turned back, and is found by an index.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import sqlite3
import threading
import time
from collections import deque
from dataclasses import dataclass

from ..errors import ApiError
from .database import Database

ANYBODY = "anybody"  # who asks where there are no keys
MINUTE = 60.0


@dataclass(frozen=True)
class Client:
    """Who asks, and what they may.

    Args:
        max_active: videos that wait or are drawn at a time.
        per_minute: requests that make a video, in a minute.
        max_priority: highest priority that they may ask for.
    """

    name: str = ANYBODY
    max_active: int = 100
    per_minute: int = 600
    max_priority: int = 0


class Keys:
    """The clients of a server.

    Args:
        needed: nobody may ask before there is a key.
    """

    def __init__(self, database: Database, needed: bool = False) -> None:
        self.database = database
        self.needed = needed
        self._lock = threading.Lock()
        self._asked: dict[str, deque[float]] = {}

    def make(self, client: Client) -> str:
        """Admit a client; the key, which nobody can read again.

        Raises:
            ValueError: a name that is taken or is no name.
        """
        if not re.fullmatch(r"[\w.-]{1,64}", client.name) or client.name == ANYBODY:
            raise ValueError(
                "the name of a key must be 1 to 64 letters, digits, dots or dashes; got "
                f"'{client.name}'"
            )
        key = f"ks_{secrets.token_urlsafe(32)}"
        limits = (client.max_active, client.per_minute, client.max_priority)
        try:
            with self.database.write() as connection:
                connection.execute(
                    "INSERT INTO keys VALUES (?, ?, ?, ?, ?, ?)",
                    (client.name, _hash(key), *limits, time.time()),
                )
        except sqlite3.IntegrityError:
            raise ValueError(f"there is a key named '{client.name}'; give another name") from None
        return key

    def exist(self) -> bool:
        return self.database.connection.execute("SELECT 1 FROM keys").fetchone() is not None

    def client(self, authorization: str | None) -> Client:
        """Who sends this header.

        Raises:
            ApiError: 401.
        """
        if not self.exist():
            if self.needed:
                message = "there is no key yet; kinetoscope serve --new-key NAME makes one"
                raise ApiError(401, message, code="missing_api_key")
            return Client()
        (kind, _, key) = (authorization or "").partition(" ")
        if kind.lower() != "bearer" or not key:
            message = "send your key as 'Authorization: Bearer KEY'"
            raise ApiError(401, message, code="missing_api_key")
        words = "SELECT name, max_active, per_minute, max_priority FROM keys WHERE hash = ?"
        found = self.database.connection.execute(words, (_hash(key.strip()),)).fetchone()
        if found is None:
            raise ApiError(401, "this key is not known here", code="invalid_api_key")
        return Client(*found)

    def count(self, client: Client) -> None:
        """Note that a client asks for a video.

        Raises:
            ApiError: 429, when it was too often in the last minute.
        """
        now = time.monotonic()
        with self._lock:
            times = self._asked.setdefault(client.name, deque())
            while times and times[0] <= now - MINUTE:
                times.popleft()
            if len(times) >= client.per_minute:
                wait = int(times[0] + MINUTE - now) + 1
                message = f"at most {client.per_minute} videos may be asked for in a minute"
                raise ApiError(429, message, code="rate_limit_exceeded", retry_after=wait)
            times.append(now)


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
