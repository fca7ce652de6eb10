"""What FFmpeg shows at a moment is what the reader gives for it: in every container, after a seek,
with pictures that are held, and in recordings that were cut or joined."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import pytest
from kinetoscope.data.datasets.folder import ClipFolder
from kinetoscope.data.video import VideoError, iterate_frames, probe, read_clip
from PIL import Image
from torch import Tensor

Encode = Callable[..., Path]
Numbers = Callable[[Tensor], list[int]]
FRAMES = list(range(75))
REORDERED = {"reordered": 2, "options": {"g": "25", "bf": "2", "crf": "5", "qscale": "2"}}
KINDS: dict[str, dict[str, Any]] = {
    "a.avi": {"codec": "libx264", **REORDERED},
    "b.avi": {"codec": "mpeg4", **REORDERED},
    "c.mp4": {"codec": "libx264", **REORDERED},
    "d.mkv": {"codec": "libx264", **REORDERED},
    "e.ts": {"codec": "libx264", **REORDERED},
    "f.ts": {"codec": "mpeg2video", **REORDERED},
    "g.mpg": {"codec": "mpeg2video", **REORDERED},
    "h.flv": {"codec": "libx264", **REORDERED},
    "i.webm": {"codec": "libvpx-vp9", "options": {"deadline": "realtime", "cpu-used": "8"}},
    "j.mov": {"codec": "qtrle", "pixel_format": "rgb24"},
    "k.avi": {"codec": "rawvideo", "pixel_format": "pal8"},
    "l.mov": {"codec": "rawvideo", "pixel_format": "pal8"},
    "m.gif": {"codec": "gif", "pixel_format": "pal8"},
    "n.avi": {"codec": "mjpeg", "pixel_format": "yuvj420p"},
    "o.wmv": {"codec": "wmv2"},
    "p.avi": {"codec": "msrle", "pixel_format": "pal8"},
    "q.apng": {"codec": "apng", "pixel_format": "rgb24", "container_format": "apng"},
    "r.264": {"codec": "libx264", "container_format": "h264", **REORDERED},
    "s.mxf": {"codec": "mpeg2video", **REORDERED},
    "t.mp4": {
        "codec": "libx264",
        "container_options": {"movflags": "frag_keyframe+empty_moov"},
        **REORDERED,
    },
}


@pytest.mark.parametrize("name", KINDS)
def test_every_frame_is_shown_once_and_in_order(
    tmp_path: Path, encode: Encode, numbers: Numbers, name: str
) -> None:
    path = encode(tmp_path / name, times=FRAMES, **KINDS[name])
    whole = read_clip(path)
    assert whole.fps == pytest.approx(25)
    assert numbers(whole.video) == FRAMES
    assert numbers(read_clip(path, fps=25).video) == FRAMES
    assert numbers(read_clip(path, fps=12.5).video) == FRAMES[::2]
    info = probe(path)
    assert info.frames == 75
    assert info.seconds == pytest.approx(3, abs=0.05)


@pytest.mark.parametrize("name", KINDS)
def test_a_clip_from_the_middle_is_that_part_of_the_whole(
    tmp_path: Path, encode: Encode, numbers: Numbers, name: str
) -> None:
    path = encode(tmp_path / name, times=FRAMES, **KINDS[name])
    for start in (26, 40, 51, 73):
        expected = FRAMES[start : start + 3]
        assert numbers(read_clip(path, start / 25, 3).video) == expected
        assert numbers(read_clip(path, start / 25, 3, fps=25).video) == expected


@pytest.mark.parametrize("name", ["copy.mov", "copy.wmv"])
def test_frames_are_in_order_where_a_copy_kept_the_wrong_times_of_an_avi(
    tmp_path: Path, encode: Encode, remux: Encode, numbers: Numbers, name: str
) -> None:
    source = encode(tmp_path / "a.avi", times=FRAMES, **KINDS["b.avi"])
    path = remux(source, tmp_path / name)
    assert numbers(read_clip(path, fps=25).video) == FRAMES
    assert numbers(read_clip(path, 2, 3, fps=25).video) == [50, 51, 52]


# ---- pictures that are held ----


def hold_last(frames: int) -> Callable[[Any], None]:
    def change(packet: Any) -> None:
        if packet.pts * packet.time_base * 25 == frames - 1:
            packet.duration = int(9 / packet.time_base)

    return change


@pytest.mark.parametrize("name", ["hold.mp4", "hold.mov", "hold.mkv"])
def test_a_last_frame_that_is_held_is_no_missing_frame(
    tmp_path: Path, encode: Encode, remux: Any, numbers: Numbers, name: str
) -> None:
    path = remux(encode(tmp_path / "a.mp4", "libx264", range(25)), tmp_path / name, hold_last(25))
    assert numbers(read_clip(path).video) == list(range(25))
    assert probe(path).seconds == pytest.approx(9.96, abs=0.02)
    if name != "hold.mkv":  # Matroska has no place for it
        shown = numbers(read_clip(path, fps=25).video)
        assert shown == [*range(25), *[24] * 224]
        assert numbers(read_clip(path, 5, 2, fps=25).video) == [24, 24]


def test_a_gif_whose_last_picture_stays_is_whole(
    tmp_path: Path, picture: Callable[[int], Tensor], numbers: Numbers
) -> None:
    images = [Image.fromarray(picture(index).numpy()) for index in range(10)]
    path = tmp_path / "hold.gif"
    delays = [100] * 9 + [2000]
    images[0].save(path, save_all=True, append_images=images[1:], duration=delays, loop=0)
    assert numbers(read_clip(path).video) == list(range(10))
    assert numbers(read_clip(path, fps=10).video) == [*range(10), *[9] * 19]
    assert probe(path).seconds == pytest.approx(2.9)


@pytest.mark.parametrize("name", ["slides.mp4", "slides.mkv", "slides.webm"])
@pytest.mark.parametrize("fps", [1.0, 10.0, 25.0])
def test_slides_change_at_the_right_frame(
    tmp_path: Path, encode: Encode, numbers: Numbers, name: str, fps: float
) -> None:
    times = [0, 7, 8, 25, 60, 62]  # seconds
    codec = "libvpx" if name.endswith("webm") else "libx264"
    path = encode(tmp_path / name, codec, [25 * time for time in times])
    shown = numbers(read_clip(path, fps=fps).video)
    changes = [shown.index(slide) for slide in range(6)]
    assert changes == pytest.approx([time * fps for time in times], abs=1)
    assert shown == sorted(shown)
    for start in (6.5, 24.5, 61.0):  # also after a seek
        assert numbers(read_clip(path, start, 1, fps=fps).video) == [
            sum(time <= start for time in times) - 1
        ]


def test_a_time_stamp_a_hundred_days_away_is_damage(tmp_path: Path, encode: Encode) -> None:
    path = encode(tmp_path / "a.mkv", "mjpeg", [0, 1, 25 * 86400 * 100], pixel_format="yuvj420p")
    with pytest.raises(VideoError, match=r"one picture from 0\.04 to 8640000 seconds"):
        next(iterate_frames(path, fps=25))
    assert read_clip(path, frames=9, fps=25).video.shape[1] == 9


# ---- recordings that were cut, joined or never finished ----


@pytest.mark.parametrize("name", ["e.ts", "f.ts", "g.mpg"])
def test_a_recording_that_was_joined_is_read_to_its_end(
    tmp_path: Path, encode: Encode, numbers: Numbers, name: str
) -> None:
    one = encode(tmp_path / f"1{name}", times=range(50), **KINDS[name])
    two = encode(tmp_path / f"2{name}", times=range(50), first=50, **KINDS[name])
    path = tmp_path / name
    path.write_bytes(one.read_bytes() + two.read_bytes())
    both = list(range(100))
    assert numbers(read_clip(path).video) == both
    assert numbers(read_clip(path, fps=25).video) == both
    assert numbers(read_clip(path, 3, 3, fps=25).video) == [75, 76, 77]
    assert probe(path).frames == 100
    assert probe(path).seconds == pytest.approx(4, abs=0.1)


@pytest.mark.parametrize("name", ["e.ts", "f.ts"])
def test_a_recording_that_was_cut_begins_with_its_first_complete_picture(
    tmp_path: Path, encode: Encode, numbers: Numbers, name: str
) -> None:
    data = encode(tmp_path / f"whole-{name}", times=FRAMES, **KINDS[name]).read_bytes()
    path = tmp_path / name
    path.write_bytes(data[len(data) // 5 :])
    shown = numbers(read_clip(path).video)
    assert shown[0] > 5
    assert shown == list(range(shown[0], 75))
    assert numbers(read_clip(path, fps=25).video) == shown


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [("live.webm", "libvpx", {"live": "1"}), ("live.mkv", "libx264", {"live": "1"})],
)
def test_a_recording_without_a_length_is_counted(
    tmp_path: Path, encode: Encode, name: str, codec: str, options: dict[str, str]
) -> None:
    path = encode(tmp_path / name, codec, range(50), container_options=options)
    with av.open(str(path)) as container:
        assert container.duration is None
    info = probe(path)
    assert (info.frames, info.seconds) == (50, pytest.approx(2))
    clips = ClipFolder(tmp_path, 50, 16, captions="none")
    assert clips[0]["video"].shape == (3, 50, 16, 16)


def test_a_stream_written_to_a_pipe_is_counted(tmp_path: Path, encode: Encode) -> None:
    class Pipe:
        """Cannot go back to write the length."""

        def __init__(self, path: Path) -> None:
            self.file = open(path, "wb")  # noqa: SIM115
            self.write = self.file.write

    pipe = Pipe(tmp_path / "live.wmv")
    source = encode(tmp_path / "a.wmv", "wmv2", range(50))
    with av.open(str(source)) as reader, av.open(pipe, "w", format="asf") as writer:
        copy = writer.add_stream_from_template(reader.streams.video[0])
        for packet in reader.demux(video=0):
            if packet.size:
                packet.stream = copy
                writer.mux(packet)
    pipe.file.close()
    info = probe(tmp_path / "live.wmv")
    assert (info.frames, info.seconds) == (50, pytest.approx(2))


@pytest.fixture
def cut_out(tmp_path: Path, encode: Encode, remux: Any) -> Callable[[int], Path]:
    """Writes 25 frames cut out without encoding: what leads to them lies hidden in the file."""

    def cut(first: int) -> Path:
        whole = encode(tmp_path / "whole.mp4", "libx264", range(100), options={"g": "250"})

        def move(packet: Any) -> None:
            shift = round(first / 25 / packet.time_base)
            packet.pts -= shift
            packet.dts -= shift

        clip = tmp_path / f"clips/{first}.mp4"
        clip.parent.mkdir(exist_ok=True)
        remux(whole, clip, move, {"avoid_negative_ts": "disabled", "use_editlist": "1"})
        whole.unlink()
        return clip

    return cut


def test_what_an_edit_list_hides_does_not_count(
    tmp_path: Path, cut_out: Callable[[int], Path], numbers: Numbers
) -> None:
    path = cut_out(75)
    with av.open(str(path)) as container:
        assert container.streams.video[0].frames == 100
    assert numbers(read_clip(path).video) == list(range(75, 100))
    info = probe(path)
    assert (info.frames, info.seconds) == (25, pytest.approx(1, abs=0.05))


def test_clips_with_a_hidden_start_are_read_as_often_as_others(
    tmp_path: Path, encode: Encode, cut_out: Callable[[int], Path], numbers: Numbers
) -> None:
    cut_out(75)
    encode(tmp_path / "clips/whole.mp4", "libx264", range(25))
    clips = ClipFolder(tmp_path / "clips", 9, 16, captions="none", clips_per_video=40, flip=False)
    firsts = [numbers(clips[index]["video"])[0] for index in range(len(clips))]
    assert sum(first >= 75 for first in firsts) == 40
    assert len({first for first in firsts if first >= 75}) > 8  # all over the clip
    assert clips.unreadable == 0
