"""docs/product_clip.md: its commands, on footage of a thing that the model has never seen, and the
numbers that say that the thing is shown. An adapter that does nothing cannot pass."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from kinetoscope.app.cli.main import main
from kinetoscope.data.video import probe, read_clip

SOAK = os.environ.get("KINETOSCOPE_SOAK") == "1"
ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "product_clip.md").read_text(encoding="utf-8")


def blocks(kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", PAGE, re.S)


def shows_the_thing(before: float, after: float, other: float) -> bool:
    """From distances: of clips without the adapter and with it from clips of the thing, and of
    those with it from clips of another thing."""
    return after < 0.5 * before and after < 0.8 * other


def distance(words: list[str], capsys: pytest.CaptureFixture[str]) -> float:
    capsys.readouterr()
    assert main(words) == 0
    found = re.search(r"kernel inception distance, per frame\s+(\S+)", capsys.readouterr().out)
    assert found is not None
    return float(found[1])


def test_an_adapter_that_does_nothing_does_not_pass():
    assert not shows_the_thing(0.02, 0.02, 0.03)
    assert not shows_the_thing(0.02, 0.009, 0.009), "it learned the place and not the thing"


@pytest.mark.soak
@pytest.mark.slow
@pytest.mark.skipif(not SOAK, reason="takes five minutes; make soak runs it")
def test_the_page_makes_a_clip_that_shows_the_thing(here: Path, capsys: pytest.CaptureFixture[str]):
    pytest.importorskip("peft", reason="the extra 'lora' is not installed")
    (here / "configs").symlink_to(ROOT / "configs")
    (here / "examples").symlink_to(ROOT / "examples")
    (fit, measures) = blocks("sh")
    subprocess.run([sys.executable, "examples/product_footage.py", "footage"], check=True)
    (words,) = re.findall(r"^    kinetoscope (reconstruct .*)$", PAGE, re.M)
    assert main(shlex.split(words)) == 0
    line = fit.replace("python ", f"{sys.executable} ", 1)
    subprocess.run(line, shell=True, check=True)

    (story,) = blocks("yaml")
    (here / "story.yaml").write_text(story, encoding="utf-8")
    (words,) = re.findall(r"^    kinetoscope (compose .*)$", PAGE, re.M)
    assert main(shlex.split(words)) == 0
    assert probe("cone.mp4").frames == 34

    (sentences, *commands) = measures.splitlines()
    subprocess.run(sentences, shell=True, check=True)
    (network,) = [line for line in commands if line.startswith("NETWORK=")]
    commands = [
        shlex.split(line.replace("$NETWORK", network.partition("=")[2]))[1:]
        for line in commands
        if line != network
    ]
    for words in commands[:2]:
        assert main(words) == 0
    (before, after, other) = (distance(words, capsys) for words in commands[2:])
    print(f"before {before:.4f}, after {after:.4f}, after from another thing {other:.4f}")
    assert shows_the_thing(before, after, other), (before, after, other)
    # the sets were drawn with the same seeds, so they differ by the adapter alone
    (first, second) = (sorted(Path(name).glob("*.mp4"))[0] for name in ("before", "after"))
    assert not torch.equal(read_clip(first).video, read_clip(second).video)
