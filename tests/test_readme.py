"""What the README tells people to type does what it says."""

import re
import shlex
from pathlib import Path

import pytest
from kinetoscope.app.cli.main import load
from kinetoscope.app.cli.parser import parse

README = Path(__file__).parent.parent / "README.md"
TEXT = README.read_text(encoding="utf-8")


def test_python_blocks_run_in_order():
    names: dict[str, object] = {}
    blocks = re.findall(r"```python\n(.*?)```", TEXT, re.S)
    assert len(blocks) >= 2
    for block in blocks:
        exec(compile(block, str(README), "exec"), names)
    assert list(names["video"].shape) == [1, 3, 33, 64, 64]
    assert list(names["codes"].indices.shape) == [1, 9, 8, 8]
    assert list(names["chunk"].shape) == [1, 3, 1, 64, 64]


@pytest.mark.parametrize(
    "line", [m.strip() for m in re.findall(r"^    (kinetoscope .*)$", TEXT, re.M)]
)
def test_commands_parse(line: str):
    _, command, *words = shlex.split(line, comments=True)
    assert parse(command, load(command), words)


def test_links_and_files_exist():
    links = re.findall(r"\]\((?!https?:|#)([^)\s#]+)", TEXT)
    configs = re.findall(r"--config (\S+)", TEXT)
    assert links and configs
    for target in links + configs:
        assert (README.parent / target).exists(), f"README names {target}, which is not there"


def test_make_targets_exist():
    makefile = (README.parent / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"^    make ([a-z-]+)", TEXT, re.M):
        assert re.search(rf"^{target}:", makefile, re.M)
