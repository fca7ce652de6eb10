"""README, pages under docs, model cards and examples: their code runs, their shapes are true, and
their commands, configs and programs exist."""

import ast
import re
import runpy
import shlex
from pathlib import Path
from typing import Any

import pytest
import torch
from kinetoscope.app.cli.main import load, split_command
from kinetoscope.app.cli.parser import parse
from kinetoscope.data.video.write import write_video
from kinetoscope.tokenizer import VideoCodes, VideoTokenizer
from torch import Tensor

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
DOCS = sorted((ROOT / "docs").glob("*.md"))
CARDS = sorted((ROOT / "pretrained").glob("*/README.md"))
SHAPE = re.compile(r"#.*?\[([\d, ]*)\]")


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def moving_stripes(frames: int, height: int, width: int, slope: float) -> Tensor:
    """uint8 [3, F, Y, X]; like nothing in the rendered world."""
    f, y, x = torch.meshgrid(
        *(torch.arange(float(size)) for size in (frames, height, width)), indexing="ij"
    )
    waves = torch.stack([torch.sin((x + slope * y + 2 * f) / (3 + colour)) for colour in range(3)])
    return ((waves + 1) * 127.5).to(torch.uint8)


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def commands(text: str) -> list[str]:
    """Lines of the page that begin with `kinetoscope`; a line that ends in a backslash goes on."""
    joined = re.sub(r" *\\\n *", " ", text)
    return re.findall(r"^    (kinetoscope .*)$", joined, re.M)


def shape_of(value: Any) -> list[int]:
    while isinstance(value, tuple):
        value = value[0]
    return list(value.indices.shape if isinstance(value, VideoCodes) else value.shape)


@pytest.mark.parametrize("page", [*DOCS, *CARDS], ids=name_of)
def test_code_runs_and_shapes_are_true(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_video("in.mp4", moving_stripes(9, 64, 80, 0.5), fps=10)
    text = page.read_text(encoding="utf-8")
    names = {}
    checked = 0
    for block in re.findall(r"```python\n(.*?)```", text, re.S):
        for statement in ast.parse(block).body:
            exec(compile(ast.Module([statement], []), str(page), "exec"), names)
            line = block.splitlines()[statement.end_lineno - 1]
            told = SHAPE.search(line[statement.end_col_offset :])
            if told and isinstance(statement, ast.Assign):
                target = statement.targets[0]
                name = target.elts[0] if isinstance(target, ast.Tuple) else target
                wanted = [int(number) for number in told[1].split(",") if number.strip()]
                assert shape_of(names[name.id]) == wanted, line
                checked += 1
    assert checked or "```python" not in text


def test_streams_of_the_page_are_those_of_the_whole_clip() -> None:
    """What the comments of the page on the tokenizer say about chunks."""
    tokenizer = VideoTokenizer.from_pretrained("physics-64")
    video = 2 * torch.rand(1, 3, 17, 32, 32) - 1
    parts = list(tokenizer.stream_encode(video.split(5, dim=2)))
    assert [part.shape[1] for part in parts] == [2, 1, 1, 1]
    assert torch.equal(torch.cat(parts, dim=1), tokenizer.encode(video).indices)
    assert [pixels.shape[2] for pixels in tokenizer.stream_decode(parts)] == [5, 4, 4, 4]


@pytest.mark.parametrize("page", [README, *DOCS, *CARDS], ids=name_of)
def test_commands_parse(page: Path) -> None:
    for line in commands(page.read_text(encoding="utf-8")):
        command, words = split_command(shlex.split(line, comments=True)[1:])
        assert parse(command, load(command), words), line


def test_commands_that_go_on_in_the_next_line_are_read() -> None:
    page = "    kinetoscope sample a \\\n        --frames 3\n    kinetoscope decode b\n"
    assert commands(page) == ["kinetoscope sample a --frames 3", "kinetoscope decode b"]


@pytest.mark.parametrize("page", [README, *DOCS, *CARDS], ids=name_of)
def test_configs_and_programs_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    told = re.findall(r"(?:--config |\bpython )([\w./-]+\.(?:yaml|py))", text)
    for target in [*told, *re.findall(r"`([\w-]+/[\w./-]+\.(?:yaml|py))", text)]:
        assert (ROOT / target).exists(), f"{name_of(page)} names {target}, which is not there"
    for module in re.findall(r"\bpython -m (kinetoscope[\w.]*)", text):
        place = ROOT.joinpath(*module.split(".")[1:])
        names = (place.with_suffix(".py"), place / "__main__.py")
        assert any(name.exists() for name in names), f"{name_of(page)} runs {module}"


def test_fine_tuning_on_a_folder_makes_its_videos_better(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "videos").mkdir()
    for number in range(4):
        write_video(
            tmp_path / "videos" / f"{number}.mp4", moving_stripes(8, 32, 32, number / 3), fps=10
        )
    options = ["--steps", "10", "--batch", "2", "--size", "32", "--frames", "5", "--out"]
    words = ["finetune_tokenizer.py", str(tmp_path / "videos"), *options, str(tmp_path / "tuned")]
    monkeypatch.setattr("sys.argv", words)
    torch.manual_seed(0)
    runpy.run_path(str(ROOT / "examples" / "finetune_tokenizer.py"), run_name="__main__")
    printed = capsys.readouterr().out
    before, after = (
        float(number) for number in re.findall(r"([\d.]+) dB (?:before|after)", printed)
    )
    assert after > before + 0.5
    assert VideoTokenizer.from_pretrained(tmp_path / "tuned").id in printed
