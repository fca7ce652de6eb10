"""Captions are found wherever people put them, in whatever encoding, and where they came from is
said; what cannot be read is named, and never cut short in silence."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from kinetoscope.data.datasets.folder import ClipFolder
from kinetoscope.data.datasets.source import FolderSource
from kinetoscope.data.datasets.video_list import list_videos
from kinetoscope.data.video import write_video
from PIL import Image

ROWS = {"1.mp4": "a ball", "2.mp4": "a cube", "3.mp4": "a cone"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """my_set, with three files that pass for videos as long as nobody reads them."""
    folder = tmp_path / "my_set"
    folder.mkdir()
    for name in ROWS:
        (folder / name).write_bytes(b"?")
    return folder


def said(folder: Path, **settings: Any) -> dict[str, tuple[str, ...]]:
    return {video.name: video.words.captions for video in list_videos(folder, **settings)[0]}


def one_each() -> dict[str, tuple[str, ...]]:
    return {name: (caption,) for name, caption in ROWS.items()}


# ---- where they lie ----


@pytest.mark.parametrize(
    "name", ["manifest.csv", "manifest.tsv", "metadata.csv", "metadata.tsv", "list.csv", "list.tsv"]
)
def test_tables_are_found(folder: Path, name: str) -> None:
    cell = "\t" if name.endswith("tsv") else ","
    lines = [cell.join(("file_name", "text")), *(cell.join(row) for row in ROWS.items())]
    (folder / name).write_text("\n".join(lines))
    assert said(folder / name if name.startswith("list") else folder) == one_each()


@pytest.mark.parametrize("name", ["metadata.jsonl", "manifest.jsonl", "list.jsonl"])
def test_json_lines_are_found(folder: Path, name: str) -> None:
    rows = [{"file_name": file, "text": caption, "n": 1} for file, caption in ROWS.items()]
    rows.append({"file_name": "3.mp4", "text": ["a cone", "it stands"]})
    (folder / name).write_text("\n".join(map(json.dumps, rows)) + "\n\n")
    expected = one_each() | {"3.mp4": ("a cone", "it stands")}
    assert said(folder / name if name.startswith("list") else folder) == expected


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ('{"file_name": "1.mp4"', r"is no JSON in line 2: "),
        ("[1, 2]", r"on each line; line 2 has none"),
        ('{"name": "1.mp4"}', r"on each line; line 2 has name"),
    ],
)
def test_a_line_that_is_no_row_is_named(folder: Path, row: str, message: str) -> None:
    (folder / "metadata.jsonl").write_text('{"file_name": "1.mp4", "text": "a"}\n' + row)
    with pytest.raises(ValueError, match=message):
        list_videos(folder)


@pytest.mark.parametrize("ending", [".txt", ".TXT", ".Txt", ".caption"])
def test_text_files_are_found_whatever_their_case(folder: Path, ending: str) -> None:
    for name, caption in ROWS.items():
        (folder / name).with_suffix(ending).write_text(caption)
    assert said(folder) == said(folder, captions="sidecar") == one_each()


def test_where_captions_came_from_is_said_with_counts(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def line(**settings: Any) -> tuple[str, str]:
        caplog.clear()
        with caplog.at_level(logging.INFO):
            list_videos(folder, **settings)
        (record,) = [r for r in caplog.records if r.message.startswith("captions of the")]
        return record.levelname, record.message.partition("': ")[2]

    assert line() == ("INFO", "3 from their folders' names")
    (folder / "captions.json").write_text("{}")
    hint = "'captions.json' is not read: name it manifest.csv if it holds captions"
    assert line() == ("WARNING", f"3 from their folders' names; {hint}")
    (folder / "captions.json").unlink()
    (folder / "1.txt").write_text("a ball")
    (folder / "2.txt").write_text("\n")
    one = "'3.mp4' is one without a text file"
    assert line() == (
        "WARNING",
        f"1 from text files, 1 from their folders' names, 1 without one; {one}",
    )
    assert line(captions="none") == ("INFO", "3 without one")
    (folder / "manifest.csv").write_text("file,caption\n1.mp4,a ball\n2.mp4,\n")
    left = "1 of the videos in it are not in the table and are left out"
    assert line() == ("WARNING", f"1 from manifest.csv, 1 without one; {left}")


def test_an_empty_text_file_is_no_caption_and_a_folder_is_none_for_it(folder: Path) -> None:
    (folder / "1.txt").write_text("")
    assert said(folder)["1.mp4"] == ("",)
    assert said(folder)["2.mp4"] == ("my set",)


# ---- encodings ----


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("name", ["1.txt", "manifest.csv", "metadata.jsonl"])
def test_captions_in_the_encodings_of_windows(folder: Path, encoding: str, name: str) -> None:
    caption = "the ball\u2019s größerer Schatten \u7ea2"
    text = {
        "1.txt": caption,
        "manifest.csv": f"file,caption\r\n1.mp4,{caption}\r\n",
        "metadata.jsonl": json.dumps({"file": "1.mp4", "text": caption}, ensure_ascii=False),
    }[name]
    (folder / name).write_bytes(text.encode(encoding))
    assert said(folder)["1.mp4"] == (caption,)


def test_a_text_file_that_nobody_can_read_leaves_its_video_out_by_name(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("1", "2"):
        write_video(tmp_path / f"{name}.mp4", torch.zeros(3, 5, 16, 16, dtype=torch.uint8), 10)
        (tmp_path / f"{name}.txt").write_bytes(b"a ball" if name == "1" else b"the ball\x92s")
    videos, problems = list_videos(tmp_path)
    assert [video.name for video in videos] == ["1.mp4"]
    ((name, reason),) = problems
    assert name == "2.mp4"
    assert "2.txt' is not UTF-8 text (line 1)" in reason
    clips = ClipFolder(tmp_path, 5, 16)
    assert len(clips) == 1
    assert [path.name for path in clips.skipped] == ["2.mp4"]
    assert "2.txt' is not UTF-8" in caplog.text


# ---- tables whose quotes and commas are wrong ----


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("file,caption\n1.mp4,a red ball, rolling left\n", r"has 3 cells in line 2, and its first"),
        ("file,caption\n1.mp4,ok\n\n2.mp4,a,b\n", r"has 3 cells in line 4"),
        ('file,caption\n1.mp4,ok\n2.mp4,"a red ball\n3.mp4,a cube\n', r"from line 3 on"),
        ('file,caption\n1.mp4,"a "red" ball"\n', r"from line 2 on.*one inside is written twice"),
        ("file\tcaption\n1.mp4\ta\tb\n", r"has 3 cells in line 2.*'\\t'"),
    ],
)
def test_no_caption_is_cut_short(folder: Path, table: str, message: str) -> None:
    (folder / "manifest.csv").write_text(table)
    with pytest.raises(ValueError, match=message):
        list_videos(folder)


def test_blanks_before_quotes_and_lines_within_them_are_fine(folder: Path) -> None:
    (folder / "manifest.csv").write_text(
        'file, caption\n1.mp4, "a ball, red"\n2.mp4, "it says ""hop""\nand stops"\n3.mp4,x "y" z\n'
    )
    assert said(folder) == {
        "1.mp4": ("a ball, red",),
        "2.mp4": ('it says "hop" and stops',),
        "3.mp4": ('x "y" z',),
    }


# ---- links and folders of pictures ----


def test_links_are_followed_and_named_by_where_they_lie(tmp_path: Path) -> None:
    pool = tmp_path / "pool"
    pool.mkdir()
    (pool / "1.mp4").write_bytes(b"?")
    (pool / "2.mp4").write_bytes(b"?")
    root = tmp_path / "set"
    for name in ("jumping_jack", "hand_wave"):
        (root / name).mkdir(parents=True)
    (root / "jumping_jack/1.mp4").symlink_to("../../pool/1.mp4")
    (root / "hand_wave/2.mp4").symlink_to(pool / "2.mp4")
    (root / "swimming").symlink_to(pool)
    (root / "hand_wave/again").symlink_to(root)  # a circle
    (pool / "self").symlink_to(pool)
    assert said(root) == {
        "jumping_jack/1.mp4": ("jumping jack",),
        "hand_wave/2.mp4": ("hand wave",),
        "swimming/1.mp4": ("swimming",),
        "swimming/2.mp4": ("swimming",),
    }


def test_a_link_to_nothing_is_named(tmp_path: Path) -> None:
    write_video(tmp_path / "1.mp4", torch.zeros(3, 5, 16, 16, dtype=torch.uint8), 10)
    (tmp_path / "2.mp4").symlink_to(tmp_path / "gone.mp4")
    clips = ClipFolder(tmp_path, 5, 16)
    assert len(clips) == 1
    assert [path.name for path in clips.skipped] == ["2.mp4"]


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    """Two folders of numbered pictures below one, of 12 and of 9."""
    root = tmp_path / "films"
    for name, count in (("star_jump/a", 12), ("cartwheel/b", 9)):
        (root / name).mkdir(parents=True)
        for index in range(count):
            shade = (20 * index,) * 3
            Image.new("RGB", (20, 16), shade).save(root / name / f"{index:03}.png")
    (root / "star_jump/a.txt").write_text("someone jumps")
    return root


def test_folders_of_numbered_pictures_are_videos_at_a_rate(frames: Path) -> None:
    clips = ClipFolder(frames, 9, 16, fps=8)
    assert [entry.path.name for entry in clips.entries] == ["b", "a"]
    assert [clips[index]["caption"] for index in range(2)] == ["cartwheel", "someone jumps"]
    assert clips.fixed()[0]["video"][0, :, 0, 0].tolist() == list(range(0, 180, 20))
    videos, _ = list_videos(frames, fps=8)
    assert [video.name for video in videos] == ["cartwheel/b", "star_jump/a"]
    assert all(video.size > 0 for video in videos)
    single = ClipFolder(frames / "star_jump/a", 9, 16, fps=8)
    assert len(single) == 1


def test_numbered_pictures_without_a_rate_get_a_hint(frames: Path) -> None:
    with pytest.raises(ValueError, match=r"only images; give fps to take numbered .*cartwheel/b"):
        ClipFolder(frames, 9, 16)
    assert len(ClipFolder(frames, 1, 16)) == 21


# ---- one video ----


def test_a_folder_of_one_video_validates_nothing_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    video = torch.arange(9, dtype=torch.uint8)[None, :, None, None].expand(3, -1, 16, 16)
    write_video(tmp_path / "a.mp4", video, 10)
    train = FolderSource(str(tmp_path), 5, 16)
    assert train.for_validation() is None
    assert "nothing is validated: none of the 1 videos" in caplog.text
    write_video(tmp_path / "b.mp4", video, 10)
    train = FolderSource(str(tmp_path), 5, 16)
    validation = train.for_validation()
    assert validation is not None
    assert (len(train), len(validation)) == (4, 1)
    assert validation.key == FolderSource(str(tmp_path), 5, 16, validation=True).key
    again = FolderSource(str(tmp_path), 5, 16, validation=True).clips(range(1))
    assert torch.equal(validation.clips(range(1))["video"], again["video"])
