"""The commands take the files that people have, write the containers that names ask for, and say by
their exit status and a table what was left out."""

import csv
import logging
import os
import weakref
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from kinetoscope.app.cli.main import main
from kinetoscope.app.provenance.options import Disclosure
from kinetoscope.app.provenance.writer import Signing
from kinetoscope.app.runs import sample
from kinetoscope.app.runs.file_plan import plan_files
from kinetoscope.app.runs.jobs import Job
from kinetoscope.app.runs.kept_frames import KeptFrames
from kinetoscope.app.runs.written_batch import WrittenBatch
from kinetoscope.data.video import even_timing, probe, read_clip, read_metadata, write_video
from kinetoscope.data.video.contact_sheet import caption_grid
from kinetoscope.generator import SamplingParams
from kinetoscope.tokenizer.codes import CodesFile
from kinetoscope.training.progress import Progress
from PIL import Image
from torch import Tensor

WriteClip = Callable[..., Path]
SUFFIXES = lambda: {".mp4", ".png", ".avi"}  # noqa: E731


def skipped(folder: str) -> dict[str, str]:
    with open(Path(folder) / "skipped.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["file", "reason"]
    return {Path(file).name: reason for file, reason in rows[1:]}


def plain(path: Path, greys: list[int], times: list[int], rate: int, size: int = 16) -> Path:
    """Frames of one grey each at times in units of 1 / rate seconds."""
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=rate)
        stream.width, stream.height, stream.pix_fmt = size, size, "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, rate)
        for grey, time in zip(greys, times, strict=True):
            image = np.full((size, size, 3), grey, np.uint8)
            frame = av.VideoFrame.from_ndarray(image, "rgb24")
            frame.pts = time
            frame.time_base = Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.fixture
def mixed(here: Path, write_clip: WriteClip) -> Path:
    """A good video, one that changes its size, a codec that nobody has, and a song with a cover."""
    folder = here / "in"
    write_clip(folder / "good.mp4")
    small = plain(here / "1.ts", [50] * 9, list(range(9)), 25)
    large = plain(here / "2.ts", [90] * 9, list(range(9)), 25, size=32)
    (folder / "change.ts").write_bytes(small.read_bytes() + large.read_bytes())
    with av.open(str(folder / "codec.avi"), "w") as container:
        stream: Any = container.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = 16, 16, "yuvj420p"
        frame = av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8), "rgb24")
        container.mux(stream.encode(frame.reformat(format="yuvj420p")))
        container.mux(stream.encode(None))
    data = (folder / "codec.avi").read_bytes()
    (folder / "codec.avi").write_bytes(data.replace(b"MJPG", b"ZZZZ"))
    return folder


@pytest.mark.parametrize(("command", "end"), [("encode", "safetensors"), ("reconstruct", "mp4")])
def test_files_that_cannot_be_done_are_listed_and_the_others_made(
    mixed: Path, models: Path, command: str, end: str
) -> None:
    words = [command, "in", "-o", "out", "--tokenizer", str(models / "one")]
    assert main(words) == 1
    assert sorted(os.listdir("out")) == [f"good.{end}", "skipped.csv"]
    left_out = skipped("out")
    assert list(left_out) == ["change.ts", "codec.avi"]
    assert left_out["change.ts"].startswith("changes its size from 16 x 16 to 32 x 32")
    assert "a codec that this FFmpeg cannot decode" in left_out["codec.avi"]
    (mixed / "change.ts").unlink()
    (mixed / "codec.avi").unlink()
    assert main(words) == 0
    assert skipped("out") == {}


def test_prepare_says_by_its_status_that_something_was_left_out(mixed: Path, models: Path) -> None:
    words = ["prepare", "in", "shards", "--tokenizer", str(models / "one"), "--size", "0"]
    words += ["--workers", "1"]
    assert main(words) == 1
    assert list(skipped("shards")) == ["change.ts", "codec.avi"]
    (mixed / "change.ts").unlink()
    (mixed / "codec.avi").unlink()
    assert main([*words[:2], "whole", *words[3:]]) == 0


def test_prepare_says_where_captions_came_from_first(
    here: Path, models: Path, write_clip: WriteClip, caplog: pytest.LogCaptureFixture
) -> None:
    write_clip(here / "in/a.mp4")
    write_clip(here / "in/b.mp4")
    (here / "in/metadata.jsonl").write_text('{"file_name": "a.mp4", "text": "a ball"}\n')
    with caplog.at_level(logging.INFO):
        words = ["prepare", "in", "out", "--tokenizer", str(models / "one"), "--workers", "1"]
        assert main(words) == 0
    assert "1 from metadata.jsonl; 1 of the videos in it are not in the table" in caplog.text


# ---- numbered pictures, links, transparency ----


@pytest.fixture
def frames(here: Path) -> Path:
    folder = here / "frames"
    folder.mkdir()
    for index in range(9):
        Image.new("RGB", (24, 16), (20 * index, 90, 90)).save(folder / f"{index:03}.png")
    return folder


@pytest.mark.parametrize("source", ["frames", "frames/%03d.png", "frames/*.png"])
def test_numbered_pictures_are_one_video_with_a_rate(
    frames: Path, models: Path, source: str
) -> None:
    words = ["encode", source, "--fps", "8", "--tokenizer", str(models / "one")]
    assert main([*words, "-o", "one.safetensors"]) == 0
    file = CodesFile.open(Path("one.safetensors"))
    assert (file.num_frames, file.fps, file.height, file.width) == (9, 8.0, 16, 24)


def test_numbered_pictures_in_folders_are_videos_among_others(
    frames: Path, here: Path, write_clip: WriteClip
) -> None:
    write_clip(here / "all/clip.mp4")
    frames.rename(here / "all/film")
    plan = plan_files(["all"], "out", "videos", SUFFIXES, ".safetensors", fps=8)
    assert [job.source.name for job in plan.jobs] == ["clip.mp4", "film"]
    plan = plan_files(["all"], "out", "videos", SUFFIXES, ".safetensors")
    assert len(plan.jobs) == 10


def test_numbered_pictures_without_a_rate_get_a_hint(
    frames: Path, models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--tokenizer", str(models / "one")]
    assert main(["encode", "frames/%03d.png", "-o", "a.safetensors", *words]) == 2
    assert "say with --fps how many frames a second" in capsys.readouterr().err
    assert main(["encode", "frames", "-o", "out", *words]) == 0
    captured = capsys.readouterr()
    assert "holds 9 numbered pictures; with --fps they are one video" in captured.err
    assert "9 files: 9 encoded" in captured.out


def test_links_are_followed(here: Path, models: Path, write_clip: WriteClip) -> None:
    write_clip(here / "pool/a.mp4")
    (here / "only").mkdir()
    (here / "only/videos").symlink_to(here / "pool")
    (here / "only/circle").symlink_to(here / "only")
    assert main(["encode", "only", "-o", "out", "--tokenizer", str(models / "one")]) == 0
    assert os.listdir("out/videos") == ["a.safetensors"]
    assert os.listdir("out") == ["videos"]


def test_transparency_is_laid_on_the_colour_asked_for(here: Path, models: Path) -> None:
    Image.new("RGBA", (16, 16), (0, 0, 0, 0)).save("clear.png")
    words = ["reconstruct", "clear.png", "--tokenizer", str(models / "one"), "--scale", "1"]
    for colour, level in (("white", 255), ("#400000", 64)):
        assert main([*words, "-o", "a.mp4", "--background", colour]) == 0
        original = read_clip("a.mp4").video[0, 0, 4:12, 4:12].float()
        assert (original - level).abs().max() < 12
    assert main([*words, "-o", "a.mp4", "--background", "whitish"]) == 2


# ---- times ----


def test_a_picture_shown_at_two_seconds_is_shown_then_again(
    here: Path, models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    times = [*range(60), *range(60, 120, 3)]  # two seconds at 30 frames a second, two at 10
    greys = [20 + 2 * index for index in range(len(times))]
    plain(here / "vfr.mp4", greys, times, 30)
    words = ["--tokenizer", str(models / "one"), "--scale", "1"]
    assert main(["reconstruct", "vfr.mp4", "-o", "out.mp4", *words]) == 0
    assert "has no constant frame rate; it is taken at 30 frames" in capsys.readouterr().err
    clip = read_clip("out.mp4")
    assert clip.fps == pytest.approx(30)
    shown = (clip.video[:, :, 4:12, 4:12].float().mean((0, 2, 3)) - 20) / 2
    assert clip.video.shape[1] == pytest.approx(120, abs=2)
    expected = [sum(time <= place for time in times) - 1 for place in range(120)]
    assert (shown[:118] - torch.tensor(expected[:118])).abs().max() < 0.9

    assert main(["encode", "vfr.mp4", "-o", "v.safetensors", *words[:2]]) == 0
    assert CodesFile.open(Path("v.safetensors")).fps == pytest.approx(30)
    assert main(["decode", "v.safetensors", "-o", "back.mp4", *words]) == 0
    assert probe("back.mp4").seconds == pytest.approx(4, abs=0.1)
    assert main(["encode", "vfr.mp4", "-o", "v.safetensors", "--fps", "5", *words[:2]]) == 0
    assert CodesFile.open(Path("v.safetensors")).num_frames == pytest.approx(20, abs=1)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.avi", "a.gif", "a.webm"])
def test_a_constant_rate_keeps_its_own_frames(here: Path, name: str) -> None:
    video = torch.randint(0, 255, (3, 33, 16, 16), dtype=torch.uint8)
    with av.open(name, "w") as container:
        codecs = {"a.gif": ("gif", "rgb8"), "a.webm": ("libvpx", "yuv420p")}
        codec, pixels = codecs.get(name, ("libx264", "yuv420p"))
        stream: Any = container.add_stream(codec, rate=Fraction(30000, 1001))
        stream.width, stream.height, stream.pix_fmt = 16, 16, pixels
        for image in video.unbind(1):
            frame = av.VideoFrame.from_ndarray(image.permute(1, 2, 0).contiguous().numpy(), "rgb24")
            container.mux(stream.encode(frame.reformat(format=pixels)))
        container.mux(stream.encode(None))
    timing = even_timing(name)
    assert timing.sampled is None
    assert timing.fps == pytest.approx(29.97, rel=0.02)


def test_rare_slides_are_not_blown_up(here: Path) -> None:
    plain(here / "slides.mp4", [20, 40, 60, 80], [0, 1, 2, 25 * 600], 25)
    assert even_timing("slides.mp4").sampled is None  # 15,000 frames for four pictures
    plain(here / "talk.mp4", [20, 40, 60, 80], [0, 25, 75, 250], 25)
    assert even_timing("talk.mp4").sampled == pytest.approx(1)


# ---- containers, by name ----


@pytest.mark.parametrize("name", ["a.mov", "a.mkv", "a.webm", "a.gif", "a.webp", "f/%03d.png"])
def test_the_name_decides_the_container(clip: Path, here: Path, models: Path, name: str) -> None:
    words = ["--tokenizer", str(models / "one"), "--scale", "2"]
    assert main(["reconstruct", str(clip), "-o", f"new/{name}", *words]) == 0
    back = read_clip(f"new/{name}", fps=12)
    assert back.video.shape == (3, 9, 32, 144)
    if name.endswith(("mov", "mkv", "webm")):
        assert read_metadata(f"new/{name}")["source"] == "clip.mp4"
    assert main(["encode", str(clip), "-o", "codes.safetensors", *words[:2]]) == 0
    assert main(["decode", "codes.safetensors", "-o", f"other/{name}", *words]) == 0
    assert read_clip(f"other/{name}", fps=12).video.shape == (3, 9, 32, 48)


def test_several_files_cannot_become_one_whatever_its_container(here: Path) -> None:
    for name in ("a.mp4", "a.webm", "a.gif"):
        with pytest.raises(ValueError, match="several files cannot become one"):
            plan_files(["1.mp4", "2.mp4"], name, "videos", SUFFIXES, ".mp4")


# ---- nothing is kept while drawing ----


class Drawn:
    """A stream of two videos that counts how many of its chunks are still held."""

    def __init__(self, chunks: int) -> None:
        self.chunks = chunks
        self.alive: list[weakref.ref[Tensor]] = []
        self.most = 0

    def __iter__(self) -> Iterator[Tensor]:
        generator = torch.Generator().manual_seed(0)
        for index in range(self.chunks):
            frames = 1 if index == 0 else 4
            chunk = 2 * torch.rand(2, 3, frames, 8, 16, generator=generator) - 1
            self.alive.append(weakref.ref(chunk))
            yield chunk
            del chunk
            self.most = max(self.most, sum(ref() is not None for ref in self.alive))


@pytest.mark.parametrize("grid", [False, True])
def test_frames_are_written_as_they_are_drawn(here: Path, grid: bool) -> None:
    jobs = [Job("a red ball", 0, here / "a.mp4"), Job("a cube", 1, here / "b.mp4")]
    options = sample.SampleOptions("tiny", 37, 12.0)
    about = sample.About(options, SamplingParams(), "0123456789ab")
    signing = Signing(Disclosure(), print)
    writers = sample._writers(options, about, signing, None)
    stream = Drawn(12)
    with KeptFrames() as kept:
        grid_of = kept if grid else None
        batch = WrittenBatch(jobs, [37, 37], writers, Progress(74), grid_of)
        written = batch.write(iter(stream), lambda: False)
        assert [writer.frames for writer in written] == [37, 37]
        assert stream.most <= 1
        assert sorted(os.listdir(here)) == ["a.mp4", "b.mp4"]
        if grid:
            sample._write_grid(kept, jobs, about, signing, here / "grid.mp4")
    assert probe(here / "a.mp4").frames == 37
    assert not grid or probe(here / "grid.mp4").frames == 37


def test_the_grid_is_that_of_all_videos_at_once(here: Path) -> None:
    first = torch.randint(0, 255, (2, 3, 9, 8, 16), dtype=torch.uint8)
    short = torch.randint(0, 255, (1, 3, 5, 8, 16), dtype=torch.uint8)  # interrupted
    with KeptFrames() as kept:
        for videos in (first, short):
            for begin, end in ((0, 1), (1, 5), (5, 9)):
                if begin < videos.shape[2]:
                    kept.write(videos[:, :, begin:end], is_first=begin == 0)
        chunks = list(kept.side_by_side())
    assert [chunk.shape[2] for chunk in chunks] == [1, 4, 4]
    held = torch.cat([short, short[:, :, -1:].expand(-1, -1, 4, -1, -1)], dim=2)
    whole = torch.cat([first, held])
    assert torch.equal(torch.cat(chunks, dim=2), whole)
    captions = ["a red ball", "a cube", "a cone"]
    parts = [caption_grid(chunk, captions, 16) for chunk in chunks]
    assert torch.equal(torch.cat(parts, dim=1), caption_grid(whole, captions, 16))
    write_video(here / "grid.mp4", torch.cat(parts, dim=1), 12)
