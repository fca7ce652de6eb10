"""Names that are no UTF-8, a terminal that cannot show them, a current folder that is gone."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from kinetoscope.app.cli.main import main

ODD = os.fsdecode(b"a\xff\xfe.mp4")


@pytest.fixture
def films(tmp_path: Path, write_clip: Callable[..., Path]) -> Path:
    """A folder of two videos, the name of the first of which is no UTF-8."""
    clip = write_clip(tmp_path / "films/z.mp4")
    (clip.parent / ODD).write_bytes(clip.read_bytes())
    return clip.parent


def test_the_rest_of_a_folder_is_encoded_where_a_name_is_no_utf_8(
    films: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["encode", str(films), "-o", "codes", "--fps", "12"]) == 1
    printed = capsys.readouterr()
    about = [line for line in printed.err.splitlines() if "a\\udcff\\udcfe" in line]
    assert len(about) == 1 and "it is no UTF-8; give another" in about[0]
    assert "2 files: 1 encoded, 1 failed" in printed.out + printed.err
    (codes,) = here.glob("codes/*.safetensors")
    assert main(["decode", str(codes), "-o", os.fsdecode(b"b\xff.mp4")]) == 0


def test_a_folder_with_such_a_name_is_described(
    films: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["data", str(films)]) == 0, capsys.readouterr().err
    assert "Traceback" not in capsys.readouterr().err


def test_a_current_folder_that_is_gone_is_one_line(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    code = (
        "import os, sys; os.rmdir(os.getcwd()); from kinetoscope.app.cli.main import main; "
        "sys.exit(main(['sample', 'a red ball']))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=gone, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr == (
        "kinetoscope: error: the current folder does not exist any more; change to another\n"
    )


def test_a_locale_without_utf_8_is_one_line(tmp_path: Path) -> None:
    bare = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    words = [sys.executable, "-m", "kinetoscope.app.cli.main", "sample", "für", "-o", "ü.avi"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, env={**os.environ, **bare})
    assert done.returncode == 2
    assert done.stderr.count(b"\n") == 1 and done.stderr.startswith(b"kinetoscope: error: ")
    assert not any(tmp_path.iterdir())
