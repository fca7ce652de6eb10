"""The refiner within frames: the identity at first, local as it says, the same in streams and
tiles."""

import dataclasses

import pytest
import torch
from kinetoscope.tokenizer import TokenizerConfig, VideoCodes, VideoTokenizer
from kinetoscope.tokenizer.blocks import PictureRefiner, from_squares, refiner_radius, to_squares
from torch import Tensor, nn


@pytest.fixture
def half_size(tiny: VideoTokenizer, tiny_config: TokenizerConfig) -> VideoTokenizer:
    """The tiny tokenizer with a refiner at half the size, switched on."""
    config = dataclasses.replace(tiny_config, refine_stride=2)
    tokenizer = VideoTokenizer(config)
    weights = {k: v for k, v in tiny.state_dict().items() if not k.startswith("refiner.")}
    tokenizer.load_state_dict(tokenizer.state_dict() | weights)
    nn.init.normal_(tokenizer.refiner.narrow.weight, std=0.1)  # type: ignore[union-attr]
    return tokenizer.eval()


def codes_of(tokenizer: VideoTokenizer) -> VideoCodes:
    generator = torch.Generator().manual_seed(3)
    indices = torch.randint(60, (2, 4, 12, 10), generator=generator)
    return VideoCodes(indices, 10, 48, 40, tokenizer=tokenizer.id)


def test_squares_come_back() -> None:
    x = torch.rand(2, 3, 6, 4, 5)
    squares = to_squares(x, 2)
    assert squares.shape == (2, 3, 3, 2, 20)
    assert torch.equal(squares[1, 2, 1, 0, 15:], x[1, 2, 3, 1])  # the lower right of a square
    assert torch.equal(from_squares(squares, 2), x)


def test_it_begins_as_the_identity() -> None:
    pixels = torch.rand(1, 2, 8, 8, 3)
    assert torch.equal(PictureRefiner(4, 2)(pixels, {}, {}), pixels)


@pytest.mark.parametrize("stride", [2, 4])
def test_a_pixel_depends_on_no_more_than_its_radius(stride: int) -> None:
    refiner = PictureRefiner(4, stride)
    nn.init.normal_(refiner.narrow.weight)
    pixels = torch.rand(1, 2, 64, 64, 3, requires_grad=True)
    refiner(pixels, {}, {})[0, 1, 32, 31].sum().backward()
    assert pixels.grad is not None
    _, frame, row, column, _ = pixels.grad.nonzero().unbind(1)
    assert set(frame.tolist()) == {1}
    reach = max(int((row - 32).abs().max()), int((column - 31).abs().max()))
    assert stride < reach <= refiner_radius(4, stride)


def test_streamed_pixels_are_those_of_the_whole(half_size: VideoTokenizer) -> None:
    codes = codes_of(half_size)
    whole = half_size.decode(codes)
    chunks = codes.indices.split([1, 2, 1], dim=1)
    streamed = torch.cat(list(half_size.stream_decode(chunks)), dim=2)
    torch.testing.assert_close(streamed, whole, atol=1e-5, rtol=0)


@pytest.mark.parametrize("tile", [24, 36])
def test_tiled_pixels_are_those_of_the_whole(half_size: VideoTokenizer, tile: int) -> None:
    codes = codes_of(half_size)
    tiled: Tensor = half_size.decode(codes, tile=tile)
    torch.testing.assert_close(tiled, half_size.decode(codes), atol=1e-5, rtol=0)


def test_strides_that_do_not_divide_a_patch_are_refused() -> None:
    with pytest.raises(ValueError, match="refine_stride must divide the patch, 8; got 3"):
        TokenizerConfig(refine_stride=3)


def test_old_tokenizers_keep_their_id(tiny: VideoTokenizer, half_size: VideoTokenizer) -> None:
    assert "refine_stride" not in tiny.config.marks()
    assert half_size.config.marks()["refine_stride"] == 2
