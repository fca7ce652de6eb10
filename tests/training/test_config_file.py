"""A file that holds no settings is refused in one line that names it and repeats nothing of it."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from kinetoscope.app.cli.main import main
from kinetoscope.generator.training.module import GeneratorModule
from kinetoscope.tokenizer.training.module import TokenizerModule
from kinetoscope.training.cli import run
from kinetoscope.training.config_file import DEEPEST, check_config

SECRET = "hunter2"
NO_SETTINGS: dict[str, tuple[bytes, str]] = {
    "noise": (bytes(range(128, 256)) * 3, "it is no text in UTF-8"),
    "UTF-16": ("password: hunter2".encode("utf-16"), "it is no text in UTF-8"),
    "a letter": (b"my password is hunter2\nand no other\n", "is no file of settings"),
    "a list": (b"- hunter2\n- hunter2\n", "is no file of settings"),
    "a tab": (b"password: hunter2\n\tkey: hunter2\n", "line 2, column 1"),
    "open brackets": (b"a: {hunter2: 1\n", "line 2, column 1"),
    "a control sign": (b"hunter2: \x00\n", "control characters are not allowed"),
    "an unknown alias": (b"a: *hunter2\n", "line 1, column 4"),
    "too deep": (b"hunter2: " + b"[" * 999 + b"]" * 999, "nested more than 100 levels"),
}


def describe(path: Path) -> int:
    return main(["describe", str(path)])


def fit(module: type) -> Callable[[Path], int]:
    def command(path: Path) -> int:
        with pytest.raises(SystemExit) as left:
            run(module, ["fit", f"--config={path}"])
        return int(left.value.code or 0)

    return command


READERS = {"describe": describe, "tokenizer": fit(TokenizerModule)}
READERS["generator"] = fit(GeneratorModule)


@pytest.mark.parametrize("name", NO_SETTINGS)
@pytest.mark.parametrize("reader", READERS)
def test_what_is_no_yaml_is_not_printed_back(
    reader: str,
    name: str,
    here: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "argv", ["kinetoscope"])
    content, said = NO_SETTINGS[name]
    path = here / "mine.yaml"
    path.write_bytes(content)
    assert READERS[reader](path) == 2
    printed = capsys.readouterr()
    (line,) = printed.err.strip().splitlines()
    assert "mine.yaml'" in line and said in line
    assert SECRET not in printed.err + printed.out
    assert os.listdir(here) == ["mine.yaml"]


def test_settings_pass(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    for content in ("", "# nothing yet\n", "a: 1\nb: &x {c: [1, 2]}\nd: *x\n", "\ufeffa: größer\n"):
        path.write_text(content, encoding="utf-8")
        check_config(path)
    path.write_text("a: " + "[" * (DEEPEST - 1) + "]" * (DEEPEST - 1))
    check_config(path)
