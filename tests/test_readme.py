"""The README is short, and what it shows is true. That its commands and links work is tested with
the other pages, in test_docs.py."""

import re
from pathlib import Path

import pytest

README = Path(__file__).parent.parent / "README.md"
TEXT = README.read_text(encoding="utf-8")
LINES = 120
WIDTH = 100


def test_it_is_read_in_a_few_minutes():
    lines = TEXT.splitlines()
    assert len(lines) <= LINES
    for line in lines:
        shown = re.sub(r"\]\([^)]*\)", "]", line)
        assert line.startswith("|") or len(shown) <= WIDTH, line


@pytest.mark.slow
def test_python_blocks_run_in_order():
    names: dict[str, object] = {}
    blocks = re.findall(r"```python\n(.*?)```", TEXT, re.S)
    assert len(blocks) >= 2
    for block in blocks:
        exec(compile(block, str(README), "exec"), names)
    assert list(names["video"].shape) == [1, 3, 33, 128, 128]
    assert list(names["codes"].indices.shape) == [1, 9, 16, 16]
    assert list(names["chunk"].shape) == [1, 3, 1, 128, 128]
    assert list(names["second"].shape) == [1, 3, 4, 128, 128]
    assert list(names["both"].shape) == [2, 3, 4, 128, 128]


def test_make_targets_exist():
    makefile = (README.parent / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"^    make ([a-z-]+)", TEXT, re.M):
        assert re.search(rf"^{target}:", makefile, re.M)
