"""Files that clients send are read in a process that may die, and never under their own names."""

import base64
import io
import zlib
from pathlib import Path

import pytest
import torch
from kinetoscope.app.limited_process import Limits
from kinetoscope.app.serve.errors import ApiError
from kinetoscope.app.serve.workers.uploads import UploadFolder, from_data_url, load_values
from kinetoscope.generator.conditions import Canvas
from PIL import Image

CANVAS = Canvas(8, 12, 12.0, 9, 4)
MEMORY = 10**9


def png(width: int = 12, height: int = 8, colour: tuple[int, int, int] = (255, 0, 0)) -> bytes:
    content = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(content, "PNG")
    return content.getvalue()


def chunk(kind: bytes, content: bytes) -> bytes:
    whole = kind + content
    return len(content).to_bytes(4, "big") + whole + zlib.crc32(whole).to_bytes(4, "big")


def bomb(size: int) -> bytes:
    """A picture of size x size pixels in a few kilobytes."""
    head = size.to_bytes(4, "big") * 2 + bytes([1, 0, 0, 0, 0])
    press = zlib.compressobj(9)
    row = bytes(size // 8 + 1)
    data = b"".join(press.compress(row) for _ in range(size)) + press.flush()
    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head)
    return start + chunk(b"IDAT", data) + chunk(b"IEND", b"")


@pytest.fixture
def uploads(tmp_path: Path) -> UploadFolder:
    return UploadFolder(tmp_path, "video_1")


def test_a_picture_becomes_what_the_model_takes(uploads):
    uploads.add("init", png())
    uploads.decode(CANVAS, Limits(memory=MEMORY))
    values = load_values(uploads.path)
    expected = torch.tensor([1.0, -1.0, -1.0]).view(1, 3, 1, 1, 1).expand(1, 3, 1, 8, 12)
    torch.testing.assert_close(values["init"], expected, atol=0.02, rtol=0)
    uploads.remove()
    assert not uploads.path.exists()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"#EXTM3U\nfile:///etc/passwd\n",
        b"ffconcat version 1.0\nfile /etc/passwd\n",
        b"PK\x03\x04" + bytes(60),
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"\x80\x04\x95" + bytes(60),
    ],
    ids=["empty", "playlist", "concat", "zip", "svg", "pickle"],
)
def test_what_is_no_picture_video_or_sound_is_not_even_stored(uploads, content):
    with pytest.raises(ApiError, match=r"init: the file must be one of \.png"):
        uploads.add("init", content)
    assert not uploads.path.exists()


@pytest.mark.parametrize(
    ("content", "memory"),
    [
        (png()[:40], MEMORY),
        (b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8, MEMORY),
        (bytes(4) + b"ftypisom" + bytes(2000), MEMORY),
        (bomb(40_000), MEMORY),
        (bomb(12_000), 50_000_000),
    ],
    ids=["cut", "rubbish", "empty video", "bomb", "beyond the memory"],
)
def test_what_cannot_be_read_is_a_mistake_of_the_client(uploads, content, memory):
    uploads.add("init", content)
    with pytest.raises(ApiError, match="init: ") as caught:
        uploads.decode(CANVAS, Limits(memory=memory))
    assert caught.value.status == 400 and str(uploads.path) not in caught.value.message


def test_a_decoder_that_hangs_is_ended(uploads):
    uploads.add("init", png())
    with pytest.raises(ApiError, match="init: it took too long to read"):
        uploads.decode(CANVAS, Limits(seconds=0.0))


def test_urls_hold_their_content_and_nothing_is_fetched():
    url = "data:image/png;base64," + base64.b64encode(png()).decode()
    assert from_data_url("init", url) == from_data_url("init", {"image_url": url}) == png()
    for given in ("http://localhost/x.png", "file:///etc/passwd", {"file_id": "x"}, 7, "data:,x"):
        with pytest.raises(ApiError, match="nothing is fetched from elsewhere"):
            from_data_url("init", given)
    with pytest.raises(ApiError, match="is no base64"):
        from_data_url("init", "data:image/png;base64,!!!!")
