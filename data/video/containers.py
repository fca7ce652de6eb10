"""Video files that FFmpeg reads, through PyAV: which stream is the video, its frames in the order
of showing, quick ways into the middle, and how long it is."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import av
from av.video.frame import PictureType

from .frames import ShownFrame, VideoError, shown_frames
from .lengths import (
    INDEXED,
    JOINED,
    MATROSKA,
    MOV,
    declared_frames,
    declared_seconds,
    file_seconds,
    is_joined,
    is_truncated,
    packet_times,
    promised_seconds,
)
from .timestamps import Clock, runs_backwards

SEEK_SECONDS = 1.0  # below this, decoding from the start is quicker than seeking
STEPS_BACK = (0.0, 2.0, 10.0)  # seconds before the place sought, tried one after another
LONGEST_LOOK = 8  # frames
MANY_BYTES = 64 << 20  # what is exact and slow is done with files up to this size

ESTIMATED = {MATROSKA, "flv", "asf"}  # know their length but not their number of frames
HOLDING = {MOV, MATROSKA, "gif", "apng"}  # say for how long the last frame is shown
STATEFUL = {"gif", "apng", "flic"}  # codecs whose frames need all frames before them
ALPHA_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}  # FFmpeg's own leave the alpha out
PICTURES_OF_SOUND = av.stream.Disposition.attached_pic | av.stream.Disposition.timed_thumbnails
CONTAINER_TAGS = {"major_brand", "minor_version", "compatible_brands"}
SIZE_TAG = "kinetoscope_size"  # see `VideoWriter`


@contextlib.contextmanager
def open_container(path: Path, threads: int = 0) -> Iterator[ContainerVideo]:
    """A file that FFmpeg reads, open; FFmpeg's errors become a VideoError of one line."""
    try:
        # "file:" since a name such as 12:30.mp4 looks like a protocol. Tags in another encoding
        # than UTF-8 must not make a film unreadable.
        with av.open(f"file:{path}", metadata_errors="replace") as container:
            yield ContainerVideo(path, container, threads)
    except PermissionError:
        raise VideoError(f"'{path}' may not be read; check its permissions") from None
    except av.FFmpegError as error:
        message = (
            f"'{path}' cannot be read as video: it is not a video, or it is truncated or damaged "
            f"({error.strerror})"
        )
        raise VideoError(message) from None
    except UnicodeDecodeError:
        raise VideoError(f"'{path}' cannot be read as video: its header is damaged") from None


class ContainerVideo:
    """A `VideoSource` of a container that FFmpeg opens."""

    def __init__(self, path: Path, container: Any, threads: int) -> None:
        self.path = path
        self.container = container
        self.threads = threads
        self.kind = str(container.format.name)
        self.stream = _video_stream(path, container)
        self.decoder = _decoder(self.stream, threads)
        self.codec = self.stream.codec_context.name
        self.rate = _average_rate(self.stream)
        self.has_audio = bool(container.streams.audio)
        self.aspect = float(self.stream.sample_aspect_ratio or 1)
        self.metadata = _tags(container, self.kind)
        self.own_size = _own_size(self.metadata.pop(SIZE_TAG, ""))
        self._is_by_arrival = False
        self._origin = 0.0

    def first(self) -> Any:
        frame = next(self._decoded(), None)
        if frame is None:
            raise self._no_frames()
        return frame

    def _no_frames(self) -> VideoError:
        return VideoError(
            f"'{self.path}' holds no frame that can be decoded; it is empty or truncated"
        )

    def shown(self, start: float = 0.0) -> Iterator[ShownFrame]:
        head, rest = self._look()
        if start >= SEEK_SECONDS and self._can_seek(head):
            for back in STEPS_BACK[self.kind == "mpeg" :]:
                found = self._sought(start, start - back)
                if found is not None:
                    return self._to_end(found)
            return self._from_start_anew()
        return self._to_end(self._timed(itertools.chain(head, rest), self._clock()))

    def _look(self) -> tuple[list[Any], Iterator[Any]]:
        """The first frames, which tell what the stamps are worth and when the video begins, and the
        iterator of the others."""
        frames = self._decoded()
        head: list[Any] = []
        for frame in frames:
            head.append(frame)
            is_reordered = self.decoder.has_b_frames
            if not is_reordered or len(head) == LONGEST_LOOK or _ends_group(head):
                break
        if not head:
            raise self._no_frames()
        self._is_by_arrival = runs_backwards(head)
        self._origin = self._clock().read(head[0])
        return head, frames

    def _clock(self) -> Clock:
        joins = self.kind in JOINED
        return Clock(self.stream.time_base, 1 / self.rate, self._is_by_arrival, joins)

    def _decoded(self) -> Iterator[Any]:
        """Frames as the decoder gives them, from the first complete picture on."""
        is_begun = False
        for packet in self.container.demux(self.stream):
            try:
                frames = self.decoder.decode(packet if packet.size else None)
            except av.error.InvalidDataError:
                # A file that was cut out of a stream begins with frames that lack their key frame.
                if is_begun or not packet.size:
                    raise
                continue
            is_begun = is_begun or bool(frames)
            yield from frames

    def _timed(self, frames: Iterator[Any], clock: Clock) -> Iterator[tuple[float, Any]]:
        for frame in frames:
            yield clock.read(frame) - self._origin, frame

    def _to_end(self, timed: Iterator[tuple[float, Any]]) -> Iterator[ShownFrame]:
        """Intervals; VideoError if the file breaks off."""
        end = 0.0
        for shown in shown_frames(timed, self._hold):
            end = shown.end
            yield shown
        if is_truncated(self.path, self.container, self.stream, end):
            declared = promised_seconds(self.container, self.stream)
            raise VideoError(
                f"'{self.path}' is truncated: {end:.2f} of {declared:.2f} seconds are there; "
                "export or download it again"
            )

    def _hold(self, frame: Any) -> float:
        """Seconds for which the last frame is shown."""
        seconds = float(frame.duration * self.stream.time_base)
        return seconds if seconds and self.kind in HOLDING else 1 / self.rate

    def begin(self) -> float:
        """The second of the file's own clock at which its first picture appears."""
        self._look()
        return self._origin

    # ---- into the middle ----

    def _can_seek(self, head: list[Any]) -> bool:
        """Does a seek find what decoding from the start would have shown?"""
        if self.codec in STATEFUL or head[0].format.name == "pal8":
            return False
        stat = self.path.stat()
        # In the midst of a program stream FFmpeg guesses times until it meets one.
        if self.kind == "mpeg" and stat.st_size <= MANY_BYTES:
            return False
        if self.kind in JOINED:
            return not _is_joined(self.path, stat.st_size, stat.st_mtime_ns)
        return True

    def _sought(self, start: float, target: float) -> Iterator[tuple[float, Any]] | None:
        """Frames from a key frame near `target` on; None if what comes is not what was sought."""
        stamp = round((max(0.0, target) + self._origin) / self.stream.time_base)
        try:
            self.container.seek(stamp, stream=self.stream)
            self.decoder.flush_buffers()
            timed = self._timed(self._decoded(), self._clock())
            first = next(timed, None)
        except av.FFmpegError:
            return None
        if first is None or first[0] > start or not first[1].key_frame:
            return None
        return itertools.chain([first], timed)

    def _from_start_anew(self) -> Iterator[ShownFrame]:
        with open_container(self.path, self.threads) as anew:
            yield from anew.shown()

    # ---- without decoding ----

    def length(self) -> tuple[int, float]:
        frames = declared_frames(self.container, self.stream, self.rate)
        seconds = declared_seconds(self.container, self.stream) or file_seconds(self.container)
        is_large = self.path.stat().st_size > MANY_BYTES
        if not frames and seconds and is_large and self.kind in ESTIMATED:
            return max(1, round(seconds * self.rate)), seconds
        if frames and seconds:
            return frames, seconds
        times = self._packet_times()
        if not times:
            return 1, 1 / self.rate
        if self.kind != MATROSKA or not seconds:
            seconds = times[-1] - times[0] + 1 / self.rate
        return len(times), seconds

    def steps(self) -> list[float]:
        stream = self.stream
        if self.kind in INDEXED and stream.frames and stream.average_rate == stream.base_rate:
            return []
        return [after - before for before, after in itertools.pairwise(self._packet_times())]

    def _packet_times(self) -> list[float]:
        with open_container(self.path) as anew:
            return packet_times(anew.container, anew.stream, self.rate)


def picture_begin(path: Path) -> float:
    """The second of a file's own clock, by which its sound goes as well, at which its first picture
    appears; 0 for a file without pictures."""
    try:
        stat = path.stat()
    except OSError:  # whoever reads the file will say what is wrong with it
        return 0.0
    return _picture_begin(path, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=4096)
def _picture_begin(path: Path, size: int, modified: int) -> float:
    try:
        with open_container(path, threads=1) as video:
            return video.begin()
    except VideoError:
        return 0.0


def _ends_group(head: list[Any]) -> bool:
    """Does the last of these frames follow others that were decoded after it?"""
    kinds = [frame.pict_type for frame in head[-2:]]
    return len(kinds) == 2 and kinds[0] == PictureType.B != kinds[1]


@lru_cache(maxsize=4096)
def _is_joined(path: Path, size: int, modified: int) -> bool:
    """Does time jump within a file of this size and date?"""
    with open_container(path) as video:
        return is_joined(video.container, video.stream, video.rate)


def _video_stream(path: Path, container: Any) -> Any:
    """The default video stream, the largest if there are several; pictures of a sound file are
    none."""
    streams = [s for s in container.streams.video if not s.disposition & PICTURES_OF_SOUND]
    known = [stream for stream in streams if stream.codec_context is not None]
    if not streams:
        raise VideoError(
            f"'{path}' has no video stream, only {_kinds(container)}; give a file with pictures"
        )
    if not known:
        raise VideoError(
            f"'{path}' has a video stream of a codec that this FFmpeg cannot decode; convert it, "
            "to H.264 for one"
        )

    def rank(stream: Any) -> tuple[bool, int]:
        is_default = bool(stream.disposition & av.stream.Disposition.default)
        return is_default, stream.codec_context.width * stream.codec_context.height

    return max(known, key=rank)


def _kinds(container: Any) -> str:
    kinds = {stream.type for stream in container.streams if stream.type != "video"}
    kinds |= {"a cover picture"} if container.streams.video else set()
    return " and ".join(sorted(kinds, reverse=True)) or "an empty container"


def _decoder(stream: Any, threads: int) -> Any:
    """The decoder of a stream: FFmpeg's own, or one that knows transparency where there is some."""
    name = ALPHA_DECODERS.get(stream.codec_context.name)
    if name is None or stream.metadata.get("alpha_mode") != "1":
        decoder = stream.codec_context
    else:
        decoder = av.CodecContext.create(name, "r")
        decoder.extradata = stream.codec_context.extradata
    decoder.thread_type = "AUTO"
    decoder.thread_count = threads
    return decoder


def _average_rate(stream: Any) -> float:
    # FFmpeg's average for a GIF counts neither the last delay nor the rounding.
    average = None if stream.codec_context.name == "gif" else stream.average_rate
    return float(average or stream.guessed_rate or stream.base_rate or 25)


def _tags(container: Any, kind: str) -> dict[str, str]:
    """What the file says about itself; Matroska writes names in capitals."""
    tags = {key: value for key, value in container.metadata.items() if key not in CONTAINER_TAGS}
    return {key.lower(): value for key, value in tags.items()} if kind == MATROSKA else tags


def _own_size(tag: str) -> tuple[int, int] | None:
    width, _, height = tag.partition("x")
    return (int(width), int(height)) if width.isdecimal() and height.isdecimal() else None
