"""Sound, subtitles and chapters for a video that is there: its pictures are copied as they are.

add_tracks("silent.mp4", "talk.mp4", sound_2L, 48_000, cues, chapters)
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from torch import Tensor

from ....files.atomic import whole_path
from ..frames import VideoError
from .cues import Cue

THOUSANDTHS = Fraction(1, 1000)  # of a second, in which cues and chapters are counted
PIECE = 1024  # samples of one AAC frame
SOUND_RATE = 160_000  # bits per second
LONGEST_CUE = 60_000  # bytes; a cue has 16 bits for its length
# What the muxer wants to know of how subtitles look; players have their own ways.
STYLE = (
    b"[Script Info]\r\nScriptType: v4.00+\r\nPlayResX: 384\r\nPlayResY: 288\r\n\r\n"
    b"[V4+ Styles]\r\nFormat: Name, Fontname, Fontsize, PrimaryColour, SecondaryColour, "
    b"OutlineColour, BackColour, Bold, Italic, Underline, StrikeOut, ScaleX, ScaleY, Spacing, "
    b"Angle, BorderStyle, Outline, Shadow, Alignment, MarginL, MarginR, MarginV, Encoding\r\n"
    b"Style: Default,Arial,16,&Hffffff,&Hffffff,&H0,&H0,0,0,0,0,100,100,0,0,1,1,0,2,10,10,10,1"
    b"\r\n\r\n[Events]\r\n"
    b"Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\r\n"
)


def add_tracks(
    source: str | Path,
    target: str | Path,
    sound_2L: Tensor | None = None,
    rate: int = 48_000,
    cues: Sequence[Cue] = (),
    chapters: Sequence[Cue] = (),
) -> None:
    """Write an MP4 with the pictures and metadata of another one, and more.

    Args:
        sound_2L: float [2, L] in [-1, 1], encoded as AAC.
        rate: samples per second.
        cues: subtitles in order of time; none may begin before the one before it has ended.
        chapters: in order of time.

    Raises:
        VideoError: the source cannot be read.
        ValueError: cues that overlap or are too long.
    """
    for one, two in itertools.pairwise(cues):
        if two.start < one.end:
            raise ValueError(f"the subtitle '{two.text[:30]}' begins before the last one has ended")
    for cue in cues:
        if len(cue.text.encode()) > LONGEST_CUE:
            raise ValueError(f"the subtitle '{cue.text[:30]}…' is too long; split it")
    try:
        with (
            whole_path(target) as beside,
            av.open(f"file:{source}", metadata_errors="replace") as given,
            av.open(
                f"file:{beside}",
                mode="w",
                format="mp4",
                options={"movflags": "use_metadata_tags+faststart"},
            ) as made,
        ):
            made.metadata.update(given.metadata)
            _write(given, made, sound_2L, rate, cues, chapters)
    except av.FFmpegError as error:
        raise VideoError(f"'{source}' cannot be copied to '{target}': {error.strerror}") from error


def _write(
    given: Any,
    made: Any,
    sound_2L: Tensor | None,
    rate: int,
    cues: Sequence[Cue],
    chapters: Sequence[Cue],
) -> None:
    pictures = given.streams.video[0]
    copied = made.add_stream_from_template(pictures)
    waiting: list[Iterator[tuple[float, Any]]] = []
    if sound_2L is not None:
        track = made.add_stream("aac", rate=rate, layout="stereo", bit_rate=SOUND_RATE)
        waiting.append(_sound_packets(track, sound_2L, rate))
    if cues:
        text = made.add_stream("mov_text")
        text.codec_context.subtitle_header = STYLE
        text.time_base = THOUSANDTHS
        waiting.append(_text_packets(text, cues))
    if chapters:
        made.set_chapters([_chapter(number, each) for number, each in enumerate(chapters)])
    made.start_encoding()
    waiting.append(_picture_packets(given, pictures, copied))
    _mux_in_order(made, waiting)


def _mux_in_order(made: Any, waiting: list[Iterator[tuple[float, Any]]]) -> None:
    """Whatever comes first, so that little is held back."""
    heads = [(next(packets, None), packets) for packets in waiting]
    while True:
        left = [(head, packets) for head, packets in heads if head is not None]
        if not left:
            return
        first, packets = min(left, key=lambda each: each[0][0])
        made.mux(first[1])
        heads = [
            (next(packets, None) if others is packets else head, others) for head, others in left
        ]


def _picture_packets(given: Any, pictures: Any, copied: Any) -> Iterator[tuple[float, Any]]:
    for packet in given.demux(pictures):
        if packet.dts is not None:
            seconds = float(packet.dts * packet.time_base)
            packet.stream = copied
            yield seconds, packet


def _sound_packets(track: Any, sound_2L: Tensor, rate: int) -> Iterator[tuple[float, Any]]:
    samples = sound_2L.float().numpy()
    for first in range(0, samples.shape[1], PIECE):
        piece = np.ascontiguousarray(samples[:, first : first + PIECE])
        frame = av.AudioFrame.from_ndarray(piece, format="fltp", layout="stereo")
        frame.sample_rate = rate
        frame.pts = first
        frame.time_base = Fraction(1, rate)
        for packet in track.encode(frame):
            yield first / rate, packet
    for packet in track.encode(None):
        yield samples.shape[1] / rate, packet


def _text_packets(track: Any, cues: Sequence[Cue]) -> Iterator[tuple[float, Any]]:
    """Cues, and nothing between them, which the format wants to be said."""
    at = 0
    for cue in cues:
        start = round(cue.start * 1000)
        end = max(start + 1, round(cue.end * 1000))
        if start > at:
            yield at / 1000, _text_packet(track, "", at, start)
        yield start / 1000, _text_packet(track, cue.text, start, end)
        at = end


def _text_packet(track: Any, text: str, start: int, end: int) -> Any:
    content = text.encode()
    packet = av.Packet(len(content).to_bytes(2, "big") + content)
    packet.stream = track
    packet.time_base = THOUSANDTHS
    packet.pts = packet.dts = start
    packet.duration = end - start
    return packet


def _chapter(number: int, cue: Cue) -> dict[str, Any]:
    return {
        "id": number + 1,
        "start": round(cue.start * 1000),
        "end": round(cue.end * 1000),
        "time_base": THOUSANDTHS,
        "metadata": {"title": cue.text},
    }
