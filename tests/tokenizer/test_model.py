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
    frame_count,
    latent_count,
)
from torch import Tensor
from torch.nn import functional

shared_model = settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@shared_model
@given(frames=st.integers(1, 8), height=st.integers(1, 13), width=st.integers(1, 13))
def test_any_size_comes_back_at_its_size(
    tiny: VideoTokenizer, frames: int, height: int, width: int
) -> None:
    video = torch.rand(1, 3, frames, height, width)
    codes = tiny.encode(video, fps=12.5)
    assert codes.indices.shape == (1, latent_count(frames, 3), -(-height // 4), -(-width // 4))
    assert codes.indices.min() >= 0 and codes.indices.max() < tiny.codebook_size == 60
    assert codes.fps == 12.5
    decoded = tiny.decode(codes)
    assert decoded.shape == video.shape
    assert decoded.abs().max() <= 1


def test_a_batch_is_its_clips(tiny: VideoTokenizer, clip: Tensor) -> None:
    together = tiny.encode(clip)
    apart = torch.cat([tiny.encode(clip[i : i + 1]).indices for i in range(len(clip))])
    assert torch.equal(together.indices, apart)


def test_training_and_inference_agree(tiny: VideoTokenizer, clip: Tensor) -> None:
    result = tiny(clip)
    codes = tiny.encode(clip)
    assert torch.equal(result.indices, codes.indices)
    torch.testing.assert_close(result.video.clamp(-1, 1), tiny.decode(codes))


def test_no_latent_looks_ahead(tiny: VideoTokenizer, clip: Tensor) -> None:
    """The gradient of a latent frame's vector reaches its own frames and earlier ones, and no
    later pixel."""
    video = clip[:1].requires_grad_()
    latents = tiny._encode_latents(tiny._lead_in(video), {}, {})
    for latent in range(latents.shape[1]):
        (gradient,) = torch.autograd.grad(latents[:, latent].sum(), video, retain_graph=True)
        reached = gradient.abs().amax((0, 1, 3, 4)) > 0
        last = frame_count(latent + 1, 3)
        assert reached[last - 1] and not reached[last:].any()


def test_no_frame_is_decoded_from_later_codes(tiny: VideoTokenizer) -> None:
    vectors = torch.randn(1, 4, 2, 2, 3, requires_grad=True)
    pixels = tiny._decode_vectors(vectors, {}, {})
    assert pixels.shape[2] == frame_count(4, 3)
    for frame in range(pixels.shape[2]):
        (gradient,) = torch.autograd.grad(pixels[:, :, frame].sum(), vectors, retain_graph=True)
        reached = gradient.abs().amax((0, 2, 3, 4)) > 0
        latents = latent_count(frame + 1, 3)
        assert reached[latents - 1] and not reached[latents:].any()


def test_a_still_scene_has_the_same_codes_from_its_first_frame_on(
    tiny: VideoTokenizer, clip: Tensor
) -> None:
    indices = tiny.encode(clip[:, :, :1].expand(-1, -1, 13, -1, -1)).indices
    assert torch.equal(indices, indices[:, :1].expand_as(indices))


def test_a_mover_leaves_distant_codes_alone() -> None:
    """With one 3x3 block, the encoder sees one cell around each cell."""
    torch.manual_seed(0)
    encoder = StackConfig(width=16, depth=3, kernel=3, spatial=(1,), temporal=(1,))
    tokenizer = VideoTokenizer(
        TokenizerConfig(patch=4, encoder=encoder, decoder=StackConfig(16, 1, 2, 3, (), ()))
    )
    video = torch.rand(1, 3, 5, 32, 32)
    moved = video.clone()
    moved[:, :, :, 12:16, 12:16] = -1.0
    changed = tokenizer.encode(video).indices != tokenizer.encode(moved).indices
    changed[:, :, 2:5, 2:5] = False
    assert not changed.any()


def test_the_refiner_is_two_causal_3d_convolutions(tiny: VideoTokenizer) -> None:
    refiner = tiny.refiner
    assert refiner is not None

    def convolve(conv: torch.nn.Conv2d, video: Tensor) -> Tensor:
        past = video[:, :, :1].expand(-1, -1, 2, -1, -1)
        weight = conv.weight.unflatten(1, (3, -1)).transpose(1, 2)
        return functional.conv3d(torch.cat([past, video], 2), weight, conv.bias, padding=(0, 1, 1))

    video = torch.rand(2, 3, 5, 6, 7)
    expected = video + convolve(refiner.narrow, functional.gelu(convolve(refiner.widen, video)))
    refined = refiner(video.permute(0, 2, 3, 4, 1), {}, {}).permute(0, 4, 1, 2, 3)
    torch.testing.assert_close(refined, expected)


def test_larger_stacks_begin_with_the_same_codes_and_pixels(
    tiny: VideoTokenizer, clip: Tensor
) -> None:
    encoder = StackConfig(width=16, depth=4, kernel=3, spatial=(0, 1, 2, 3), temporal=(0, 1, 2, 3))
    decoder = StackConfig(
        width=16, depth=5, kernel=5, spatial=(0, 1, 2, 3, 4), temporal=(0, 1, 2, 4)
    )
    before = tiny.config.encoder, tiny.config.decoder
    assert {*before[0].spatial} < {*encoder.spatial} and {*before[1].temporal} < {*decoder.temporal}
    larger = tiny.with_stacks(encoder, decoder)
    codes = tiny.encode(clip)
    assert (larger.config.encoder, larger.config.decoder) == (
        encoder,
        decoder,
    ) and not larger.training
    assert torch.equal(larger.encode(clip).indices, codes.indices)
    torch.testing.assert_close(
        larger.decode(larger.encode(clip)), tiny.decode(codes), atol=1e-6, rtol=0
    )
    larger(clip).video.sum().backward()
    for block in (*larger.encoder.blocks, *larger.decoder.blocks):
        assert block.project.weight.grad.any() and (
            block.spatial is None or block.spatial.weight.requires_grad
        )
    for name in ("encoder", "decoder"):
        with pytest.raises(ValueError, match=f"the {name}'s width is 16"):
            tiny.with_stacks(**{name: StackConfig(width=32)})


def test_code_vectors_are_what_the_decoder_was_trained_on(
    tiny: VideoTokenizer, clip: Tensor
) -> None:
    latents = tiny._encode_latents(tiny._lead_in(clip), {}, {})
    vectors, indices, _ = tiny.quantizer(latents)
    torch.testing.assert_close(tiny.code_vectors(indices), vectors)
    assert tiny.levels == (5, 4, 3)


def test_warm_up_passes_gradients_without_rounding(tiny: VideoTokenizer, clip: Tensor) -> None:
    smooth = tiny(clip, quantize=False)
    assert not torch.equal(smooth.video, tiny(clip).video)
    smooth.video.square().mean().backward()
    assert tiny.embed.weight.grad is not None and tiny.embed.weight.grad.abs().sum() > 0


def test_whitened_patches_are_standardised_and_come_back(tiny: VideoTokenizer) -> None:
    video = torch.rand(8, 3, 3, 32, 32) * 2 - 1
    tiny.whitening.fit([video])
    white = tiny.whitening(video)
    assert white.shape == (8, 1, 8, 8, 144)
    torch.testing.assert_close(white.mean((0, 1, 2, 3)), torch.zeros(144), atol=1e-3, rtol=0)
    torch.testing.assert_close(white.std((0, 1, 2, 3)), torch.ones(144), atol=0.01, rtol=0)
    torch.testing.assert_close(tiny.whitening.inverse(white).permute(0, 4, 1, 2, 3), video)


def test_whitening_keeps_dead_coefficients_small(tiny: VideoTokenizer) -> None:
    tiny.whitening.fit([torch.zeros(1, 3, 3, 8, 8)])
    assert tiny.whitening.scale.min() >= 0.019
    with pytest.raises(ValueError, match="at least one batch"):
        tiny.whitening.fit([])


@pytest.mark.parametrize(
    ("video", "message"),
    [
        (torch.zeros(3, 5, 8, 8), r"\[B, 3, F, Y, X\].*got shape \[3, 5, 8, 8\]"),
        (torch.zeros(1, 1, 5, 8, 8), "none of them 0; got shape"),
        (torch.zeros(1, 3, 0, 8, 8), "none of them 0; got shape"),
        (torch.zeros(1, 3, 5, 8, 8, dtype=torch.uint8), "floating point in .* got torch.uint8"),
        (
            torch.linspace(0, 255, 960).view(1, 3, 5, 8, 8),
            r"in \[-1, 1\]; got 0 to 255; use video / 127.5 - 1",
        ),
        (torch.full((1, 3, 5, 8, 8), torch.nan), "got nan to nan"),
    ],
)
def test_wrong_videos_are_refused(tiny: VideoTokenizer, video: Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tiny.encode(video)


def test_codes_of_another_tokenizer_or_grid_are_refused(tiny: VideoTokenizer, clip: Tensor) -> None:
    codes = tiny.encode(clip)
    with pytest.raises(ValueError, match=f"of tokenizer other, and this one is {tiny.id}"):
        tiny.decode(VideoCodes(codes.indices, 10, 12, 8, tokenizer="other"))
    with pytest.raises(ValueError, match=r"has a grid of \[5, 3, 2\] codes; got \[4, 3, 2\]"):
        tiny.decode(VideoCodes(codes.indices, 11, 12, 8, tokenizer=tiny.id))
    with pytest.raises(ValueError, match="from 0 to 59; got 60"):
        tiny.decode(VideoCodes(codes.indices * 0 + 60, 10, 12, 8, tokenizer=tiny.id))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: TokenizerConfig(patch=0), "patch must be at least 1; got 0"),
        (lambda: StackConfig(kernel=4), "kernel must be odd"),
        (
            lambda: StackConfig(depth=2, spatial=(2,), temporal=()),
            "block 2 does not exist in a stack of depth 2",
        ),
        (
            lambda: QuantizerConfig("ResidualVQ", {}),
            "quantizer must be one of FSQ, LFQ, ResidualFSQ, VectorQuantize",
        ),
        (
            lambda: TokenizerConfig.from_dict({"patches": 8}),
            "patches.* is not a field.*did you mean .patch",
        ),
    ],
)
def test_impossible_configs_are_refused(wrong, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        wrong()
