"""Rows that networks made of clips, kept on disk by the content of what they were made of.

A second run finds them there, a run that was killed goes on where it stopped, and several processes
fill one store together. Rows are float32 arrays of any shape.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

FILE = "features.sqlite"
WAIT = 120.0  # seconds until another process has written
READ_BYTES = 1 << 20
BLOCK_BYTES = 4 << 20  # of rows that are in memory at once
TABLES = """
CREATE TABLE IF NOT EXISTS rows (key TEXT PRIMARY KEY, shape TEXT, data BLOB) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS files (path TEXT PRIMARY KEY, mark TEXT, facts TEXT) WITHOUT ROWID;
"""


def default_folder() -> Path:
    """Where features are kept if nobody says where: the user's cache folder."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "kinetoscope" / "features"


def digest(*parts: object) -> str:
    """A name for what was made of these parts."""
    return hashlib.sha256("\0".join(map(str, parts)).encode(errors="surrogateescape")).hexdigest()[
        :32
    ]


def file_sha256(path: Path, begin: int = 0, size: int | None = None) -> str:
    """SHA-256 of a file, or of `size` bytes of it from `begin` on."""
    total = hashlib.sha256()
    left = size
    with open(path, "rb") as file:
        file.seek(begin)
        while left is None or left > 0:
            part = file.read(READ_BYTES if left is None else min(READ_BYTES, left))
            if not part:
                break
            total.update(part)
            left = None if left is None else left - len(part)
    return total.hexdigest()


class FeatureStore:
    """One SQLite file in `folder`, which is made if needed. Close it, or use it as a context."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            # another thread decodes and asks for facts of files
            self._base = sqlite3.connect(
                self.folder / FILE, timeout=WAIT, check_same_thread=False, isolation_level=None
            )
            self._base.execute("PRAGMA journal_mode=WAL")
            self._base.execute("PRAGMA synchronous=NORMAL")
            self._base.executescript(TABLES)
        except (OSError, sqlite3.Error) as error:
            raise ValueError(
                f"features cannot be kept in '{folder}' ({error}); name another folder"
            ) from None

    def __enter__(self) -> FeatureStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._base.close()

    def has(self, keys: Sequence[str]) -> set[str]:
        """Those of the keys whose rows are there."""
        found: set[str] = set()
        for begin in range(0, len(keys), 500):
            part = list(keys[begin : begin + 500])
            marks = ",".join("?" * len(part))
            query = f"SELECT key FROM rows WHERE key IN ({marks})"
            found.update(key for (key,) in self._base.execute(query, part))
        return found

    def put(self, rows: Iterable[tuple[str, Tensor]]) -> None:
        """Keep rows; all of them are there, or none if the process is killed meanwhile."""
        values = []
        for key, row in rows:
            array = row.detach().to("cpu", torch.float32).contiguous().numpy()
            shape = ",".join(map(str, array.shape))
            values.append((key, shape, array.tobytes()))
        with closing(self._base.cursor()) as cursor:
            cursor.execute("BEGIN IMMEDIATE")
            cursor.executemany("INSERT OR REPLACE INTO rows VALUES (?, ?, ?)", values)
            cursor.execute("COMMIT")

    def get(self, key: str) -> NDArray[np.float32]:
        """The row of a key. KeyError if it is not there."""
        found = self._base.execute("SELECT shape, data FROM rows WHERE key = ?", [key]).fetchone()
        if found is None:
            raise KeyError(key)
        shape = [int(side) for side in found[0].split(",") if side]
        return np.frombuffer(found[1], dtype=np.float32).reshape(shape)

    def facts(self, path: Path, part: str = "") -> str | None:
        """What was remembered of a file, unless its size or time has changed since."""
        query = "SELECT mark, facts FROM files WHERE path = ?"
        found = self._base.execute(query, [_place(path, part)]).fetchone()
        return found[1] if found is not None and found[0] == _mark(path) else None

    def remember(self, path: Path, facts: str, part: str = "") -> None:
        """Remember something of a file; see `facts`."""
        values = [_place(path, part), _mark(path), facts]
        self._base.execute("INSERT OR REPLACE INTO files VALUES (?, ?, ?)", values)


def _place(path: Path, part: str) -> str:
    return f"{path.resolve()}\0{part}"


def _mark(path: Path) -> str:
    status = path.stat()
    return f"{status.st_size} {status.st_mtime_ns}"


@dataclass(frozen=True)
class Rows:
    """N rows of one shape in a file outside memory, or a choice among them."""

    array: NDArray[np.float32]  # mapped, [N, ...]
    chosen: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.chosen)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one row."""
        return self.array.shape[1:]

    def take(self, places: Sequence[int] | NDArray[Any]) -> Rows:
        """Rows at these places, in this order."""
        return Rows(self.array, self.chosen[np.asarray(places, dtype=np.int64)])

    @property
    def flat_count(self) -> int:
        """How many rows `[D]` there are, where a row `[F, D]` holds F."""
        return len(self) * int(np.prod(self.shape[:-1], dtype=np.int64))

    def flat(self, places: Tensor) -> Tensor:
        """Some of the rows `[D]` that `flat_count` counts, float64 `[n, D]`."""
        each = self.flat_count // max(1, len(self))
        row, inside = np.divmod(places.numpy(), each)
        flat = self.array.reshape(len(self.array), each, self.shape[-1])
        return torch.from_numpy(np.asarray(flat[self.chosen[row], inside], dtype=np.float64))

    def blocks(self) -> Iterator[Tensor]:
        """All rows in order, float64, a few at a time."""
        size = max(1, int(np.prod(self.shape, dtype=np.int64)) * 8)
        count = max(1, BLOCK_BYTES // size)
        for begin in range(0, len(self), count):
            places = self.chosen[begin : begin + count]
            yield torch.from_numpy(np.asarray(self.array[places], dtype=np.float64))

    def all(self) -> Tensor:
        """All rows, float64, in memory."""
        parts = list(self.blocks())
        return torch.cat(parts) if parts else torch.zeros(0, *self.shape, dtype=torch.float64)


def rows_of(array: NDArray[Any] | Tensor) -> Rows:
    """Rows that are in memory."""
    values = np.asarray(array, dtype=np.float32)
    return Rows(values, np.arange(len(values)))


def collect(store: FeatureStore, keys: Sequence[str], scratch: Path) -> Rows:
    """The rows of these keys in one mapped file in `scratch`; KeyError if one is missing.

    Raises ValueError if their shapes differ: the network returned features of several sizes.
    """
    if not keys:
        return rows_of(np.zeros((0, 1), np.float32))
    first = store.get(keys[0])
    handle, name = tempfile.mkstemp(suffix=".rows", dir=scratch)
    os.close(handle)
    array = np.memmap(name, np.float32, "w+", shape=(len(keys), *first.shape))
    for place, key in enumerate(keys):
        row = store.get(key)
        if row.shape != first.shape:
            raise ValueError(
                f"the network returned features of {list(first.shape)} and of {list(row.shape)}; "
                "give clips of one size (--size) to a network that keeps their size"
            )
        array[place] = row
    return Rows(array, np.arange(len(keys)))
