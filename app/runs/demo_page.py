"""The videos of the demo on one HTML page that holds them and needs no other file or address."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from ...files.atomic import write_whole

STYLE = """
:root { color-scheme: light dark; --ink: #1c1c20; --paper: #fbfbfa; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8e8ea; --paper: #17171b; } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  margin: 2rem auto; max-width: 76rem; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: .3rem; }
main { display: grid; gap: 1.6rem 1.2rem; margin-top: 1.6rem;
  grid-template-columns: repeat(auto-fill, minmax(min(16rem, 100%), 1fr)); }
figure { margin: 0; } video { width: 100%; display: block; border-radius: 6px; background: #0008; }
figcaption { margin-top: .4rem; overflow-wrap: anywhere; } small { opacity: .7; }
code { font-size: .9em; overflow-wrap: anywhere; }
"""
ONLY_ITSELF = "default-src 'none'; media-src data:; style-src 'unsafe-inline'"


@dataclass(frozen=True)
class Shown:
    """A finished MP4, its sentence (None to keep it back) and its seed."""

    path: Path
    prompt: str | None
    seed: int


def write_page(path: Path, model: str, videos: Sequence[Shown]) -> None:
    """Write the page, or leave what is there as it is if that fails (OSError)."""
    figures = "\n".join(_figure(video) for video in videos)
    page = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{ONLY_ITSELF}">
<title>Videos by {escape(model)}</title>
<style>{STYLE}</style>
</head>
<body>
<h1>Videos by {escape(model)}</h1>
<p>Every video was drawn by the model from the sentence below it; none is recorded. They come in the
order in which they were asked for, each with the seed that was its turn.</p>
<main>
{figures}
</main>
<p>One more: <code>kinetoscope sample "a sentence of yours" --out mine.mp4</code></p>
</body>
</html>
"""
    write_whole(path, page)


def _figure(video: Shown) -> str:
    data = base64.b64encode(video.path.read_bytes()).decode()
    told = video.prompt or "a sentence that is kept back"
    return (
        f'<figure><video src="data:video/mp4;base64,{data}" aria-label="{escape(told)}" '
        "autoplay muted loop playsinline controls></video>"
        f"<figcaption>{escape(told)} <small>seed {video.seed}</small></figcaption></figure>"
    )
