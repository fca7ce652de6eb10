"""Two runs that write to one folder at the same moment: one of them, or each, in one piece."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import kinetoscope.configs
import pytest
from filelock import FileLock
from kinetoscope.data.video import read_clip
from kinetoscope.generator import VideoGenerator
from kinetoscope.tokenizer import VideoTokenizer
from kinetoscope.tokenizer.training.module import TokenizerModule
from kinetoscope.training.cli import run

CONFIG = Path(kinetoscope.configs.__path__[0]) / "tokenizer/folder.yaml"


@pytest.fixture
def words(parts: dict[str, str], here: Path, write_clip: Callable[..., Path]) -> list[str]:
    """A short run without a logger, whose folder has no numbers of versions."""
    for number in range(3):
        write_clip(here / f"films/{number}.mp4")
    settings = ["--data.root=films", "--data.size=16", "--data.frames=5", "--data.batch_size=2"]
    settings += [f"--model.init_from={parts['tokenizer']}", "--model.export_dir=model"]
    settings += ["--trainer.default_root_dir=runs", "--trainer.logger=false"]
    settings += ["--trainer.max_steps=2", "--trainer.accelerator=cpu"]
    settings += ["--trainer.precision=32-true", "--trainer.enable_progress_bar=false"]
    return ["fit", "--config", str(CONFIG), *settings, "--trainer.enable_model_summary=false"]


def test_a_second_run_of_fit_is_told_to_take_another_folder(
    words: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["kinetoscope.tokenizer"])
    os.mkdir("runs")
    with FileLock("runs/.lock"), pytest.raises(SystemExit) as left:
        run(TokenizerModule, words)
    assert left.value.code == 2
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert line.startswith("error: another run is writing to 'runs'; wait for it, or set trainer.")
    assert not list(Path("runs").rglob("*.ckpt")) and not Path("model").exists()
    run(TokenizerModule, [*words, "--trainer.default_root_dir=others"])
    run(TokenizerModule, words)  # the folder is free again
    run(TokenizerModule, words)  # a run after another one, whose settings lie there
    assert VideoTokenizer.from_pretrained("model").config.patch == 8
    assert Path("runs/config.yaml").is_file() and Path("others/config.yaml").is_file()


@pytest.mark.slow
def test_two_runs_of_fit_at_the_same_moment(words: list[str]) -> None:
    start = "import time; time.sleep(max(0, float(sys.argv.pop()) - time.time()))"
    code = (
        f"import sys; from kinetoscope.training.cli import run; from {TokenizerModule.__module__} "
        f"import TokenizerModule; {start}; run(TokenizerModule)"
    )
    moment = str(time.time() + 15)
    command = [sys.executable, "-c", code, *words, "--trainer.max_steps=20", moment]
    pipe = subprocess.PIPE
    both = [subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) for _ in range(2)]
    said = [each.communicate()[1] for each in both]
    statuses = sorted(each.returncode for each in both)
    # one of them may have ended before the other began
    assert statuses in ([0, 2], [0, 0]), said
    assert all("Traceback" not in each for each in said)
    if statuses == [0, 2]:
        refused = next(text for each, text in zip(both, said) if each.returncode)
        assert "another run is writing to 'runs'" in refused.strip().splitlines()[-1]
    assert VideoTokenizer.from_pretrained("model").config.patch == 8


@pytest.mark.slow
def test_two_videos_of_one_name_at_the_same_moment(
    generator: VideoGenerator, here: Path, tmp_path: Path
) -> None:
    """Each is written beside its place; what stands there in the end is one of them, whole."""
    generator.save_pretrained(tmp_path / "model")
    words = [sys.executable, "-m", "kinetoscope.app.cli.main", "sample", "a ball", "-o", "a.mp4"]
    words += ["--model", str(tmp_path / "model"), "--scale", "2"]
    lengths = (9, 33)
    both = [subprocess.Popen([*words, "--frames", str(length)]) for length in lengths]
    assert [each.wait() for each in both] == [0, 0]
    assert read_clip("a.mp4").video.shape[1] in lengths
    assert os.listdir() == ["a.mp4"]
