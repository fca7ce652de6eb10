"""`kinetoscope serve` on the command line: what it refuses, and how it makes keys."""

import socket
import sys
from pathlib import Path

import pytest
from kinetoscope.app.cli.main import main
from kinetoscope.app.serve.settings import ServeSettings
from kinetoscope.app.serve.store.database import Database
from kinetoscope.app.serve.store.keys import Keys


def test_a_key_is_made_and_printed_once(here: Path, capsys):
    assert main(["serve", "--folder", "q", "--new-key", "ada"]) == 0
    key = capsys.readouterr().out.strip()
    assert Keys(Database("q")).client(f"Bearer {key}").name == "ada"
    assert main(["serve", "--folder", "q", "--new-key", "ada"]) == 2
    assert "there is a key named 'ada'; give another name" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--host", "0.0.0.0"], "make a key first, with --new-key NAME"),
        (["--workers", "0"], "--workers must be at least 1; got 0"),
        (["--batch", "0"], "--batch must be at least 1; got 0"),
        (["--disk", "0"], "--disk must be above 0; got 0"),
        (["--port", "70000"], "--port must be 0 to 65535; got 70000"),
        (["--model", "no-such-model"], "no-such-model"),
        (["--policy", "no_such.Policy"], "the policy 'no_such.Policy' cannot be had"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_mistakes_are_told_in_one_line(here: Path, capsys, words, message):
    assert main(["serve", "--folder", "q", *words]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert message in line


def test_a_port_that_is_taken_is_told(here: Path, capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert main(["serve", "--folder", "q", "--port", port]) == 2
    assert "give another --port" in capsys.readouterr().err


def test_the_extra_is_named_where_it_is_missing(here: Path, capsys, monkeypatch):
    for name in [each for each in sys.modules if each.startswith("kinetoscope.app.serve")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert main(["serve", "--folder", "q"]) == 2
    assert "pip install 'kinetoscope[serve]'" in capsys.readouterr().err


def test_there_is_a_worker_for_each_core():
    import os

    settings = ServeSettings("q", device="cpu")
    assert settings.worker_count() == len(os.sched_getaffinity(0))
    assert ServeSettings("q", workers=3).worker_count() == 3
