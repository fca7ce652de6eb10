"""Who may talk to the studio: Host, Origin and token of every request, and what a page may load.

A page of another site can send requests to the loopback address from the reader's browser, and a
name can be made to point there. So the Host must be ours, an Origin must be that of our own page,
and on any other address a token is needed, which becomes a cookie when the page is opened.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs

from starlette.responses import JSONResponse

from ..serve.errors import ApiError

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob:",
        "media-src 'self' blob:",
        "connect-src 'self'",
        "worker-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ]
)
HEADERS = {
    "content-security-policy": POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
API = "/v1/"
OURS = ("", "none", "same-origin")  # values of Sec-Fetch-Site
ONCE = (b"host", b"origin", b"sec-fetch-site", b"authorization")  # headers that decide


class Guard:
    """Refuses what our own page did not ask for, before the application sees it.

    Args:
        hosts: values of the Host header that are ours, such as "127.0.0.1:8000"; None for any,
            which needs a token.
        token: that every request must have, or None.
    """

    def __init__(self, app: App, hosts: Collection[str] | None, token: str | None = None) -> None:
        if hosts is None and not token:
            raise ValueError("any Host is only safe with a token; give one")
        self.app = app
        self.hosts = None if hosts is None else {host.lower() for host in hosts}
        self.token = token
        self.cookie = "kinetoscope-studio"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        headers = {key.decode("latin-1"): v.decode("latin-1") for key, v in scope["headers"]}
        send = _with_headers(send)
        names = [name for name, _ in scope["headers"]]
        if any(names.count(name) > 1 for name in ONCE):
            await _answer(scope, send, 400, "a header is given twice")
            return
        if self._opens_the_page(scope):
            await _answer(scope, send, 303, "", self._signed_in(headers))
            return
        refusal = self.refusal(scope["path"], headers)
        if refusal and scope["type"] == "http" and scope["path"].startswith(API):
            error = ApiError(*refusal)
            await JSONResponse(error.body(), error.status)(scope, receive, send)
            return
        if refusal:
            await _answer(scope, send, *refusal)
            return
        await self.app(scope, receive, send)

    def refusal(self, path: str, headers: MutableMapping[str, str]) -> tuple[int, str] | None:
        """Status and reason, or None for a request that is ours."""
        host = headers.get("host", "").lower()
        if self.hosts is not None and host not in self.hosts:
            return 421, "this address is not the studio's; open the one that it printed"
        origin = headers.get("origin")
        if origin is not None and origin.lower() not in (f"http://{host}", f"https://{host}"):
            return 403, "requests from other pages are refused"
        if path != "/" and headers.get("sec-fetch-site", "") not in OURS:
            return 403, "requests from other pages are refused"
        if self.token and not self._has_token(headers):
            return 401, "the token is missing; open the address that the studio printed"
        return None

    # ---- the token ----

    def _has_token(self, headers: MutableMapping[str, str]) -> bool:
        given = headers.get("authorization", "").removeprefix("Bearer ")
        try:
            cookies = SimpleCookie(headers.get("cookie", ""))
        except CookieError:
            cookies = SimpleCookie()
        if self.cookie in cookies:
            given = cookies[self.cookie].value
        return _same(given, self.token or "")

    def _opens_the_page(self, scope: Scope) -> bool:
        """Whether this is the address with the token in it."""
        if not self.token or scope["type"] != "http" or scope["path"] != "/":
            return False
        query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
        return _same(query.get("token", [""])[0], self.token)

    def _signed_in(self, headers: MutableMapping[str, str]) -> dict[str, str]:
        cookie = f"{self.cookie}={self.token}; HttpOnly; SameSite=Strict; Path=/"
        return {"location": "/", "set-cookie": cookie}


def new_token() -> str:
    return secrets.token_urlsafe(24)


def _same(given: str, wanted: str) -> bool:
    return secrets.compare_digest(given.encode(), wanted.encode())


def _with_headers(send: Send) -> Send:
    """Adds to every answer what its page may load."""

    async def sending(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            there = list(message.get("headers", []))
            names = {name for name, _ in there}
            ours = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
            ours = [(name, value) for name, value in ours if name not in names]
            message = {**message, "headers": [*there, *ours]}
        await send(message)

    return sending


async def _answer(
    scope: Scope, send: Send, status: int, text: str, headers: dict[str, str] | None = None
) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": text})
        return
    named = {"content-type": "text/plain; charset=utf-8", "cache-control": "no-store"}
    named |= headers or {}
    listed = [(name.encode(), value.encode()) for name, value in named.items()]
    await send({"type": "http.response.start", "status": status, "headers": listed})
    await send({"type": "http.response.body", "body": text.encode()})
