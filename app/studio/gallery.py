"""Everything that was made, as a folder: each video beside what it was made from.

    20261129-211503-a-red-ball-7-3f2a.mp4            the video
    20261129-211503-a-red-ball-7-3f2a.json           sentence, seed, model, conditions, …
    20261129-211503-a-red-ball-7-3f2a.jpg            one frame of it
    20261129-211503-a-red-ball-7-3f2a.safetensors    its codes, to go on from
    given/9f86d0….png                                what was given, by the SHA-256 of its content
    shots/9f86d0….safetensors                        what was drawn for the storyboard, by its hash
    storyboard.json                                  the storyboard of the page
    studio.json                                      how much of the disk it may take

A video that is deleted is marked in its JSON and goes when room is needed or the studio ends.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import secrets
import shutil
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, get_args

from ...files.atomic import whole_file, write_whole
from ...files.errors import UnreadableFile
from ...files.json_file import read_object, to_json

ID = re.compile(r"\d{8}-\d{6}(\d{6})?-[a-z0-9-]{1,80}")  # the first ones end with seconds
GIVEN = re.compile(r"[0-9a-f]{64}(\.[a-z0-9]{1,8})?")
ENDINGS = (".mp4", ".jpg", ".safetensors", ".json")  # the JSON last: a video is there with it
SETTINGS = "studio.json"
STORYBOARD = "storyboard.json"
FOLDER_GIVEN = "given"
FOLDER_SHOTS = "shots"
FOUND = re.compile(r"[0-9a-f]{64}(?:\.[a-z0-9]{1,8})?")  # names of given files in JSON
GIGABYTE = 10**9
MOST_UPLOADED = 512 * 10**6  # bytes of one file
YOUNG = 3600.0  # seconds in which an uploaded file may still be asked for

WhenFull = Literal["stop", "remove_oldest"]


@dataclass(frozen=True)
class DiskRule:
    """How much of the disk the gallery may take, and what happens when it is full: nothing more
    is made, or the oldest videos go."""

    limit_gb: float = 5.0
    when_full: WhenFull = "stop"

    def __post_init__(self) -> None:
        if isinstance(self.limit_gb, bool) or not isinstance(self.limit_gb, int | float):
            raise ValueError(f"limit_gb must be a number; got {self.limit_gb!r}")
        if not 0 < self.limit_gb < 1e6:
            raise ValueError(f"limit_gb must be above 0 and below 1000000; got {self.limit_gb}")
        if self.when_full not in get_args(WhenFull):
            raise ValueError(
                f"when_full must be {' or '.join(get_args(WhenFull))}; got {self.when_full!r}"
            )


class Gallery:
    """A folder of videos; it may be empty or not there yet.

    Args:
        folder: where they are. Whatever else lies in it is left alone.
        rule: how much it may take, unless the folder itself says so.
    """

    def __init__(self, folder: Path, rule: DiskRule = DiskRule()) -> None:
        self.folder = folder
        self.rule = rule
        self.damaged: list[str] = []  # names of records that cannot be read
        self._records: dict[str, tuple[int, dict[str, Any]]] = {}  # by id: time of the file, record
        self._lock = threading.RLock()
        if (folder / SETTINGS).exists():
            settings = read_object(folder / SETTINGS)
            try:
                self.rule = DiskRule(**settings)
            except TypeError as error:
                raise UnreadableFile(f"'{folder / SETTINGS}' is no rule of this studio") from error

    # ---- videos ----

    def new_id(self, prompt: str, seed: int) -> str:
        """A name for a video that is about to be made; names in order of time, to the microsecond,
        since several may be made within a second."""
        slug = re.sub(r"[^a-z0-9]+", "-", prompt.lower())[:40].strip("-") or "video"
        return f"{datetime.now():%Y%m%d-%H%M%S%f}-{slug}-{seed}-{secrets.token_hex(2)}"

    def path(self, video: str, ending: str = ".mp4") -> Path:
        """Where a part of a video is or will be; ValueError for a name that is none of ours."""
        if not ID.fullmatch(video) or ending not in ENDINGS:
            raise ValueError(f"there is no video '{video[:100]}' in the gallery")
        return self.folder / f"{video}{ending}"

    def add(self, record: Mapping[str, Any], picture: bytes) -> None:
        """The record of a video whose file is there, and one frame of it as a JPEG."""
        video = str(record["id"])
        write_whole(self.path(video, ".jpg"), picture)
        self._write(record)

    def record(self, video: str) -> dict[str, Any]:
        """What a video was made from; ValueError if there is none of this name."""
        with self._lock:
            path = self.path(video, ".json")
            if not path.exists():
                raise ValueError(f"there is no video '{video}' in the gallery")
            return self._read(path)

    def videos(self, search: str = "", deleted: bool = False) -> list[dict[str, Any]]:
        """Records, the newest first.

        Args:
            search: words that all must occur in sentence, model, adapter, seed or name.
            deleted: those that are deleted, in place of those that are not.
        """
        words = search.lower().split()
        return [
            record
            for record in self._all()
            if bool(record.get("deleted")) == deleted and all(w in _told(record) for w in words)
        ]

    def delete(self, video: str) -> None:
        """Take a video out of the gallery; `restore` brings it back until room is needed."""
        self._write({**self.record(video), "deleted": time.time()})

    def restore(self, video: str) -> None:
        record = self.record(video)
        record.pop("deleted", None)
        self._write(record)

    def _all(self) -> Iterator[dict[str, Any]]:
        with self._lock:
            found = sorted(self.folder.glob("*.json"), reverse=True) if self._exists() else []
            self.damaged = []
            records = []
            for path in found:
                if ID.fullmatch(path.stem):
                    try:
                        records.append(self._read(path))
                    except UnreadableFile:
                        self.damaged.append(path.name)
        yield from records

    def _exists(self) -> bool:
        return self.folder.is_dir()

    def _read(self, path: Path) -> dict[str, Any]:
        changed = path.stat().st_mtime_ns
        known = self._records.get(path.stem)
        if known is None or known[0] != changed:
            record = read_object(path)
            if record.get("id") != path.stem or not isinstance(record.get("settings"), dict):
                raise UnreadableFile(f"'{path}' is no record of a video")
            known = (changed, record)
            self._records[path.stem] = known
        return dict(known[1])

    def _write(self, record: Mapping[str, Any]) -> None:
        with self._lock:
            write_whole(self.path(str(record["id"]), ".json"), to_json(dict(record), indent=1))
            self._records.pop(str(record["id"]), None)

    # ---- what was given ----

    def keep(self, chunks: Iterable[bytes], name: str) -> str:
        """Keep a file that was given; returns its name in the gallery, which its content decides.

        Args:
            name: what its owner calls it, of which the ending is kept.

        Raises:
            ValueError: it is empty or too large.
        """
        digest = hashlib.sha256()
        size = 0
        with tempfile.TemporaryFile() as held:
            for chunk in chunks:
                size += len(chunk)
                if size > MOST_UPLOADED:
                    raise ValueError(
                        f"a file may have {MOST_UPLOADED // 10**6} MB; cut or shrink it"
                    )
                digest.update(chunk)
                held.write(chunk)
            if size == 0:
                raise ValueError("the file is empty (0 bytes); choose another one")
            ending = re.search(r"\.[a-z0-9]{1,8}$", name.lower())
            kept = digest.hexdigest() + (ending[0] if ending else "")
            held.seek(0)
            if not (self.folder / FOLDER_GIVEN / kept).exists():
                with whole_file(self.folder / FOLDER_GIVEN / kept) as file:
                    shutil.copyfileobj(held, file)
        return kept

    def given(self, kept: Any) -> Path:
        """Where a file lies that `keep` has kept; ValueError if there is none."""
        if not isinstance(kept, str) or not GIVEN.fullmatch(kept):
            raise ValueError("this is no file of the gallery; give it again")
        path = self.folder / FOLDER_GIVEN / kept
        if not path.is_file():
            raise ValueError("the file is not in the gallery any more; give it again")
        return path

    # ---- the disk ----

    def bytes_used(self) -> int:
        """Of all files of the gallery, those that are deleted too."""
        return sum(size for path in self._files() for size in _size(path))

    def set_rule(self, rule: DiskRule) -> None:
        self.rule = rule
        write_whole(self.folder / SETTINGS, to_json(asdict(rule), indent=1))

    def make_room(self, more: int = 0) -> list[str]:
        """Before something is made or given: the videos that have gone, if the gallery was full.

        Args:
            more: bytes that are about to come.

        Raises:
            ValueError: it is full, and the rule is to stop; or it could never hold so much.
        """
        limit = self.rule.limit_gb * GIGABYTE - more
        if limit <= 0:
            raise ValueError(
                f"a file of {more / 10**6:.3g} MB is more than the {self.rule.limit_gb:g} GB that "
                "the gallery may take; raise the limit"
            )
        if self.bytes_used() < limit:
            return []
        self.empty_bin()
        gone: list[str] = []
        oldest = iter(self.videos()[::-1])
        while self.bytes_used() >= limit:
            record = next(oldest, None)
            if self.rule.when_full == "stop" or record is None:
                raise ValueError(
                    f"the gallery takes {self.bytes_used() / GIGABYTE:.2f} GB of the "
                    f"{self.rule.limit_gb:g} GB that it may take; delete videos, raise the limit, "
                    "or let the oldest go"
                )
            self._remove(record["id"])
            self._sweep()
            gone.append(record["id"])
        return gone

    def empty_bin(self) -> None:
        """Remove for good what is deleted, and what was given for it alone."""
        with self._lock:
            for record in self.videos(deleted=True):
                self._remove(record["id"])
            self._sweep()

    def _remove(self, video: str) -> None:
        for ending in reversed(ENDINGS):
            self.path(video, ending).unlink(missing_ok=True)
        self._records.pop(video, None)

    def _sweep(self) -> None:
        """Remove what was given for no video that is there, unless an order may wait with it."""
        told = [to_json(record["settings"]) for record in self._all()]
        story = self.folder / STORYBOARD
        told += [story.read_text(encoding="utf-8")] if story.is_file() else []
        used = {name for text in told for name in FOUND.findall(text)}
        folder = self.folder / FOLDER_GIVEN
        for path in folder.iterdir() if folder.is_dir() else ():
            old = time.time() - path.stat().st_mtime >= YOUNG
            if GIVEN.fullmatch(path.name) and path.name not in used and old:
                path.unlink(missing_ok=True)

    def _files(self) -> Iterator[Path]:
        for folder in (self.folder, self.folder / FOLDER_GIVEN, self.folder / FOLDER_SHOTS):
            if folder.is_dir():
                yield from folder.iterdir()


def _told(record: Mapping[str, Any]) -> str:
    """What a search looks at, in small letters."""
    settings = record["settings"]
    conditions = settings.get("conditions", {})
    words = [v if isinstance(v, str) else v.get("name", "") for v in conditions.values()]
    words += [settings.get(name) or "" for name in ("model", "adapter", "seed")]
    return " ".join(map(str, [*words, record["id"]])).lower()


def _size(path: Path) -> Iterator[int]:
    with contextlib.suppress(OSError):  # it has just gone
        if path.is_file():
            yield path.stat().st_size
