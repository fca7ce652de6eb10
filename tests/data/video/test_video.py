"""Video files: what is written comes back, every kind of file is read by time, and mistakes end
in one clear line."""

import errno
import os
import struct
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest
import torch
from kinetoscope.data.video import (
    VideoError,
    VideoWriter,
    first_look,
    iterate_frames,
    probe,
    read_clip,
    read_metadata,
    to_float,
    to_uint8,
    write_video,
)
from PIL import Image
from torch import Tensor

REAL_CLIPS = Path(__file__).parents[3] / "../shared/real-clips"


def staircase(frames: int, height: int = 32, width: int = 48) -> Tensor:
    """Frame i is plain grey of level 20 + 8 i, so that a frame can be told by its brightness."""
    return (20 + 8 * torch.arange(frames, dtype=torch.uint8))[None, :, None, None].expand(
        3, -1, height, width
    )


def steps(video: Tensor) -> list[int]:
    """The index of each frame of a (decoded) staircase."""
    return ((video.float().mean(dim=(0, 2, 3)) - 20) / 8).round().int().tolist()


def encode(
    path: Path, codec: str, times: Iterable[int], rate: int = 25, pixel_format: str = "yuv420p"
) -> Path:
    """A staircase written by PyAV alone, with the given time stamps in units of 1 / rate
    seconds."""
    times = list(times)
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=rate)
        stream.width = 48
        stream.height = 32
        stream.pix_fmt = pixel_format
        stream.time_base = stream.codec_context.time_base = Fraction(1, rate)
        for time, image in zip(times, staircase(len(times)).unbind(1), strict=True):
            frame = av.VideoFrame.from_ndarray(image.permute(1, 2, 0).contiguous().numpy(), "rgb24")
            frame.pts = time
            frame.time_base = Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def sound_file(path: Path) -> Path:
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(
            torch.zeros(1, 1024).numpy(), format="fltp", layout="mono"
        )
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def smooth_picture(frames: int, height: int, width: int) -> Tensor:
    """Coloured gradients that drift."""
    f, y, x = torch.meshgrid(*(torch.arange(n) for n in (frames, height, width)), indexing="ij")
    return (
        torch.stack([(x * 3 + f) % 200 + 20, y * 2 + 10, 120 + 0 * x]).clamp(0, 255).to(torch.uint8)
    )


@pytest.mark.parametrize(("height", "width"), [(64, 64), (63, 65), (1, 1), (2, 7)])
def test_a_written_video_comes_back(tmp_path: Path, height: int, width: int) -> None:
    video = smooth_picture(9, height, width)
    assert write_video(tmp_path / "a.mp4", video, fps=12.5) == 9
    clip = read_clip(tmp_path / "a.mp4")
    assert clip.fps == pytest.approx(12.5)
    assert clip.video.dtype == torch.uint8
    assert clip.video.shape == video.shape
    assert (clip.video.float() - video.float()).abs().mean() < 4


def test_colours_survive_in_every_player(tmp_path: Path) -> None:
    bars = torch.zeros(3, 3, 64, 96, dtype=torch.uint8)
    for channel in range(3):
        bars[channel, :, :, 32 * channel : 32 * (channel + 1)] = 220
    write_video(tmp_path / "a.mp4", bars, fps=10)
    back = read_clip(tmp_path / "a.mp4").video
    assert (back[:, :, :, 16::32].int() - bars[:, :, :, 16::32].int()).abs().max() < 8
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert container.streams.video[0].codec_context.pix_fmt == "yuv420p"
        # BT.709 is named, so no player has to guess
        assert next(container.decode(video=0)).colorspace == 1


def test_chunks_upscaling_and_metadata(tmp_path: Path) -> None:
    video = staircase(12)
    tags = {"prompt": "a red ball; “=” é", "seed": 7}
    chunks = (video[:, start : start + 5] for start in range(0, 12, 5))
    assert write_video(tmp_path / "a.mp4", chunks, fps=10, metadata=tags, upscale=3) == 12
    info = probe(tmp_path / "a.mp4")
    assert (info.width, info.height, info.frames, info.has_audio) == (144, 96, 12, False)
    assert info.seconds == pytest.approx(1.2)
    stored = read_metadata(tmp_path / "a.mp4")
    assert stored["prompt"] == "a red ball; “=” é"
    assert stored["seed"] == "7"
    assert steps(read_clip(tmp_path / "a.mp4").video) == list(range(12))


class Stop(BaseException):
    """Stands for Ctrl-C."""


@pytest.mark.parametrize("failure", [RuntimeError, Stop])
def test_a_failure_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, failure: type[BaseException]
) -> None:
    target = tmp_path / "a.mp4"
    target.write_text("the old one")

    def chunks() -> Iterator[Tensor]:
        yield staircase(4)
        raise failure

    with pytest.raises(failure):
        write_video(target, chunks(), fps=10)
    assert os.listdir(tmp_path) == ["a.mp4"]
    assert target.read_text() == "the old one"


def test_a_full_disk_is_reported_and_cleaned_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = VideoWriter(tmp_path / "a.mp4", fps=10)
    with pytest.raises(OSError, match="No space left") as caught, writer:
        writer.write(staircase(2))

        class FullDisk:
            def mux(self, packets: object) -> None:
                raise av.error.OSError(errno.ENOSPC, "No space left on device", "a.mp4")

            def close(self) -> None: ...

        monkeypatch.setattr(writer._encoder, "container", FullDisk())
        writer.write(staircase(2))
    assert caught.value.errno == errno.ENOSPC
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("a.avi", {}, r"must end in \.mp4, \.mov, \.mkv, \.webm, \.gif or \.webp, or be numbered"),
        ("a.png", {}, r"which is one picture; give numbered pictures such as 'frames/%05d\.png'"),
        ("", {}, "is a folder"),
        ("a.mp4", {"fps": 0}, r"fps must be from 0\.001 to 1000; got 0"),
        ("a.mp4", {"fps": 1e-4}, r"fps must be from 0\.001 to 1000; got 0\.0001"),
        ("a.mp4", {"fps": float("inf")}, "got inf"),
        ("a.mp4", {"fps": float("nan")}, "got nan"),
        ("a.gif", {"fps": 60}, "fps must be at most 50 for a GIF"),
        ("a.mp4", {"upscale": 0}, "upscale must be at least 1; got 0"),
        ("a.mp4", {"crf": 99}, "crf must be between"),
    ],
)
def test_impossible_outputs_are_refused(
    tmp_path: Path, name: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        write_video(tmp_path / name, staircase(2), **{"fps": 10, **options})
    assert os.listdir(tmp_path) == []


def test_chunks_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="must be 32 x 48; got 16 x 48"):
        write_video(tmp_path / "a.mp4", [staircase(2), staircase(2, height=16)], fps=10)
    with pytest.raises(ValueError, match="must be uint8"):
        write_video(tmp_path / "a.mp4", to_float(staircase(2)), fps=10)
    with pytest.raises(ValueError, match="no frames"):
        write_video(tmp_path / "a.mp4", [], fps=10)
    assert os.listdir(tmp_path) == []


def test_float_and_uint8_are_inverse() -> None:
    levels = torch.arange(256, dtype=torch.uint8)
    assert torch.equal(to_uint8(to_float(levels)), levels)
    assert to_uint8(torch.tensor([-3.0, 3.0])).tolist() == [0, 255]


@pytest.mark.parametrize(
    ("name", "codec", "pixel_format"),
    [
        ("a.mp4", "libx264", "yuv420p"),
        ("a.mkv", "libx264", "yuv420p"),
        ("a.webm", "libvpx-vp9", "yuv420p"),
        ("a.mpg", "mpeg2video", "yuv420p"),
        ("a.avi", "mjpeg", "yuvj420p"),
        ("a.gif", "gif", "gray"),
    ],
)
def test_formats_are_read_by_time_and_by_stride(
    tmp_path: Path, name: str, codec: str, pixel_format: str
) -> None:
    path = encode(tmp_path / name, codec, range(25), pixel_format=pixel_format)
    assert probe(path).fps == pytest.approx(25)
    assert probe(path).frames == 25
    assert steps(read_clip(path).video) == list(range(25))
    assert steps(read_clip(path, frames=4, stride=6).video) == [0, 6, 12, 18]
    assert steps(read_clip(path, frames=4, fps=5).video) == [0, 5, 10, 15]
    assert steps(read_clip(path, 0.4, frames=3).video) == [10, 11, 12]
    assert read_clip(path, frames=2, stride=5).fps == pytest.approx(5)
    check_first_look(path)


def check_first_look(path: Path) -> None:
    """It says in one go what two functions say."""
    info, picture = first_look(path)
    assert info == probe(path)
    assert torch.equal(picture, read_clip(path, frames=1).video[:, 0])


def test_variable_frame_rates_are_sampled_by_time(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mkv", "libx264", [0, 10, 20, 60, 70, 80, 90], rate=100)
    assert steps(read_clip(path, fps=10, frames=9).video) == [0, 1, 2, 2, 2, 2, 3, 4, 5]
    assert steps(read_clip(path, 0.5, frames=2, fps=10).video) == [2, 3]
    assert steps(read_clip(path, 0.5, frames=2).video) == [2, 3]
    assert steps(read_clip(path, fps=20, frames=4).video) == [0, 0, 1, 1]


def test_a_seek_finds_the_frame_that_decoding_finds(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    write_video(path, staircase(28), fps=8)
    assert steps(read_clip(path, 2.5, frames=3).video) == [20, 21, 22]


def test_iterating_gives_the_clip_in_chunks(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    write_video(path, staircase(11), fps=10)
    chunks = list(iterate_frames(path, chunk=4))
    assert [chunk.shape[1] for chunk in chunks] == [4, 4, 3]
    assert torch.equal(torch.cat(chunks, dim=1), read_clip(path).video)


def test_scaling_and_cropping(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    video = torch.zeros(3, 2, 32, 64, dtype=torch.uint8)
    video[0, :, :, :32] = 255  # red on the left
    video[2, :, :, 32:] = 255  # blue on the right
    write_video(path, video, fps=10)
    assert read_clip(path, size=16).video.shape == (3, 2, 16, 32)
    left = read_clip(path, size=(16, 16), crop=(0.5, 0)).video
    right = read_clip(path, size=(16, 16), crop=(0.5, 1)).video
    assert left.shape == right.shape == (3, 2, 16, 16)
    assert left[0].float().mean() > 240 > 15 > left[2].float().mean()
    assert right[2].float().mean() > 240 > 15 > right[0].float().mean()
    assert read_clip(path, size=(16, 16), crop=(1, 0), zoom=3).video.shape == (3, 2, 16, 16)


def test_scaling_down_keeps_every_column_of_colour(tmp_path: Path) -> None:
    stripes = torch.zeros(3, 2, 8, 16, dtype=torch.uint8)
    stripes[0, ..., 0::2] = stripes[2, ..., 1::2] = 200
    write_video(tmp_path / "a.mp4", stripes, fps=10, upscale=16)
    back = read_clip(tmp_path / "a.mp4", size=(8, 16)).video
    assert (back.float() - stripes.float()).abs().mean() < 8


def test_a_turned_phone_video_is_shown_upright(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    video = torch.zeros(3, 2, 32, 64, dtype=torch.uint8)
    video[0, :, :, :32] = 255  # red on the left: on top once turned clockwise by a quarter
    write_video(path, video, fps=10)
    data = path.read_bytes()
    upright, turned = (
        struct.pack(">9i", *m)
        for m in (
            [1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30],
            [0, 1 << 16, 0, -1 << 16, 0, 0, 32 << 16, 0, 1 << 30],
        )
    )
    track = data.index(b"tkhd")
    path.write_bytes(data[:track] + data[track:].replace(upright, turned, 1))
    assert (probe(path).height, probe(path).width) == (64, 32)
    shown = read_clip(path).video
    assert shown.shape == (3, 2, 64, 32)
    assert shown[0, :, :28].float().mean() > 240 > 15 > shown[0, :, 36:].float().mean()
    assert read_clip(path, size=(16, 8)).video.shape == (3, 2, 16, 8)
    check_first_look(path)


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp"])
def test_an_image_is_a_video_of_one_frame(tmp_path: Path, name: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # a camera held upright
    Image.new("RGB", (40, 20), (250, 20, 20)).save(tmp_path / name, exif=exif)
    video = read_clip(tmp_path / name, frames=5).video
    assert video.shape == (3, 1, 40, 20)
    assert (video[:, 0, 20, 10].int() - torch.tensor([250, 20, 20])).abs().max() < 12
    assert probe(tmp_path / name).frames == 1


def broken_files(folder: Path) -> dict[str, Path]:
    whole = folder / "whole.mp4"
    write_video(whole, torch.randint(0, 255, (3, 30, 64, 64), dtype=torch.uint8), fps=10)
    data = whole.read_bytes()
    matroska = encode(folder / "whole.mkv", "mpeg4", [*range(28), 100]).read_bytes()
    contents = {
        "empty": ("empty.mp4", b""),
        "not a video": ("letter.mp4", b"Dear reader, this is a letter.\n" * 50),
        "truncated": ("half.mp4", data[: len(data) // 2]),
        "without header": ("tail.mp4", data[:24]),
        "truncated mkv": ("half.mkv", matroska[: len(matroska) // 2]),
    }
    for name, content in contents.values():
        (folder / name).write_bytes(content)
    files = {kind: folder / name for kind, (name, _) in contents.items()}
    return {
        **files,
        "missing": folder / "no.mp4",
        "a folder": folder,
        "only sound": sound_file(folder / "sound.mp4"),
    }


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("empty", "is empty"),
        ("not a video", "not a video"),
        ("truncated", "truncated"),
        ("without header", "truncated"),
        ("truncated mkv", "truncated"),
        ("missing", "does not exist"),
        ("a folder", "is a folder"),
        ("only sound", "no video stream, only audio"),
    ],
)
def test_unreadable_files_say_why_in_one_line(tmp_path: Path, kind: str, message: str) -> None:
    path = broken_files(tmp_path)[kind]
    with pytest.raises(VideoError, match=message) as caught:
        read_clip(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_numbers_out_of_range_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    write_video(path, staircase(5), fps=10)
    for options, message in [
        ({"frames": 0}, "frames must be at least 1; got 0"),
        ({"stride": 0}, "stride must be at least 1; got 0"),
        ({"size": 0}, "size must be at least 1; got 0"),
        ({"size": (8, 0)}, "size must be at least 1; got 0"),
        ({"fps": -1.0}, "fps must be above 0; got -1.0"),
        ({"fps": 5.0, "stride": 2}, "either fps or stride"),
        ({"start_seconds": -1.0}, "start_seconds must be at least 0"),
        ({"start_seconds": 3.0}, "ends after 0.50; start earlier"),
        ({"crop": (2.0, 0.0)}, "crop must lie between"),
    ]:
        with pytest.raises(ValueError, match=message):
            read_clip(path, **options)  # type: ignore[arg-type]


@pytest.mark.skipif(not REAL_CLIPS.is_dir(), reason="the folder of real clips is not there")
@pytest.mark.parametrize(
    ("name", "frames"),
    [
        ("sample-videos__asl_gestures_walk.mkv", 89),
        ("lipnet__GRID_bbaf2n.mpg", 75),
        ("sample-videos__preview_classroom.gif", 45),
        ("robot/fractal_sample.mp4", 22),
    ],
)
def test_real_files(name: str, frames: int) -> None:
    whole = read_clip(REAL_CLIPS / name, size=32)
    assert whole.video.shape[1] == frames
    start = (frames // 2) / whole.fps
    assert torch.equal(
        read_clip(REAL_CLIPS / name, start, 3, size=32).video, whole.video[:, frames // 2 :][:, :3]
    )
