"""What comes with the package: models to use and configs to train with, one line each."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import yaml

from ...files.model_folder import SCALE, WEIGHTS, UndrawnWeights, shipped_models
from ...files.tensors import tensor_shapes
from ...generator.training.cost import parameter_counts, read_plan, si
from ...tokenizer import TokenizerConfig, VideoTokenizer

Row = tuple[str, str, str]  # name, size, what it is


def shipped() -> list[str]:
    """Lines for people to read: models, then configs of generators and of tokenizers."""
    configs = Path(str(files("kinetoscope.configs")))
    generators = sorted((configs / "generator").glob("*.yaml"))
    tokenizers = sorted((configs / "tokenizer").glob("*.yaml"))
    rows = {
        "models, by name": [_model(name, folder) for name, folder in shipped_models().items()],
        f"configs of generators, in {generators[0].parent}": [_generator(p) for p in generators],
        f"configs of tokenizers, in {tokenizers[0].parent}": [_tokenizer(p) for p in tokenizers],
    }
    return list(_lines(rows))


def _lines(tables: dict[str, list[Row]]) -> Iterator[str]:
    rows = [row for table in tables.values() for row in table]
    (name_width, size_width) = (max(len(row[column]) for row in rows) for column in (0, 1))
    for index, (title, table) in enumerate(tables.items()):
        yield from ["", title] if index else [title]
        for name, size, text in table:
            yield f"  {name:<{name_width}}  {size:<{size_width}}  {text}"


def _model(name: str, folder: Path) -> Row:
    parts = sorted(folder.rglob(WEIGHTS))
    size = sum(path.stat().st_size for path in parts) / 1e6
    text = (folder / "README.md").read_text(encoding="utf-8").partition("\n\n")[2]
    return name, f"{si(sum(map(_stored, parts)))}, {size:.1f} MB", _first_sentence(text)


def _generator(path: Path) -> Row:
    counts = parameter_counts(read_plan(str(path)).decoder)
    return path.stem, si(sum(counts.values())), _comment(path)


def _tokenizer(path: Path) -> Row:
    model = yaml.safe_load(path.read_text(encoding="utf-8"))["model"]
    if "init_from" in model:  # what it starts from decides
        return path.stem, "", _comment(path)
    with UndrawnWeights():
        network = VideoTokenizer(TokenizerConfig.from_dict(model.get("tokenizer", {})), False)
    return path.stem, si(sum(p.numel() for p in network.parameters())), _comment(path)


def _stored(path: Path) -> int:
    """Numbers in a safetensors file."""
    shapes = tensor_shapes(path)
    return sum(math.prod(shape) for name, (shape, _) in shapes.items() if not name.endswith(SCALE))


def _comment(path: Path) -> str:
    lines = path.read_text(encoding="utf-8").splitlines()
    comment = [line.removeprefix("#") for line in lines if line.startswith("#")]
    return _first_sentence("\n".join(comment))


def _first_sentence(text: str) -> str:
    return re.split(r"(?<=[.:;])\s", " ".join(text.split()), maxsplit=1)[0].rstrip(".:;")
