"""Resizing for FVD, beside the formulas of the references."""

import math

import numpy as np
import pytest
import torch
from kinetoscope.evaluation.clips.resize import fit, resize
from kinetoscope.evaluation.metrics.fvd import network_input
from kinetoscope.evaluation.protocols import PROTOCOLS
from torch import Tensor
from torch.nn import functional


def clip(frames: int = 2, height: int = 9, width: int = 13) -> Tensor:
    draw = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (1, 3, frames, height, width), generator=draw, dtype=torch.uint8)


def tensorflow1(picture_YX: np.ndarray, height: int, width: int) -> np.ndarray:
    """tf.image.resize_bilinear(align_corners=False), pixel by pixel: corners, not centres."""
    Y, X = picture_YX.shape
    out = np.zeros((height, width))
    for y in range(height):
        for x in range(width):
            place_y, place_x = y * Y / height, x * X / width
            y0, x0 = math.floor(place_y), math.floor(place_x)
            y1, x1 = min(y0 + 1, Y - 1), min(x0 + 1, X - 1)
            top = picture_YX[y0, x0] + (picture_YX[y0, x1] - picture_YX[y0, x0]) * (place_x - x0)
            low = picture_YX[y1, x0] + (picture_YX[y1, x1] - picture_YX[y1, x0]) * (place_x - x0)
            out[y, x] = top + (low - top) * (place_y - y0)
    return out


@pytest.mark.parametrize("size", [(31, 17), (4, 5)])
def test_the_filter_of_the_first_fvd_is_tensorflows(size: tuple[int, int]) -> None:
    frames = clip()[0].transpose(0, 1)
    ours = resize(frames, size, "bilinear-tf1")
    for frame, wanted in zip(ours, frames.double().numpy()):
        for colour in range(3):
            slow = tensorflow1(wanted[colour], *size)
            assert np.abs(frame[colour].numpy() - slow).max() / 255 < 1e-5


def test_fvd_of_stylegan_v_gets_what_its_reference_gives() -> None:
    """`F.interpolate` to 224 in time-preserving trilinear form, then 2 x / 255 - 1."""
    video = clip(frames=3, height=12, width=16)
    wanted = functional.interpolate(video.float(), (3, 224, 224), mode="trilinear")
    wanted = 2 * wanted / 255 - 1
    assert float((network_input(video, PROTOCOLS["stylegan-v"]) - wanted).abs().max()) < 1e-5


def test_fvd_of_videogpt_gets_the_middle_and_half_the_range() -> None:
    video = clip(frames=2, height=16, width=20)
    frames = video[0].transpose(0, 1).float() / 255
    scaled = functional.interpolate(frames, (224, 280), mode="bilinear", align_corners=False)[
        ..., 28 : 28 + 224
    ]
    wanted = (scaled - 0.5).transpose(0, 1)[None]
    assert float((network_input(video, PROTOCOLS["videogpt"]) - wanted).abs().max()) < 1e-5


def test_the_two_bilinear_filters_differ() -> None:
    frames = clip()[0].transpose(0, 1)
    both = [resize(frames, (18, 26), kind) for kind in ("bilinear", "bilinear-tf1")]
    assert float((both[0] - both[1]).abs().max()) > 20


def test_squares_before_and_after_scaling() -> None:
    frames = clip(frames=1, height=8, width=16)[0].transpose(0, 1)
    for crop_first in (False, True):
        assert fit(frames, 4, "bilinear", "centre", crop_first).shape == (1, 3, 4, 4)
    middle = frames[..., 4:12]
    assert torch.equal(fit(frames, 8, "area", crop_first=True), middle.float())
    squeezed = fit(frames, 4, "area", "none")
    assert float(squeezed[0, 0, 0, 0]) == pytest.approx(float(frames[0, 0, :2, :4].float().mean()))


def test_an_unknown_filter_is_named() -> None:
    with pytest.raises(ValueError, match=r"one of bilinear, .*; got 'sinc'"):
        resize(torch.zeros(1, 3, 4, 4), (2, 2), "sinc")
