"""The videos of the demo on one HTML page that holds them and needs no other file or address."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from pathlib import Path

from ...files.atomic import write_whole

LONG = 240  # frames; a longer video gets a row of its own


@dataclass(frozen=True)
class Shown:
    """A finished MP4, its sentence (None to keep it back), its seed, whether it has sound, and its
    frames."""

    path: Path
    prompt: str | None
    seed: int
    has_sound: bool = False
    frames: int = 0


@dataclass(frozen=True)
class PageSection:
    """Videos that belong together, their heading if they have one, and what there is to see."""

    heading: str | None
    about: str
    videos: Sequence[Shown]


def write_page(path: Path, model: str, sections: Sequence[PageSection]) -> None:
    """Write the page, or leave what is there as it is if that fails (OSError)."""
    look = _part("demo.css")
    script = _part("demo.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    allowed = (
        "default-src 'none'; media-src data:; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{digest}'"
    )
    has_sound = any(video.has_sound for section in sections for video in section.videos)
    heard = " They play without sound until you switch it on." if has_sound else ""
    shown = "\n".join(_section(section) for section in sections)
    page = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{allowed}">
<title>Videos by {escape(model)}</title>
<style>
{look}</style>
</head>
<body>
<header>
<h1>Videos by {escape(model)}</h1>
<p>Every video was drawn by the model from the sentence below it; none is recorded. They come in the
order in which they were asked for, each with the seed that was its turn.{heard}</p>
</header>
<main>
{shown}
</main>
<footer>
<p>One more: <code>kinetoscope sample "a sentence of yours" --out mine.mp4</code></p>
</footer>
<script>{script}</script>
</body>
</html>
"""
    write_whole(path, page)


def _part(name: str) -> str:
    """Style or script of the page."""
    return (files(__package__) / "page" / name).read_text("utf-8")


def _section(section: PageSection) -> str:
    heading = f"<h2>{escape(section.heading)}</h2>\n" if section.heading else ""
    about = f"<p>{escape(section.about)}</p>\n" if section.about else ""
    figures = "\n".join(_figure(video) for video in section.videos)
    return f'<section>\n{heading}{about}<div class="videos">\n{figures}\n</div>\n</section>'


def _figure(video: Shown) -> str:
    data = base64.b64encode(video.path.read_bytes()).decode()
    told = video.prompt or "a sentence that is kept back"
    kind = ' class="long"' if video.frames > LONG else ""
    switch = '<button type="button" hidden>Sound</button>' if video.has_sound else ""
    return (
        f'<figure{kind}><video src="data:video/mp4;base64,{data}" aria-label="{escape(told)}" '
        "muted loop playsinline controls></video>"
        f"<figcaption><span>{escape(told)} <small>seed {video.seed}</small></span>{switch}"
        "</figcaption></figure>"
    )
