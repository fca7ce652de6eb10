"""From settings to a server that listens."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from .application import create_app
from .guards import LOOPBACK
from .settings import ServeSettings
from .store.database import Database
from .store.keys import Client, Keys

FIRST_WORDS = 15.0  # seconds in which a connection must have sent the head of a request
KEEP_ALIVE = 15  # seconds for which one may stay without a request
CONNECTIONS = 512
LONGEST_HEAD = 32_768  # bytes of a request's line and headers
LONGEST_FRAME = 100_000  # bytes of a message on a WebSocket


class ImpatientProtocol(H11Protocol):
    """Ends a connection that says nothing whole at first."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        loop = asyncio.get_running_loop()
        self._first_words = loop.call_later(FIRST_WORDS, self._give_up)

    def _give_up(self) -> None:
        # a WebSocket has another protocol by then
        is_ours = self.transport.get_protocol() is self
        if is_ours and self.cycle is None and not self.transport.is_closing():
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._first_words.cancel()
        super().connection_lost(exc)


def make_key(folder: str, name: str) -> str:
    """A key for a client of this name.

    Raises:
        ValueError: the name is taken, or is none.
    """
    return Keys(Database(folder)).make(Client(name))


def run_server(settings: ServeSettings, host: str, port: int) -> int:
    """Serve until a signal ends it; returns the exit status.

    Raises:
        ValueError: others could use it without a key, or the port is taken.
    """
    is_loopback = host in ("127.0.0.1", "::1", "localhost")
    if not is_loopback and not Keys(Database(settings.folder)).exist():
        raise ValueError(
            f"anybody who reaches {host} could use this server; make a key first, with --new-key "
            "NAME"
        )
    app = create_app(settings, LOOPBACK if is_loopback else None)
    listening = _listen(host, port)
    address = listening.getsockname()
    shown = f"[{address[0]}]" if ":" in address[0] else address[0]
    print(f"http://{shown}:{address[1]}/v1 (docs: /docs)", file=sys.stderr, flush=True)
    config = uvicorn.Config(
        app,
        http=ImpatientProtocol,
        log_config=None,
        access_log=False,
        server_header=False,
        limit_concurrency=CONNECTIONS,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=5,
        h11_max_incomplete_event_size=LONGEST_HEAD,
        ws_max_size=LONGEST_FRAME,
    )
    server = uvicorn.Server(config)
    with contextlib.suppress(KeyboardInterrupt):  # which is how it ends, and so does SIGTERM
        server.run(sockets=[listening])
    return 0 if server.started else 1


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        reason = error.strerror or str(error)
        raise ValueError(f"cannot listen on {host}:{port}: {reason}; give another --port") from None
    return listening
