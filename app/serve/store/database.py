"""The SQLite file of a server: its tables, and connections to it.

The journal is a write-ahead log that is flushed at every commit, so what a commit has taken
survives a killed process and a power cut.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

NAME = "queue.sqlite"
PATIENCE = 30.0  # seconds to wait for another writer
SCHEMA = """
CREATE TABLE IF NOT EXISTS videos (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    owner TEXT NOT NULL,
    status TEXT NOT NULL,
    priority INTEGER NOT NULL,
    request TEXT NOT NULL,
    frames INTEGER NOT NULL,
    frames_done INTEGER NOT NULL DEFAULT 0,
    attempts INTEGER NOT NULL DEFAULT 0,
    worker TEXT,
    lease REAL,
    error_code TEXT,
    error_message TEXT,
    created_at REAL NOT NULL,
    started_at REAL,
    completed_at REAL,
    expires_at REAL NOT NULL,
    bytes INTEGER NOT NULL DEFAULT 0,
    retry_key TEXT,
    UNIQUE (owner, retry_key)
);
CREATE INDEX IF NOT EXISTS waiting ON videos (status, priority DESC, number);
CREATE INDEX IF NOT EXISTS owned ON videos (owner, number);
CREATE TABLE IF NOT EXISTS events (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    video_id TEXT NOT NULL,
    created_at REAL NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    next_at REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS keys (
    name TEXT PRIMARY KEY,
    hash TEXT NOT NULL UNIQUE,
    max_active INTEGER NOT NULL,
    per_minute INTEGER NOT NULL,
    max_priority INTEGER NOT NULL,
    created_at REAL NOT NULL
);
"""


class Database:
    """Connections to the file in a folder, one per thread.

    Raises:
        OSError: the folder cannot be made.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.path = Path(folder) / NAME
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._local = threading.local()
        with self.write() as connection:
            for statement in SCHEMA.split(";"):
                connection.execute(statement)

    @property
    def connection(self) -> sqlite3.Connection:
        """This thread's; statements outside `write` are committed one by one."""
        found: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if found is None:
            found = sqlite3.connect(self.path, timeout=PATIENCE, isolation_level=None)
            found.row_factory = sqlite3.Row
            found.execute("PRAGMA journal_mode=WAL")
            found.execute("PRAGMA synchronous=FULL")
            self._local.connection = found
        return found

    @contextlib.contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """One transaction: all that the block does becomes true at its end, or nothing of it."""
        connection = self.connection
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")
