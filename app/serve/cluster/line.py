"""A connection over TCP between the server and a replica on another machine.

The server listens for one call, says by Ray where and with which word, and the replica calls back.
From then on it is a pipe like that of a worker on the same machine. The word can be used once.
What is sent is not encrypted: the machines of a Ray cluster must trust their network anyway.
"""

from __future__ import annotations

import contextlib
import hmac
import os
import secrets
import select
import socket
import struct
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Self

Address = tuple[str, int]
FIRST_WORD = 5.0  # seconds in which a caller must have said the word
WORD_BYTES = 32
# seconds, seconds, tries, and milliseconds for what is on its way
ALIVE = {"TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 4, "TCP_USER_TIMEOUT": 30_000}


class MeetingPlace:
    """Where the server waits for one replica.

    Args:
        host: an address of this machine that the others reach.
    """

    def __init__(self, host: str) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listening = socket.create_server((host, 0), family=family)
        self.address: Address = self._listening.getsockname()[:2]
        self.word = secrets.token_bytes(WORD_BYTES)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._listening.close()

    def wait(self, seconds: float) -> socket.socket | None:
        """Who calls within so many seconds and says the word; None if nobody does."""
        (ready, _, _) = select.select([self._listening], [], [], seconds)
        if not ready:
            return None
        (caller, _) = self._listening.accept()
        _set_patience(caller, FIRST_WORD)
        # nothing of a stranger is read beyond the length of the word
        with contextlib.suppress(OSError):
            said = caller.recv(WORD_BYTES, socket.MSG_WAITALL)
            if hmac.compare_digest(said, self.word):
                _set_patience(caller, 0.0)
                keep_alive(caller)
                return caller
        caller.close()
        return None


def call_back(address: Address, word: bytes) -> Connection:
    """The replica's end of the connection.

    Raises:
        OSError: nobody waits there.
    """
    with socket.create_connection(address, FIRST_WORD) as channel:
        channel.settimeout(None)
        channel.sendall(word)
        keep_alive(channel)
        return as_pipe(channel)


def as_pipe(channel: socket.socket) -> Connection:
    """A pipe over a socket, which stays open when the socket is closed."""
    return Connection(os.dup(channel.fileno()))


def keep_alive(channel: socket.socket) -> None:
    """Notice within half a minute that the machine at the other end is gone."""
    channel.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in ALIVE.items():
        if hasattr(socket, name):
            channel.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    channel.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _set_patience(channel: socket.socket, seconds: float) -> None:
    """Seconds to wait for bytes; 0 for ever. A pipe needs a socket that waits by itself."""
    patience = struct.pack("ll", int(seconds), 0)
    channel.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, patience)
