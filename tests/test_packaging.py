"""What gets installed, what an import costs, and who may import whom."""

import ast
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = (
    "files",
    "training",
    "tokenizer",
    "data",
    "generator",
    "evaluation",
    "app",
    "configs",
    "pretrained",
)
SETUP = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
MOST_FILES = 16
BUILT = {"build", "dist", "runs", "outputs"}
HEAVY = (
    "lightning",
    "pytorch_lightning",
    "transformers",
    "xformers",
    "gradio",
    "jsonargparse",
    "av",
)
TEXTS = {".py", ".md", ".yaml", ".yml", ".toml", ".txt", ".json", ".csv", ".cfg", ""}


@cache
def files() -> list[Path]:
    """All files of the project that are not hidden and not built."""
    found = []
    for folder, below, names in os.walk(ROOT):
        skipped = {
            name
            for name in below
            if name.startswith(".") or name.endswith((".egg-info", "__pycache__"))
        }
        built = BUILT if Path(folder) == ROOT else set()
        below[:] = sorted(set(below) - skipped - built)
        found += [Path(folder) / name for name in sorted(names) if not name.startswith(".")]
    return found + sorted((ROOT / ".ci").iterdir())


def imports(path: Path) -> Iterator[str]:
    """Full names of all that a file imports, inside functions too; relative ones as
    `kinetoscope.…`."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = ("kinetoscope", *path.relative_to(ROOT).parent.parts)
            base = ".".join(package[: len(package) + 1 - node.level]) if node.level else ""
            module = ".".join(part for part in (base, node.module) if part)
            yield from (f"{module}.{alias.name}" for alias in node.names)


def sources(*packages: str) -> list[Path]:
    return [path for package in packages for path in sorted((ROOT / package).rglob("*.py"))]


def test_every_folder_of_ours_is_a_package_and_the_other_way_round() -> None:
    on_disk = {
        path.parent.relative_to(ROOT)
        for name in PACKAGES
        for path in (ROOT / name).rglob("__init__.py")
    }
    dotted = {".".join(("kinetoscope", *folder.parts)): folder.as_posix() for folder in on_disk}
    assert set(SETUP["packages"]) == set(dotted)
    assert SETUP["package-dir"] == dotted
    with_code = {path.parent.relative_to(ROOT) for path in sources(*PACKAGES)}
    assert with_code == on_disk


def test_packages_are_typed() -> None:
    for name in PACKAGES:
        assert (ROOT / name / "py.typed").is_file()


@pytest.mark.parametrize("name", [*PACKAGES, "tests"])
def test_no_folder_holds_more_than_a_reader_takes_in(name: str) -> None:
    for folder in {path.parent for path in files() if path.is_relative_to(ROOT / name)}:
        inside = [path.name for path in files() if path.parent == folder]
        inside = [name for name in inside if name != "py.typed"]  # an empty mark
        assert len(inside) <= MOST_FILES, (
            f"{folder} holds {len(inside)} files; make a room for some of them"
        )


def test_everything_that_is_no_python_is_installed() -> None:
    data = SETUP["package-data"]
    for name in PACKAGES:
        patterns = [*data["*"], *data.get(f"kinetoscope.{name}", [])]
        found = {path for pattern in patterns for path in (ROOT / name).glob(pattern)}
        others = {p for p in files() if p.is_relative_to(ROOT / name) and p.suffix != ".py"}
        assert others <= found


def test_imports_are_light() -> None:
    """Names, help and most mistakes come at once; what is heavy is imported where it is used."""
    lines = ["import sys"]
    for name in ("tokenizer", "generator", "app.cli.main", "data"):
        lines += [
            f"import kinetoscope.{name}",
            f"print('{name}', *({{*{HEAVY}}} & {{*sys.modules}}))",
        ]
    result = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=True
    )
    assert result.stdout.split("\n")[:-1] == ["tokenizer", "generator", "app.cli.main", "data"]


def test_nobody_imports_the_folders_by_their_bare_names() -> None:
    for path in (path for path in files() if path.suffix == ".py"):
        bare = [name for name in imports(path) if name.split(".")[0] in PACKAGES]
        assert not bare, f"{path}: {bare}"


def test_inside_packages_imports_are_relative() -> None:
    for path in sources(*PACKAGES):
        absolute = re.findall(
            r"^\s*(?:from|import) kinetoscope\b.*", path.read_text(encoding="utf-8"), re.MULTILINE
        )
        assert not absolute, f"{path}: {absolute}"


def test_no_text_names_a_place_on_one_machine() -> None:
    place = re.compile(r"(?<![\w.])/(?:home|root|work|Users|mnt|tmp)/\w")
    for path in files():
        if path.suffix in TEXTS and path.name != Path(__file__).name:
            found = place.search(path.read_text(encoding="utf-8"))
            assert not found, f"{path}: {found and found[0]}"


@pytest.mark.slow
def test_a_wheel_holds_what_the_packages_need(tmp_path: Path) -> None:
    import zipfile

    build = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        str(tmp_path),
    ]
    copy = tmp_path / "source"
    for path in files():
        target = copy / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    subprocess.run([*build, str(copy)], check=True)
    names = set(zipfile.ZipFile(next(tmp_path.glob("*.whl"))).namelist())
    for package in PACKAGES:
        for path in files():
            if path.is_relative_to(ROOT / package):
                assert f"kinetoscope/{path.relative_to(ROOT)}" in names
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {"kinetoscope"}
