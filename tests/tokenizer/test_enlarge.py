"""A tokenizer with larger patches begins with the codes of the small one, and with pixels that
agree with its own."""

import math
from pathlib import Path

import pytest
import torch
from kinetoscope.data.video import to_float
from kinetoscope.data.worlds.physics.clips import HELD_OUT_SEED, physics_batch
from kinetoscope.data.worlds.stage.clips import stage_batch
from kinetoscope.tokenizer import VideoTokenizer
from kinetoscope.tokenizer.config import TokenizerConfig
from kinetoscope.tokenizer.enlarge import coefficient_gain, enlarge, with_patch, with_quantizer
from kinetoscope.tokenizer.metrics import psnr
from kinetoscope.tokenizer.patches import Whitening, cosine_basis
from kinetoscope.tokenizer.quantizer import QuantizerConfig
from torch import Tensor, nn
from torch.nn import functional


def band_limited(cells: int, patch: int, rows: int) -> Tensor:
    """Video [1, 3, 5, Y, X] of `cells` x `cells` patches whose cosines end below `rows`."""
    generator = torch.Generator().manual_seed(0)
    coefficients = torch.zeros(3, 5, cells, cells, patch, patch)
    coefficients[..., :rows, :rows] = 0.1 * torch.randn(
        3, 5, cells, cells, rows, rows, generator=generator
    )
    basis = cosine_basis(patch)
    pixels = basis.T @ coefficients @ basis
    return pixels.permute(0, 1, 2, 4, 3, 5).reshape(1, 3, 5, cells * patch, cells * patch)


def averages(video: Tensor, ratio: int) -> Tensor:
    return functional.avg_pool3d(video, (1, ratio, ratio))


@pytest.mark.parametrize("ratio", [2, 4])
def test_gain_turns_coefficients_of_averages_into_those_of_the_picture(ratio: int) -> None:
    video = band_limited(2, 8 * ratio, 8)
    large = Whitening(1, 8 * ratio)
    small = Whitening(1, 8)
    wanted = large.transform(video)[..., large.low(8)]
    got = small.transform(averages(video, ratio)) * coefficient_gain(8, ratio)
    assert torch.allclose(got, wanted, atol=1e-5)
    assert coefficient_gain(8, 2)[63] == pytest.approx(2 / math.cos(math.pi * 7 / 32) ** 2)


@pytest.mark.parametrize("ratio", [2, 4])
def test_enlarged_tokenizer_has_the_codes_and_the_averages_of_the_small_one(
    tiny: VideoTokenizer, ratio: int
) -> None:
    nn.init.zeros_(tiny.refiner.narrow.weight)  # type: ignore[union-attr]
    nn.init.zeros_(tiny.refiner.narrow.bias)  # type: ignore[union-attr]
    large = enlarge(tiny, 4 * ratio)
    video = band_limited(3, 4 * ratio, 4)
    codes = large.encode(video.clamp(-1, 1))
    small_codes = tiny.encode(averages(video.clamp(-1, 1), ratio))
    assert torch.equal(codes.indices, small_codes.indices)
    # of steps, which do not clip the pixels before they are averaged
    state: dict[str, Tensor] = {}
    vectors = large.code_vectors(codes.indices)
    decoded = large._decode_vectors(vectors, state, {})
    wanted = tiny._decode_vectors(tiny.code_vectors(small_codes.indices), state, {})
    assert torch.allclose(averages(decoded, ratio), wanted, atol=1e-4)


def test_new_coefficients_are_measured_and_the_old_ones_stay(tiny: VideoTokenizer) -> None:
    large = enlarge(tiny, 8)
    low = large.whitening.low(4)
    before = large.whitening.scale.clone()
    assert (before[:, ~low] == 1).all()
    large.fit_whitening([2 * torch.rand(2, 3, 7, 16, 16) - 1], keep=low)
    assert torch.equal(large.whitening.scale[:, low], before[:, low])
    assert (large.whitening.scale[:, ~low] != 1).all()


def test_shipped_tokenizer_draws_larger_pictures_from_a_quarter_of_the_codes() -> None:
    small = VideoTokenizer.from_pretrained("physics-64")
    video = physics_batch(range(HELD_OUT_SEED, HELD_OUT_SEED + 4), 1, 128)["video"]
    video = to_float(video)
    large = enlarge(small, 16)
    codes = large.encode(video)
    assert codes.indices.shape == (4, 1, 8, 8)
    before = small.encode(video)
    assert before.indices.numel() == 4 * codes.indices.numel()
    sharp = psnr(large.decode(codes), video).mean()
    assert sharp > 33 and sharp > psnr(small.decode(before), video).mean() + 2


def test_another_refiner_leaves_everything_else_as_it_is(
    tiny: VideoTokenizer, clip: Tensor
) -> None:
    same = enlarge(tiny, 4, refine_channels=8, refine_stride=2)
    codes = same.encode(clip)
    assert torch.equal(codes.indices, tiny.encode(clip).indices)
    bare = enlarge(tiny, 4, refine_channels=0)
    assert torch.equal(same.decode(codes), bare.decode(codes))  # it begins as the identity
    assert not torch.equal(same.decode(codes), tiny.decode(codes))


def test_codes_of_the_small_tokenizer_are_decoded_at_twice_the_size(
    tiny: VideoTokenizer, tmp_path: Path, clip: Tensor
) -> None:
    codes = tiny.encode(clip)
    large = enlarge(tiny, 8, refine_channels=4, refine_stride=2)
    large.save_pretrained(tmp_path)
    loaded = VideoTokenizer.from_pretrained(tmp_path)
    assert loaded.id == tiny.id and loaded.config.refine_stride == 2
    assert loaded.decode(codes.scaled(2)).shape == (2, 3, 10, 24, 16)
    with pytest.raises(ValueError, match="has a grid of"):
        loaded.decode(codes)
    with pytest.raises(ValueError, match="these codes are of tokenizer"):
        loaded.sharing_codes("").decode(codes.scaled(2))


@pytest.mark.parametrize("patch", [6, 2, 0])
def test_patches_that_are_no_multiple_are_refused(tiny: VideoTokenizer, patch: int) -> None:
    with pytest.raises(ValueError, match=rf"1, 2, 3, ... times 4; got {patch}"):
        enlarge(tiny, patch)


def test_more_dimensions_begin_beside_the_old_ones(tiny: VideoTokenizer) -> None:
    levels = tiny.config.quantizer.args["levels"]
    three = with_quantizer(tiny, QuantizerConfig("FSQ", {"levels": levels, "num_codebooks": 3}))
    video = torch.rand(1, 3, 5, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1
    old = tiny.encode(video).indices
    new = three.encode(video).indices
    assert new.shape == (*old.shape, 3) and torch.equal(new[..., 0], old)
    assert new[..., 1].unique().numel() > 1 and three.id != tiny.id
    # without the new codes the pixels are the old ones, and with them nearly so
    first = three.decode(three.encode(video).prefix(1))
    torch.testing.assert_close(first, tiny.decode(tiny.encode(video)), atol=1e-5, rtol=0)
    assert (three.decode(three.encode(video)) - first).abs().max() > 1e-4
    three(video).video.square().mean().backward()
    begun = three.quantizer.project.weight.grad
    assert begun is not None and begun[len(levels) :].abs().max() > 0


@pytest.mark.parametrize(
    "quantizer",
    [QuantizerConfig("FSQ", {"levels": [4]}), QuantizerConfig("LFQ", {"codebook_size": 256})],
)
def test_fewer_dimensions_or_another_kind_are_refused(
    tiny: VideoTokenizer, quantizer: QuantizerConfig
) -> None:
    with pytest.raises(ValueError, match="quantizer must be an FSQ of"):
        with_quantizer(tiny, quantizer)


def test_stage_256_has_a_decoder_for_256_pixels_that_was_trained() -> None:
    """It takes the codes of the tokenizer beside it, and draws them better than that one does with
    larger patches."""
    own = VideoTokenizer.from_pretrained("stage-256")
    trained = with_patch("stage-256", 16)
    enlarged = enlarge(own, 16)
    video = to_float(stage_batch(range(HELD_OUT_SEED, HELD_OUT_SEED + 3), 5, 256)["video"])
    codes = trained.encode(video)
    same = codes.indices == enlarged.encode(video).indices  # but for what files round
    assert codes.tokenizer == own.id and same.float().mean() > 0.97
    assert psnr(trained.decode(codes), video).mean() > psnr(enlarged.decode(codes), video).mean()


def test_rows_and_columns_apart_are_the_product_of_both() -> None:
    whitening = Whitening(2, 16)
    video = 2 * torch.rand(1, 3, 2, 32, 16) - 1
    basis = cosine_basis(16)
    patch = video[0, :, :, 16:32]  # the lower cell
    wanted = basis @ patch @ basis.T
    wanted = (whitening.frames_colours @ wanted.transpose(0, 1).flatten(0, 1).flatten(1)).flatten()
    assert torch.allclose(whitening(video)[0, 0, 1, 0], wanted, atol=1e-5)
    assert torch.allclose(
        whitening.inverse(whitening(video)).permute(0, 4, 1, 2, 3), video, atol=1e-5
    )


def test_old_patches_are_still_one_product() -> None:
    assert not Whitening(4, TokenizerConfig().patch).separable
