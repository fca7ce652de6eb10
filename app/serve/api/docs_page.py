"""The page that documents the interface; it loads nothing from elsewhere."""

from __future__ import annotations

import html
from collections.abc import Iterator
from typing import Any


def docs_page(schema: dict[str, Any]) -> str:
    """The interface as a page that loads nothing from elsewhere."""
    style = "body{font:16px/1.5 system-ui;max-width:60em;margin:2em auto;padding:0 1em}"
    style += "td{padding:.2em 1em .2em 0;vertical-align:top}code{font-size:95%}"
    body = "".join(_paths(schema))
    title = f"{schema['info']['title']} {schema['info']['version']}"
    head = f'<meta charset="utf-8"><title>{title}</title><style>{style}</style>'
    machine = '<p>For programs: <a href="/openapi.json">openapi.json</a></p>'
    return f'<!doctype html><html lang="en">{head}<h1>{title}</h1>{machine}{body}</html>'


def _paths(schema: dict[str, Any]) -> Iterator[str]:
    for path, methods in schema["paths"].items():
        for method, about in methods.items():
            place = html.escape(f"{method.upper()} {path}")
            yield f"<h2><code>{place}</code></h2><p>{html.escape(about.get('description', ''))}</p>"
            rows = {
                each["name"]: each.get("description", "") for each in about.get("parameters", [])
            }
            content = about.get("requestBody", {}).get("content", {})
            if body := content.get("application/json"):
                fields = body["schema"]["properties"]
                rows |= {name: field.get("description", "") for name, field in fields.items()}
            lines = (
                f"<tr><td><code>{html.escape(name)}</code></td><td>{html.escape(text)}</td></tr>"
                for name, text in rows.items()
            )
            yield f"<table>{''.join(lines)}</table>"
