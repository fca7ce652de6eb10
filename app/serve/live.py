"""`/v1/videos/live`: a WebSocket on which a video is watched, and led, while it is drawn.

The client sends JSON: first a request as for `POST /v1/videos` (and "key", where it cannot send a
header), then at any time {"prompt": …} or {"give": {condition: value}} to change what comes, or
{"stop": true}. It gets binary messages, one byte of kind before each: 1 is a picture (PNG or JPEG),
2 is JSON about the state, 3 is the sound of the pictures before it (16-bit PCM, one channel, little
endian) of a model that draws sound; {"state": "sound", "rate": …} comes before the first one.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
from dataclasses import replace
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.websockets import WebSocket, WebSocketDisconnect

from ..fields import read_values
from .api.queued_videos import check_policy
from .errors import ApiError, wrong_field
from .json_object import read_object
from .request import read_request
from .server_state import ServerState
from .store.keys import Client

PICTURE = b"\x01"
STATE = b"\x02"
SOUND = b"\x03"
HELLO = 10.0  # seconds in which a client must say what it wants
SLOWEST = 30.0  # seconds in which it must take a message
LONGEST_MESSAGE = 100_000


async def live(socket: WebSocket, state: ServerState) -> None:
    """One connection, from its beginning to its end."""
    await socket.accept()
    try:
        video = await _begin(socket, state)
    except ApiError as error:
        await _tell(socket, error.body())
        await socket.close(1008)
        return
    except (WebSocketDisconnect, TimeoutError, KeyError):
        with contextlib.suppress(RuntimeError):
            await socket.close(1008)
        return
    tasks = [asyncio.create_task(video.hear()), asyncio.create_task(video.show())]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        video.close()
        with contextlib.suppress(RuntimeError, WebSocketDisconnect):
            await socket.close()


async def _begin(socket: WebSocket, state: ServerState) -> LiveVideo:
    first = await asyncio.wait_for(_message(socket), HELLO)
    key = first.pop("key", None)
    header = f"Bearer {key}" if key is not None else socket.headers.get("authorization")
    client: Client = await run_in_threadpool(state.keys.client, header)
    state.keys.count(client)
    if state.pool.live >= state.settings.max_live:
        raise ApiError(503, "as many live videos as this server takes run already", code="full")
    is_endless = "frames" not in first and "seconds" not in first
    (request, _) = read_request(first, {}, state.model, state.schema)
    check_policy(state.gate, request.prompt, client)
    if "size" not in first:  # whoever shows the pictures can enlarge them
        request = replace(request, scale=1)
    frames = None if is_endless else request.frames
    return LiveVideo(socket, state, client, request.to_json(), frames)


class LiveVideo:
    """A video that a connection watches.

    Args:
        request: what is asked for.
        frames: to show; None for a video without end.
    """

    def __init__(
        self,
        socket: WebSocket,
        state: ServerState,
        client: Client,
        request: dict[str, Any],
        frames: int | None,
    ) -> None:
        self.socket = socket
        self.state = state
        self.left = frames
        self.is_heard = False
        self.name = secrets.token_hex(8)
        self._messages: asyncio.Queue[tuple[Any, ...]] = asyncio.Queue()
        loop = asyncio.get_running_loop()

        def listen(message: tuple[Any, ...]) -> None:  # in the thread of a worker's pipe
            loop.call_soon_threadsafe(self._messages.put_nowait, message)

        try:
            self.seat = state.pool.open_live(self.name, client.name, request, listen)
        except LookupError:
            raise ApiError(503, "no worker is ready yet; try again", code="not_ready") from None

    async def show(self) -> None:
        """Send what is drawn. The worker draws on when the client has taken it."""
        while True:
            message = await self._messages.get()
            if message[0] == "pictures":
                (pictures, sound) = message[2:]
                for picture in pictures[: self.left]:
                    await self._send(PICTURE + picture)
                if sound:
                    await self._send_sound(sound, len(pictures))
                if self.left is not None:
                    self.left -= len(message[2])
                    if self.left <= 0:
                        await _tell(self.socket, {"state": "ended"})
                        return
                self.seat.send(("taken", self.name))
            elif message[0] == "refused":
                await _tell(self.socket, wrong_field("prompt", message[2]).body())
            else:
                error = ApiError(400, message[2], code="ended")
                await _tell(self.socket, error.body())
                return

    async def hear(self) -> None:
        """Take changes until the client goes."""
        with contextlib.suppress(WebSocketDisconnect, KeyError):
            while True:
                try:
                    message = await _message(self.socket)
                    if message.get("stop"):
                        return
                    self._change(message)
                except ApiError as error:
                    await _tell(self.socket, error.body())

    def _change(self, message: dict[str, Any]) -> None:
        given = message.get("give", {})
        if not isinstance(given, dict):
            raise wrong_field("give", "give must be an object of conditions and their values")
        fields = [each for each in self.state.model.fields if not each.is_file]
        prompt = message.get("prompt")
        try:
            # the sentence is required of a request and not of a change of other things
            texts = read_values(fields, {"prompt": "as before", **given, **_said(prompt)})
        except ValueError as error:
            raise wrong_field(str(error).partition(":")[0], str(error)) from None
        said = texts.pop("prompt")
        self.seat.send(("change", self.name, None if prompt is None else said, texts))

    async def _send_sound(self, sound: bytes, pictures: int) -> None:
        """That of a latent frame of so many pictures, as far as they are shown."""
        model = self.state.model
        assert model.sound_fps is not None
        samples = len(sound) // 2
        if not self.is_heard:
            self.is_heard = True
            rate = round(samples / pictures * model.sound_fps)
            await _tell(self.socket, {"state": "sound", "rate": rate})
        shown = pictures if self.left is None else min(self.left, pictures)
        await self._send(SOUND + sound[: samples * shown // pictures * 2])

    async def _send(self, content: bytes) -> None:
        await asyncio.wait_for(self.socket.send_bytes(content), SLOWEST)

    def close(self) -> None:
        self.state.pool.close_live(self.seat, self.name)


def _said(prompt: Any) -> dict[str, Any]:
    return {} if prompt is None else {"prompt": prompt}


async def _message(socket: WebSocket) -> dict[str, Any]:
    """A message of a client.

    Raises:
        ApiError: it is no JSON object, or too long.
    """
    text = await socket.receive_text()
    if len(text) > LONGEST_MESSAGE:
        message = f"a message may have at most {LONGEST_MESSAGE} letters; got {len(text)}"
        raise ApiError(400, message, code="invalid_json")
    return read_object(text, "the message")


async def _tell(socket: WebSocket, about: dict[str, Any]) -> None:
    with contextlib.suppress(WebSocketDisconnect, RuntimeError):
        await socket.send_bytes(STATE + json.dumps(about).encode())
