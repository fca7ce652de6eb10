"""Which stream of a file is its video, names that look like something else, and files that cannot
be read: one line each."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from kinetoscope.data.datasets.folder import ClipFolder
from kinetoscope.data.video import VideoError, probe, read_clip
from PIL import Image
from torch import Tensor

Encode = Callable[..., Path]
Numbers = Callable[[Tensor], list[int]]
Disposition = av.stream.Disposition


def cover_picture(path: Path) -> Path:
    Image.new("RGB", (64, 64), (200, 20, 20)).save(path)
    return path


def merge(target: Path, sources: list[Path], dispositions: list[int], sound: bool = False) -> Path:
    """The video streams of several files in one, with a sound track if asked for."""
    with av.open(str(target), "w") as writer:
        tone: Any = writer.add_stream("aac", rate=8000) if sound else None
        if tone is not None:
            samples = av.AudioFrame.from_ndarray(np.zeros((1, 8192), np.float32), "fltp", "mono")
            samples.sample_rate = 8000
        readers = [av.open(str(source)) for source in sources]
        copies = [writer.add_stream_from_template(reader.streams.video[0]) for reader in readers]
        for copy, disposition in zip(copies, dispositions, strict=True):
            copy.disposition = disposition
        if tone is not None:
            for packet in [*tone.encode(samples), *tone.encode(None)]:
                writer.mux(packet)
        for reader, copy in zip(readers, copies, strict=True):
            for packet in reader.demux(video=0):
                if packet.size:
                    packet.stream = copy
                    writer.mux(packet)
            reader.close()
    return target


def test_the_default_video_stream_is_the_video(
    tmp_path: Path, encode: Encode, numbers: Numbers
) -> None:
    still = cover_picture(tmp_path / "still.jpg")
    film = encode(tmp_path / "film.mp4", "libx264", range(30))
    path = merge(tmp_path / "two.mkv", [still, film], [0, Disposition.default])
    assert numbers(read_clip(path).video) == list(range(30))
    assert numbers(read_clip(path, 1, 2).video) == [25, 26]
    assert (probe(path).frames, probe(path).width) == (30, 48)


def test_the_largest_stream_is_taken_where_several_are_default(
    tmp_path: Path, encode: Encode
) -> None:
    film = encode(tmp_path / "film.mp4", "libx264", range(5))
    large = tmp_path / "large.mp4"
    with av.open(str(large), "w") as container:
        stream: Any = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for _ in range(5):
            frame = av.VideoFrame.from_ndarray(np.zeros((64, 96, 3), np.uint8), "rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    path = merge(tmp_path / "two.mp4", [film, large], [Disposition.default] * 2)
    assert read_clip(path).video.shape == (3, 5, 64, 96)


def test_a_song_with_a_cover_is_no_video(tmp_path: Path, encode: Encode, numbers: Numbers) -> None:
    cover = cover_picture(tmp_path / "cover.jpg")
    song = merge(tmp_path / "song.mp4", [cover], [Disposition.attached_pic], sound=True)
    for read in (read_clip, probe):
        with pytest.raises(VideoError, match="no video stream, only audio and a cover picture"):
            read(song)
    film = encode(tmp_path / "film.mp4", "libx264", range(9))
    both = merge(tmp_path / "both.mp4", [cover, film], [Disposition.attached_pic, 0], sound=True)
    assert numbers(read_clip(both).video) == list(range(9))
    assert probe(both).has_audio


@pytest.mark.parametrize(
    "name", ["12:30:45.mp4", "http:a.mp4", "concat:b.mp4", "pipe:0.mp4", "-x.mp4", "50%d.mp4"]
)
def test_names_are_never_taken_for_something_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encode: Encode, numbers: Numbers, name: str
) -> None:
    encode(tmp_path / "plain.mp4", "libx264", range(30)).rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert numbers(read_clip(name).video) == list(range(30))
    assert numbers(read_clip(name, 1.04, 1).video) == [26]
    assert probe(name).frames == 30
    assert len(ClipFolder(".", 9, 16)) == 1


def test_a_name_that_is_no_utf8_is_read(tmp_path: Path, encode: Encode, numbers: Numbers) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.mp4"))
    encode(tmp_path / "plain.mp4", "libx264", range(3)).rename(path)
    assert numbers(read_clip(path).video) == [0, 1, 2]


def test_a_codec_that_ffmpeg_lacks_is_named(tmp_path: Path, encode: Encode) -> None:
    path = encode(tmp_path / "a.avi", "mjpeg", range(5), pixel_format="yuvj420p")
    path.write_bytes(path.read_bytes().replace(b"MJPG", b"ZZZZ").replace(b"mjpg", b"ZZZZ"))
    for read in (read_clip, probe):
        with pytest.raises(VideoError, match="a codec that this FFmpeg cannot decode") as caught:
            read(path)
        assert "\n" not in str(caught.value)


def test_a_stream_without_frames_is_named(tmp_path: Path, encode: Encode) -> None:
    whole = encode(tmp_path / "a.avi", "mjpeg", range(1), pixel_format="yuvj420p")
    data = whole.read_bytes()
    start = data.index(b"00dc")
    path = tmp_path / "b.avi"
    path.write_bytes(data[:start])
    for read in (read_clip, probe):
        with pytest.raises(VideoError, match=r"holds no frame|cannot be read as video"):
            read(path)


@pytest.fixture
def changing(tmp_path: Path, encode: Encode) -> Path:
    """A recording that goes from 32 x 48 to 64 x 96 after ten frames."""
    small = encode(tmp_path / "small.ts", "libx264", range(10))
    large = tmp_path / "large.ts"
    with av.open(str(large), "w") as container:
        stream: Any = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for time in range(10):
            frame = av.VideoFrame.from_ndarray(np.full((64, 96, 3), 99, np.uint8), "rgb24")
            frame.pts = time
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    path = tmp_path / "changing.ts"
    path.write_bytes(small.read_bytes() + large.read_bytes())
    small.unlink()
    large.unlink()
    return path


def test_a_change_of_size_is_named_where_it_matters(changing: Path) -> None:
    for settings in ({}, {"fps": 25.0}, {"size": None, "stride": 2}):
        with pytest.raises(VideoError, match=r"changes its size from 32 x 48 to 64 x 96; cut it"):
            read_clip(changing, **settings)  # type: ignore[arg-type]
    assert read_clip(changing, size=(16, 24)).video.shape == (3, 20, 16, 24)
    assert read_clip(changing, frames=10).video.shape == (3, 10, 32, 48)


def test_numbers_of_other_libraries_are_taken(tmp_path: Path, encode: Encode) -> None:
    path = encode(tmp_path / "a.mp4", "libx264", range(50))
    expected = read_clip(path, 1.0, 5, fps=12.5, size=(16, 24)).video
    for whole, broken in ((np.int64, np.float32), (torch.tensor, torch.tensor)):
        clip = read_clip(path, broken(1.0), whole(5), fps=broken(12.5), size=(whole(16), whole(24)))
        assert torch.equal(clip.video, expected)
        assert isinstance(clip.fps, float)
    assert read_clip(path, stride=np.int32(5), size=np.int64(16)).video.shape == (3, 10, 16, 24)
    clips = ClipFolder(tmp_path, np.int64(5), np.int64(16), fps=np.float32(12.5))  # type: ignore
    assert clips[np.int64(0)]["video"].shape == (3, 5, 16, 16)
    with pytest.raises(TypeError):
        read_clip(path, frames=2.5)  # type: ignore[arg-type]
