"""`kinetoscope describe` without a config, and with one that is none."""

from pathlib import Path

import kinetoscope.configs
import pytest
from kinetoscope.app.cli.main import main
from kinetoscope.files.model_folder import shipped_models
from kinetoscope.generator import VideoGenerator
from kinetoscope.generator.training.cost import si

CONFIGS = Path(kinetoscope.configs.__path__[0])


def test_all_that_ships_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["describe"]) == 0
    printed = capsys.readouterr().out
    (models, generators, tokenizers) = (
        [line.split() for line in part.splitlines()[1:]] for part in printed.split("\n\n")
    )
    assert [line[0] for line in models] == list(shipped_models())
    for listed, folder in ((generators, "generator"), (tokenizers, "tokenizer")):
        names = sorted(path.stem for path in (CONFIGS / folder).glob("*.yaml"))
        assert sorted(line[0] for line in listed) == names
        assert f"in {CONFIGS / folder}" in printed
        assert all(len(line) > 4 for line in listed)  # and what it is


def test_parameters_are_those_of_the_model(capsys: pytest.CaptureFixture[str]) -> None:
    main(["describe"])
    size = sum(p.numel() for p in VideoGenerator.from_pretrained("physics-64").parameters())
    buffers = VideoGenerator.from_pretrained("physics-64").tokenizer.whitening.state_dict()
    size += sum(value.numel() for value in buffers.values())
    assert f"  {si(size)}, " in next(
        line for line in capsys.readouterr().out.splitlines() if line.startswith("  physics-64 ")
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "is not the config of a generator's training"),
        ("- a\n- b\n", "is no file of settings"),
        ("model: {a: b: c}\n", "cannot be read as YAML"),
        ("model: ${nothing}\n", "cannot be read as YAML"),
        ("model: 3\ndata: {init_args: {stages: [{latents: 1, batch_size: 1}]}}\n", "is not the"),
        ("model: {}\ndata: {init_args: {stages: []}}\n", "is not the config"),
        ("model: {}\ndata: {init_args: {stages: [{latents: a, batch_size: 1}]}}\n", "is not the"),
        (
            "model: {size: {width: 1}}\ndata: {init_args: {stages: [{latents: 1, batch_size: 1}]}}",
            "is not the config of a generator's training",
        ),
    ],
)
def test_mistakes_end_in_one_line(
    text: str, problem: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    assert main(["describe", str(path)]) == 2
    error = capsys.readouterr().err
    assert problem in error and error.startswith("kinetoscope: error: ")
    assert error.count("\n") == 1


def test_what_is_no_text_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "picture.yaml").write_bytes(b"\x89PNG\xff\xfe")
    for name in ("picture.yaml", "nobody", ""):
        assert main(["describe", str(tmp_path / name)]) == 2
        assert capsys.readouterr().err.count("\n") == 1
