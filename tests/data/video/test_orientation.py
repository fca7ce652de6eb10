"""Videos and images are shown as their file says: turned, mirrored, or slanted."""

import gc
import math
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from kinetoscope.data.video import first_look, probe, read_clip
from PIL import Image, ImageOps
from torch import Tensor

HEIGHT, WIDTH = 48, 80
ONE = 1 << 16
RIGHT_ANGLED = [
    (a, b, c, d)
    for a in (-1, 0, 1)
    for b in (-1, 0, 1)
    for c in (-1, 0, 1)
    for d in (-1, 0, 1)
    if abs(a * d - b * c) == 1 and (a == d == 0 or b == c == 0)
]


def corners() -> Tensor:
    """[Y, X, 3] whose four corners differ, so that no turn or mirror image is another one."""
    image = torch.zeros(HEIGHT, WIDTH, 3, dtype=torch.uint8)
    image[: HEIGHT // 2, : WIDTH // 2] = torch.tensor([220, 30, 30])
    image[: HEIGHT // 2, WIDTH // 2 :] = torch.tensor([30, 220, 30])
    image[HEIGHT // 2 :, : WIDTH // 2] = torch.tensor([30, 30, 220])
    image[HEIGHT // 2 :, WIDTH // 2 :] = torch.tensor([220, 220, 30])
    return image


def write(path: Path, matrix: Sequence[float]) -> Path:
    """Two frames with a display matrix [a b; c d]."""
    a, b, c, d = (round(ONE * value) for value in matrix)
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264rgb", rate=25, options={"crf": "0"})
        stream.width = WIDTH
        stream.height = HEIGHT
        stream.pix_fmt = "rgb24"
        stream.set_display_matrix([a, b, 0, c, d, 0, 0, 0, 1 << 30])
        for time in range(2):
            frame = av.VideoFrame.from_ndarray(corners().numpy(), "rgb24")
            frame.pts = time
            frame.time_base = Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def placed(image: Tensor, matrix: Sequence[int]) -> Tensor:
    """The slow oracle: every pixel goes where the matrix sends it."""
    a, b, c, d = matrix
    y, x = torch.meshgrid(torch.arange(HEIGHT), torch.arange(WIDTH), indexing="ij")
    across = a * x + c * y
    down = b * x + d * y
    across = across - across.min()
    down = down - down.min()
    shown = torch.zeros(int(down.max()) + 1, int(across.max()) + 1, 3, dtype=torch.uint8)
    shown[down, across] = image
    return shown


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv"])
@pytest.mark.parametrize("matrix", RIGHT_ANGLED)
def test_turned_and_mirrored_videos_are_shown_upright(
    tmp_path: Path, suffix: str, matrix: tuple[int, ...]
) -> None:
    if suffix == "mkv" and matrix[0] * matrix[3] - matrix[1] * matrix[2] < 0:
        pytest.skip("Matroska stores turns, and no mirror images that FFmpeg writes")
    path = write(tmp_path / f"a.{suffix}", matrix)
    shown = read_clip(path).video[:, 1].permute(1, 2, 0)
    expected = placed(corners(), matrix)
    assert shown.shape == expected.shape
    assert (shown.int() - expected.int()).abs().max() <= 2
    info = probe(path)
    assert (info.height, info.width) == shown.shape[:2]
    scaled = read_clip(path, size=24).video
    assert min(scaled.shape[2:]) == 24


@pytest.mark.parametrize("degrees", [30, 45, -10])
def test_a_slanted_video_is_turned_inside_its_frame_as_ffmpeg_does(
    tmp_path: Path, degrees: float
) -> None:
    angle = math.radians(degrees)  # clockwise
    path = write(
        tmp_path / "a.mp4", (math.cos(angle), math.sin(angle), -math.sin(angle), math.cos(angle))
    )
    graph = av.filter.Graph()
    source = graph.add_buffer(width=WIDTH, height=HEIGHT, format="rgb24", time_base=Fraction(1, 25))
    turn = graph.add("rotate", f"{angle}")
    sink = graph.add("buffersink")
    source.link_to(turn)
    turn.link_to(sink)
    graph.configure()
    graph.push(av.VideoFrame.from_ndarray(corners().numpy(), "rgb24"))
    expected = np.asarray(graph.pull().to_ndarray(format="rgb24")).astype(int)
    shown = read_clip(path).video[:, 0].permute(1, 2, 0).numpy().astype(int)
    assert shown.shape == expected.shape
    assert abs(shown - expected).mean() < 4  # they smooth edges differently
    assert (probe(path).height, probe(path).width) == (HEIGHT, WIDTH)


def test_a_slight_slant_is_none(tmp_path: Path) -> None:
    angle = math.radians(0.5)
    path = write(
        tmp_path / "a.mp4", (math.cos(angle), math.sin(angle), -math.sin(angle), math.cos(angle))
    )
    shown = read_clip(path).video[:, 0].permute(1, 2, 0)
    assert (shown.int() - corners().int()).abs().max() <= 2


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_images_stand_as_their_camera_says(tmp_path: Path, name: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"quality": 95, "subsampling": 0} if name.endswith("jpg") else {}
    path = tmp_path / name
    Image.fromarray(corners().numpy()).save(path, exif=exif, **options)
    expected = np.array(ImageOps.exif_transpose(Image.open(path)).convert("RGB"))
    shown = read_clip(path).video[:, 0].permute(1, 2, 0).numpy()
    assert np.array_equal(shown, expected)
    assert (probe(path).height, probe(path).width) == expected.shape[:2]
    assert (expected.shape[0] > expected.shape[1]) == (orientation > 4)


def test_a_frame_that_was_asked_how_it_stands_is_freed_at_once(
    tmp_path: Path,
) -> None:
    """Over thousands of files, pictures that wait for Python's garbage collection fill memory."""
    path = write(tmp_path / "a.mp4", (1, 0, 0, 1))
    gc.collect()
    gc.disable()
    try:
        first_look(path)
        read_clip(path)
        assert not [each for each in gc.get_objects() if type(each) is av.VideoFrame]
    finally:
        gc.enable()
