"""Videos by what is in them: the SHA-256 of a file's bytes, whatever it is called."""

from __future__ import annotations

import contextlib
import hashlib
from pathlib import Path

from ...files.image_files import numbered_pictures
from ...files.json_file import read_json, write_json
from ..datasets.listed_video import ListedVideo

PIECE = 1 << 20  # bytes that are read at once


def content_sha256(path: Path, member: tuple[int, int] | None = None) -> str:
    """Of a file, of a member (offset, size) of a tar file, or of all the numbered pictures of a
    folder, one after another."""
    digest = hashlib.sha256()
    files = numbered_pictures(path) if path.is_dir() else [path]
    for name in files:
        with open(name, "rb") as file:
            left = path.stat().st_size if member is None else member[1]
            file.seek(0 if member is None else member[0])
            while piece := file.read(PIECE if member is None else min(PIECE, left)):
                digest.update(piece)
                left -= len(piece)
    return digest.hexdigest()


def video_sha256(video: ListedVideo) -> str:
    return content_sha256(video.path, video.member)


class KnownContents:
    """Hashes that are kept in a file, so that a data set is read for them once; a file that was
    changed (by its size and date) is read again. Without a file nothing is kept."""

    def __init__(self, file: Path | None) -> None:
        self.file = file
        self._known: dict[str, str] = {}
        if file is not None:
            with contextlib.suppress(ValueError, OSError, TypeError):
                self._known = dict(read_json(file))
        self._is_changed = False

    def sha256(self, path: Path) -> str:
        stat = path.stat()
        key = f"{path.resolve()} {stat.st_size} {stat.st_mtime_ns}"
        if key not in self._known:
            self._known[key] = content_sha256(path)
            self._is_changed = True
        return self._known[key]

    def keep(self) -> None:
        """Write down what is new."""
        if self._is_changed and self.file is not None:
            write_json(self.file, self._known)
            self._is_changed = False
