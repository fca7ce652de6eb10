"""JSON that a client sends."""

from __future__ import annotations

import json
from typing import Any

from .errors import ApiError

HALF_A_PAIR = "\\ud"  # how an escaped surrogate begins


def read_object(content: str | bytes, what: str) -> dict[str, Any]:
    """An object whose texts can be written down again.

    Args:
        what: it is, such as "the body".

    Raises:
        ApiError: 400.
    """
    try:
        text = content if isinstance(content, str) else content.decode("utf-8-sig")
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise ApiError(400, f"{what} is no JSON", code="invalid_json") from None
    if not isinstance(found, dict):
        raise ApiError(400, f"{what} must be a JSON object", code="invalid_json")
    if HALF_A_PAIR in text.lower():  # rare, and looking at everything takes time
        try:
            json.dumps(found, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            message = f"{what} holds half of a pair of surrogates; write the letter in UTF-8"
            raise ApiError(400, message, code="invalid_json") from None
    return found
