"""Who may import whom: arrows between the packages point down, and heavy libraries stay in their
rooms."""

import ast
import functools
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# From the ground up: what each package may import besides itself.
BELOW = {
    "files": (),
    "training": ("files",),
    "data": ("files", "tokenizer.codes"),
    "tokenizer": ("files", "training"),
    "generator": ("files", "training", "data", "tokenizer"),
    "evaluation": ("files", "training", "data", "tokenizer", "generator"),
    "app": (
        "files",
        "training",
        "data",
        "tokenizer",
        "generator",
        "evaluation",
        "configs",
        "pretrained",
    ),
    "configs": (),
    "pretrained": (),
}
ALSO = {  # what feeds the training of tokenizers
    "tokenizer/training/*data_module.py": ("data",),
    "tokenizer/sound/training/sounds.py": ("data",),
}

ROOMS = {  # libraries, and where they may be imported
    ("lightning", "pytorch_lightning"): (
        "training/*.py",
        "**/training/*.py",
        "generator/tokens/*.py",
        "*/callbacks.py",
        "*/callbacks/*.py",
        "**/__main__.py",
    ),
    ("argparse", "jsonargparse"): (
        "app/**/*.py",
        "**/__main__.py",
        "training/cli.py",
        "data/worlds/physics/judge/fit.py",
        "data/worlds/stage/judge/fit.py",
        "data/worlds/stage/judge/fit_sound.py",
        "generator/training/caption_encoder.py",
    ),
    ("fastapi", "starlette", "uvicorn", "websockets", "rich", "textual", "curses", "gradio"): (
        "app/**/*.py",
    ),
}


def modules() -> list[Path]:
    return [path for package in BELOW for path in sorted((ROOT / package).rglob("*.py"))]


@functools.cache
def imports(path: Path) -> list[str]:
    """Full names of all that a file imports, inside functions too, those of ours without
    `kinetoscope.`."""
    return list(found(path))


def found(path: Path) -> Iterator[str]:
    package = path.relative_to(ROOT).parent.parts
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.removeprefix("kinetoscope.") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) + 1 - node.level] if node.level else ()
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield from (
                f"{module}.{alias.name}".removeprefix("kinetoscope.") for alias in node.names
            )


def forbidden(path: Path, names: list[str]) -> list[str]:
    """Those of the names that a file of ours must not import."""
    place = path.relative_to(ROOT).as_posix()
    package = place.split("/")[0]
    also = [name for places, names in ALSO.items() if fnmatch(place, places) for name in names]
    allowed = (package, *BELOW[package], *also)
    ours = [name for name in names if name.split(".")[0] in BELOW]
    return [n for n in ours if not any(n == a or n.startswith(f"{a}.") for a in allowed)]


@pytest.mark.parametrize("package", BELOW)
def test_arrows_point_down(package: str) -> None:
    for path in sorted((ROOT / package).rglob("*.py")):
        for name in forbidden(path, imports(path)):
            pytest.fail(
                f"{path.relative_to(ROOT)} imports {name}, which stands above it or beside it"
            )


def test_the_walk_sees_what_is_forbidden() -> None:
    path = ROOT / "data/video/read.py"
    assert forbidden(path, ["tokenizer.codes.VideoCodes", "data.video.write", "torch"]) == []
    wrong = ["tokenizer.model.VideoTokenizer", "generator.pipeline", "app.cli.main"]
    assert forbidden(path, wrong) == wrong


@pytest.mark.parametrize("libraries", ROOMS, ids=lambda names: names[0])
def test_libraries_stay_in_their_rooms(libraries: tuple[str, ...]) -> None:
    rooms = ROOMS[libraries]
    inside = {path for room in rooms for path in ROOT.glob(room)}
    for path in modules():
        for name in imports(path):
            if name.split(".")[0] in libraries:
                assert path in inside, (
                    f"{path.relative_to(ROOT)} imports {name}; only {', '.join(rooms)} may"
                )
