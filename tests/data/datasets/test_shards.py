"""Lists of videos, decoding ahead, shots, and shards: what is read is what was written, and
faults are named."""

import csv
import io
import json
import os
import signal
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from kinetoscope.data.datasets.captions import Words
from kinetoscope.data.datasets.shard_records import read_array
from kinetoscope.data.datasets.shards import (
    FORMAT,
    Clip,
    ClipInfo,
    Shards,
    shard_path,
    write_shard,
    write_skipped,
)
from kinetoscope.data.datasets.shots import split_shots
from kinetoscope.data.datasets.video_list import ListedVideo, list_videos
from kinetoscope.data.video import VideoError, read_clip, write_video
from kinetoscope.data.video.workers import Decoders, Reading
from kinetoscope.files.json_file import write_json
from torch import Tensor


def noise(frames: int, seed: int = 0, size: int = 16) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (3, frames, size, size), generator=generator, dtype=torch.uint8)


def scene(frames: int, seed: int, drift: int = 1, size: int = 48) -> Tensor:
    """A picture of big blotches that moves by `drift` pixels a frame."""
    generator = torch.Generator().manual_seed(seed)
    wide = torch.rand(1, 3, 6, 40, generator=generator)
    picture = torch.nn.functional.interpolate(wide, (size, 7 * size), mode="bicubic").clamp(0, 1)[0]
    return (
        torch.stack([picture[:, :, f * drift : f * drift + size] for f in range(frames)], 1)
        .mul(255)
        .byte()
    )


# ---- shards ----


def clip(seed: int, latents: int = 3, text: bool = True) -> Clip:
    draw = np.random.default_rng(seed)
    lengths = (2, 3) if text else ()
    info = ClipInfo(
        ("a ball", "ein roter Ball, größer"),
        f"videos/{seed}.mp4",
        0.5,
        1.5,
        9,
        16,
        16,
        9.0,
        "MIT",
        text_lengths=lengths,
    )
    states = draw.standard_normal((5, 4)).astype(np.float16) if text else None
    return Clip(info, draw.integers(0, 99, (latents, 2, 2)).astype(np.int16), states)


def finish(folder: Path, shards: list[list[Clip]]) -> None:
    listed = []
    for number, clips in enumerate(shards):
        path = shard_path(folder, number)
        record = write_shard(path, clips)
        write_json(path.with_suffix(".json"), record)
        listed.append({"name": path.name, "bytes": record["bytes"]})
    write_json(folder / "manifest.json", {"format": FORMAT, "complete": True, "shards": listed})


def test_clips_come_back_by_their_number(tmp_path: Path) -> None:
    clips = [clip(0), clip(1, latents=5), clip(2, text=False), clip(3)]
    finish(tmp_path, [clips[:3], clips[3:]])
    shards = Shards(tmp_path)
    assert len(shards) == 4
    for index in (3, 1, 0, 2):
        assert shards.info(index) == clips[index].info
        assert np.array_equal(shards.codes(index), clips[index].codes)
        assert shards.records[index]["shape"] == list(clips[index].codes.shape)
        if (expected := clips[index].text) is not None:
            assert np.array_equal(shards.text(index), expected)
    with pytest.raises(ValueError, match="hold no caption states"):
        shards.text(2)


def test_webdataset_reads_the_shards(tmp_path: Path) -> None:
    import webdataset

    clips = [clip(0), clip(1, text=False)]
    write_shard(shard_path(tmp_path, 7), clips)
    pipeline = webdataset.WebDataset(str(tmp_path / "000007.tar"), shardshuffle=False)
    samples = list(pipeline.decode())
    assert [sample["__key__"] for sample in samples] == ["000007-00000", "000007-00001"]
    for sample, expected in zip(samples, clips):
        assert np.array_equal(sample["codes.npy"], expected.codes)
        assert (
            sample["json"]["licence"] == "MIT"
            and sample["json"]["captions"][1] == "ein roter Ball, größer"
        )
    assert np.array_equal(samples[0]["text.npy"], clips[0].text) and "text.npy" not in samples[1]


def test_a_shard_holds_no_time_and_no_owner(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write_shard(tmp_path / name / "000000.tar", [clip(0)])
        monkeypatch.setattr("time.time", lambda: 1e9)
    a, b = ((tmp_path / name / "000000.tar").read_bytes() for name in ("a", "b"))
    assert a == b
    with tarfile.open(fileobj=io.BytesIO(a)) as tar:
        assert {(member.mtime, member.uid, member.gid, member.uname) for member in tar} == {
            (0, 0, 0, "")
        }


@pytest.mark.parametrize("damage", ["truncated", "gone"])
def test_a_damaged_shard_is_named_and_left_out(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    finish(tmp_path, [[clip(0), clip(1)], [clip(2)]])
    path = shard_path(tmp_path, 0)
    path.write_bytes(path.read_bytes()[:3000]) if damage == "truncated" else path.unlink()
    shards = Shards(tmp_path)
    assert [shards.info(index).source for index in range(len(shards))] == ["videos/2.mp4"]
    assert "000000.tar" in caplog.text and "run kinetoscope prepare again" in caplog.text
    shard_path(tmp_path, 1).unlink()
    with pytest.raises(ValueError, match="none of the 2 shards"):
        Shards(tmp_path)


def test_folders_that_hold_no_finished_shards_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds no shards"):
        Shards(tmp_path)
    write_json(tmp_path / "manifest.json", {"format": FORMAT, "complete": False})
    with pytest.raises(ValueError, match="not finished; run kinetoscope prepare again"):
        Shards(tmp_path)


def test_a_shard_overwritten_in_place_is_noticed(tmp_path: Path) -> None:
    finish(tmp_path, [[clip(0)]])
    path = shard_path(tmp_path, 0)
    path.write_bytes(bytes(path.stat().st_size))
    with pytest.raises(ValueError, match="damaged; delete it"):
        Shards(tmp_path).codes(0)


def test_skipped_files_are_a_table_that_spreadsheets_read(tmp_path: Path) -> None:
    rows = [("a, b.mp4", 'says "no"'), ("ü.mp4", "two\nlines")]
    write_skipped(tmp_path / "skipped.csv", rows)
    with open(tmp_path / "skipped.csv", encoding="utf-8", newline="") as file:
        assert [tuple(row) for row in csv.reader(file)] == [("file", "reason"), *rows]


# ---- shots ----


def cut_at(video: Tensor, chunk: int, **settings: Any) -> list[int]:
    """Lengths of the clips; their frames must be those of the video."""
    lengths: dict[int, int] = {}
    pieces = list(split_shots(video.split(chunk, dim=1), **settings))
    for number, piece in pieces:
        lengths[number] = lengths.get(number, 0) + piece.shape[1]
    assert torch.equal(torch.cat([piece for _, piece in pieces], 1), video)
    return list(lengths.values())


@pytest.mark.parametrize("chunk", [1, 7, 100])
def test_cuts_are_found_whatever_the_chunks(chunk: int) -> None:
    video = torch.cat([scene(20, 0), scene(5, 1, drift=2), scene(17, 2, drift=0)], 1)
    assert cut_at(video, chunk) == [20, 5, 17]
    assert cut_at(video, chunk, cut=1) == [42]
    assert cut_at(video, chunk, clip_frames=8) == [8, 8, 4, 5, 8, 8, 1]


def test_fast_motion_and_a_flash_are_no_cuts() -> None:
    assert cut_at(scene(30, 3, drift=6), 8) == [30]
    flash = scene(20, 4)
    flash[:, 10] = 255
    assert len(cut_at(flash, 6)) == 2


# ---- decoding ahead ----


@pytest.fixture
def endless(tmp_path: Path) -> Path:
    """A video whose third frame comes after a hundred days."""
    path = tmp_path / "endless.mkv"
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("mjpeg", rate=25)
        stream.width = 16
        stream.height = 16
        stream.pix_fmt = "yuvj420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, 25)
        for time in (0, 1, 25 * 86400 * 100):
            frame = av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8), "rgb24")
            frame.pts = time
            frame.time_base = Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def decoded(
    folder: Path, workers: int, time_limit: float = 30.0, more: Sequence[ListedVideo] = ()
) -> Iterator[tuple[str, Tensor | str]]:
    videos, _ = list_videos(folder, "none")
    with Decoders(Reading((8, 8), 25.0, time_limit), workers) as decoders:
        for video in decoders.read([*videos[:4], *more, *videos[4:]]):
            try:
                yield video.video.name, torch.cat(list(video), 1)
            except VideoError as error:
                yield video.video.name, str(error)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_video_that_hangs_or_breaks_costs_no_other(
    tmp_path: Path, endless: Path, workers: int
) -> None:
    for name in "abfgh":
        write_video(tmp_path / f"{name}.mp4", noise(70 if name == "b" else 5), fps=25)
    (tmp_path / "c.mp4").write_bytes((tmp_path / "b.mp4").read_bytes()[:2000])
    os.mkfifo(tmp_path / "pipe")  # opening it takes for ever, since nobody writes to it
    stuck = ListedVideo("stuck.mp4", tmp_path / "pipe", Words(("",)), member=(0, 9))
    results = dict(decoded(tmp_path, workers, 2.5, [stuck]))
    names = ["a.mp4", "b.mp4", "c.mp4", "endless.mkv", "stuck.mp4", "f.mp4", "g.mp4", "h.mp4"]
    assert list(results) == names
    assert str(results.pop("endless.mkv")).startswith("shows one picture from 0.04 to 8640000 sec")
    assert results.pop("stuck.mp4") == "gave no frame for 2.5 seconds: the decoder hangs on it"
    assert str(results.pop("c.mp4")).startswith("holds no frame that can be decoded")
    for name, frames in results.items():
        assert isinstance(frames, Tensor)
        assert torch.equal(frames, read_clip(tmp_path / name, fps=25, size=(8, 8)).video)


def test_a_crash_of_the_decoder_costs_one_video(tmp_path: Path) -> None:
    for name in "abc":  # the second is longer than what is decoded ahead
        write_video(tmp_path / f"{name}.mp4", noise(700 if name == "b" else 5), fps=25)
    videos, _ = list_videos(tmp_path, "none")
    with Decoders(Reading((8, 8)), 1) as decoders:
        lengths = []
        for index, video in enumerate(decoders.read(videos)):
            if index == 1:
                # so that it cannot have finished
                os.kill(decoders._workers[0].process.pid, signal.SIGSTOP)
                os.kill(decoders._workers[0].process.pid, signal.SIGKILL)
                decoders._workers[0].process.join()
                with pytest.raises(VideoError, match=r"crashed the decoder \(exit status -9\)"):
                    while next(iter(video)) is not None:
                        pass
            else:
                lengths.append(torch.cat(list(video), 1).shape[1])
    assert lengths == [5, 5]


# ---- lists of videos ----


def names(source: Path, **settings: Any) -> dict[str, tuple[str, ...]]:
    return {video.name: video.words.captions for video in list_videos(source, **settings)[0]}


INTERRUPTED = """
import os, signal, threading, time
from multiprocessing.forkserver import _forkserver as server
from kinetoscope.data.video.workers import Decoders, Reading

def interrupt():
    while not server._forkserver_pid or "libtorch" not in maps():
        time.sleep(0.001)
    os.killpg(0, signal.SIGINT)

def maps():
    return open(f"/proc/{server._forkserver_pid}/maps").read()

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background ignores it
threading.Thread(target=interrupt, daemon=True).start()
try:
    with Decoders(Reading(), 1):
        while True:  # the signal may come before a wait, or to the other thread
            time.sleep(0.01)
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="looks into a process by /proc")
def test_ctrl_c_while_workers_start_is_for_the_process_that_waits() -> None:
    """A terminal sends it to all of them; they are importing then, and say nothing."""
    words = [sys.executable, "-c", INTERRUPTED]
    done = subprocess.run(
        words, capture_output=True, text=True, start_new_session=True, timeout=120
    )
    assert (done.stdout, done.stderr, done.returncode) == ("interrupted\n", "", 0)


def test_a_list_names_videos_anywhere(tmp_path: Path) -> None:
    for name in ("x/star_jump/1.mp4", "x/2.mp4"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"?")
    (tmp_path / "x/2.txt").write_text("two jumps\n")
    (tmp_path / "list.txt").write_text("x/star_jump/1.mp4\n\nx/2.mp4\nx/./2.mp4\n")
    assert names(tmp_path / "list.txt") == {
        "x/2.mp4": ("two jumps",),
        "x/star_jump/1.mp4": ("star jump",),
    }
    (tmp_path / "list.csv").write_text("file,caption,license\nx/2.mp4,hop,CC0\n")
    (video,), _ = list_videos(tmp_path / "list.csv")
    assert (video.words.captions, video.words.licence, video.size) == (("hop",), "CC0", 1)


def test_videos_that_no_row_names_are_counted_however_the_folder_is_written(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "other").mkdir()
    for name in ("1.mp4", "2.mp4"):
        (tmp_path / name).write_bytes(b"?")
    (tmp_path / "manifest.csv").write_text("file,caption\n1.mp4,hop\n")
    for folder in (tmp_path, tmp_path / "other" / ".."):
        caplog.clear()
        assert names(folder) == {"1.mp4": ("hop",)}
        assert caplog.text.count("1 of the videos in") == 1 and "are left out" in caplog.text


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_manifest_with_repeated_rows_and_a_licence(tmp_path: Path, encoding: str) -> None:
    rows = (
        "caption;file;Licence\nein größerer Ball;a.mp4;MIT\n"
        "ein größerer Ball;./a.mp4;\nzwei\u2028Zeilen;a.mp4;\n"
    )
    (tmp_path / "manifest.csv").write_text(rows + ";b.mp4\n", encoding=encoding)
    videos, problems = list_videos(tmp_path)
    assert [(v.name, v.words.captions, v.words.licence) for v in videos] == [
        ("a.mp4", ("ein größerer Ball", "zwei Zeilen"), "MIT"),
        ("b.mp4", ("",), ""),
    ]
    assert not problems


def test_a_manifest_in_an_unknown_encoding_is_refused_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "manifest.csv").write_bytes(
        "file,caption\na.mp4,ok\nb.mp4,größer\n".encode("cp1252")
    )
    with pytest.raises(ValueError, match=r"is not UTF-8 text \(line 3\); save it as UTF-8"):
        list_videos(tmp_path)


@pytest.mark.parametrize(
    ("name", "message"),
    [("nowhere", "does not exist; give a folder"), ("a.pdf", "neither a folder nor a list")],
)
def test_sources_that_cannot_be_are_refused(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "a.pdf").write_bytes(b"?")
    with pytest.raises(ValueError, match=message):
        list_videos(tmp_path / name)


def add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))


@pytest.fixture
def video_shard(tmp_path: Path) -> Path:
    """WebDataset shards: three videos and a sample without one."""
    write_video(tmp_path / "clip.mp4", noise(5), fps=25)
    content = (tmp_path / "clip.mp4").read_bytes()
    (tmp_path / "clip.mp4").unlink()
    with tarfile.open(tmp_path / "in.tar", "w") as tar:
        add(tar, "s/one.mp4", content)
        add(tar, "s/one.txt", b"a ball\nit rolls\n")
        add(tar, "s/two.json", json.dumps({"Caption": "a cube", "license": "MIT", "n": 1}).encode())
        add(tar, "s/two.mp4", content)
        add(tar, "s/none.txt", b"nothing to see")
        add(tar, "s/wide.mp4", content)
    return tmp_path


def test_shards_of_videos_are_read_with_their_captions(video_shard: Path) -> None:
    videos, problems = list_videos(video_shard / "in.tar")
    assert [(v.name, v.words.captions, v.words.licence) for v in videos] == [
        ("in.tar/s/one.mp4", ("a ball", "it rolls"), ""),
        ("in.tar/s/two.mp4", ("a cube",), "MIT"),
        ("in.tar/s/wide.mp4", (), ""),
    ]
    assert problems == [("in.tar/s/none", "holds no video, only .txt")]
    for _, frames in decoded(video_shard, 1):
        assert isinstance(frames, Tensor) and frames.shape == (3, 5, 8, 8)


@pytest.mark.parametrize("cut", [300, 2000, 5000])
def test_what_is_whole_in_a_truncated_shard_is_used(video_shard: Path, cut: int) -> None:
    whole = names(video_shard)
    path = video_shard / "in.tar"
    with tarfile.open(path) as tar:
        end = max(member.offset_data + member.size for member in tar)
    path.write_bytes(path.read_bytes()[: end - cut])
    videos, problems = list_videos(video_shard)
    assert 1 <= len(videos) < len(whole) and all(whole[v.name] == v.words.captions for v in videos)
    assert any("truncated" in reason for _, reason in problems)


# ---- what is written about shards is checked ----

Change = Callable[[Any], Any]


def edited(folder: Path, name: str, change: Change) -> None:
    path = folder / name
    values = json.loads(path.read_text())
    new = change(values)
    path.write_text(json.dumps(new if isinstance(new, list) else values))


MANIFESTS: list[tuple[Change, str]] = [
    (lambda m: [m], "must hold a JSON object, and holds a list"),
    (lambda m: m.update(shards={"a": 1}), "shards must be a list"),
    (lambda m: m["shards"].append("000001.tar"), r"shards\[1\] must be an object"),
    (lambda m: m["shards"][0].update(bytes="many"), r"shards\[0\].bytes must be a whole number"),
    (lambda m: m["shards"][0].update(bytes=-1), r"shards\[0\].bytes must be a whole number"),
    (lambda m: m["shards"][0].pop("name"), r"shards\[0\].name is missing"),
    (lambda m: m["shards"][0].update(name="../000000.tar"), "must be the name of a file"),
    (lambda m: m["shards"][0].update(name="/etc/passwd"), "must be the name of a file"),
    (lambda m: m.update(tokenizer="physics-64"), "tokenizer must be an object"),
    (lambda m: m.update(tokenizer={"id": 3, "name": "x"}), "tokenizer.id must be text; got 3"),
    (lambda m: m.update(text={"id": "x"}), "text.name is missing"),
]


@pytest.mark.parametrize(("change", "said"), MANIFESTS)
def test_a_manifest_of_another_kind_is_refused_by_its_field(
    tmp_path: Path, change: Change, said: str
) -> None:
    finish(tmp_path, [[clip(0)]])
    edited(tmp_path, "manifest.json", change)
    with pytest.raises(ValueError, match=f"manifest.json'.*{said}"):
        Shards(tmp_path)


RECORDS: list[tuple[Change, str]] = [
    (lambda r: [], "it must be an object"),
    (lambda r: r.update(samples=3), "samples must be a list; got 3"),
    (lambda r: r["samples"][0].pop("shape") and None, r"samples\[0\].shape is missing"),
    (lambda r: r["samples"][0].update(shape=[3, 2]), "shape must have 3 or 4 entries; got 2"),
    (lambda r: r["samples"][0].update(shape=[3, "2", 2]), r"shape\[1\] must be a whole number"),
    (lambda r: r["samples"][0].update(shape=[0, 2, 2]), r"shape\[0\] must be a whole number"),
    (lambda r: r["samples"][0].update(source=None), "source must be text; got None"),
    (lambda r: r["samples"][0].update(text_lengths=[-3]), r"text_lengths\[0\] must be"),
    (lambda r: r["samples"][0]["places"].pop("json") and None, "places.json is missing"),
    (
        lambda r: r["samples"][0]["places"].update({"codes.npy": [0, 10**9]}),
        "must be an offset and a length within",
    ),
    (lambda r: r["samples"][0]["places"].update({"json": [5]}), "must be an offset and a length"),
]


@pytest.mark.parametrize(("change", "said"), RECORDS)
def test_a_record_of_another_kind_is_refused_by_its_field(
    tmp_path: Path, change: Change, said: str
) -> None:
    finish(tmp_path, [[clip(0)]])
    edited(tmp_path, "000000.json", change)
    with pytest.raises(ValueError, match=f"000000.json'.*{said}"):
        Shards(tmp_path)


def test_arrays_are_believed_only_as_far_as_their_bytes_go() -> None:
    def stored(array: Any) -> bytes:
        buffer = io.BytesIO()
        np.save(buffer, array)
        return buffer.getvalue()

    codes = np.arange(12, dtype=np.int16).reshape(3, 2, 2)
    whole = stored(codes)
    assert np.array_equal(read_array(whole, (3, 2, 2), "iu"), codes)
    assert np.array_equal(read_array(whole, (3, 0, 2), "iu"), codes)
    for wrong in (
        stored(codes[:2]),
        stored(codes.astype(np.float32)),
        stored(np.array([{}] * 12, dtype=object).reshape(3, 2, 2)),
        stored(np.asfortranarray(codes)),
        whole[:-1],
        whole + b"0",
        b"",
        b"\x93NUMPY\x09\x00" + whole[8:],
        whole.replace(b"'<i2'", b"'<i8'"),
        whole.replace(b"2, 2)", b"2, 2("),
        whole.replace(b"{", b"("),
    ):
        with pytest.raises(ValueError):
            read_array(wrong, (3, 2, 2), "iu")


def test_a_clip_whose_own_record_is_damaged_names_its_shard(tmp_path: Path) -> None:
    finish(tmp_path, [[clip(0)]])
    path = shard_path(tmp_path, 0)
    content = path.read_bytes()
    path.write_bytes(content.replace(b'"captions": [', b'"captions": {'))
    with pytest.raises(ValueError, match=r"shard '.*000000.tar' is damaged; delete it"):
        Shards(tmp_path).info(0)
