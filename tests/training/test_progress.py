"""SIGTERM ends a command as Ctrl-C does."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from kinetoscope.training.progress import gentle_interrupt, terminate_as_interrupt


def terminate() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def test_a_termination_interrupts() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), terminate_as_interrupt():
        terminate()
    assert signal.getsignal(signal.SIGTERM) == before


def test_where_the_first_interrupt_is_gentle_so_is_a_termination() -> None:
    with terminate_as_interrupt(), gentle_interrupt() as stopped:
        assert not stopped()
        terminate()
        assert stopped()
        with pytest.raises(KeyboardInterrupt):
            terminate()


def test_a_background_job_that_ignores_interrupts_ends_all_the_same() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with pytest.raises(KeyboardInterrupt), terminate_as_interrupt():
            terminate()
    finally:
        signal.signal(signal.SIGINT, before)


COMMANDS = {
    "encode": ["encode", "long.mp4", "-o", "out/codes.safetensors", "--tokenizer", "physics-64"],
    "prepare": ["prepare", "videos", "out", "--workers", "2"],
}


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_a_terminated_command_leaves_nothing(
    tmp_path: Path, name: str, write_clip: Callable[..., Path]
) -> None:
    """While a file is written; its processes end too."""
    import torch
    from kinetoscope.data.video import write_video

    write_video(tmp_path / "long.mp4", torch.randint(0, 255, (3, 600, 96, 96)).byte(), 12)
    (tmp_path / "videos").mkdir()
    for number in range(3):
        (tmp_path / f"videos/{number}.mp4").write_bytes((tmp_path / "long.mp4").read_bytes())
    (tmp_path / "out").mkdir()
    words = [sys.executable, "-m", "kinetoscope.app.cli.main", *COMMANDS[name]]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        words, cwd=tmp_path, stderr=pipe, stdout=pipe, text=True, start_new_session=True
    ) as running:
        until = time.monotonic() + 120
        while not list((tmp_path / "out").glob(".*.part")) and time.monotonic() < until:
            assert running.poll() is None, running.communicate()
            time.sleep(0.02)
        running.terminate()
        _, said = running.communicate(timeout=60)
    assert running.returncode == 130
    assert said.splitlines()[-1] == "kinetoscope: error: interrupted" and "Traceback" not in said
    assert not [path for path in (tmp_path / "out").rglob("*") if path.name.endswith(".part")]
    assert not [path for path in (tmp_path / "out").rglob("*.safetensors")]
    with pytest.raises(ProcessLookupError):
        os.killpg(running.pid, 0)
