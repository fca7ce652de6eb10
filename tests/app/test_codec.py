"""`kinetoscope encode`, `decode` and `reconstruct`: single files, folders and patterns, and how
they end."""

import errno
import os
import re
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import av
import numpy
import pytest
import torch
from kinetoscope.app.cli.main import main
from kinetoscope.app.runs import codec as codec_run
from kinetoscope.data.video import probe, read_clip, read_metadata, to_float, to_uint8, write_video
from kinetoscope.tokenizer import (
    VideoCodes,
    VideoTokenizer,
)
from kinetoscope.tokenizer.codes import CodesFile, CodesWriter
from kinetoscope.tokenizer.metrics import psnr, ssim
from kinetoscope.training.progress import Progress
from torch import Tensor

WriteClip = Callable[..., Path]


@pytest.fixture
def films(clip: Path, write_clip: WriteClip) -> Path:
    """A folder with two videos, one of them in a subfolder, a broken one, one of sound alone,
    and a text."""
    folder = clip.parent
    write_clip(folder / "more/clip.mp4", shift=60)
    (folder / "broken.mp4").write_bytes(clip.read_bytes()[: clip.stat().st_size * 2 // 3])
    with av.open(str(folder / "sound.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(
            numpy.zeros((1, 1024), numpy.float32), format="fltp", layout="mono"
        )
        frame.sample_rate = 8000
        container.mux([*stream.encode(frame), *stream.encode(None)])
    (folder / "notes.txt").write_text("by the sea")
    (folder / ".hidden.mp4").touch()
    return folder


def below(folder: str) -> list[str]:
    return sorted(
        str(path.relative_to(folder)) for path in Path(folder).rglob("*") if path.is_file()
    )


def apart(a: Tensor, b: Tensor) -> float:
    return float((a - b).abs().mean())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["reconstruct", "<clip>"], "--out must be given"),
        (["reconstruct", "-o", "a.mp4"], "VIDEO must be given"),
        (
            ["reconstruct", "<clip>", "-o", "a.mp4", "--size", "0"],
            "--size must be at least 1; got 0",
        ),
        (
            ["encode", "<clip>", "-o", "a.safetensors", "--tile", "0"],
            "--tile must be at least 1; got 0",
        ),
        (
            ["encode", "<clip>", "-o", "a.safetensors", "--dtype", "half"],
            "must be float32 or bfloat16; got half",
        ),
        (
            ["encode", "<clip>", "-o", "a.safetensors", "--device", "moon"],
            "device 'moon' cannot be used here",
        ),
        (
            ["encode", "<clip>", "-o", "a.safetensors", "--tokenizer", "<model>", "--rate", "2"],
            "at most 1, the codebook",
        ),
        (["encode", "<clip>", "-o", "codes.bin"], "must end in .safetensors"),
        (
            ["encode", "<clip>", "<half>", "-o", "a.safetensors"],
            "several files cannot become one; give a folder",
        ),
        (["encode", "<folder>/*.avi", "-o", "out"], "no file matches"),
        (["encode", "<void>", "-o", "out"], "there are no videos in"),
        (["decode", "<folder>", "-o", "out"], "there are no codes in"),
        (["reconstruct", "<clip>", "-o", "<clip>"], "would overwrite a source"),
        (["reconstruct", "<folder>", "-o", "<folder>"], "would overwrite a source"),
        (["reconstruct", "<folder>", "-o", "a.mp4"], "is a folder, so its results need one too"),
        (
            ["encode", "<clip>", "<copy>", "-o", "out"],
            "would both become 'out/clip.mp4.safetensors'",
        ),
        (["reconstruct", "<empty>", "-o", "a.mp4"], "is empty"),
        (["reconstruct", "<text>", "-o", "a.mp4"], "it is not a video"),
        (["reconstruct", "<half>", "-o", "a.mp4", "--tokenizer", "<model>"], "truncated"),
        (["decode", "<clip>", "-o", "a.mp4"], "not a readable safetensors file"),
        (["decode", "no.safetensors", "-o", "a.mp4"], "does not exist"),
    ],
)
def test_mistakes_end_in_one_line(
    here: Path,
    models: Path,
    clip: Path,
    arguments: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = clip.parent
    (folder / "empty.mp4").touch()
    (folder / "letter.mp4").write_text("Dear reader" * 99)
    (folder / "half.mp4").write_bytes(clip.read_bytes()[: clip.stat().st_size * 2 // 3])
    (folder / "void").mkdir()
    names = {
        "empty": folder / "empty.mp4",
        "text": folder / "letter.mp4",
        "half": folder / "half.mp4",
    }
    names |= {"copy": shutil.copy(clip, folder / "void/clip.mp4")} if "<copy>" in arguments else {}
    names |= {"model": models / "one", "clip": clip, "folder": folder, "void": folder / "void"}
    before = below(str(folder))
    words = [re.sub(r"<(\w+)>", lambda match: str(names[match[1]]), word) for word in arguments]
    assert main(words) == 2
    printed = capsys.readouterr().err
    error = printed.splitlines()[-1]
    assert error.startswith("kinetoscope: error: ")
    assert message in error
    assert "Traceback" not in printed
    assert os.listdir(here) == [] and below(str(folder)) == before


def test_reconstruct_measures_what_python_measures(
    here: Path, models: Path, clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = models / "three"
    words = [
        "reconstruct",
        str(clip),
        "-o",
        "side.mp4",
        "--tokenizer",
        str(model),
        "--max-frames",
        "7",
        "--scale",
        "8",
    ]
    assert main([*words, "--rate", "2", "--tile", "8"]) == 0
    numbers = [
        float(number)
        for number in re.findall(r"-?\d+\.\d+", capsys.readouterr().out.splitlines()[0])
    ]
    tokenizer = VideoTokenizer.from_pretrained(model)
    video = to_float(read_clip(clip, frames=7).video)[None]
    codes = tokenizer.encode(video).prefix(2)
    rebuilt = tokenizer.decode(codes)
    bits = 4 * codes.indices.numel() / (7 * 16 * 24)
    assert numbers == pytest.approx(
        [psnr(rebuilt, video).item(), ssim(rebuilt, video).item(), bits], abs=6e-3
    )
    side = read_clip("side.mp4", size=(16, 72)).video.float()
    assert side.shape == (3, 7, 16, 72)
    assert apart(side[..., :24], to_uint8(video[0]).float()) < 8
    assert apart(side[..., 24:48], to_uint8(rebuilt[0]).float()) < 8


def test_codes_go_to_a_file_and_back(
    here: Path, models: Path, clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--tokenizer", str(models / "three")]
    assert (
        main(
            ["encode", str(clip), "-o", "clip.safetensors", "--size", "10", "--rate", "2", *options]
        )
        == 0
    )
    assert main(["decode", "clip.safetensors", "-o", "clip.mp4", "--scale", "8", *options]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "clip.safetensors: 9 frames as 3 x 2 x 2 x 2 codes, 0.0 kB of information",
        "clip.mp4: 9 frames",
    ]
    stored = VideoCodes.load("clip.safetensors")
    assert (stored.num_frames, stored.height, stored.width, stored.fps) == (9, 10, 15, 12)
    assert stored.model == "three"  # not the folder where it lies
    tokenizer = VideoTokenizer.from_pretrained(models / "three")
    decoded = to_uint8(tokenizer.decode(stored))[0].float()
    assert apart(read_clip("clip.mp4", size=(10, 15)).video.float(), decoded) < 8
    assert (
        main(
            ["decode", "clip.safetensors", "-o", "one.mp4", "--scale", "8", "--rate", "1", *options]
        )
        == 0
    )
    decoded = to_uint8(tokenizer.decode(stored.prefix(1)))[0].float()
    assert apart(read_clip("one.mp4", size=(10, 15)).video.float(), decoded) < 8


def test_codes_say_who_can_read_them(
    here: Path,
    models: Path,
    clip: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shipped = {"small-1": models / "one"}
    monkeypatch.setattr(codec_run.model_folder, "shipped_models", lambda: shipped)
    codec_run._shipped_name.cache_clear()
    right = str(models / "one")
    wrong = str(models / "three")
    ids = {name: VideoTokenizer.from_pretrained(name).id for name in (right, wrong)}
    assert main(["encode", str(clip), "-o", "clip.safetensors", "--tokenizer", right]) == 0
    # finds the shipped model by itself
    assert main(["decode", "clip.safetensors", "-o", "clip.mp4"]) == 0
    assert read_metadata("clip.mp4")["tokenizer"] == "small-1"
    capsys.readouterr()
    assert main(["decode", "clip.safetensors", "-o", "no.mp4", "--tokenizer", wrong]) == 2
    written = f"'clip.safetensors' was written by tokenizer {ids[right]} (one)"
    assert (
        f"{written} and '{wrong}' is {ids[wrong]}; pass --tokenizer small-1"
        in capsys.readouterr().err
    )
    VideoCodes(torch.zeros(1, 1, 1, 1, dtype=torch.int64), 1, 8, 8, 12, "another").save(
        "other.safetensors"
    )
    assert main(["decode", "other.safetensors", "-o", "no.mp4", "--tokenizer", right]) == 2
    assert "was written by tokenizer another and" in capsys.readouterr().err
    assert main(["decode", "other.safetensors", "-o", "no.mp4"]) == 2
    assert (
        "by tokenizer another, which is not shipped; name it with --tokenizer"
        in capsys.readouterr().err
    )
    codec_run._shipped_name.cache_clear()


def test_a_folder_is_mirrored_and_goes_on_where_it_ended(
    here: Path, models: Path, films: Path, write_clip: WriteClip, capsys: pytest.CaptureFixture[str]
) -> None:
    encode = ["encode", str(films), "-o", "made/codes", "--tokenizer", str(models / "one")]
    assert main(encode) == 1
    printed = capsys.readouterr()
    made = ["clip.safetensors", "more/clip.safetensors", "skipped.csv"]
    assert below("made/codes") == made
    errors = printed.err.splitlines()
    assert len(errors) == 2 and all(line.startswith("kinetoscope: error: ") for line in errors)
    assert "broken.mp4" in errors[0] and "sound.mp4' has no video stream, only audio" in errors[1]
    assert printed.out.splitlines()[-1] == "4 files: 2 encoded, 2 failed; 1 of other kinds left out"
    before = {name: os.stat(f"made/codes/{name}").st_mtime_ns for name in made[:2]}

    (films / "broken.mp4").unlink()
    (films / "sound.mp4").unlink()
    write_clip(films / "more/clip.mp4", shift=90)  # another video under an old name
    assert main(encode) == 0
    assert (
        capsys.readouterr().out.splitlines()[-1]
        == "2 files: 1 encoded, 1 done before; 1 of other kinds left out"
    )
    changed = [
        name for name, time in before.items() if os.stat(f"made/codes/{name}").st_mtime_ns != time
    ]
    assert changed == ["more/clip.safetensors"]
    for setting in (["--max-frames", "5"], ["--tokenizer", str(models / "three")]):
        assert main([*encode, *setting]) == 0
        assert "2 files: 2 encoded; " in capsys.readouterr().out

    decode = ["decode", "made/codes", "-o", "back", "--tokenizer", str(models / "three")]
    shutil.copy(films / "notes.txt", "made/codes/notes.safetensors")
    assert main(decode) == 1
    assert below("back") == ["clip.mp4", "more/clip.mp4", "skipped.csv"]
    assert capsys.readouterr().out.splitlines()[-1] == "3 files: 2 decoded, 1 failed"
    os.remove("made/codes/notes.safetensors")
    assert main(decode) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "2 files: 0 decoded, 2 done before"


def test_patterns_and_lists_of_files_fill_a_folder(
    here: Path, models: Path, films: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--tokenizer", str(models / "one"), "--max-frames", "2", "--scale", "4"]
    assert main(["reconstruct", f"{films}/**/clip.mp4", "-o", "pattern", *options]) == 0
    assert below("pattern") == ["clip.mp4", "more/clip.mp4"]
    assert capsys.readouterr().out.splitlines()[-1] == "2 files: 2 reconstructed"
    assert main(["reconstruct", f"{films}/**/clip.mp4", "-o", "pattern", *options]) == 0
    assert capsys.readouterr().out == "2 files: 0 reconstructed, 2 done before\n"
    assert (
        main(["encode", str(films / "clip.mp4"), str(films / "more"), "-o", "list", *options[:4]])
        == 0
    )
    assert below("list") == ["clip.safetensors", "more/clip.safetensors"]
    os.mkdir("one")
    assert main(["encode", str(films / "clip.mp4"), "-o", "one", *options[:4]]) == 0
    assert below("one") == ["clip.safetensors"]


def test_names_that_would_meet_keep_their_endings(here: Path, models: Path, films: Path) -> None:
    shutil.copy(films / "clip.mp4", films / "more/clip.mov")
    assert (
        main(["encode", str(films / "more"), "-o", "codes", "--tokenizer", str(models / "one")])
        == 0
    )
    assert below("codes") == ["clip.mov.safetensors", "clip.mp4.safetensors"]


def test_results_inside_the_source_are_not_taken_for_sources(
    here: Path, models: Path, films: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [
        "reconstruct",
        str(films / "more"),
        "-o",
        str(films / "more/out"),
        "--tokenizer",
        str(models / "one"),
    ]
    assert main(words) == 0
    assert main(words) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "1 file: 0 reconstructed, 1 done before"
    assert below(str(films / "more")) == ["clip.mp4", "out/clip.mp4"]


def test_ctrl_c_leaves_whole_files_and_says_how_many(
    here: Path,
    models: Path,
    films: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    request: pytest.FixtureRequest,
) -> None:
    update = Progress.update

    def interrupt(progress: Progress, frames: int) -> None:
        update(progress, frames)
        if progress.label.startswith("file 2/2"):
            os.kill(os.getpid(), signal.SIGINT)

    # who starts tests in the background ignores it
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, before))
    monkeypatch.setattr(Progress, "update", interrupt)
    words = [f"{films}/**/clip.mp4", "--tokenizer", str(models / "one")]
    assert main(["encode", *words, "-o", "codes"]) == 130
    printed = capsys.readouterr()
    assert below("codes") == ["clip.safetensors"]
    assert printed.out.splitlines()[-1] == "2 files: 1 encoded, 1 not done"
    assert printed.err.splitlines()[-1] == "kinetoscope: error: interrupted"
    assert main(["reconstruct", *words, "-o", "side", "--scale", "4"]) == 130
    assert below("side") == ["clip.mp4"]
    monkeypatch.undo()
    monkeypatch.chdir(here)
    assert main(["encode", *words, "-o", "codes"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "2 files: 1 encoded, 1 done before"


def test_ctrl_c_keeps_the_frames_so_far_of_a_single_video(
    here: Path,
    models: Path,
    clip: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    model = ["--tokenizer", str(models / "one")]
    write_video(here / "long.mp4", read_clip(clip).video.repeat(1, 10, 1, 1), fps=12)
    assert main(["encode", "long.mp4", "-o", "long.safetensors", *model]) == 0
    monkeypatch.setattr(
        Progress, "update", lambda progress, frames: os.kill(os.getpid(), signal.SIGINT)
    )
    assert main(["decode", "long.safetensors", "-o", "back.mp4", *model]) == 130
    assert "(interrupted; there are about 90)" in capsys.readouterr().out
    assert 0 < probe("back.mp4").frames < 90
    assert "made_from" not in read_metadata("back.mp4")  # nothing takes it for finished


def test_a_full_disk_ends_the_whole_run(
    here: Path,
    models: Path,
    films: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def full(writer: CodesWriter, indices: Tensor) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(CodesWriter, "write", full)
    assert (
        main(["encode", f"{films}/**/clip.mp4", "-o", "out", "--tokenizer", str(models / "one")])
        == 2
    )
    printed = capsys.readouterr()
    assert (
        "out/clip.safetensors: No space left on device; free some space"
        in printed.err.splitlines()[-1]
    )
    assert printed.out == "2 files: 0 encoded, 2 not done\n"
    assert below("out") == []


def test_progress_names_the_file(
    here: Path, models: Path, films: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = []
    monkeypatch.setattr(Progress, "update", lambda progress, frames: texts.append(progress.text()))
    (films / "more/clip.mp4").rename(films / f"{'long' * 20}.mp4")
    assert (
        main(["encode", f"{films}/*l*.mp4", "-o", "codes", "--tokenizer", str(models / "one")]) == 0
    )
    assert [text.split(": ")[0] for text in texts] == [
        "file 1/2 clip.mp4",
        "file 2/2 longlonglonglong…onglonglong.mp4",
    ]
    assert CodesFile.open("codes/clip.safetensors").version
