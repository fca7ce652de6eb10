"""`kinetoscope prepare`: shards hold what the tokenizer says, and a run that was killed ends
with the same bytes."""

import csv
import errno
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from kinetoscope.app.cli.main import main
from kinetoscope.data.datasets.shards import Shards, shard_path
from kinetoscope.data.ledger.sources import (
    check_shard_licences,
    ledger_of_shards,
    struck_out_of,
)
from kinetoscope.data.ledger.struck_out import strike_out
from kinetoscope.data.video import read_clip, to_float, write_video
from kinetoscope.files import atomic as whole_file
from kinetoscope.generator import TextEncoder, VideoGenerator
from kinetoscope.generator.tokens.make_shard import ShardOptions
from kinetoscope.generator.tokens.prepare import Work, prepare
from kinetoscope.generator.tokens.shards import shard_tokens
from kinetoscope.tokenizer import VideoTokenizer
from torch import Tensor

SETTINGS = ShardOptions(size=(8, 12), videos_per_shard=2, min_frames=5)


def moving(frames: int, seed: int) -> Tensor:
    """A square that goes to and fro on a ground of one colour; another seed is another place."""
    draw = torch.Generator().manual_seed(seed)
    video = torch.randint(0, 256, (3, 1, 1, 1), generator=draw).expand(3, frames, 16, 24).clone()
    for frame in range(frames):
        left = abs(frame % 32 - 16)
        video[:, frame, 4:9, left : left + 5] = 255 - video[:, frame, 4:9, left : left + 5]
    return video.to(torch.uint8)


@pytest.fixture(scope="module")
def model(generator: VideoGenerator, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    generator.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five videos (one of two shots), one broken file, one too short, and one that is only
    listed."""
    root = tmp_path_factory.mktemp("videos")
    for name, frames in {"a": 9, "b": 11, "d": 70, "e": 6, "short": 3}.items():
        write_video(root / f"{name}.mp4", moving(frames, ord(name[0])), fps=10)
    write_video(root / "cut.mp4", torch.cat([moving(10, 1), moving(7, 2)], 1), fps=10)
    (root / "broken.mp4").write_bytes((root / "d.mp4").read_bytes()[:1500])
    rows = ["a.mp4,a red ball,MIT", "a.mp4,a ball rolls slowly,", "b.mp4,,CC0", "gone.mp4,lost,"]
    rows += [f"{name}.mp4,a blue cube," for name in ("cut", "broken", "d", "e", "short")]
    (root / "manifest.csv").write_text("\n".join(["file,caption,licence", *rows]) + "\n")
    return root


@pytest.fixture
def work(model: Path) -> Work:
    return Work(str(model), device="cpu", workers=1)


def quiet(_: str) -> None: ...


def content(folder: Path) -> dict[str, bytes]:
    """Every file that is not hidden."""
    return {
        path.name: path.read_bytes() for path in folder.iterdir() if not path.name.startswith(".")
    }


@pytest.fixture(scope="module")
def whole(videos: Path, model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shards of a run that nothing happened to."""
    folder = tmp_path_factory.mktemp("whole") / "shards"
    prepare(str(videos), str(folder), SETTINGS, Work(str(model), str(model), "cpu", 2), quiet)
    return folder


def test_every_clip_is_one_stream_of_the_tokenizer(whole: Path, videos: Path, model: Path) -> None:
    tokenizer = VideoTokenizer.from_pretrained(model)
    shards = Shards(whole)
    found = {}
    for index in range(len(shards)):
        info = shards.info(index)
        found[info.source, round(info.start, 3), round(info.end, 3)] = info.frames
        video = read_clip(videos / info.source, size=(8, 12)).video[:, round(info.start * 10) :][
            :, : info.frames
        ]
        expected = tokenizer.encode(to_float(video)[None]).indices[0]
        assert np.array_equal(shards.codes(index), expected.numpy().astype(np.int16))
        assert (info.height, info.width, info.fps) == (8, 12, 10)
    assert found == {
        ("a.mp4", 0, 0.9): 9,
        ("b.mp4", 0, 1.1): 11,
        ("cut.mp4", 0, 1.0): 10,
        ("cut.mp4", 1.0, 1.7): 7,
        ("d.mp4", 0, 7.0): 70,
        ("e.mp4", 0, 0.6): 6,
    }


def test_captions_their_states_and_licences_come_along(
    whole: Path, text_encoder: TextEncoder
) -> None:
    shards = Shards(whole)
    infos = {shards.info(index).source: (shards.info(index), index) for index in range(len(shards))}
    info, index = infos["a.mp4"]
    assert info.captions == ("a red ball", "a ball rolls slowly") and info.licence == "MIT"
    assert info.text_lengths == (3, 4)
    states, mask = text_encoder.encode(info.captions)
    stored = torch.from_numpy(shards.text(index)).float()
    torch.testing.assert_close(stored, states[mask], atol=2e-3, rtol=2e-3)
    assert infos["b.mp4"][0].captions == () and infos["b.mp4"][0].licence == "CC0"


def test_each_clip_knows_the_content_and_the_owner_of_its_video(
    videos: Path, tmp_path: Path, work: Work
) -> None:
    shutil.copy(videos / "a.mp4", tmp_path / "one.mp4")
    shutil.copy(videos / "b.mp4", tmp_path / "two.mp4")
    table = "file,caption,license,author,source\n"
    table += "one.mp4,a ball,CC-BY-4.0,Ada,https://example.org/1\ntwo.mp4,a cube,CC0-1.0,,\n"
    (tmp_path / "manifest.csv").write_text(table)
    folder = tmp_path / "shards"
    allowed = replace(work, require_licence="CC-BY-4.0, cc0-1.0")
    prepare(str(tmp_path), str(folder), SETTINGS, allowed, quiet)
    shards = Shards(folder)
    info = shards.info(0)
    sha256 = hashlib.sha256((tmp_path / "one.mp4").read_bytes()).hexdigest()
    assert (info.sha256, info.owner, info.origin) == (sha256, "Ada", "https://example.org/1")
    strike_out(folder, [sha256], "asked for")
    struck = struck_out_of(shards)
    model = VideoGenerator.from_pretrained(str(work.tokenizer))
    train, _ = shard_tokens(shards, model.tokenizer, model.text, 0.0, 0, left_out=struck)
    assert [shards.records[clip]["source"] for clip in train.clips] == ["two.mp4"]
    one, two = ledger_of_shards(shards, train.clips, struck)
    assert (one.sha256, one.clips, one.licence, one.owner) == (sha256, 0, "CC-BY-4.0", "Ada")
    assert one.struck_out == date.today().isoformat()
    assert (two.name, two.clips, two.struck_out) == ("two.mp4", 1, "")
    check_shard_licences(shards, "CC-BY-4.0,CC0-1.0")
    with pytest.raises(ValueError, match=r"1 of 2 videos have none of the licences CC0-1.0"):
        check_shard_licences(shards, "CC0-1.0")


def test_videos_of_other_licences_are_refused_before_any_work(
    videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["prepare", str(videos), str(tmp_path / "shards"), "--require-licence"]
    assert main([*words, "MIT"]) == 2
    assert "7 of 8 videos have none of the licences MIT: 'b.mp4' (CC0)" in capsys.readouterr().err
    assert main([*words, "free"]) == 2
    assert "'free' is no SPDX name" in capsys.readouterr().err
    assert not (tmp_path / "shards").exists()


def test_the_manifest_counts_and_hashes(whole: Path, model: Path) -> None:
    manifest = json.loads((whole / "manifest.json").read_text())
    for shard in manifest["shards"]:
        assert hashlib.sha256((whole / shard["name"]).read_bytes()).hexdigest() == shard["sha256"]
    assert manifest["totals"]["clips"] == 6 and manifest["totals"]["frames"] == 113
    assert manifest["tokenizer"]["id"] == VideoTokenizer.from_pretrained(model).id
    assert manifest["text"]["id"] == TextEncoder.from_pretrained(model).id
    with open(whole / "skipped.csv", encoding="utf-8", newline="") as file:
        skipped = dict(row for row in csv.reader(file))
    assert list(skipped) == ["file", "broken.mp4", "gone.mp4", "short.mp4"]
    assert skipped["gone.mp4"] == "does not exist; check the name"
    assert skipped["short.mp4"] == "has no shot of at least 5 frames (it has 3 frames in all)"


def test_clips_of_one_length(videos: Path, tmp_path: Path, work: Work) -> None:
    settings = ShardOptions(size=(8, 12), clip_frames=9, videos_per_shard=9, dtype="bfloat16")
    manifest = prepare(str(videos), str(tmp_path), settings, work, quiet)
    assert (
        manifest["totals"]["clips"] == 1 + 1 + 1 + 7
        and manifest["totals"]["short_frames"] == 2 + 8 + 7
    )
    shards = Shards(tmp_path)
    assert {shards.codes(index).shape for index in range(len(shards))} == {(3, 2, 3)}
    assert [shards.info(index).start for index in range(3, 6)] == [0, 0.9, 1.8]


def test_a_caption_that_is_too_long_costs_its_video(
    videos: Path, model: Path, tmp_path: Path
) -> None:
    rows = ["file,caption", f"d.mp4,{'a red ball ' * 9}", "a.mp4,a red ball"]
    (tmp_path / "list.csv").write_text("\n".join(rows) + "\n")
    for name in ("a.mp4", "d.mp4"):
        (tmp_path / name).write_bytes((videos / name).read_bytes())
    work = Work(str(model), str(model), "cpu", 1)
    manifest = prepare(str(tmp_path / "list.csv"), str(tmp_path / "s"), SETTINGS, work, quiet)
    assert (manifest["totals"]["clips"], manifest["totals"]["skipped"]) == (1, 1)
    assert (
        "d.mp4,has a caption that cannot be embedded: "
        in (tmp_path / "s" / "skipped.csv").read_text()
    )


# ---- faults ----

MOMENTS = {
    "while a shard is written": "addfile 3",
    "before a shard has its name": "replace 2",
    "between a shard and its record": "replace 3",
    "before a record has its name": "replace 5",
    "before the table of skipped files": "replace 10",
    "before the manifest": "replace 11",
}


class Killed(BaseException): ...


def strike(moment: str, blow: Callable[[], Any], patch: Callable[[Any, str, Any], Any]) -> None:
    """Let `blow` fall at the so-manyth call of a function."""
    import tarfile

    name, number = moment.split()
    owner = tarfile.TarFile if name == "addfile" else os
    left = [int(number)]
    original = getattr(owner, name)

    def counted(*args: Any, **options: Any) -> Any:
        left[0] -= 1
        if not left[0]:
            blow()
        return original(*args, **options)

    patch(owner, name, counted)


@pytest.mark.parametrize("moment", MOMENTS.values(), ids=MOMENTS)
def test_a_run_that_was_stopped_ends_with_the_same_bytes(
    moment: str, videos: Path, model: Path, whole: Path, tmp_path: Path
) -> None:
    def killed() -> None:
        raise Killed

    def run() -> None:
        prepare(str(videos), str(tmp_path), SETTINGS, Work(str(model), str(model), "cpu", 1), quiet)

    with pytest.MonkeyPatch.context() as patch:
        strike(moment, killed, patch.setattr)
        with pytest.raises(Killed):
            run()
    run()
    assert content(tmp_path) == content(whole)


SCRIPT = """
import os, signal, sys, torch
torch.set_num_threads(1)
sys.path.insert(0, {here!r})
from test_prepare import SETTINGS, quiet, strike
from kinetoscope.generator.tokens.prepare import Work, prepare
videos, out, model, moment = sys.argv[1:]
if __name__ == "__main__":
    if moment:
        strike(moment, lambda: os.kill(os.getpid(), signal.SIGKILL), setattr)
    prepare(videos, out, SETTINGS, Work(model, model, "cpu", 1), quiet)
"""


@pytest.mark.slow
def test_a_run_that_is_killed_again_and_again_ends_with_the_same_bytes(
    videos: Path, model: Path, whole: Path, tmp_path: Path
) -> None:
    (tmp_path / "run.py").write_text(SCRIPT.format(here=str(Path(__file__).parent)))
    command = [
        sys.executable,
        str(tmp_path / "run.py"),
        str(videos),
        str(tmp_path / "shards"),
        str(model),
    ]
    for moment in ("addfile 3", "replace 3", "replace 4", "replace 4"):
        assert subprocess.run([*command, moment]).returncode == -9, moment
    assert subprocess.run([*command, ""]).returncode == 0
    assert content(tmp_path / "shards") == content(whole)


def test_a_full_disk_ends_in_one_line_and_the_next_run_goes_on(
    videos: Path,
    model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def full(handle: int) -> None:
        if list((tmp_path / "s").glob(".000001.tar.*.part")):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    words = [
        "prepare",
        str(videos),
        str(tmp_path / "s"),
        "--tokenizer",
        str(model),
        "--videos-per-shard",
        "2",
    ]
    words += ["--size", "8", "--width", "12", "--workers", "1"]
    with monkeypatch.context() as patch:
        patch.setattr(whole_file.os, "fsync", full)
        assert main(words) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert "000001.tar: No space left on device" in error
    left = {path.name for path in (tmp_path / "s").iterdir() if not path.name.startswith(".")}
    assert left == {"manifest.json", "000000.tar", "000000.json"}
    assert main(words) == 1  # some of the files are broken
    told = capsys.readouterr().out
    assert "1 of 4 shards are there already" in told and "4 files could not be used" in told
    assert Shards(tmp_path / "s").manifest["totals"]["clips"] == 4


@pytest.mark.parametrize("damage", ["truncated", "gone"])
def test_a_damaged_shard_is_made_anew_and_no_other(
    damage: str, videos: Path, model: Path, whole: Path, tmp_path: Path
) -> None:
    for name, data in content(whole).items():
        (tmp_path / name).write_bytes(data)
    path = shard_path(tmp_path, 2)
    path.write_bytes(path.read_bytes()[:700]) if damage == "truncated" else path.unlink()
    lines: list[str] = []
    prepare(
        str(videos), str(tmp_path), SETTINGS, Work(str(model), str(model), "cpu", 1), lines.append
    )
    assert (
        lines[0] == "3 of 4 shards are there already"
        and lines[1].startswith("000002.tar: ")
        and len(lines) == 2
    )
    assert content(tmp_path) == content(whole)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fps": 5.0}, r"begun with fps None \(now 5\.0\); choose another folder"),
        ({"size": (16, 16)}, r"size \[8, 12\] \(now \[16, 16\]\)"),
        ({"text": None}, "another caption encoder"),
        ({"videos": "d.mp4,a red ball,"}, "other videos or captions"),
    ],
)
def test_shards_of_other_settings_are_not_mixed(
    change: dict[str, Any], message: str, videos: Path, model: Path, whole: Path, tmp_path: Path
) -> None:
    before = content(whole)
    source = videos
    settings = SETTINGS
    text = str(model)
    if "videos" in change:
        (tmp_path / "list.csv").write_text(f"file,caption,licence\n{change['videos']}\n")
        source = tmp_path / "list.csv"
    elif "text" in change:
        text = ""
    else:
        settings = ShardOptions(**{**vars(SETTINGS), **change})
    with pytest.raises(ValueError, match=message):
        prepare(str(source), str(whole), settings, Work(str(model), text or None, "cpu", 1), quiet)
    assert content(whole) == before


def test_parts_of_files_in_a_table_are_clips(
    videos: Path, tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "parts"
    root.mkdir()
    (root / "d.mp4").write_bytes((videos / "d.mp4").read_bytes())
    (root / "openvid.csv").write_text(
        "video,start,end,caption,split,motion score\n"
        "d.mp4,1,2.5,a red ball,train,3\nd.mp4,3,4,a cube,train,9\nd.mp4,5,6,a ball,test,1\n"
    )
    words = ["prepare", str(root), str(tmp_path / "out"), "--tokenizer", str(model), "--size", "8"]
    words += ["--width", "12", "--split", "train", "--filter", "motion_score < 5"]
    assert main([*words, "--min-frames", "5"]) == 0
    shards = Shards(tmp_path / "out")
    assert len(shards) == 1
    info = shards.info(0)
    assert (info.source, info.captions, info.frames) == ("d.mp4#1-2.5", ("a red ball",), 15)
    picture = read_clip(root / "d.mp4", 1.0, 15, size=(8, 12)).video
    tokenizer = VideoTokenizer.from_pretrained(model)
    codes = tokenizer.encode(to_float(picture)[None]).indices[0]
    assert torch.equal(torch.from_numpy(shards.codes(0).astype(np.int64)), codes)


def test_two_runs_do_not_write_to_one_folder(videos: Path, work: Work, tmp_path: Path) -> None:
    from filelock import FileLock

    with FileLock(tmp_path / ".lock"), pytest.raises(ValueError, match="another run is writing to"):
        prepare(str(videos), str(tmp_path), SETTINGS, work, quiet)


def test_mistakes_end_in_one_line(
    videos: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "a.mp4").write_bytes(b"no video")
    base = ["--tokenizer", str(model), "--workers", "1"]
    for words, message in (
        (
            [str(tmp_path / "bad"), str(tmp_path / "s")],
            "none of 1 videos can be used; the first, 'a.mp4', cannot be",
        ),
        (
            [str(videos), str(videos / "out"), "--dtype", "int8"],
            "dtype must be one of float32, bfloat16; got 'int8'",
        ),
        (
            [str(videos), str(videos / "out"), "--engine", "x"],
            "engine must be one of local, ray; got 'x'",
        ),
        ([str(videos), str(videos / "out"), "--cut", "2"], "cut must be above 0, up to 1"),
        (
            [str(videos), str(videos / "out"), "--clip-frames", "0"],
            "--clip-frames must be at least 1; got 0",
        ),
        ([str(videos)], "SHARDS must be given"),
    ):
        assert main(["prepare", *words, *base]) == 2
        assert message in capsys.readouterr().err.strip().splitlines()[-1]
    assert not (videos / "out").exists()


@pytest.mark.slow
def test_a_ray_cluster_of_two_makes_the_same_shards(
    videos: Path, model: Path, whole: Path, tmp_path: Path
) -> None:
    ray = pytest.importorskip("ray")
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:
        work = Work(str(model), str(model), "cpu", 1, engine="ray")
        prepare(str(videos), str(tmp_path), SETTINGS, work, quiet)
    finally:
        ray.shutdown()
    assert content(tmp_path) == content(whole)


def test_near_duplicates_are_listed_or_dropped(model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "videos"
    for name, seed, crf in [("a", 1, 12), ("copy-of-a", 1, 24), ("b", 2, 12)]:
        write_video(folder / f"{name}.mp4", moving(12, seed), fps=10, crf=crf)
    clips = {}
    for wish in ("keep", "report", "drop"):
        out = tmp_path / wish
        work = Work(str(model), workers=1, duplicates=wish)
        manifest = prepare(str(folder), str(out), SETTINGS, work, lambda line: None)
        clips[wish] = {record["source"] for record in Shards(out).records}
        assert manifest["totals"]["skipped"] == 0
        assert (out / "duplicates.csv").exists() == (wish != "keep")
    assert clips["keep"] == clips["report"] == {"a.mp4", "b.mp4", "copy-of-a.mp4"}
    assert clips["drop"] == {"a.mp4", "b.mp4"}
    rows = list(csv.reader((tmp_path / "report/duplicates.csv").open()))
    assert [row[:2] for row in rows[1:]] == [["copy-of-a.mp4", "a.mp4"]]
    with pytest.raises(ValueError, match="duplicates must be keep, report or drop; got 'sort'"):
        work = Work(str(model), duplicates="sort")
        prepare(str(folder), str(tmp_path / "no"), SETTINGS, work)
