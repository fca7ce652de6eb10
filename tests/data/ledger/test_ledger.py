"""The ledger: licences by name, videos by content, and what is struck out stays out."""

import hashlib
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from kinetoscope.app.cli.main import main
from kinetoscope.data.datasets.source import FolderSource, PhysicsSource
from kinetoscope.data.ledger.card import save_training_data
from kinetoscope.data.ledger.content import KnownContents, content_sha256
from kinetoscope.data.ledger.licences import canonical, check_licences, is_allowed, read_allowed
from kinetoscope.data.ledger.rows import RENDERED, LedgerRow, read_ledger, summary, write_ledger
from kinetoscope.data.ledger.sources import ledger_of_source
from kinetoscope.data.ledger.struck_out import read_struck_out, strike_out

SHIPPED = sorted((Path(__file__).parents[3] / "pretrained").rglob("training_data.csv"))
ALLOWED = read_allowed("cc-by-4.0, CC0-1.0,LicenseRef-bought")


@pytest.mark.parametrize(
    ("licence", "is_fine"),
    [
        ("CC-BY-4.0", True),
        ("cc0-1.0", True),
        ("LicenseRef-bought", True),
        ("MIT OR CC0-1.0", True),
        ("CC-BY-4.0 AND CC0-1.0", True),
        ("CC-BY-4.0 AND MIT", False),
        ("CC-BY-NC-4.0", False),
        ("CC BY 4.0", False),
        ("", False),
    ],
)
def test_only_named_licences_are_allowed(licence: str, is_fine: bool) -> None:
    assert is_allowed(licence, ALLOWED) == is_fine


def test_names_are_checked(caplog: pytest.LogCaptureFixture) -> None:
    assert canonical("mit") == "MIT" and canonical("free") is None
    with pytest.raises(ValueError, match="'free' is no SPDX name"):
        read_allowed("MIT,free")
    with pytest.raises(ValueError, match="must name licences"):
        read_allowed(" , ")
    check_licences({"a": "MIT", "b": "CC BY", "c": "CC BY", "d": ""}, None)
    assert "'CC BY' (2)" in caplog.text
    with pytest.raises(ValueError, match=r"2 of 3 videos .* 'b' \(none\), 'c' \(X\)"):
        check_licences({"a": "MIT", "b": "", "c": "X"}, "MIT")


def test_a_ledger_comes_back_as_it_was_written(tmp_path: Path) -> None:
    rows = [
        LedgerRow("1" * 64, 'a "clip", rolling.mp4', "CC-BY-4.0", "Ada", "https://a.org/1", 3),
        LedgerRow("2" * 64, "b.mp4", clips=0, struck_out="2026-11-29"),
        LedgerRow("3" * 64, "c.mp4", "CC-BY-4.0", model="physics-64 0123"),
    ]
    write_ledger(tmp_path / "ledger.csv", rows)
    assert read_ledger(tmp_path / "ledger.csv") == rows
    said = "\n".join(summary(rows))
    assert "2 videos (4 clips)" in said and "licence CC-BY-4.0: 2 videos" in said
    assert "1 videos were struck out" in said and "physics-64 0123" in said


def test_contents_are_read_again_only_when_a_file_changed(tmp_path: Path) -> None:
    file = tmp_path / "a.bin"
    file.write_bytes(b"one")
    known = KnownContents(tmp_path / "contents.json")
    assert known.sha256(file) == hashlib.sha256(b"one").hexdigest() == content_sha256(file)
    known.keep()
    again = KnownContents(tmp_path / "contents.json")
    assert again.sha256(file) == known.sha256(file)
    file.write_bytes(b"other")
    assert again.sha256(file) == hashlib.sha256(b"other").hexdigest()
    assert content_sha256(file, (1, 3)) == hashlib.sha256(b"the").hexdigest()


@pytest.fixture
def films(tmp_path: Path, write_clip: Callable[..., Path]) -> Path:
    root = tmp_path / "films"
    for index in range(6):
        write_clip(root / f"{index}.mp4", shift=9 * index)
    rows = "".join(f"{index}.mp4,a ball,CC0-1.0,Ada\n" for index in range(6))
    (root / "manifest.csv").write_text("file,caption,licence,owner\n" + rows)
    return root


def test_what_is_struck_out_is_not_learned_and_the_ledger_says_since_when(
    films: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    contents = KnownContents(tmp_path / "contents.json")
    before = FolderSource(str(films), 5, 16, rounds=2)
    rows = ledger_of_source(before, contents, "CC0-1.0")
    assert {(row.licence, row.owner, row.clips) for row in rows} == {("CC0-1.0", "Ada", 2)}
    gone = rows[0]
    assert gone.sha256 == content_sha256(films / gone.name)
    words = ["ledger", str(films), "--strike", gone.sha256.upper(), "--reason", "asked for"]
    assert main(words) == 0
    assert "1 new, 1 in all" in capsys.readouterr().out
    assert read_struck_out(films)[gone.sha256].reason == "asked for"
    after = FolderSource(str(films), 5, 16, rounds=2)
    key = after.key
    later = {row.name: row for row in ledger_of_source(after, contents, "CC0-1.0")}
    assert (later[gone.name].clips, later[gone.name].struck_out) == (0, date.today().isoformat())
    assert set(after.rows) == set(before.rows) - {before.rows[0]}
    assert after.key != key  # codes that were kept of all videos are not taken
    assert gone.name not in {entry.path.name for entry in after.folder.entries}


def test_other_licences_and_empty_sets_are_refused(films: Path, tmp_path: Path) -> None:
    contents = KnownContents(tmp_path / "contents.json")
    source = FolderSource(str(films), 5, 16)
    with pytest.raises(ValueError, match="videos have none of the licences MIT"):
        ledger_of_source(source, contents, "MIT")
    strike_out(films, [content_sha256(path) for path in films.glob("*.mp4")])
    with pytest.raises(ValueError, match="are struck out"):
        ledger_of_source(source, contents)
    with pytest.raises(ValueError, match="no SHA-256 of 64 hexadecimal digits"):
        strike_out(films, ["12"])


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.parent.parent.name)
def test_shipped_models_carry_theirs(path: Path) -> None:
    rows = read_ledger(path)
    real = [row for row in rows if row.source != RENDERED]
    assert len({row.sha256 for row in real}) == len(real)
    for row in real:
        assert canonical(row.licence) == row.licence, row.name
        assert row.source and row.clips


def test_rendered_clips_are_one_row() -> None:
    source = PhysicsSource(7, frames=5, size=16)
    (row,) = ledger_of_source(source, KnownContents(Path("nowhere.json")), "CC0-1.0")
    assert (row.clips, row.source) == (7, "rendered by kinetoscope")


def test_a_model_that_started_from_another_carries_its_ledger_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base, folder = tmp_path / "base", tmp_path / "model"
    for place in (base, folder):
        place.mkdir()
        (place / "config.json").write_text("{}")
        (place / "model.safetensors").write_bytes(b"")
    save_training_data(base, [LedgerRow("1" * 64, "a.mp4", "MIT")])
    (folder / "README.md").write_text(
        "# mine\n\nWords.\n\n## Training data\n\nold\n\n## End\n\n.\n"
    )
    for _ in range(2):
        save_training_data(folder, [LedgerRow("2" * 64, "b.mp4")], str(base), "0123")
    rows = read_ledger(folder / "training_data.csv")
    assert [(row.name, row.model) for row in rows] == [("a.mp4", "base 0123"), ("b.mp4", "")]
    card = (folder / "README.md").read_text()
    assert "old" not in card and card.count("## Training data") == 1 and "## End" in card
    assert "- 2 videos (2 clips)" in card and card.startswith("# mine\n\nWords.\n")
    assert main(["ledger", str(folder)]) == 0
    assert "licence MIT: 1 videos" in capsys.readouterr().out
