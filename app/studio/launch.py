"""Start the studio: a free port, the address that it prints, and the browser."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import threading
import webbrowser
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..provenance.options import Disclosure
from .gallery import DiskRule, Gallery
from .guard import new_token
from .models import Models

LOOPBACK = "127.0.0.1"
LONGEST_MESSAGE = 4096  # bytes of what a page sends on the live picture's socket


@dataclass(frozen=True)
class Place:
    """Where the studio is served: a socket that listens, the hosts that are ours (None for any)
    and the token, if one is needed."""

    listener: socket.socket
    hosts: frozenset[str] | None
    token: str | None

    @property
    def address(self) -> str:
        """What to open in a browser."""
        host, port = self.listener.getsockname()[:2]
        name = f"[{host}]" if ":" in host else host
        return f"http://{name}:{port}/" + (f"?token={self.token}" if self.token else "")


def listen(host: str | None, port: int | None) -> Place:
    """Take a port; any free one if none is given.

    Raises:
        ValueError: the address is none of this machine, or the port is taken.
    """
    name = host or LOOPBACK
    family = socket.AF_INET6 if ":" in name else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((name, port or 0))
        listener.listen()
    except OSError as error:
        listener.close()
        what = f"port {port}" if port else "a port"
        raise ValueError(f"{what} of {name} cannot be had: {error.strerror}; try another") from None
    found = listener.getsockname()
    if ipaddress.ip_address(found[0]).is_loopback:
        names = (found[0] if family == socket.AF_INET else f"[{found[0]}]", "localhost")
        return Place(listener, frozenset(f"{each}:{found[1]}" for each in names), None)
    return Place(listener, None, new_token())


def run(
    place: Place,
    folder: Path,
    models: Models,
    rule: DiskRule,
    open_browser: bool,
    disclosure: Disclosure,
    say: Callable[[str], None] = print,
) -> None:
    """Serve the studio until Ctrl-C."""
    import uvicorn

    from .server import create_app

    gallery = Gallery(folder, rule)
    app = create_app(gallery, models, place.hosts, place.token, disclosure=disclosure)
    config = uvicorn.Config(
        app,
        log_level="warning",
        ws_max_size=LONGEST_MESSAGE,
        ws_per_message_deflate=False,
        timeout_graceful_shutdown=3,
    )
    say(f"the studio is open at {place.address}")
    say(f"videos are kept in {folder}; Ctrl-C ends it")
    if open_browser:
        threading.Timer(0.3, webbrowser.open, [place.address]).start()
    with contextlib.suppress(KeyboardInterrupt):  # which is how it ends
        uvicorn.Server(config).run(sockets=[place.listener])
