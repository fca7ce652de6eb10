"""No command writes what a model drew past the one writer that marks and signs."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[3]
WAYS = {
    "VideoWriter",
    "write_video",
}  # of `data.video`, which know nothing of where pixels come from
ALSO = {
    "app/provenance/writer.py": "the one writer",
    "app/storyboard/given.py": "pages, pictures and clips that were given; no model drew them",
    "app/runs/reconstruct.py": "a codec: what `reconstruct` writes was filmed, not drawn",
}


def ways_past(tree: ast.AST) -> Iterator[str]:
    """Names by which a file reaches for a writer of videos, or opens one for writing with PyAV."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            yield from (alias.name for alias in node.names if alias.name in WAYS)
        elif isinstance(node, ast.Attribute) and node.attr in WAYS:
            yield node.attr
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = node.func.value.id if isinstance(node.func.value, ast.Name) else ""
            if (owner, node.func.attr) == ("av", "open") and is_for_writing(node):
                yield "av.open"


def is_for_writing(call: ast.Call) -> bool:
    mode = [word.value for word in call.keywords if word.arg == "mode"] + call.args[1:2]
    return any(isinstance(each, ast.Constant) and "w" in str(each.value) for each in mode)


def test_every_command_goes_through_the_one_writer() -> None:
    for path in sorted((ROOT / "app").rglob("*.py")):
        name = path.relative_to(ROOT).as_posix()
        found = list(ways_past(ast.parse(path.read_text(encoding="utf-8"))))
        assert not found or name in ALSO, (
            f"{name} writes videos by {', '.join(found)}; use app/provenance/writer.py"
        )


def test_the_list_of_exceptions_is_no_longer_than_needed() -> None:
    for name in ALSO:
        assert list(ways_past(ast.parse((ROOT / name).read_text(encoding="utf-8")))), name


def test_the_walk_finds_a_command_that_goes_past_it() -> None:
    for line in (
        "from ...data.video import VideoWriter",
        "from ..data.video.write import write_video as save",
        "import x.video as v; v.VideoWriter('a.mp4', 12)",
        "import av; av.open('a.mp4', 'w')",
        "import av; av.open('a.mp4', mode='w')",
    ):
        assert list(ways_past(ast.parse(line))), line
    assert not list(ways_past(ast.parse("import av; av.open('a.mp4')")))
