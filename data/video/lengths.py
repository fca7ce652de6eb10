"""How long a video file says it is, how long it is, and whether its end is missing."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import av

from .timestamps import Clock

MOV = "mov,mp4,m4a,3gp,3g2,mj2"  # FFmpeg's names of containers
MATROSKA = "matroska,webm"
INDEXED = {MOV, "avi"}  # hold a table of all their frames
UNCOUNTED = {"asf", "flv"}  # declare their length in seconds but not in bytes
JOINED = {"mpegts", "mpeg"}  # recordings of this kind may be joined by putting bytes together
EBML_SEGMENT = 0x18538067


def declared_frames(container: Any, stream: Any, rate: float) -> int:
    """How many frames the header promises, 0 where it does not tell; what an edit list hides does
    not count."""
    frames = int(stream.frames)
    kind = container.format.name
    if kind not in INDEXED or not frames:
        return frames
    index = stream.index_entries
    if kind == "avi":
        return frames if len(index) == frames else 0
    is_hiding = abs(frames / rate - declared_seconds(container, stream)) > 1.5 / rate
    return sum(not entry.is_discard for entry in index) if is_hiding else frames


def declared_seconds(container: Any, stream: Any) -> float:
    """The length of the pictures that the header promises; 0 where it promises none."""
    if stream.duration:
        return float(stream.duration * stream.time_base)
    # Matroska: the time of the end, as hours:minutes:seconds
    tag = stream.metadata.get("DURATION", "")
    if tag.count(":") == 2:
        with contextlib.suppress(ValueError):
            hours, minutes, seconds = (float(part) for part in tag.split(":"))
            start = float((stream.start_time or 0) * stream.time_base)
            return 3600 * hours + 60 * minutes + seconds - start
    # The length of the whole file says little about the pictures when there is sound as well.
    return 0.0 if container.streams.audio else file_seconds(container)


def file_seconds(container: Any) -> float:
    """The length of the longest stream, as far as the header tells."""
    return container.duration / av.time_base if container.duration else 0.0


def packet_times(container: Any, stream: Any, rate: float) -> list[float]:
    """When frames are shown, from the packets alone, of a container that was just opened."""
    stamps: list[int | None] = []
    arrivals: list[float] = []
    has_key = False
    is_joined = container.format.name in JOINED
    clock = Clock(stream.time_base, 1 / rate, by_arrival=True, joins=is_joined)
    for packet in container.demux(stream):
        if not packet.size or packet.is_discard:
            continue
        if packet.is_keyframe and not has_key:
            has_key = True
            stamps.clear()  # nothing is shown before the first complete picture
            arrivals.clear()
        stamps.append(packet.pts)
        arrivals.append(clock.read(packet))
    known = [stamp for stamp in stamps if stamp is not None]
    if clock.shift or len(known) < len(arrivals):
        return arrivals
    return [stamp * clock.unit for stamp in sorted(known)]


def is_joined(container: Any, stream: Any, rate: float) -> bool:
    """Does time jump within a container that was just opened?"""
    clock = Clock(stream.time_base, 1 / rate, by_arrival=True, joins=True)
    for packet in container.demux(stream):
        clock.read(packet)
        if clock.shift:
            return True
    return False


# ---- the end of the bytes ----


def is_truncated(path: Path, container: Any, stream: Any, end: float) -> bool:
    """Does a file that gave pictures up to `end` seconds lack some?

    Its header must promise clearly more, and bytes must be missing where the format tells: a
    picture that is held for long at the end looks like missing frames by its times alone.
    """
    kind = container.format.name
    declared = promised_seconds(container, stream)
    is_short = end < declared - max(0.5, 0.02 * declared)
    return is_short and (kind in UNCOUNTED or _misses_bytes(path, kind))


def promised_seconds(container: Any, stream: Any) -> float:
    """The length that a header promises, even if the file is shorter."""
    declared = declared_seconds(container, stream)
    is_avi = container.format.name == "avi"  # FFmpeg fits its length to the file
    return max(declared, float(stream.frames / stream.average_rate)) if is_avi else declared


def _misses_bytes(path: Path, container: str) -> bool:
    check = CHECKS.get(container)
    if check is None:  # the length was found by looking at the end of the file
        return False
    with open(path, "rb") as file:
        size = file.seek(0, 2)
        file.seek(0)
        try:
            return check(file, size)
        except struct.error:  # the file ends within a header
            return True


def _boxes_miss(file: BinaryIO, size: int) -> bool:
    """MP4 and MOV are a list of boxes: size, kind, content."""
    place = 0
    while place < size:
        file.seek(place)
        header = file.read(16)
        (length,) = struct.unpack(">I", header[:4])
        if length == 1:
            (length,) = struct.unpack(">Q", header[8:16])
        if length == 0:  # to the end of the file
            return False
        if length < 8:
            return True
        place += length
    return place > size


def _segment_misses(file: BinaryIO, size: int) -> bool:
    """Matroska and WebM are a header and one segment that says how long it is, unless it is
    live."""
    while file.tell() < size:
        name = _number(file, keep_mark=True)
        length = _number(file, keep_mark=False)
        if name == EBML_SEGMENT:
            return length is not None and file.tell() + length > size
        if length is None:
            return False
        file.seek(length, 1)
    return True


def _number(file: BinaryIO, keep_mark: bool) -> int | None:
    """A number of EBML, whose first byte tells its length; None for "unknown"."""
    first = file.read(1)
    (head,) = struct.unpack("B", first)
    more = 8 - head.bit_length()
    rest = file.read(more)
    if head == 0 or len(rest) < more:
        raise struct.error
    value = int.from_bytes(first + rest, "big")
    bits = 7 * (more + 1)
    if keep_mark:
        return value
    value &= (1 << bits) - 1
    return None if value == (1 << bits) - 1 else value


def _riffs_miss(file: BinaryIO, size: int) -> bool:
    """AVI is one list named RIFF, or several."""
    place = 0
    while place < size:
        file.seek(place)
        kind, length = struct.unpack("<4sI", file.read(8))
        if kind != b"RIFF":
            return False
        place += 8 + length + length % 2
    return place - 1 > size


def _trailer_misses(file: BinaryIO, size: int) -> bool:
    """A GIF ends with a semicolon."""
    file.seek(size - 1)
    return file.read(1) != b";"


CHECKS: dict[str, Callable[[BinaryIO, int], bool]] = {
    "mov,mp4,m4a,3gp,3g2,mj2": _boxes_miss,
    "matroska,webm": _segment_misses,
    "avi": _riffs_miss,
    "gif": _trailer_misses,
}
