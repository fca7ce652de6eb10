"""The overview as one HTML page that holds its pictures and needs no other file."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from PIL import Image

from ..datasets.layouts import LaidVideo
from ..datasets.layouts.read import measure, read_frames
from ..video import VideoError

SHOWN = 48  # videos on the contact sheet
PICTURE = 168  # pixels of the longer side
STYLE = """
:root { color-scheme: light dark;
  --ink: #1c1c20; --paper: #fbfbfa; --line: #d9d9d4; --bar: #4a6fa5; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8e8ea; --paper: #17171b; --line: #3a3a42; --bar: #86a8d8; }
}
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  margin: 2rem auto; max-width: 72rem; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin-top: 2.2rem; }
.numbers { display: flex; flex-wrap: wrap; gap: 1rem 2.5rem; }
.numbers b { display: block; font-size: 1.4rem; font-weight: 600; }
.tables { display: grid; gap: 1.5rem;
  grid-template-columns: repeat(auto-fill, minmax(17rem, 1fr)); }
table { border-collapse: collapse; width: 100%; } td, th { text-align: left; padding: .15rem .5rem;
  border-bottom: 1px solid var(--line); overflow-wrap: anywhere; vertical-align: top; }
td:last-child { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
table.text { table-layout: fixed; margin-bottom: 1.2rem; }
table.text td:first-child { width: 30%; font-weight: 600; }
table.text td:last-child { text-align: left; white-space: normal; }
@media (max-width: 36rem) {
  table.text, table.text tbody, table.text tr, table.text td { display: block; width: auto; }
  table.text td:first-child { border: 0; width: auto; }
}
.sheet { display: grid; grid-template-columns: repeat(auto-fill, minmax(10.5rem, 1fr)); gap: 1rem; }
figure { margin: 0; } figure img { width: 100%; border-radius: 4px; display: block; }
figcaption { font-size: .8rem; line-height: 1.35; margin-top: .35rem; overflow-wrap: anywhere; }
figcaption span { opacity: .75; }
svg { max-width: 100%; height: auto; }
rect { fill: var(--bar); } text { fill: var(--ink); font-size: 11px; }
"""


def page(title: str, told: Mapping[str, Any], layout: str, videos: Sequence[LaidVideo]) -> str:
    """The page of an overview; `videos` are those that the contact sheet is drawn from."""
    numbers = [
        ("videos", told["videos"]),
        ("usable", told["usable"]),
        ("hours", f"{told['hours']:.2f}"),
        ("frames", f"{told['frames']:,}"),
        ("gigabytes", f"{told['gigabytes']:.2f}"),
        ("with sound", told["with sound"]),
    ]
    numbers += [(f"tokens of {name}", f"{count:,}") for name, count in told["tokens"].items()]
    counts = "".join(f"<div><b>{value}</b>{escape(name)}</div>" for name, value in numbers)
    small = "".join(
        _table(name, told[name].items())
        for name in ("sizes", "rates", "codecs", "splits", "labels", "licences")
        if told[name]
    )
    parts = [
        f"<p>{escape(layout)}</p><div class=numbers>{counts}</div>",
        f"<h2>Lengths</h2>{_histogram(told['lengths'])}",
        f"<div class=tables>{small}</div>",
        f"<h2>Captions</h2>{_captions(told['captions'])}",
        _problems(told),
        f"<h2>A look at {min(SHOWN, len(videos))} of them</h2>{_sheet(videos)}",
    ]
    head = "<meta charset=utf-8><meta name=viewport content='width=device-width'>"
    return (
        f"<!doctype html><html lang=en>{head}<title>{escape(title)}</title><style>{STYLE}</style>"
        f"<h1>{escape(title)}</h1>{''.join(parts)}</html>\n"
    )


def _table(title: str, rows: Any, text: bool = False) -> str:
    cells = [(escape(str(name)), escape(str(value))) for name, value in rows]
    body = "".join(f"<tr><td>{name}</td><td>{value}</td></tr>" for name, value in cells)
    kind = " class=text" if text else ""
    return f"<div><table{kind}><tr><th colspan=2>{escape(title)}</th></tr>{body}</table></div>"


def _histogram(lengths: Sequence[Sequence[Any]]) -> str:
    most = max((row[2] for row in lengths), default=0)
    if not most:
        return "<p>nothing</p>"
    bars = []
    for place, (low, high, count) in enumerate(lengths):
        tall = 100 * count / most
        left = 10 + 62 * place
        name = f"{low}–{high} s" if high is not None else f"from {low} s"
        bars.append(
            f"<rect x={left} y={120 - tall:.1f} width=50 height={tall:.1f} rx=2></rect>"
            f"<text x={left} y=136>{name}</text><text x={left} y={114 - tall:.1f}>{count}</text>"
        )
    width = 20 + 62 * len(lengths)
    about = "role=img aria-label='how many videos are how long'"
    return f"<svg viewBox='0 0 {width} 145' width={width} {about}>{''.join(bars)}</svg>"


def _captions(told: Mapping[str, Any]) -> str:
    rows = [(name, value) for name, value in told.items() if not isinstance(value, dict)]
    tables = _table("captions", [(n, _plain(value)) for n, value in rows])
    tables += _table("languages (a guess)", told["languages (a guess)"].items())
    if told["said more than once"]:
        tables += _table("said more than once", told["said more than once"].items())
    return f"<div class=tables>{tables}</div>"


def _plain(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _problems(told: Mapping[str, Any]) -> str:
    parts = []
    if told["broken"]:
        parts.append(_table(f"{len(told['broken'])} broken", told["broken"][:100], text=True))
    if told["near duplicates"]:
        groups = [(names[0], ", ".join(names[1:6])) for names in told["near duplicates"][:50]]
        title = f"{_count(told['near duplicates'], 'group')} of near duplicates"
        parts.append(_table(title, groups, text=True))
    for name in ("still", "black"):
        if told[name]:
            rows = [(video, "") for video in told[name][:50]]
            parts.append(_table(f"{len(told[name])} {name}", rows, text=True))
    if not told["looked at every frame"]:
        parts.append("<p>Still and black clips are found with --decode.</p>")
    return f"<h2>What to look at</h2>{''.join(parts)}"


def _count(things: Sequence[Any], name: str) -> str:
    return f"{len(things)} {name}" + "s" * (len(things) != 1)


def _sheet(videos: Sequence[LaidVideo]) -> str:
    step = max(1, len(videos) // SHOWN)
    figures = []
    for video in videos[::step][:SHOWN]:
        try:
            info = measure(video)
            middle = info.frames // 2
            frame = read_frames(video, middle, 1, 1, info.fps)[:, 0]
        except VideoError:
            continue
        picture = Image.fromarray(frame.permute(1, 2, 0).numpy())
        picture.thumbnail((PICTURE, PICTURE))
        file = io.BytesIO()
        picture.save(file, "JPEG", quality=82)
        data = base64.b64encode(file.getvalue()).decode()
        said = escape((video.words.captions or ("",))[0][:120])
        about = f"{info.width} x {info.height}, {info.seconds:.1f} s"
        figures.append(
            f"<figure><img alt='' src='data:image/jpeg;base64,{data}'>"
            f"<figcaption><b>{escape(video.name)}</b><br><span>{about}</span><br>{said}"
            "</figcaption></figure>"
        )
    return f"<div class=sheet>{''.join(figures)}</div>"
