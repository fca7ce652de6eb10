"""Who is told, and one message to it, signed as "Standard Webhooks" asks for
(https://www.standardwebhooks.com)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import http.client
import ipaddress
import socket
import ssl
import time
from dataclasses import dataclass, field
from urllib.parse import SplitResult, urlsplit

SECRET = "KINETOSCOPE_WEBHOOK_SECRET"  # the environment variable
KEY_BYTES = range(24, 65)  # that the specification allows
PATIENCE = 10.0  # seconds for a connection, and for each part of an answer


@dataclass(frozen=True)
class Webhook:
    """A receiver.

    Args:
        url: https, or http to an address that is written as numbers or to localhost.
        secret: what signs, as base64 after "whsec_".

    Raises:
        ValueError: one of them cannot be.
    """

    url: str
    secret: str = field(repr=False)

    def __post_init__(self) -> None:
        try:
            port = self.parts.port
        except ValueError:
            port = 0
        if self.parts.scheme not in ("http", "https") or not self.parts.hostname or port == 0:
            raise ValueError(f"--webhook must be an address such as https://…; got '{self.url}'")
        if self.parts.username is not None:
            raise ValueError("--webhook must have no user name; the signature says who sends")
        if self.parts.scheme == "http" and not self.is_address:
            raise ValueError(
                f"--webhook must be https, or http to a numeric address; got '{self.url}'"
            )
        if len(self.key()) not in KEY_BYTES:
            raise ValueError(
                f"{SECRET} must be 'whsec_' and base64 of {KEY_BYTES[0]} to {KEY_BYTES[-1]} "
                'bytes; make one: echo "whsec_$(openssl rand -base64 32)"'
            )

    @property
    def parts(self) -> SplitResult:
        return urlsplit(self.url)

    @property
    def is_address(self) -> bool:
        """Whether the operator has named the address itself, which then may be a private one."""
        host = self.parts.hostname or ""
        if host == "localhost":
            return True
        try:
            ipaddress.ip_address(host)
        except ValueError:
            return False
        return True

    def key(self) -> bytes:
        """What signs; nothing if the secret is no such thing."""
        if not self.secret.startswith("whsec_"):
            return b""
        try:
            return base64.b64decode(self.secret.removeprefix("whsec_"), validate=True)
        except (binascii.Error, ValueError):
            return b""

    def headers(self, event_id: str, body: bytes, now: int) -> dict[str, str]:
        """Headers of a message, with its signature."""
        signed = b".".join([event_id.encode(), str(now).encode(), body])
        digest = hmac.new(self.key(), signed, hashlib.sha256).digest()
        return {
            "Content-Type": "application/json",
            "User-Agent": "kinetoscope",
            "webhook-id": event_id,
            "webhook-timestamp": str(now),
            "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
        }


def deliver(webhook: Webhook, event_id: str, body: bytes) -> int:
    """Send a message and return the status of the answer, of which nothing else is read. A
    redirection is not followed.

    Raises:
        OSError: there is no connection, or the name leads to a private address.
    """
    parts = webhook.parts
    host = parts.hostname or ""
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    port = parts.port or (443 if parts.scheme == "https" else 80)
    # the address that was checked is the one that is connected to
    channel = _connect(host, port, webhook.is_address)
    try:
        if parts.scheme == "https":
            channel = ssl.create_default_context().wrap_socket(channel, server_hostname=host)
        connection = http.client.HTTPConnection(host, port, timeout=PATIENCE)
        connection.sock = channel
        headers = webhook.headers(event_id, body, int(time.time()))
        connection.request("POST", path, body, {**headers, "Host": parts.netloc})
        return connection.getresponse().status
    finally:
        channel.close()


def _connect(host: str, port: int, may_be_private: bool) -> socket.socket:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    problem = OSError(f"'{host}' has no address")
    for _, _, _, _, address in found:
        place = str(address[0])
        if not may_be_private and not ipaddress.ip_address(place).is_global:
            problem = OSError(
                f"'{host}' leads to the private address {place}; name that address in --webhook"
            )
            continue
        try:
            return socket.create_connection((place, port), PATIENCE)
        except OSError as error:
            problem = error
    raise problem
