"""A video that is watched, and led, while it is drawn."""

import io
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from kinetoscope.app.serve.store.keys import Client
from kinetoscope.data.video import to_uint8
from PIL import Image
from torch import Tensor

client = pytest.importorskip("websockets.sync.client", reason="websockets is not installed")
from websockets.exceptions import ConnectionClosed, InvalidStatus  # noqa: E402


@contextmanager
def watch(server: Any, **options: Any) -> Iterator[Any]:
    url = f"ws://127.0.0.1:{server.port}/v1/videos/live"
    with client.connect(url, **options) as socket:
        yield socket


def send(socket: Any, **message: Any) -> None:
    socket.send(json.dumps(message))


def pictures(socket: Any, count: int) -> Tensor:
    """So many frames, uint8 [3, F, Y, X]."""
    frames = []
    while len(frames) < count:
        message = socket.recv(timeout=60)
        assert message[0] == 1, message
        image = Image.open(io.BytesIO(message[1:]))
        frames.append(torch.from_numpy(np.array(image.convert("RGB"))))
    return torch.stack(frames).permute(3, 0, 1, 2)


def state(socket: Any) -> dict[str, Any]:
    """The next message that is no picture."""
    while (message := socket.recv(timeout=60))[0] == 1:
        continue
    return json.loads(message[1:])


def test_frames_come_as_they_are_drawn(server, generator):
    with watch(server) as socket:
        send(socket, prompt="a red ball rolls", seed=4, frames=13)
        found = pictures(socket, 13)
        assert state(socket) == {"state": "ended"}
    expected = to_uint8(generator.generate("a red ball rolls", 13, seed=4)[0])
    assert (found.float() - expected.float()).abs().max() <= 1


def test_the_sentence_changes_in_mid_video(server, generator):
    plain = to_uint8(generator.generate("a red ball rolls", 61, seed=4)[0]).float()
    with watch(server) as socket:
        send(socket, prompt="a red ball rolls", seed=4)
        first = pictures(socket, 9)
        send(socket, prompt="a blue cube falls slowly")
        rest = pictures(socket, 52)
    assert (first.float() - plain[:, :9]).abs().max() <= 1
    assert (rest.float() - plain[:, 9:]).abs().max() > 1


def test_mistakes_are_told_and_the_video_goes_on(server):
    with watch(server) as socket:
        send(socket, prompt="a red ball rolls")
        pictures(socket, 1)
        send(socket, give={"sound": "x"})
        assert "this model takes no 'sound'" in state(socket)["error"]["message"]
        socket.send("rubbish")
        assert state(socket)["error"]["code"] == "invalid_json"
        send(socket, prompt="a ball " * 30)
        assert "error" in state(socket)
        pictures(socket, 9)


def test_a_request_that_cannot_be_is_refused(server):
    with watch(server) as socket:
        send(socket, prompt="a red ball", fps=0)
        assert state(socket)["error"]["param"] == "fps"
        with pytest.raises(ConnectionClosed):
            socket.recv(timeout=10)
    with watch(server) as socket:
        send(socket, prompt="a ball " * 30)
        assert state(socket)["error"]["code"] == "ended"


def test_keys_and_limits_hold_here_too(run_server):
    server = run_server(max_live=1)
    key = server.state.keys.make(Client("ada"))
    with watch(server) as socket:
        send(socket, prompt="a red ball")
        assert state(socket)["error"]["code"] == "missing_api_key"
    with watch(server) as socket, watch(server) as second:
        send(socket, prompt="a red ball", key=key)
        pictures(socket, 1)
        send(second, prompt="a red ball", key=key)
        assert state(second)["error"]["code"] == "full"


def test_other_sites_cannot_watch(server):
    with pytest.raises((InvalidStatus, ConnectionClosed)), watch(server, origin="http://evil.x"):
        pass


def test_a_watcher_that_is_behind_is_waited_for_and_others_go_on(server):
    """Nothing piles up: the worker draws a little ahead and then rests."""
    with watch(server, max_queue=2, close_timeout=1) as socket:
        send(socket, prompt="a red ball rolls", size="960x640")
        done = server.wait(server.make(frames=9)["id"])
        assert done["status"] == "completed"
        time.sleep(1.0)
        (drawing,) = server.state.pool.seats[0].listeners
        assert drawing
        pictures(socket, 20)
    end = time.monotonic() + 20
    while server.state.pool.live and time.monotonic() < end:
        time.sleep(0.05)
    assert server.state.pool.live == 0
