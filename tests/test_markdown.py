"""Markdown files: prose is wrapped, links lead somewhere, the tree of CONTRIBUTING is that on the
disk, and CHANGELOG names all that moved."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from kinetoscope.files.moved import MODULES

ROOT = Path(__file__).parent.parent
PAGES = sorted(
    page
    for pattern in (
        "*.md",
        "docs/*.md",
        "pretrained/*/*.md",
        "examples/*.md",
        "integrations/*/*.md",
    )
    for page in ROOT.glob(pattern)
)
WIDTH = 100
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def prose(text: str) -> Iterator[tuple[int, str]]:
    """Numbers and lines of a page that are no code and no table, without the addresses of links."""
    fenced = False
    code = False  # an indented block, which follows a blank line
    blank = True
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("```"):
            fenced = not fenced
        elif not line.strip():
            blank = True
            continue
        elif not fenced:
            code = line.startswith("    ") and (blank or code)
            if not code and not line.startswith("|"):
                yield number, re.sub(r"\]\([^)]*\)", "]", line)
        blank = False


def test_prose_is_told_from_code_tables_and_addresses() -> None:
    long = "word " * 30
    page = f"# T\n\n    {long}\n    more\n\n```\n{long}\n```\n| {long} |\n[a]({long})\n- b\n  c\n"
    assert list(prose(page)) == [(1, "# T"), (10, "[a]"), (11, "- b"), (12, "  c")]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_prose_is_wrapped(page: Path) -> None:
    for number, line in prose(page.read_text(encoding="utf-8")):
        assert len(line) <= WIDTH, f"{name_of(page)}:{number} is {len(line)} columns wide"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_to_files_and_headings(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", page.read_text(encoding="utf-8")):
        path, _, heading = target.partition("#")
        file = page.parent / path if path else page
        assert file.exists(), f"{name_of(page)} links to {target}, which is not there"
        if heading:
            assert heading in headings(file), f"{name_of(page)} links to {target}"


def headings(page: Path) -> set[str]:
    """Anchors of a page, as GitHub makes them."""
    titles = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def tree(text: str) -> Iterator[tuple[Path, list[str]]]:
    """Folders of the tree in CONTRIBUTING, and the files that it names in each."""
    parents: dict[int, Path] = {}
    folder = ROOT
    for line in text.splitlines():
        found = re.match(r"    ( *)(\w+)/ *(.*)", line)
        if found:
            depth = len(found[1])
            above = [parents[other] for other in sorted(parents) if other < depth]
            folder = (above[-1] if above else ROOT) / found[2]
            parents = {other: path for other, path in parents.items() if other < depth}
            parents[depth] = folder
        cells = re.split(r"  +", found[3] if found else line.strip())
        words = [re.sub(r" \(.*\)$", "", cell.partition(": ")[2] or cell) for cell in cells]
        yield folder, [word for word in words if re.fullmatch(r"\w+(\.py|/)?", word)]


def test_the_tree_of_contributing_is_that_on_the_disk() -> None:
    block = re.search(r"## The tree\n.*?\n\n((?:    .*\n|\n)+)", CONTRIBUTING, re.S)
    assert block
    named = set()
    for folder, names in tree(block[1]):
        assert folder.is_dir(), folder
        named.add(folder)
        for name in names:
            path = folder / name
            assert path.exists() or path.with_suffix(".py").exists(), f"{path} is not there"
    packages = {path.parent for path in ROOT.glob("*/__init__.py")}
    rooms = {path.parent for path in ROOT.glob("*/*/__init__.py")}
    assert packages | {room for room in rooms if room.parent.name != "configs"} <= named


def test_contributing_names_files_that_exist() -> None:
    paths = re.findall(r"`([\w/]+/(?:\w+\.py)?)`", CONTRIBUTING)
    assert paths
    for path in paths:
        if "NAME" not in path:
            assert (ROOT / path).exists(), path


def test_changelog_names_every_module_that_moved() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    missing = [old for old in MODULES if f"`{old}`" not in text]
    assert not missing
