"""`kinetoscope data`: what is there is counted, what is wrong is named, nothing is seen twice."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from kinetoscope.app.cli.main import main
from kinetoscope.data.datasets.filters import read_filter
from kinetoscope.data.datasets.layouts import list_source
from kinetoscope.data.report import rows as looking
from kinetoscope.data.report.overview import Cell, language_of, near_duplicates, overview
from kinetoscope.data.report.rows import COLUMNS, Row, look_at_all
from kinetoscope.data.video import formats, write_video
from torch import Tensor
from torch.nn.functional import interpolate


def drift(seed: int, frames: int = 12, height: int = 32, width: int = 48) -> Tensor:
    coarse = torch.rand(1, 3, 5, 7, generator=torch.Generator().manual_seed(seed))
    wide = interpolate(coarse, (height, 2 * width), mode="bilinear")[0]
    moved = [wide[:, :, 2 * step : 2 * step + width] for step in range(frames)]
    return (torch.stack(moved, 1) * 255).to(torch.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two drifts, one of them twice (the second time coded anew), a still, a black one, a ruin."""
    root = tmp_path_factory.mktemp("films")
    with pytest.MonkeyPatch.context() as patch:
        patch.delitem(formats.BRIEF, "preset")  # in the quick way what is still would flicker
        write_films(root)
    return root


def write_films(root: Path) -> None:
    for name, video in (
        ("one", drift(1)),
        ("two", drift(2, height=48)),
        ("still", drift(3)[:, :1].expand(-1, 12, -1, -1)),
        ("black", torch.zeros(3, 12, 32, 48, dtype=torch.uint8)),
    ):
        write_video(root / f"{name}.mp4", video, fps=8)
        (root / f"{name}.txt").write_text(f"a film of <{name}>\n")
    write_video(root / "one-again.mp4", drift(1), fps=8, crf=24)
    (root / "one-again.txt").write_text("a film of <one>\n")
    (root / "ruin.mp4").write_bytes(b"no video at all")


def looked(folder: Path, kept: Path, decode: bool = False) -> list[Row]:
    return look_at_all(list_source(folder).videos, kept, decode)


def test_what_is_there_is_counted(folder: Path, tmp_path: Path) -> None:
    told = overview(looked(folder, tmp_path / "rows.jsonl"), {"small": Cell(4, 8)})
    assert (told["videos"], told["usable"], told["frames"]) == (6, 5, 60)
    assert told["hours"] == pytest.approx(5 * 1.5 / 3600)
    assert told["sizes"] == {"48 x 32": 4, "48 x 48": 1}
    assert told["rates"] == {"8": 5}
    assert told["lengths"] == [[0, 1, 0], [1, 2, 5]]
    # 1 + 3 latents of 4 x 6 or 6 x 6 cells
    assert told["tokens"] == {"small": 4 * 4 * 24 + 4 * 36}
    assert told["captions"]["said more than once"] == {"a film of <one>": 2}
    assert [name for name, _ in told["broken"]] == ["ruin.mp4"]
    assert told["near duplicates"] == [["one-again.mp4", "one.mp4"]]
    assert not told["looked at every frame"]


def test_still_and_black_clips_are_found_by_looking(folder: Path, tmp_path: Path) -> None:
    told = overview(looked(folder, tmp_path / "rows.jsonl", decode=True))
    assert told["looked at every frame"]
    assert set(told["still"]) == {"still.mp4", "black.mp4"}
    assert told["black"] == ["black.mp4"]


def test_a_killed_run_goes_on_and_a_second_one_looks_at_nothing(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = looking.look
    seen: list[str] = []

    def dying(video: Any, decode: bool) -> Row:
        if len(seen) == 3:
            raise KeyboardInterrupt
        seen.append(video.name)
        return look(video, decode)

    kept = tmp_path / "rows.jsonl"
    monkeypatch.setattr(looking, "look", dying)
    with pytest.raises(KeyboardInterrupt):
        look_at_all(list_source(folder).videos, kept, workers=1)
    with open(kept, "a", encoding="utf-8") as file:
        file.write('{"key": "half a li')
    before = len(seen)
    monkeypatch.setattr(looking, "look", lambda *a: seen.append(a[0].name) or look(*a))
    rows = looked(folder, kept)
    assert before == 3 and len(seen) == 6
    assert [row.name for row in rows] == [video.name for video in list_source(folder).videos]
    assert looked(folder, kept) == rows
    assert len(seen) == 6


def test_the_command_writes_a_page_that_needs_nothing_else(
    folder: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["data", str(folder), "--kept", "rows.jsonl", "--tokenizers", "none"]
    assert main([*words, "--html", "report.html", "--json", "report.json"]) == 0
    said = capsys.readouterr()
    assert "6 videos, 5 usable" in said.out
    assert "broken: 'ruin.mp4'" in said.out
    assert "near duplicates: 1 group, such as 'one-again.mp4' and 'one.mp4'" in said.out
    assert "a folder of videos: 6 videos" in said.err
    page = (here / "report.html").read_text(encoding="utf-8")
    assert page.count("data:image/jpeg;base64,") == 5
    assert "http" not in page.replace("http-equiv", "") and "<script" not in page
    assert "a film of &lt;one&gt;" in page and "<one>" not in page
    assert json.loads((here / "report.json").read_text())["usable"] == 5
    assert main([*words, "--filter", "height >= 48 and seconds > 1"]) == 0
    assert "1 videos, 1 usable" in capsys.readouterr().out
    assert main([*words, "--filter", "tall > 3"]) == 2
    assert "unknown column 'tall'" in capsys.readouterr().err


def test_filters_read_what_they_should_and_call_nothing() -> None:
    row = Row("a.mp4", seconds=3.0, height=256, captions=("a red ball",)).columns()
    for text, wanted in (
        ("seconds > 2 and height >= 256", True),
        ("1 < seconds < 2", False),
        ("not ('blue' in caption) or sound", True),
        ("height / 2 == 128", True),
        ("name != 'a.mp4'", False),
    ):
        assert read_filter(text, COLUMNS)(row) is wanted, text
    for text in ("__import__('os')", "seconds.real", "[1]", "seconds >", "seconds if 1 else 2"):
        with pytest.raises(ValueError, match=r"is no filter|unknown column"):
            read_filter(text, COLUMNS)
    with pytest.raises(ValueError, match=r"cannot be asked of 'a\.mp4'"):
        read_filter("caption > 3", COLUMNS)(row)


def test_near_duplicates_are_near_and_of_one_length() -> None:
    def row(name: str, pattern: int, frames: int = 100) -> Row:
        return Row(name, pattern=f"{pattern:016x}", frames=frames)

    base = 0x0123456789ABCDEF
    rows = [
        row("a", base),
        row("b", base ^ 0b111),  # three bits
        row("c", base ^ (0xF << 20)),  # four
        row("d", base, frames=110),
        row("e", base, frames=102),
        Row("flat", frames=100),
        Row("flat too", frames=100),
    ]
    assert near_duplicates(rows) == [["a", "b", "e"]]


def test_languages_are_guessed() -> None:
    assert language_of("a dog runs on the beach") == "English"
    assert language_of("ein Hund läuft am Strand entlang") == "Latin letters"
    assert language_of("一只狗在海滩上奔跑") == "Chinese"
    assert language_of("犬が走る") == "Japanese"
    assert language_of("собака бежит") == "Cyrillic letters"
    assert language_of("123") == "no letters"
