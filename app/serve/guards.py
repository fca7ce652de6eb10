"""What every connection passes first: whom a page of another site may not reach, how much a request
may send, and how long it may take."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .errors import ApiError
from .logs import log

LOOPBACK = ("localhost", "127.0.0.1", "[::1]", "::1", "testserver")
METHODS = ("GET", "HEAD", "POST", "DELETE", "OPTIONS", "PUT", "PATCH")
SAFETY = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
}
Count = Callable[[str, int, float], None]


class Guard:
    """An ASGI application around another one.

    Args:
        app: the inner one.
        hosts: names under which the server may be asked; None for any.
        max_bytes: of a request's body.
        seconds: in which the body must have arrived.
        count: gets method, status and seconds of every request, which is then logged; None for a
            server that neither counts nor logs.
    """

    def __init__(
        self,
        app: ASGIApp,
        hosts: tuple[str, ...] | None,
        max_bytes: int,
        seconds: float,
        count: Count | None,
    ) -> None:
        self.app = app
        self.hosts = hosts
        self.max_bytes = max_bytes
        self.seconds = seconds
        self.count = count

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "websocket" and self._stranger(Headers(scope=scope)):
            await receive()
            await send({"type": "websocket.close", "code": 1008})
        else:
            await self.app(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        begin = time.monotonic()
        request_id = uuid.uuid4().hex
        status = 500

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Request-Id"] = request_id
                for name, value in SAFETY.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            headers = Headers(scope=scope)
            self._check(headers)
            await self.app(scope, self._measured(receive), answer)
        except ApiError as error:
            refusal = JSONResponse(error.body(), error.status, error.headers())
            await refusal(scope, receive, answer)
        finally:
            if self.count is not None:
                self._tell(scope, status, request_id, time.monotonic() - begin)

    def _tell(self, scope: Scope, status: int, request_id: str, seconds: float) -> None:
        assert self.count is not None
        method = scope["method"] if scope["method"] in METHODS else "other"
        self.count(method, status, seconds)
        place = scope.get("route")
        path = getattr(place, "path", None)  # the pattern, not what the client wrote
        told: dict[str, Any] = {"method": method, "path": path, "status": status}
        log("request", **told, request=request_id, seconds=round(seconds, 4))

    def _check(self, headers: Headers) -> None:
        if why := self._stranger(headers):
            raise ApiError(403, why, code="forbidden_origin")
        length = headers.get("content-length", "0")
        if not length.isascii() or not length.isdigit() or int(length) > self.max_bytes:
            raise self._too_large()

    def _too_large(self) -> ApiError:
        message = f"a request may have at most {self.max_bytes} bytes"
        return ApiError(413, message, code="request_too_large")

    def _stranger(self, headers: Headers) -> str:
        """Why a request is not taken: a page of another site sends it, or it asks for another
        host."""
        host = headers.get("host", "")
        if self.hosts is not None and _name(host) not in self.hosts:
            return "this server is not known by the name that was asked for"
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != host:
            return "pages of other sites cannot use this server"
        if headers.get("sec-fetch-site") == "cross-site":
            return "pages of other sites cannot use this server"
        return ""

    def _measured(self, receive: Receive) -> Callable[[], Awaitable[Message]]:
        """The same messages, as long as the body is neither too large nor too late."""
        left = self.max_bytes
        end = time.monotonic() + self.seconds
        is_whole = False

        async def measured() -> Message:
            nonlocal left, is_whole
            if is_whole:  # what is waited for now is the end of the connection
                return await receive()
            try:
                message = await asyncio.wait_for(receive(), max(0.0, end - time.monotonic()))
            except TimeoutError:
                late = f"the request did not arrive within {self.seconds:g} seconds"
                raise ApiError(408, late, code="request_timeout") from None
            if message["type"] == "http.request":
                left -= len(message.get("body", b""))
                is_whole = not message.get("more_body", False)
            if left < 0:
                raise self._too_large()
            return message

        return measured


def _name(host: str) -> str:
    """The name in a Host header, without its port."""
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0].lower()
