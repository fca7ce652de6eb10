"""What the command line imports: as little as it needs for what it is asked."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from kinetoscope.app.cli.main import COMMANDS

SLOW = ["torch", "lightning", "transformers", "vector_quantize_pytorch", "av", "numpy"]


CODE = """
import json
import sys
from kinetoscope.app.cli.main import main

names = json.loads(sys.argv[1])
for arguments in json.loads(sys.argv[2]):
    try:
        status = main(arguments)
    except SystemExit as end:
        status = end.code
    imported = [name for name in names if name in sys.modules]
    print("\\n" + json.dumps([arguments, status, imported]), flush=True)
"""


def run(names: list[str], *commands: list[str]) -> list[list[Any]]:
    """Runs commands one after another in one new process: of each its words, its exit status, and
    those of the libraries that were imported when it ended."""
    words = [sys.executable, "-c", CODE, json.dumps(names), json.dumps(commands)]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if line.startswith("[[")]
    return [json.loads(line) for line in lines]


def test_help_the_version_and_mistakes_import_nothing_slow() -> None:
    commands = [[command, "--help"] for command in COMMANDS] + [["--help"], ["--version"]]
    mistakes = [
        ["paint"],
        ["sample", "a ball", "--frames", "many"],
        ["evaluate", "--prompts", "some"],
        ["describe", "a", "b"],
    ]
    wanted = [[words, 0, []] for words in commands] + [[words, 2, []] for words in mistakes]
    assert run(SLOW, *commands, *mistakes) == wanted


def test_drawing_imports_torch_and_little_else(tmp_path: Path) -> None:
    out = str(tmp_path / "ball.mp4")
    words = ["sample", "a red ball", "--frames", "1", "--seed", "0", "-o", out]
    slow = [*SLOW, "torch._dynamo", "sympy", "huggingface_hub", "PIL", "yaml"]
    ((_, status, imported),) = run(slow, words)
    assert status == 0 and {*imported} <= {"torch", "av", "numpy", "yaml", "PIL"}
    assert Path(out).is_file()
