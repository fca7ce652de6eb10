"""Images are videos of one frame, animated ones play at their own times, and numbered ones are the
frames of one video."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from kinetoscope.data.video import VideoError, clip_rate, probe, read_clip, read_metadata
from PIL import Image, features
from torch import Tensor

Numbers = Callable[[Tensor], list[int]]
Picture = Callable[[int], Tensor]


def ramp(top: int = 255) -> np.ndarray[Any, Any]:
    """[Y, X] from 0 to `top`, left to right."""
    return np.linspace(0, top, 64).round().astype(np.int64)[None].repeat(16, axis=0)


def shown(path: Path, **settings: Any) -> Tensor:
    """The one frame of an image, [Y, X, 3]."""
    video = read_clip(path, **settings).video
    assert video.shape[1] == 1
    return video[:, 0].permute(1, 2, 0)


def save_16_bit_colours(path: Path) -> None:
    levels = (ramp(65535)[:, :, None] * np.array([1, 0.5, 0.25])).astype(np.uint16)
    frame = av.VideoFrame.from_ndarray(levels, format="rgb48le").reformat(format="rgb48be")
    codec: Any = av.CodecContext.create("png", "w")
    codec.width, codec.height, codec.pix_fmt = 64, 16, "rgb48be"
    codec.time_base = Fraction(1, 25)
    packets = [*codec.encode(frame), *codec.encode(None)]
    path.write_bytes(b"".join(bytes(packet) for packet in packets))


def needs_avif(name: str) -> None:
    if name.endswith("avif") and not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")


KINDS: dict[str, Callable[[Path], None]] = {
    "grey.png": lambda path: Image.fromarray(ramp().astype(np.uint8)).save(path),
    "grey16.png": lambda path: Image.fromarray(ramp(65535).astype(np.uint16)).save(path),
    "grey16.tif": lambda path: Image.fromarray(ramp(65535).astype(np.uint16)).save(path),
    "float.tif": lambda path: Image.fromarray((ramp() / 255).astype(np.float32)).save(path),
    "palette.png": lambda path: Image.fromarray(ramp().astype(np.uint8)).convert("P").save(path),
    "grey.bmp": lambda path: Image.fromarray(ramp().astype(np.uint8)).save(path),
    "cmyk.jpg": lambda path: (
        Image.fromarray(ramp().astype(np.uint8)).convert("RGB").convert("CMYK").save(path)
    ),
    "cmyk.tif": lambda path: (
        Image.fromarray(ramp().astype(np.uint8)).convert("RGB").convert("CMYK").save(path)
    ),
    "grey.avif": lambda path: Image.fromarray(ramp().astype(np.uint8)).save(path, quality=100),
    "grey.webp": lambda path: Image.fromarray(ramp().astype(np.uint8)).save(path, lossless=True),
}


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_of_image_is_a_video_of_one_frame(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    needs_avif(name)
    KINDS[name](path)
    image = shown(path).int()
    assert image.shape == (16, 64, 3)
    expected = torch.from_numpy(ramp()).int()[:, :, None]
    assert (image - expected).abs().max() <= (8 if name.endswith("jpg") else 2)
    assert probe(path).frames == 1


def test_sixteen_bits_of_each_colour_become_eight(tmp_path: Path) -> None:
    save_16_bit_colours(tmp_path / "a.png")
    image = shown(tmp_path / "a.png").float()
    expected = torch.from_numpy(ramp())[:, :, None] * torch.tensor([1, 0.5, 0.25])
    assert (image - expected).abs().max() <= 1


def test_a_black_image_of_sixteen_bits_stays_black(tmp_path: Path) -> None:
    Image.fromarray(np.ones((4, 4), np.uint16)).save(tmp_path / "a.png")
    assert shown(tmp_path / "a.png").max() == 0


def save_fading(path: Path) -> None:
    """Blue that fades from left (clear) to right."""
    rgba = np.zeros((16, 64, 4), np.uint8)
    rgba[..., 2] = 200
    rgba[..., 3] = ramp()
    Image.fromarray(rgba).save(path, **({"lossless": True} if path.suffix == ".webp" else {}))


@pytest.mark.parametrize("name", ["a.png", "a.webp", "a.tif"])
@pytest.mark.parametrize(
    ("background", "colour"),
    [("white", (255, 255, 255)), ("black", (0, 0, 0)), ("#20c0ff", (32, 192, 255))],
)
def test_transparency_is_laid_on_a_colour(
    tmp_path: Path, name: str, background: str, colour: tuple[int, int, int]
) -> None:
    save_fading(tmp_path / name)
    image = shown(tmp_path / name, background=background).float()
    alpha = torch.from_numpy(ramp())[:, :, None] / 255
    expected = alpha * torch.tensor([0, 0, 200]) + (1 - alpha) * torch.tensor(colour)
    assert (image - expected).abs().max() <= 1
    if background == "white":
        assert torch.equal(shown(tmp_path / name), shown(tmp_path / name, background="white"))


def test_a_palette_with_a_transparent_colour_is_laid_on_a_colour(tmp_path: Path) -> None:
    indices = (np.arange(64) % 2)[None].repeat(16, 0).astype(np.uint8)
    image = Image.fromarray(indices).convert("P")
    image.putpalette([255, 0, 0, 0, 255, 0])
    for name in ("a.png", "a.gif"):
        image.save(tmp_path / name, transparency=0)
        first = shown(tmp_path / name, background="black")
        assert first[0, 0].tolist() == [0, 0, 0]
        assert first[0, 1].tolist() == [0, 255, 0]


def test_transparent_video_is_laid_on_a_colour(tmp_path: Path) -> None:
    rgba = np.zeros((32, 48, 4), np.uint8)
    rgba[:, 24:] = (0, 0, 200, 255)
    with av.open(str(tmp_path / "a.mov"), "w") as container:
        stream: Any = container.add_stream("qtrle", rate=25)
        stream.width, stream.height, stream.pix_fmt = 48, 32, "argb"
        frame = av.VideoFrame.from_ndarray(rgba, "rgba").reformat(format="argb")
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    image = shown(tmp_path / "a.mov", background="#ff8000")
    assert image[5, 5].tolist() == [255, 128, 0]
    assert image[5, 30].tolist() == [0, 0, 200]


def test_transparent_webm_is_laid_on_a_colour(tmp_path: Path) -> None:
    rgba = np.zeros((32, 48, 4), np.uint8)
    rgba[:, 24:] = (0, 0, 200, 255)
    with av.open(str(tmp_path / "a.webm"), "w") as container:
        stream: Any = container.add_stream("libvpx-vp9", rate=25, options={"crf": "4", "b": "0"})
        stream.width, stream.height, stream.pix_fmt = 48, 32, "yuva420p"
        for time in range(9):
            frame = av.VideoFrame.from_ndarray(rgba, "rgba").reformat(format="yuva420p")
            frame.pts = time
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    video = read_clip(tmp_path / "a.webm", background="#ff8000").video
    assert video.shape[1] == 9
    last = video[:, 8].permute(1, 2, 0).int()
    assert (last[5, 5] - torch.tensor([255, 128, 0])).abs().max() < 8
    assert (last[5, 40] - torch.tensor([0, 0, 200])).abs().max() < 12


def test_a_colour_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    save_fading(tmp_path / "a.png")
    with pytest.raises(ValueError, match=r"background must be a colour .*; got 'whitish'"):
        read_clip(tmp_path / "a.png", background="whitish")


# ---- animated images ----


@pytest.mark.parametrize("name", ["a.webp", "a.png", "a.avif"])
def test_an_animated_image_plays_at_its_own_times(
    tmp_path: Path, picture: Picture, numbers: Numbers, name: str
) -> None:
    images = [Image.fromarray(picture(index).numpy()) for index in range(5)]
    delays = [100, 300, 100, 100, 400]
    needs_avif(name)
    options = {"lossless": True} if name.endswith("webp") else {}
    images[0].save(
        tmp_path / name, save_all=True, append_images=images[1:], duration=delays, **options
    )
    clip = read_clip(tmp_path / name)
    assert numbers(clip.video) == [0, 1, 2, 3, 4]
    assert clip.fps == pytest.approx(5)
    assert numbers(read_clip(tmp_path / name, fps=10).video) == [0, 1, 1, 1, 2, 3, 4, 4, 4, 4]
    assert numbers(read_clip(tmp_path / name, 0.4, 2).video) == [2, 3]
    info = probe(tmp_path / name)
    assert (info.frames, info.seconds) == (5, pytest.approx(1))


def test_the_pictures_of_the_docs_are_a_video() -> None:
    path = Path(__file__).parents[3] / "docs/samples.webp"
    assert probe(path).frames > 4
    assert read_clip(path, frames=4).video.shape[1] == 4


# ---- numbered images ----


@pytest.fixture
def frames(tmp_path: Path, picture: Picture) -> Path:
    """A folder of frame-7.png to frame-12.png."""
    folder = tmp_path / "frames"
    folder.mkdir()
    for index in range(7, 13):
        Image.fromarray(picture(index).numpy()).save(folder / f"frame-{index}.png")
    (folder / "notes.txt").write_text("no image")
    return folder


@pytest.mark.parametrize("name", ["", "frame-%d.png", "frame-%03d.png", "*.png", "frame-*.png"])
def test_numbered_images_are_a_video(frames: Path, numbers: Numbers, name: str) -> None:
    path = frames / name
    clip = read_clip(path, fps=8)
    assert numbers(clip.video) == [7, 8, 9, 10, 11, 12]  # by number, not by letter
    assert clip.fps == clip_rate(path, 8) == 8
    assert numbers(read_clip(path, 0.25, 2, fps=8).video) == [9, 10]
    info = probe(path, fps=8)
    assert (info.frames, info.seconds, info.height, info.width) == (6, 0.75, 32, 48)


def test_numbered_images_need_a_rate(frames: Path) -> None:
    with pytest.raises(VideoError, match="6 numbered pictures; give fps"):
        read_clip(frames)


def test_other_folders_are_no_videos(frames: Path, tmp_path: Path) -> None:
    with pytest.raises(VideoError, match="is a folder, and not one of numbered pictures"):
        read_clip(tmp_path, fps=8)
    with pytest.raises(VideoError, match="does not exist"):
        read_clip(frames / "image-%d.png", fps=8)
    (frames / "cover.png").write_bytes((frames / "frame-7.png").read_bytes())
    with pytest.raises(VideoError, match="is a folder, and not one of numbered pictures"):
        read_clip(frames, fps=8)


def test_numbered_images_of_two_sizes_are_refused_unless_scaled(frames: Path) -> None:
    Image.new("RGB", (20, 20)).save(frames / "frame-13.png")
    with pytest.raises(VideoError, match="changes its size from 32 x 48 to 20 x 20"):
        read_clip(frames, fps=8)
    assert read_clip(frames, fps=8, size=(16, 16)).video.shape == (3, 7, 16, 16)


# ---- mistakes ----


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp", "a.tif", "a.bmp"])
def test_a_damaged_image_is_named(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(VideoError, match="cannot be read") as caught:
        read_clip(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_text_in_an_image_is_its_metadata(tmp_path: Path) -> None:
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_text("prompt", "a red ball")
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png", pnginfo=info)
    assert read_metadata(tmp_path / "a.png")["prompt"] == "a red ball"
