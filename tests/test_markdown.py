"""Markdown files: prose is wrapped, links lead somewhere, and the code of the model cards runs."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = sorted(
    page
    for pattern in ("*.md", "docs/*.md", "pretrained/*/*.md", "examples/*.md")
    for page in ROOT.glob(pattern)
)
WIDTH = 100


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
