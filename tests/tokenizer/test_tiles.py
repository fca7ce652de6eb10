"""Tiles against the whole picture: the same codes and pixels, whatever the size of tile and
picture."""

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kinetoscope.tokenizer import (
    QuantizerConfig,
    StackConfig,
    TokenizerConfig,
    VideoCodes,
    VideoTokenizer,
)
from torch import Tensor

shared_model = settings(
    max_examples=20,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
code_tiles = st.integers(4, 40)  # from the halo on; a cell has 4 pixels
pixel_tiles = st.integers(20, 40)
heights = st.integers(1, 61)
widths = st.integers(1, 61)
frames = st.integers(1, 5)


def noise(*shape: int) -> Tensor:
    return 2 * torch.rand(*shape, generator=torch.Generator().manual_seed(sum(shape))) - 1


@shared_model
@given(tile=code_tiles, frames=frames, height=heights, width=widths)
def test_tiled_codes_are_those_of_the_whole_picture(
    tiny: VideoTokenizer, tile: int, frames: int, height: int, width: int
) -> None:
    video = noise(1, 3, frames, height, width)
    tiled = tiny.encode(video, tile=tile)
    whole = tiny.encode(video)
    assert torch.equal(tiled.indices, whole.indices)
    assert (tiled.num_frames, tiled.height, tiled.width) == (frames, height, width)


@shared_model
@given(tile=pixel_tiles, frames=frames, height=heights, width=widths)
def test_tiled_pixels_are_those_of_the_whole_picture(
    tiny: VideoTokenizer, tile: int, frames: int, height: int, width: int
) -> None:
    grid = (1 + (frames + 1) // 3, -(-height // 4), -(-width // 4))
    indices = torch.randint(60, (2, *grid), generator=torch.Generator().manual_seed(tile))
    codes = VideoCodes(indices, frames, height, width, tokenizer=tiny.id)
    tiled = tiny.decode(codes, tile=tile)
    assert tiled.shape == (2, 3, frames, height, width)
    torch.testing.assert_close(tiled, tiny.decode(codes), atol=1e-5, rtol=0)


@settings(shared_model, max_examples=8)
@given(
    plan=st.lists(st.integers(1, 4), min_size=2, max_size=3),
    sizes=st.lists(pixel_tiles, min_size=4, max_size=4),
)
def test_tiles_stream_and_may_change_in_mid_video(
    tiny: VideoTokenizer, plan: list[int], sizes: list[int]
) -> None:
    """The state is that of the whole picture, so a stream can go on with other tiles or with
    none."""
    video = noise(1, 3, sum(plan), 22, 33)
    sizes = [sizes[0], None, *sizes[1:]]
    for step, parts in (
        (tiny.encode_step, video.split(plan, dim=2)),
        (tiny.decode_step, tiny.encode(video).indices.split(1, dim=1)),
    ):
        state: dict[str, Tensor] = {}
        tiled_state: dict[str, Tensor] = {}
        for index, part in enumerate(parts):
            expected, state = step(part, state)
            output, tiled_state = step(part, tiled_state, tile=sizes[index % 4])
            torch.testing.assert_close(output, expected, atol=1e-5, rtol=0)
        assert tiled_state.keys() == state.keys()
        for key in state:
            torch.testing.assert_close(tiled_state[key], state[key], atol=1e-4, rtol=0)


def test_streams_take_tiles(tiny: VideoTokenizer) -> None:
    video = noise(1, 3, 8, 45, 26)
    codes = tiny.encode(video)
    parts = list(tiny.stream_encode(video.split(4, dim=2), tile=4))
    assert torch.equal(torch.cat(parts, dim=1), codes.indices)
    pixels = torch.cat(list(tiny.stream_decode(parts, 45, 26, tile=20)), dim=2)
    torch.testing.assert_close(pixels[:, :, :8], tiny.decode(codes), atol=1e-5, rtol=0)


def test_no_halo_is_wider_or_narrower_than_what_the_layers_see(tiny: VideoTokenizer) -> None:
    """By gradients: one cell beyond the halo changes nothing, and the outermost cells of the
    halo do."""
    code_halo, pixel_halo = tiny.config.halos
    video = noise(1, 3, 1, 36, 36).requires_grad_()
    latents = tiny._encode_latents(tiny._lead_in(video), {}, {})
    (gradient,) = torch.autograd.grad(latents[:, :, 4, 4].sum(), video)
    assert reached_cells(gradient.abs().amax((0, 1, 2))) == code_halo

    cells = 2 * pixel_halo + 5
    vectors = torch.randn(1, 1, cells, cells, 3, requires_grad=True)
    middle = 4 * (pixel_halo + 2)
    pixels = tiny._decode_vectors(vectors, {}, {})[
        :, :, :, middle : middle + 4, middle : middle + 4
    ]
    (gradient,) = torch.autograd.grad(pixels.sum(), vectors)
    assert reached_cells(gradient.abs().amax((0, 1, 4)).repeat_interleave(4, 0)) == pixel_halo


def reached_cells(gradient: Tensor) -> int:
    """Rows of cells of 4 pixels, from the middle one outwards, in which a gradient is not zero."""
    rows = gradient.amax(1).unflatten(0, (-1, 4)).amax(1).nonzero().flatten()
    return int(rows.max() - rows.min()) // 2


def test_tiles_of_every_codebook_and_of_blocks_without_a_past() -> None:
    """Two codebooks per cell add an axis to the indices; a decoder without temporal mixing has
    an empty past."""
    torch.manual_seed(0)
    small = StackConfig(width=16, depth=2, kernel=3, spatial=(0, 1), temporal=())
    quantizer = QuantizerConfig("FSQ", {"levels": [5, 4], "num_codebooks": 2})
    tokenizer = VideoTokenizer(TokenizerConfig(4, 3, 0.02, small, small, 0, quantizer)).eval()
    video = noise(1, 3, 7, 20, 28)
    codes = tokenizer.encode(video)
    tiled = tokenizer.encode(video, tile=8)
    assert codes.indices.dim() == 5 and torch.equal(tiled.indices, codes.indices)
    torch.testing.assert_close(
        tokenizer.decode(codes, tile=8), tokenizer.decode(codes), atol=1e-5, rtol=0
    )
    pixels = torch.cat(list(tokenizer.stream_decode(codes.indices.split(1, dim=1), tile=8)), dim=2)
    torch.testing.assert_close(pixels, tokenizer.decode(codes), atol=1e-5, rtol=0)


@pytest.mark.parametrize("tile", [0, 3, 19])
def test_a_tile_narrower_than_its_halo_is_refused(
    tiny: VideoTokenizer, clip: Tensor, tile: int
) -> None:
    codes = tiny.encode(clip)
    smallest = "side of a tile in pixels and must be at least {}, .*; got {}"
    for work in (
        lambda: tiny.decode(codes, tile),
        lambda: list(tiny.stream_decode([codes.indices], tile=tile)),
    ):
        with pytest.raises(ValueError, match=smallest.format(20, tile)):
            work()
    if tile < 4:
        for work in (
            lambda: tiny.encode(clip, tile=tile),
            lambda: list(tiny.stream_encode([clip], tile)),
        ):
            with pytest.raises(ValueError, match=smallest.format(4, tile)):
                work()
