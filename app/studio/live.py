"""The live picture: what is drawn, to every page that looks, as binary messages of a WebSocket.

A message begins with one byte of kind; numbers are big-endian.

    1 picture  sequence u32, order u32, video u8, frame u32, then a PNG or JPEG
    2 sound    sequence u32, order u32, rate u32, channels u8, first sample u32, then 16-bit PCM
               (little-endian, channels interleaved)
    3 state    JSON: {"channel": …, "states": {key: value, or null for what has gone}}

A page answers with text: {"channel": …, "have": sequence} first, where it comes back and wants to
go on, and {"have": sequence} for what it has shown. At most `AHEAD` messages are under way to a
page. What it is too slow for is dropped from one short list that all pages share, the oldest
first, so that nothing grows. States are never dropped: of each key the newest counts.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import struct
import threading
import uuid
from collections import deque
from collections.abc import Iterable
from typing import Any, NamedTuple, Protocol

import numpy as np

from ..heard import pcm

PICTURE = 1
SOUND = 2
STATE = 3
AHEAD = 24  # messages that a page has not answered for
SMALL = 160 * 160  # pixels up to which a PNG costs about as much as a JPEG
JPEG_QUALITY = 92
MOST_STATES = 256
LONGEST_ANSWER = 200  # characters


class Socket(Protocol):
    """What is used of a WebSocket."""

    async def send_bytes(self, data: bytes) -> None: ...

    async def receive_text(self) -> str: ...


class Message(NamedTuple):
    sequence: int
    content: bytes


class Channel:
    """What is drawn now, published by one thread and watched by any number of pages.

    Args:
        pictures: that are kept for pages that are slow or come back. Few for a game, where only
            the newest counts.
        sounds: messages of sound that are kept.
    """

    def __init__(self, pictures: int = 512, sounds: int = 64) -> None:
        self.name = uuid.uuid4().hex[:12]
        self.sequence = 0
        self.pictures: deque[Message] = deque(maxlen=pictures)
        self.sounds: deque[Message] = deque(maxlen=sounds)
        self.states: dict[str, tuple[int, Any]] = {}  # version and value
        self.version = 0
        self._lock = threading.Lock()
        self._watchers: set[_Watcher] = set()

    # ---- publishing, from any thread ----

    def picture(self, order: int, video: int, frame: int, pixels: np.ndarray) -> None:
        """One frame: uint8 [Y, X, 3]."""
        image = encode_picture(pixels)
        with self._lock:
            self.sequence += 1
            head = struct.pack(">BIIBI", PICTURE, self.sequence, order, video, frame)
            self.pictures.append(Message(self.sequence, head + image))
        self._wake()

    def sound(self, order: int, first: int, samples: np.ndarray, rate: int) -> None:
        """Samples: float [L, channels] in [-1, 1], of which the first is number `first`."""
        content = pcm(samples)
        channels = samples.shape[1]
        with self._lock:
            self.sequence += 1
            head = struct.pack(">BIIIBI", SOUND, self.sequence, order, rate, channels, first)
            self.sounds.append(Message(self.sequence, head + content))
        self._wake()

    def state(self, key: str, value: Any) -> None:
        """What a key stands for from now on, as JSON has it; None when it has gone."""
        with self._lock:
            self.version += 1
            self.states.pop(key, None)
            self.states[key] = (self.version, value)
            gone = [name for name, (_, kept) in self.states.items() if kept is None]
            for name in gone[: max(0, len(self.states) - MOST_STATES)]:
                del self.states[name]
        self._wake()

    def _wake(self) -> None:
        with self._lock:
            watchers = list(self._watchers)
        for watcher in watchers:
            watcher.wake()

    # ---- watching ----

    async def serve(self, socket: Socket) -> None:
        """Send to an accepted WebSocket until it closes."""
        watcher = _Watcher(asyncio.get_running_loop())
        with self._lock:
            self._watchers.add(watcher)
        sending = asyncio.create_task(self._send(socket, watcher))
        sending.add_done_callback(_forget)
        try:
            with contextlib.suppress(Exception):  # it has closed, which both tasks trip over
                await self._listen(socket, watcher)
        finally:
            sending.cancel()
            with self._lock:
                self._watchers.discard(watcher)

    async def _listen(self, socket: Socket, watcher: _Watcher) -> None:
        while True:
            text = await socket.receive_text()
            answer: Any = None
            with contextlib.suppress(ValueError):
                answer = json.loads(text[:LONGEST_ANSWER])
            have = answer.get("have") if isinstance(answer, dict) else None
            if isinstance(have, int) and not isinstance(have, bool) and have >= 0:
                back = answer.get("channel") == self.name and not watcher.greeted
                watcher.answered(min(have, self.sequence), back)
            watcher.greeted = True
            watcher.wake()

    async def _send(self, socket: Socket, watcher: _Watcher) -> None:
        while True:
            watcher.awake.clear()
            content = self._next(watcher) if watcher.greeted else None
            if content is None:
                await watcher.awake.wait()
            else:
                await socket.send_bytes(content)

    def _next(self, watcher: _Watcher) -> bytes | None:
        """What a page is sent now: what has changed of the states, or the oldest message that it
        does not have; None if there is nothing or it has enough to do."""
        with self._lock:
            changed = {
                key: value
                for key, (version, value) in self.states.items()
                if version > watcher.version
            }
            if changed or watcher.version < 0:
                watcher.version = self.version
                state = {"channel": self.name, "states": changed}
                return bytes([STATE]) + json.dumps(state).encode()
            if len(watcher.under_way) >= AHEAD:
                return None
            waiting = [_after(self.pictures, watcher.sent), _after(self.sounds, watcher.sent)]
            found = [message for message in waiting if message is not None]
            if not found:
                return None
            message = min(found)
            watcher.sent = message.sequence
            watcher.under_way.append(message.sequence)
            return message.content


class _Watcher:
    """One page: what it has been sent, and what it has answered for."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.awake = asyncio.Event()
        self.greeted = False
        self.version = -1
        self.sent = 0
        self.under_way: deque[int] = deque()

    def wake(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody watches
            self.loop.call_soon_threadsafe(self.awake.set)

    def answered(self, have: int, back: bool) -> None:
        """It has all up to a message; `back` if it had before this connection."""
        if back:
            self.sent = have
        while self.under_way and self.under_way[0] <= have:
            self.under_way.popleft()


def _after(messages: Iterable[Message], sequence: int) -> Message | None:
    """The first message of a list in order that comes later."""
    return next((message for message in messages if message.sequence > sequence), None)


def encode_picture(pixels: np.ndarray) -> bytes:
    """uint8 [Y, X, 3] as PNG where it is small, as JPEG with full colours where it is large."""
    from PIL import Image

    height, width = pixels.shape[:2]
    image = Image.fromarray(np.ascontiguousarray(pixels))
    target = io.BytesIO()
    if height * width <= SMALL:
        image.save(target, "PNG", compress_level=1)
    else:
        image.save(target, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    return target.getvalue()


def _forget(task: asyncio.Task[None]) -> None:
    """Nobody needs to hear of a socket that closed while something was sent."""
    if not task.cancelled():
        task.exception()
