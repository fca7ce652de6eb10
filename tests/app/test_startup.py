"""What the command line imports: as little as it needs for what it is asked."""

import subprocess
import sys
from pathlib import Path

import pytest
from kinetoscope.app.cli.main import COMMANDS

SLOW = ["torch", "lightning", "transformers", "vector_quantize_pytorch", "av", "numpy"]


def imported(arguments: list[str], names: list[str], status: int = 0) -> list[str]:
    """Those of the libraries that a command has imported when it ends."""
    code = (
        "import sys; from kinetoscope.app.cli.main import main\n"
        f"try: status = main({arguments!r})\n"
        "except SystemExit as end: status = end.code\n"
        f"print('\\n', *[name for name in {names!r} if name in sys.modules])\n"
        "sys.exit(status)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == status, done.stderr
    return done.stdout.splitlines()[-1].split()


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_imports_nothing_slow(command: str) -> None:
    assert imported([command, "--help"], SLOW) == []


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["--help"], 0),
        (["--version"], 0),
        (["paint"], 2),
        (["sample", "a ball", "--frames", "many"], 2),
        (["evaluate", "--prompts", "some"], 2),
        (["describe", "a", "b"], 2),
    ],
)
def test_the_version_and_mistakes_import_nothing_slow(arguments: list[str], status: int) -> None:
    assert imported(arguments, SLOW, status) == []


def test_drawing_imports_torch_and_little_else(tmp_path: Path) -> None:
    out = str(tmp_path / "ball.mp4")
    words = ["sample", "a red ball", "--frames", "1", "--seed", "0", "-o", out]
    slow = [*SLOW, "torch._dynamo", "sympy", "huggingface_hub", "PIL", "yaml"]
    assert {*imported(words, slow)} <= {"torch", "av", "numpy", "yaml", "PIL"}
    assert Path(out).is_file()
