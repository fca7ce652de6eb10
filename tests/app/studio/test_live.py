"""The live picture: order, answers, slow pages, pages that come back, and sound."""

import asyncio
import io
import json
import struct
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import pytest
from kinetoscope.app.studio.live import AHEAD, PICTURE, SOUND, STATE, Channel, encode_picture
from PIL import Image

Talk = Callable[["Page"], Awaitable[None]]


class Page:
    """A page that reads all it is sent and answers when it is told to."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []
        self.words: asyncio.Queue[str] = asyncio.Queue()

    async def send_bytes(self, data: bytes) -> None:
        self.messages.append(data)

    async def receive_text(self) -> str:
        return await self.words.get()

    async def say(self, **answer: Any) -> None:
        """Answer, and wait until nothing more comes."""
        await self.words.put(json.dumps(answer))
        count = -1
        while count != len(self.messages):
            count = len(self.messages)
            for _ in range(20):
                await asyncio.sleep(0)

    def of_kind(self, kind: int) -> list[bytes]:
        return [message for message in self.messages if message[0] == kind]

    @property
    def sequences(self) -> list[int]:
        return [struct.unpack(">I", message[1:5])[0] for message in self.of_kind(PICTURE)]

    @property
    def states(self) -> list[dict[str, Any]]:
        return [json.loads(message[1:])["states"] for message in self.of_kind(STATE)]


def visit(channel: Channel, talk: Talk) -> Page:
    """A page looks while it talks, and leaves."""

    async def run() -> Page:
        page = Page()
        serving = asyncio.create_task(channel.serve(page))
        await talk(page)
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
        return page

    return asyncio.run(run())


def frame(level: int, size: int = 8) -> np.ndarray:
    return np.full((size, size, 3), level, np.uint8)


def publish(channel: Channel, count: int) -> None:
    for index in range(count):
        channel.picture(1, 0, index, frame(index % 256))


def test_a_picture_arrives_as_it_was_drawn() -> None:
    channel = Channel()
    channel.state("model", "ready")
    pixels = np.arange(8 * 8 * 3, dtype=np.uint8).reshape(8, 8, 3)
    channel.picture(order=7, video=2, frame=40, pixels=pixels)

    async def talk(page: Page) -> None:
        await page.say(have=0)

    page = visit(channel, talk)
    assert page.states[0] == {"model": "ready"}
    (message,) = page.of_kind(PICTURE)
    assert struct.unpack(">BIIBI", message[:14]) == (PICTURE, 1, 7, 2, 40)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(message[14:]))), pixels)


def test_large_pictures_are_jpegs_in_full_colour() -> None:
    rng = np.random.default_rng(0)
    small = rng.integers(256, size=(3, 4, 3), dtype=np.uint8)
    large = np.kron(small, np.ones((80, 80, 1), np.uint8))
    content = encode_picture(large)
    image = Image.open(io.BytesIO(content))
    assert image.format == "JPEG" and len(content) < large.size / 10
    assert np.abs(np.asarray(image).astype(int) - large).mean() < 4
    assert Image.open(io.BytesIO(encode_picture(small))).format == "PNG"


def test_a_slow_page_gets_fewer_pictures_and_nothing_grows() -> None:
    channel = Channel(pictures=50)

    async def talk(page: Page) -> None:
        publish(channel, AHEAD + 10)
        await page.say(have=0)
        publish(channel, 990 - AHEAD)
        await page.say(have=0)
        assert page.sequences == list(range(1, AHEAD + 1))  # it has not answered for them
        await page.say(have=AHEAD)
        assert page.sequences[AHEAD:] == list(range(951, 951 + AHEAD))  # the oldest have gone
        await page.say(have=page.sequences[-1])
        await page.say(have=page.sequences[-1])

    page = visit(channel, talk)
    assert page.sequences[-1] == 1000
    assert len(channel.pictures) == 50


def test_a_page_that_comes_back_goes_on_where_it_was() -> None:
    channel = Channel()
    publish(channel, 10)

    async def first(page: Page) -> None:
        await page.say(have=0)

    assert visit(channel, first).sequences == list(range(1, 11))
    publish(channel, 5)

    async def back(page: Page) -> None:
        await page.say(channel=channel.name, have=8)

    assert visit(channel, back).sequences == list(range(9, 16))

    async def of_another_studio(page: Page) -> None:
        await page.say(channel="before it was started again", have=8)

    assert visit(channel, of_another_studio).sequences == list(range(1, 16))


def test_of_each_state_the_newest_counts() -> None:
    channel = Channel()
    for done in range(100):
        channel.state("order-1", {"done": done})
    channel.state("order-2", {"done": 0})

    async def talk(page: Page) -> None:
        await page.say(have=0)
        channel.state("order-2", None)
        await page.say(have=0)

    states = visit(channel, talk).states
    assert states == [{"order-1": {"done": 99}, "order-2": {"done": 0}}, {"order-2": None}]


@pytest.mark.parametrize("channels", [1, 2])
def test_sound_of_a_made_up_source_arrives_in_16_bits(channels: int) -> None:
    rate = 24_000
    channel = Channel()
    times = np.arange(2000) / rate
    source = np.stack([0.5 * np.sin(2 * np.pi * 440 * times)] * channels, axis=1)
    for first in range(0, 2000, 500):
        channel.sound(3, first, source[first : first + 500], rate)

    async def talk(page: Page) -> None:
        await page.say(have=0)

    parts = []
    for message in visit(channel, talk).of_kind(SOUND):
        kind, _, order, hertz, count, first = struct.unpack(">BIIIBI", message[:18])
        assert (kind, order, hertz, count, first) == (SOUND, 3, rate, channels, 500 * len(parts))
        parts.append(np.frombuffer(message[18:], "<i2").reshape(-1, channels))
    heard = np.concatenate(parts) / 32767
    assert np.abs(heard - source).max() < 1 / 32767


def test_nonsense_from_a_page_changes_nothing() -> None:
    channel = Channel()
    publish(channel, 3)

    async def talk(page: Page) -> None:
        for word in ("", "[]", "{", '{"have": "x"}', '{"have": -1}', '{"have": true}', "9" * 10**5):
            await page.words.put(word)
        await page.say(have=10**12)
        publish(channel, 2)
        await page.say(have=0)

    assert visit(channel, talk).sequences == [1, 2, 3, 4, 5]
