"""Filters of videos as a user writes them: `seconds > 2 and height >= 256`.

Only names of columns, numbers, strings, comparisons, `in`, `and`, `or`, `not` and + - * / are read;
nothing is called.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ..video import VideoInfo
from .layouts.base import LaidVideo

HEADER: tuple[str, ...] = ("name", "split", "label", "caption", "captions", "licence", "bytes")
HEADER += ("frames", "seconds", "fps", "width", "height", "codec", "sound")

COMPARISONS: dict[type, Callable[[Any, Any], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.In: lambda a, b: a in b,
    ast.NotIn: lambda a, b: a not in b,
}
SUMS: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


def read_filter(text: str, columns: tuple[str, ...]) -> Callable[[Mapping[str, Any]], bool]:
    """A function that says whether a row passes. ValueError if the text is no such filter."""
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except SyntaxError:
        raise ValueError(f"{text!r} is no filter; write one like: {EXAMPLE}") from None
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id not in columns:
            raise ValueError(
                f"unknown column {node.id!r} in {text!r}; there are {', '.join(columns)}"
            )
    _value(tree, dict.fromkeys(columns, 1), text, dry=True)

    def passes(row: Mapping[str, Any]) -> bool:
        try:
            return bool(_value(tree, row, text))
        except (TypeError, ZeroDivisionError) as error:
            raise ValueError(f"{text!r} cannot be asked of '{row.get('name')}': {error}") from None

    return passes


def read_video_filter(
    text: str, videos: Iterable[LaidVideo]
) -> Callable[[LaidVideo, VideoInfo], bool]:
    """A function that says whether a video passes by its header and by the columns of its table
    (`aesthetic score` is written aesthetic_score). ValueError if the text is no such filter."""
    known = {name for video in videos for name in fact_columns(video)}
    passes = read_filter(text, (*HEADER, *sorted(known - {*HEADER})))
    empty = dict.fromkeys(known)

    def keeps(video: LaidVideo, info: VideoInfo) -> bool:
        return passes(empty | fact_columns(video) | header_columns(video, info))

    return keeps


def header_columns(video: LaidVideo, info: VideoInfo) -> dict[str, Any]:
    """What the filter can ask of every video."""
    captions = tuple(caption for caption in video.words.captions if caption)
    return {
        "name": video.name,
        "split": video.split,
        "label": video.label,
        "caption": captions[0] if captions else "",
        "captions": captions,
        "licence": video.words.licence,
        "bytes": video.size,
        "frames": info.frames,
        "seconds": info.seconds,
        "fps": info.fps,
        "width": info.width,
        "height": info.height,
        "codec": info.codec,
        "sound": info.has_audio,
    }


def fact_columns(video: LaidVideo) -> dict[str, Any]:
    """Further columns of a data set by names that a filter can hold, numbers as numbers."""
    return {re.sub(r"\W", "_", name): _number(value) for name, value in video.facts.items()}


def _number(value: Any) -> Any:
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


EXAMPLE = "seconds > 2 and height >= 256"


def _value(node: ast.AST, row: Mapping[str, Any], text: str, dry: bool = False) -> Any:
    if isinstance(node, ast.Constant) and isinstance(node.value, (int, float, str)):
        return node.value
    if isinstance(node, ast.Name):
        return row[node.id]
    if isinstance(node, ast.BoolOp):
        values = [_value(part, row, text, dry) for part in node.values]
        return all(values) if isinstance(node.op, ast.And) else any(values)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.Not, ast.USub)):
        value = _value(node.operand, row, text, dry)
        return not value if isinstance(node.op, ast.Not) else -value
    if isinstance(node, ast.BinOp) and type(node.op) in SUMS:
        a, b = (_value(part, row, text, dry) for part in (node.left, node.right))
        return 1 if dry else SUMS[type(node.op)](a, b)
    if isinstance(node, ast.Compare) and all(type(op) in COMPARISONS for op in node.ops):
        values = [_value(part, row, text, dry) for part in (node.left, *node.comparators)]
        pairs = zip(node.ops, values, values[1:])
        return dry or all(COMPARISONS[type(op)](a, b) for op, a, b in pairs)
    raise ValueError(f"{text!r} is no filter; write one like: {EXAMPLE}")
