"""One row for each video: what its header and its first frame say, or, if asked, all its frames.

Rows are kept in a file as they are made, so that a run that was killed goes on.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from ..datasets.layouts import LaidVideo
from ..datasets.layouts.read import local_file, measure, measure_and_look, read_frames
from ..video import VideoError, iterate_frames

BLACK = 16.0  # of 255: a picture whose brightest tile is darker shows nothing
STILL = 0.5  # of 255: tiles of a frame that change less do not move
FLAT = 4.0  # deviation of 255 below which a picture has no pattern to compare
TILES = (8, 9)


@dataclass(frozen=True)
class Row:
    """What is known of a video. `pattern` is a hash of its first frame, "" for a flat one; `still`
    and `black` are None until all frames were looked at; `broken` says why it cannot be read."""

    name: str
    split: str = ""
    label: str = ""
    captions: tuple[str, ...] = ()
    licence: str = ""
    bytes: int = 0
    frames: int = 0
    seconds: float = 0.0
    fps: float = 0.0
    width: int = 0
    height: int = 0
    codec: str = ""
    sound: bool = False
    pattern: str = ""
    still: bool | None = None
    black: bool | None = None
    broken: str = ""

    @property
    def caption(self) -> str:
        return self.captions[0] if self.captions else ""

    def columns(self) -> dict[str, object]:
        """What a filter can ask."""
        return asdict(self) | {"caption": self.caption}


COLUMNS = (*Row.__dataclass_fields__, "caption")


def look(video: LaidVideo, decode: bool = False) -> Row:
    """The row of a video. With `decode` every frame is read, which finds damage and clips that are
    still or black."""
    about = {
        "name": video.name,
        "split": video.split,
        "label": video.label,
        "captions": tuple(caption for caption in video.words.captions if caption),
        "licence": video.words.licence,
        "bytes": sum(p.stat().st_size for p in video.pictures) if video.pictures else video.size,
    }
    try:
        info, picture_3YX = measure_and_look(video)
        tiles = _tiles(picture_3YX[:, None])
        still, black = _watch(video) if decode else (None, None)
    except VideoError as error:
        # the row has the name already
        reason = re.sub(r"^'[^']*' ", "", str(error))
        return Row(**about, broken=reason)  # type: ignore[arg-type]
    return Row(
        **about,  # type: ignore[arg-type]
        frames=info.frames,
        seconds=info.seconds,
        fps=info.fps,
        width=info.width,
        height=info.height,
        codec=info.codec,
        sound=info.has_audio,
        pattern=_pattern(tiles[0]),
        still=still,
        black=black,
    )


def _tiles(frames_3FYX: Tensor) -> Tensor:
    """Brightness `[F, 8, 9]` of the tiles of frames."""
    return adaptive_avg_pool2d(frames_3FYX.float().mean(0, keepdim=True).transpose(0, 1), TILES)[
        :, 0
    ]


def _pattern(tiles: Tensor) -> str:
    """Whether each tile is brighter than its right neighbour: 64 bits, as hexadecimal digits."""
    if float(tiles.std()) < FLAT:
        return ""
    bits = (tiles[:, 1:] > tiles[:, :-1]).flatten().tolist()
    return f"{sum(bit << place for place, bit in enumerate(bits)):016x}"


def _watch(video: LaidVideo) -> tuple[bool, bool]:
    """Whether nothing moves, and whether nothing is to be seen, over all frames."""
    before: Tensor | None = None
    moved = 0.0
    bright = 0.0
    for chunk in _chunks(video):
        tiles = _tiles(chunk)
        bright = max(bright, float(tiles.max()))
        all_tiles = tiles if before is None else torch.cat([before, tiles])
        if len(all_tiles) > 1:
            moved = max(moved, float(all_tiles.diff(dim=0).abs().max()))
        before = tiles[-1:]
    return moved < STILL, bright < BLACK


def _chunks(video: LaidVideo) -> Iterator[Tensor]:
    if video.pictures:
        for place in range(len(video.pictures)):
            yield read_frames(video, place, 1, 1, 1.0)
        return
    begin, end = video.span or (0.0, None)
    count = None if end is None else measure(video).frames
    with local_file(video) as path:
        yield from iterate_frames(path, begin, count, threads=1)


def look_at_all(
    videos: Sequence[LaidVideo],
    kept: Path,
    decode: bool = False,
    workers: int = 2,
    say: Callable[[int], object] = lambda _: None,
) -> list[Row]:
    """The rows of all videos, in their order; those that stand in the file `kept` cost nothing.

    Args:
        videos: what `list_source` found.
        kept: a file of JSON lines; rows are added to it as they are made.
        decode: look at every frame.
        workers: threads that read.
        say: called with the number of rows that are there.
    """
    known = _read_kept(kept)
    keys = [_key(video, decode) for video in videos]
    todo = [(video, key) for video, key in zip(videos, keys) if key not in known]
    say(len(videos) - len(todo))
    kept.parent.mkdir(parents=True, exist_ok=True)
    with (
        open(kept, "a", encoding="utf-8") as file,
        ThreadPoolExecutor(max(1, workers)) as pool,
    ):
        # a run that was killed may have left half a line
        file.write("\n" if known or kept.stat().st_size else "")
        rows = pool.map(lambda item: look(item[0], decode), todo)
        for count, ((_, key), row) in enumerate(zip(todo, rows), 1):
            known[key] = row
            file.write(json.dumps({"key": key, "row": asdict(row)}) + "\n")
            file.flush()
            say(len(videos) - len(todo) + count)
    return [known[key] for key in keys]


def _read_kept(path: Path) -> dict[str, Row]:
    known: dict[str, Row] = {}
    if not path.is_file():
        return known
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            value = json.loads(line)
            row = value["row"] | {"captions": tuple(value["row"]["captions"])}
            known[value["key"]] = Row(**row)
        except (ValueError, KeyError, TypeError):
            continue  # the last line of a run that was killed, or of another version
    return known


def _key(video: LaidVideo, decode: bool) -> str:
    """Changes with the file, with what is said of it, and with how it is looked at."""
    place = video.pictures[0] if video.pictures else video.path
    status = place.stat() if place.exists() else None
    mark = None if status is None else (status.st_size, status.st_mtime_ns)
    said = (video.words, video.label, video.split, video.span, video.member, len(video.pictures))
    parts = (str(place.absolute()), video.name, mark, said, decode)
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:24]
