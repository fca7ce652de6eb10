"""Every file of ours is written in one way: no module writes, moves or makes files by itself."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("files", "training", "tokenizer", "data", "generator", "evaluation", "app")
WAYS = {"whole_file", "whole_path", "whole_folder"}  # inside their blocks anything may be written
WRITES = {"write_text", "write_bytes", "save_file", "savez", "savez_compressed", "to_csv", "touch"}
MOVES = {"rename", "renames", "copyfile", "copytree", "move", "symlink_to", "hardlink_to"}
MAKES = {"mkdtemp", "mkstemp", "NamedTemporaryFile", "TemporaryDirectory", "TemporaryFile"}
OF_LIBRARIES = {("torch", "save"), ("np", "save"), ("json", "dump"), ("pickle", "dump")}
ALSO = {
    "files/atomic.py": "the one way",
    "data/video/write.py": "FFmpeg writes to the path of `whole_path`, from __enter__ to __exit__",
    "data/video/workers.py": "members of shards, unpacked for the decoder and removed after it",
    "data/datasets/shards.py": "an array to bytes in memory",
    "app/runs/kept_frames.py": "a file without a name, of which nothing is left",
    "data/report/rows.py": "a log that grows; half a line at its end is read over",
    "evaluation/codecs.py": "bytes in memory",
    "evaluation/clips/feature_store.py": "rows that a run maps into memory and nobody reads later",
}


def mode_of(call: ast.Call, position: int) -> str:
    """The mode that a call to open a file names, "r" if none."""
    given = [word.value for word in call.keywords if word.arg == "mode"]
    given += call.args[position : position + 1]
    return str(given[0].value) if given and isinstance(given[0], ast.Constant) else "r"


def writes(call: ast.Call) -> bool:
    function = call.func
    if isinstance(function, ast.Name):
        name = function.id
        opened = mode_of(call, 1) if name == "open" else "r"
        return name in WRITES or bool(set("wax+") & set(opened))
    if not isinstance(function, ast.Attribute):
        return False
    name = function.attr
    owner = function.value.id if isinstance(function.value, ast.Name) else ""
    if name == "open":  # of a path, or of a library, which takes the path first
        first = call.args and isinstance(call.args[0], ast.Constant) and len(call.args) == 1
        return bool(set("wax+") & set(mode_of(call, 0 if first else 1)))
    if name == "replace":  # of a path, and no text's
        return owner == "os" or (len(call.args) == 1 and not call.keywords)
    if name in MAKES:  # where the system keeps what is temporary anything may be made
        return any(word.arg == "dir" for word in call.keywords)
    return name in WRITES | MOVES or (owner, name) in OF_LIBRARIES


def writing_calls(node: ast.AST, covered: bool = False) -> Iterator[ast.Call]:
    """Calls that write a file outside of a block of one of the WAYS."""
    if isinstance(node, ast.With):
        names = {
            part.id
            for item in node.items
            for part in ast.walk(item.context_expr)
            if isinstance(part, ast.Name)
        }
        covered = covered or bool(names & WAYS)
    if isinstance(node, ast.Call) and not covered and writes(node):
        yield node
    for child in ast.iter_child_nodes(node):
        yield from writing_calls(child, covered)


@pytest.mark.parametrize("package", PACKAGES)
def test_files_are_written_in_one_way(package: str) -> None:
    for path in sorted((ROOT / package).rglob("*.py")):
        name = path.relative_to(ROOT).as_posix()
        if name not in ALSO:
            for call in writing_calls(ast.parse(path.read_text(encoding="utf-8"))):
                pytest.fail(
                    f"{name}:{call.lineno} writes a file by itself ({ast.unparse(call)}); "
                    "use files/atomic.py"
                )


def test_the_walk_sees_writing() -> None:
    wrong = """
open(p, "w"); open(p, mode="ab"); p.open("r+"); av.open(p, mode="w"); tarfile.open(p, "w")
p.write_text(t); p.write_bytes(b); save_file(x, p); torch.save(x, p); np.save(p, x)
os.replace(a, b); a.replace(b); a.rename(b); shutil.move(a, b); tempfile.mkdtemp(dir=p)
json.dump(x, f); tempfile.TemporaryDirectory(dir=p)
"""
    right = """
open(p); open(p, "rb"); p.open("r"); p.open(); av.open(p); safe_open(p, framework="pt")
text.replace("a", "b"); dataclasses.replace(config, dim=3); json.dumps(x); json.load(f)
with whole_folder(p) as q:
    q.write_text(t)
    with open(q / "a", "w") as f: f.write(t)
with whole_file(p) as f: torch.save(x, f)
"""
    assert len(list(writing_calls(ast.parse(wrong)))) == 17
    assert not list(writing_calls(ast.parse(right)))
