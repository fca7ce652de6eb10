"""A video of a data set, wherever it lies."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ...files.image_files import numbered_pictures
from .captions import Words


@dataclass(frozen=True)
class ListedVideo:
    """A video by a name that does not change when the folder is moved.

    `path` is the file, the folder of its numbered images, or the tar file in whose `member`
    (offset, size) the video lies. `span` is the part of the file that counts, in seconds.
    """

    name: str
    path: Path
    words: Words
    member: tuple[int, int] | None = None
    span: tuple[float, float] | None = None

    @property
    def size(self) -> int:
        """Bytes; 0 for a file that is not there."""
        if self.member is not None:
            return self.member[1]
        if self.path.is_dir():
            return sum(file.stat().st_size for file in numbered_pictures(self.path))
        return self.path.stat().st_size if self.path.is_file() else 0


Problem = tuple[str, str]  # name of what cannot be used, and why
