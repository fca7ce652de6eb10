"""Each model is a library on its own: it works where the packages of training are not installed."""

import subprocess
import sys

import pytest

BLOCKED = """
import sys
for name in {blocked}:
    sys.modules[name] = None  # an import of it raises ImportError
import kinetoscope.{package} as package
for name in package.__all__:
    getattr(package, name)
"""
TRAINING = ["lightning", "pytorch_lightning"]
CASES = {"tokenizer": [*TRAINING, "transformers"], "generator": TRAINING}


@pytest.mark.parametrize("package", CASES)
def test_all_public_names_come_without_what_only_training_needs(package: str) -> None:
    code = BLOCKED.format(blocked=CASES[package], package=package)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
