"""Commands that are killed, or whose disk is full, and are run again: nothing is lost, nothing is
half, nothing stays lying about, and the result is that of an undisturbed run.

`make soak` stops each command at 15 moments by each signal; the slow tests take a sample
of commands and moments.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import kinetoscope.configs
import pytest
import torch
from kinetoscope.data.video import write_video
from kinetoscope.generator import VideoGenerator

pytestmark = [pytest.mark.slow, pytest.mark.soak]
SOAK = bool(os.environ.get("KINETOSCOPE_SOAK"))
COUNT = 15 if SOAK else 2
KILLS = Path(__file__).with_name("kills.py")
CONFIGS = Path(kinetoscope.configs.__path__[0])
COMMANDS = ["prepare", "fit-generator", "encode"]
COMMANDS += ["fit-tokenizer", "sample", "decode", "reconstruct", "reconstruct-one"] if SOAK else []
Stop = Callable[[str, str], dict]


@pytest.fixture(scope="module")
def inputs(
    tmp_path_factory: pytest.TempPathFactory, generator: VideoGenerator, parts: dict[str, str]
) -> Path:
    """Videos, their codes, and small models."""
    folder = tmp_path_factory.mktemp("kills") / "inputs"
    generator.save_pretrained(folder / "model")
    for name, part in parts.items():
        shutil.copytree(part, folder / "parts" / name)
    for name in ("tokenizer", "generator"):
        shutil.copy(CONFIGS / name / "folder.yaml", folder / f"{name}.yaml")
    draw = torch.Generator().manual_seed(0)
    for number in range(4):
        (folder / "films").mkdir(exist_ok=True)
        noise = torch.randint(0, 255, (3, 25, 16, 24), generator=draw).byte()
        write_video(folder / f"films/{number}.mp4", noise, fps=12)
        video = noise[None].float() / 127.5 - 1
        (folder / "codes").mkdir(exist_ok=True)
        generator.tokenizer.encode(video).save(folder / f"codes/{number}.safetensors")
    return folder


@pytest.fixture
def stop(inputs: Path, tmp_path: Path) -> Stop:
    """Stops a command again and again, and returns the report."""

    def run(command: str, how: str) -> dict:
        os.symlink(inputs, tmp_path / "inputs")
        words = [sys.executable, str(KILLS), command, str(tmp_path), how, str(COUNT), "0"]
        if how == "ENOSPC":  # a disk of its own, for which nobody needs to be root
            words = ["unshare", "-rm", *words]
        quiet = {**os.environ, "OMP_NUM_THREADS": "1", "XDG_CONFIG_HOME": str(tmp_path / "config")}
        done = subprocess.run(words, capture_output=True, text=True, env=quiet)
        assert done.returncode == 0, done.stderr[-3000:]
        report = json.loads(done.stdout.splitlines()[-1])
        print(report)
        return report

    return run


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_that_is_killed_goes_on(stop: Stop, command: str) -> None:
    report = stop(command, "SIGTERM,SIGKILL")
    assert not report["wrong"], "\n".join(report["wrong"])


@pytest.mark.parametrize("command", COMMANDS)
def test_a_full_disk_is_one_line(stop: Stop, command: str) -> None:
    if subprocess.run(["unshare", "-rm", "true"], capture_output=True).returncode:
        pytest.skip("no disk can be made here")
    report = stop(command, "ENOSPC")
    assert not report["wrong"], "\n".join(report["wrong"])
