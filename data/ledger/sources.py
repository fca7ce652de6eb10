"""The ledger of what a run is about to learn from, and what of it is left out."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..datasets.captions import Words, find_manifest, read_manifest
from ..datasets.folder import ClipFolder
from ..datasets.shards import Shards
from ..datasets.source import ClipSource, FolderSource
from .content import KnownContents
from .licences import check_licences
from .rows import RENDERED, LedgerRow
from .struck_out import Strike, read_struck_out


def ledger_of_source(
    source: ClipSource, contents: KnownContents, required: str | None = None
) -> list[LedgerRow]:
    """The rows of a source of clips. From a folder what is struck out is left out from here on.

    Raises:
        ValueError: videos have other licences than are required, or all are struck out.
    """
    if not isinstance(source, FolderSource):
        return [rendered_row(f"{type(source).__name__} {source.key}", len(source))]
    rows, left_out = ledger_of_folder(source.folder, source.rows, contents, required, source.rounds)
    if left_out:
        source.leave_out(left_out)
    return rows


def rendered_row(name: str, clips: int) -> LedgerRow:
    """A row for all clips that this package rendered by one recipe."""
    key = hashlib.sha256(name.encode()).hexdigest()
    return LedgerRow(key, name, source=RENDERED, clips=clips)


def ledger_of_folder(
    folder: ClipFolder,
    chosen: Sequence[int],
    contents: KnownContents,
    required: str | None = None,
    clips: int = 1,
) -> tuple[list[LedgerRow], dict[int, str]]:
    """`ledger_of_files` for some videos of a folder, by their numbers."""
    paths = {row: folder.entries[row].path for row in chosen}
    return ledger_of_files(folder.root, paths, contents, required, clips)


def ledger_of_files(
    root: Path,
    paths: Mapping[int, Path],
    contents: KnownContents,
    required: str | None = None,
    clips: int = 1,
) -> tuple[list[LedgerRow], dict[int, str]]:
    """Rows of the ledger for some files of a data set, and those of them that are struck out, by
    their numbers, with the hashes of their content.

    Raises:
        ValueError: files have other licences than are required.
    """
    said = _manifest(root)
    names = {row: _name(path, root) for row, path in paths.items()}
    words = {row: said.get(path, Words(())) for row, path in paths.items()}
    check_licences({names[row]: words[row].licence for row in paths}, required)
    struck = read_struck_out(root)
    rows = []
    left_out: dict[int, str] = {}
    for row, path in paths.items():
        sha256 = contents.sha256(path)
        about = (sha256, names[row], words[row].licence, words[row].owner, words[row].source)
        if sha256 in struck:
            left_out[row] = sha256
            rows.append(LedgerRow(*about, clips=0, struck_out=struck[sha256].since))
        else:
            rows.append(LedgerRow(*about, clips=clips))
    contents.keep()
    return rows, left_out


def _manifest(root: Path) -> Mapping[Path, Words]:
    place = find_manifest(root)
    return {} if place is None else read_manifest(place, needs_captions=False)


def _name(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name


def ledger_of_shards(
    shards: Shards, clips: Sequence[int], struck: Mapping[str, Strike]
) -> list[LedgerRow]:
    """A row for each video of which there are clips, or that was struck out; `clips` are the
    numbers of those that are learned from."""
    counts = Counter(str(shards.records[clip]["source"]) for clip in clips)
    rows: dict[str, LedgerRow] = {}
    for index, record in enumerate(shards.records):
        name = str(record["source"])
        since = struck[record["sha256"]].since if record.get("sha256") in struck else ""
        if name in rows or not (since or counts[name]):
            continue
        licence = record.get("licence")
        if licence is None:  # shards of an older version
            licence = shards.info(index).licence
        rows[name] = LedgerRow(
            sha256=str(record.get("sha256", "")),
            name=name,
            licence=str(licence),
            owner=str(record.get("owner", "")),
            source=str(record.get("origin", "")),
            clips=counts[name],
            struck_out=since,
        )
    return list(rows.values())


def check_shard_licences(shards: Shards, required: str | None) -> None:
    """ValueError if clips have other licences than are required."""
    if required is not None:
        infos = (shards.info(index) for index in range(len(shards)))
        check_licences({info.source: info.licence for info in infos}, required)


def struck_out_of(shards: Shards) -> dict[str, Strike]:
    return read_struck_out(shards.folder)
