"""Filters of videos as a user writes them: `seconds > 2 and height >= 256`.

Only names of columns, numbers, strings, comparisons, `in`, `and`, `or`, `not` and + - * / are read;
nothing is called.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from typing import Any

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
