"""Tokenised clips in WebDataset shards: tar files that any program reads, with a record beside
each.

    manifest.json   what made the shards (settings, tokenizer, caption encoder), how many there
                    are, and the sha256 of each
    skipped.csv     files that could not be used, and why
    000000.tar      samples KEY.codes.npy, KEY.json and, with caption states, KEY.text.npy, and
                    with actions KEY.actions.npy, with sound KEY.sound.npy
    000000.json     its record: sha256, and where each sample lies, so that any clip is read with
                    one seek

A tar depends on its samples alone: it holds no times and no owners, so the same clips give the same
bytes.

Legend: T H W latent grid, L tokens of all captions of a clip, E width of a caption's states, K
codes of the sound of a latent.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import logging
import tarfile
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...files.atomic import whole_file
from ...files.config_fields import read_fields
from ...files.json_file import read_json, read_object, to_json
from .shard_records import MEMBERS, check_manifest, check_samples, read_array

log = logging.getLogger("kinetoscope.data")

FORMAT = "kinetoscope-shards-1"
MANIFEST = "manifest.json"
BLOCK = tarfile.BLOCKSIZE  # a member's header takes one, since names are short


@dataclass(frozen=True)
class ClipInfo:
    """What is known of a clip: its captions, the video it comes from, the seconds it begins and
    ends there, its size before padding (frames and pixels), its frames per second, and the licence
    of the video. `sha256` is of the content of the video, `owner` and `origin` are whose it is and
    where it came from, as its manifest says.

    `text_lengths`: tokens of each caption, where their states are stored.
    """

    captions: tuple[str, ...]
    source: str
    start: float
    end: float
    frames: int
    height: int
    width: int
    fps: float
    licence: str = ""
    sha256: str = ""
    owner: str = ""
    origin: str = ""
    text_lengths: tuple[int, ...] = ()


@dataclass(frozen=True)
class Clip:
    """codes int16 or int32 [T, H, W] (or [T, H, W, Q]); text half [L, E], the states of its
    captions in a row; actions float [F, A] of its frames; sound int16 or int32 [T, K], the codes of
    its sound."""

    info: ClipInfo
    codes: NDArray[Any]
    text: NDArray[Any] | None = None
    actions: NDArray[Any] | None = None
    sound: NDArray[Any] | None = None


# ---- writing ----


def shard_path(folder: Path, number: int) -> Path:
    return folder / f"{number:06d}.tar"


def write_shard(path: Path, clips: Iterable[Clip]) -> dict[str, Any]:
    """Write a shard and return its record: {"sha256", "bytes", "samples": [{"key", "source",
    "shape", …}, …]}.

    Without any clip no file is written, and "bytes" is 0.
    """
    samples: list[dict[str, Any]] = []
    with whole_file(path) as file:
        with tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as tar:
            for clip in clips:
                key = f"{path.stem}-{len(samples):05d}"
                samples.append(_add_sample(tar, key, clip))
        file.seek(0)
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        size = file.tell()
    if not samples:
        path.unlink()
        return {"sha256": "", "bytes": 0, "samples": []}
    return {"sha256": digest, "bytes": size, "samples": samples}


def _add_sample(tar: tarfile.TarFile, key: str, clip: Clip) -> dict[str, Any]:
    members = {"codes.npy": _npy(clip.codes), "json": to_json(asdict(clip.info)).encode()}
    if clip.text is not None:
        members["text.npy"] = _npy(clip.text)
    if clip.actions is not None:
        members["actions.npy"] = _npy(clip.actions)
    if clip.sound is not None:
        members["sound.npy"] = _npy(clip.sound)
    places = {}
    for extension, content in members.items():
        member = tarfile.TarInfo(f"{key}.{extension}")
        member.size = len(content)
        places[extension] = [tar.offset + BLOCK, len(content)]
        tar.addfile(member, io.BytesIO(content))
    info = clip.info
    ledger = {"sha256": info.sha256, "licence": info.licence}
    ledger |= {"owner": info.owner, "origin": info.origin}
    about = ledger | {
        "source": info.source,
        "frames": info.frames,
        "text_lengths": info.text_lengths,
    }
    return {"key": key, "shape": list(clip.codes.shape), **about, "places": places}


def _npy(array: NDArray[Any]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.ascontiguousarray(array), allow_pickle=False)
    return buffer.getvalue()


def write_skipped(path: Path, rows: Iterable[tuple[str, str]]) -> None:
    """Table of files and reasons."""
    with whole_file(path) as file:
        text = io.TextIOWrapper(file, encoding="utf-8", errors="backslashreplace", newline="")
        writer = csv.writer(text)
        writer.writerow(["file", "reason"])
        writer.writerows(rows)
        text.detach()


# ---- reading ----


@dataclass(frozen=True)
class Place:
    """Where a sample lies: number of its shard, and offset and size of its members (0 where
    there is none)."""

    shard: int
    codes: tuple[int, int]
    info: tuple[int, int]
    text: tuple[int, int]
    actions: tuple[int, int]
    sound: tuple[int, int]


class Shards:
    """The clips of a folder of shards, by number; what they hold is read from the disk when it is
    asked for.

    A shard that is missing or truncated is named once on the log and its clips are left out.

    Attributes:
        manifest: what `kinetoscope prepare` wrote down.
        records: of each clip its "source", "shape" of codes, "frames" and "text_lengths", and,
            unless older versions made them, "sha256", "licence", "owner" and "origin".

    Raises:
        ValueError: the folder holds no shards, they are not finished, or none of them is whole.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        if not (self.folder / MANIFEST).is_file():
            raise ValueError(
                f"'{folder}' holds no shards ({MANIFEST} is missing); make them with kinetoscope "
                "prepare"
            )
        self.manifest = read_object(self.folder / MANIFEST)
        if self.manifest.get("format") != FORMAT:
            raise ValueError(
                f"'{folder}' holds no shards of this format ({FORMAT}); make them anew"
            )
        if not self.manifest.get("complete"):
            raise ValueError(
                f"the shards in '{folder}' are not finished; run kinetoscope prepare again to go on"
            )
        self._paths: list[Path] = []
        self._places: list[Place] = []
        self.records: list[dict[str, Any]] = []
        shards = check_manifest(self.manifest, self.folder / MANIFEST)
        for shard in shards:
            self._open(self.folder / shard["name"], shard["bytes"])
        if not self.records:
            raise ValueError(f"none of the {len(shards)} shards in '{folder}' can be used")

    def __len__(self) -> int:
        return len(self.records)

    def codes(self, index: int) -> NDArray[Any]:
        """Codes [T, H, W] (or [T, H, W, Q]) of a clip."""
        return self._array(index, self._places[index].codes, tuple(self.records[index]["shape"]))

    def text(self, index: int) -> NDArray[Any]:
        """States half [L, E] of all its captions; ValueError where none were stored."""
        if not self._places[index].text[1]:
            raise ValueError(
                f"the shards in '{self.folder}' hold no caption states; prepare them with --text"
            )
        tokens = sum(self.records[index]["text_lengths"])
        return self._array(index, self._places[index].text, (tokens, 0), "f")

    def actions(self, index: int) -> NDArray[Any] | None:
        """Actions float [F, A] of a clip's frames; None where none were stored."""
        place = self._places[index].actions
        return self._array(index, place, (0, 0), "f") if place[1] else None

    def sound(self, index: int) -> NDArray[Any] | None:
        """Codes [T, K] of a clip's sound; None where the clip has none."""
        place = self._places[index].sound
        shape = (self.records[index]["shape"][0], 0)
        return self._array(index, place, shape) if place[1] else None

    def info(self, index: int) -> ClipInfo:
        try:
            values = json.loads(self._bytes(index, self._places[index].info))
            if isinstance(values, dict):  # a later version may tell more
                known = {field.name for field in fields(ClipInfo)}
                values = {name: value for name, value in values.items() if name in known}
            return read_fields(ClipInfo, values)
        except (ValueError, RecursionError) as error:
            raise self._damaged(index) from error

    def _open(self, path: Path, wanted: int) -> None:
        size = path.stat().st_size if path.is_file() else 0
        if size != wanted:
            state = f"truncated ({size} of {wanted} bytes)" if size else "missing or empty"
            log.warning(
                "left out: shard '%s' is %s; run kinetoscope prepare again to make it anew",
                path,
                state,
            )
            return
        record = path.with_suffix(".json")
        for sample in check_samples(read_json(record), record, size):
            places = sample.pop("places")
            members = (places.get(name, [0, 0]) for name in MEMBERS)
            self._places.append(
                Place(len(self._paths), *((offset, size) for offset, size in members))
            )
            self.records.append(sample)
        self._paths.append(path)

    def _bytes(self, index: int, place: tuple[int, int]) -> bytes:
        with open(self._paths[self._places[index].shard], "rb") as file:
            file.seek(place[0])
            return file.read(place[1])

    def _array(
        self, index: int, place: tuple[int, int], shape: tuple[int, ...], kinds: str = "iu"
    ) -> NDArray[Any]:
        try:
            return read_array(self._bytes(index, place), shape, kinds)
        except (ValueError, EOFError) as error:
            raise self._damaged(index) from error

    def _damaged(self, index: int) -> ValueError:
        path = self._paths[self._places[index].shard]
        return ValueError(f"shard '{path}' is damaged; delete it and run kinetoscope prepare again")
