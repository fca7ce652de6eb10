"""What codes mean: every quantizer trains, decodes to the vectors that it gave, and serves any
prefix of codebooks."""

from pathlib import Path
from typing import Any

import pytest
import torch
from kinetoscope.tokenizer import (
    QuantizerConfig,
    StackConfig,
    TokenizerConfig,
    VideoCodes,
    VideoTokenizer,
)
from kinetoscope.tokenizer.metrics import bits_per_pixel
from kinetoscope.tokenizer.quantizer import Quantizer
from torch import Tensor

ONE: list[Any] = [
    pytest.param(QuantizerConfig("vector_quantize_pytorch.FSQ", {"levels": [3, 5]}), 15, id="FSQ"),
    pytest.param(QuantizerConfig("LFQ", {"codebook_size": 16}), 16, id="LFQ"),
    pytest.param(
        QuantizerConfig("VectorQuantize", {"dim": 4, "codebook_size": 32}), 32, id="VectorQuantize"
    ),
]
NESTED = QuantizerConfig("FSQ", {"levels": [4, 3], "num_codebooks": 3, "preserve_symmetry": True})
SEVERAL: list[Any] = [
    pytest.param(NESTED, 12, id="nested FSQ"),
    pytest.param(
        QuantizerConfig("LFQ", {"codebook_size": 8, "num_codebooks": 3}), 8, id="nested LFQ"
    ),
    pytest.param(
        QuantizerConfig("ResidualFSQ", {"levels": [4, 3], "num_quantizers": 3}),
        12,
        id="ResidualFSQ",
    ),
]


def tokenizer_with(quantizer: QuantizerConfig) -> VideoTokenizer:
    torch.manual_seed(0)
    small = StackConfig(16, 2, 2, 3, (0,), (1,))
    config = TokenizerConfig(
        patch=4, frames_per_latent=3, encoder=small, decoder=small, quantizer=quantizer
    )
    tokenizer = VideoTokenizer(config)
    with torch.no_grad():
        tokenizer.quantizer.project.weight.mul_(3)
    return tokenizer.eval()


@pytest.mark.parametrize(("quantizer", "size"), [*ONE, *SEVERAL])
def test_every_quantizer_trains_decodes_and_is_saved(
    quantizer: QuantizerConfig, size: int, clip: Tensor, tmp_path: Path
) -> None:
    tokenizer = tokenizer_with(quantizer).train()
    assert tokenizer.codebook_size == size and tokenizer.rates == quantizer.rates
    optimizer = torch.optim.Adam(tokenizer.parameters(), lr=1e-2)
    losses = []
    for _ in range(12):
        result = tokenizer(clip)
        losses.append((result.video - clip).square().mean())
        optimizer.zero_grad()
        (losses[-1] + result.loss).backward()
        assert (
            tokenizer.embed.weight.grad is not None and tokenizer.embed.weight.grad.abs().sum() > 0
        )
        optimizer.step()
    assert losses[-1] < losses[0] - 0.01
    tokenizer.eval()
    tokenizer.save_pretrained(tmp_path, half=False)
    loaded = VideoTokenizer.from_pretrained(tmp_path)
    codes = loaded.encode(clip)
    assert (
        codes.indices.dtype == torch.int64
        and codes.indices.max() < size
        and loaded.id == tokenizer.id
    )
    assert torch.equal(codes.indices, tokenizer.encode(clip).indices)
    torch.testing.assert_close(loaded.decode(codes), tokenizer(clip).video.clamp(-1, 1))


@pytest.mark.parametrize(("quantizer", "size"), [*ONE, *SEVERAL])
def test_indices_are_those_of_their_vectors(quantizer: QuantizerConfig, size: int) -> None:
    """Every index is the name of a vector, which quantizes to that index and no other."""
    layer = tokenizer_with(quantizer).quantizer
    torch.nn.init.eye_(layer.project.weight)
    shape = (3, 4, 5, 7) if layer.rates == 1 else (3, 4, 5, 7, layer.rates)
    indices = torch.randint(size, shape)
    vectors = layer.code_vectors(indices)
    assert vectors.shape == (3, 4, 5, 7, quantizer.dim) and vectors.dtype == torch.float32
    found = layer.codebook(unbound(layer, vectors).flatten(1, 3))[1].view(shape)
    assert torch.equal(found.long(), indices)
    assert len(vectors.flatten(0, 3).unique(dim=0)) == len(indices.flatten(0, 3).unique(dim=0))


def unbound(layer: Quantizer, vectors: Tensor) -> Tensor:
    """What the quantizer would have to be given so that it is bounded to these vectors."""
    if layer.name == "FSQ":
        # inside the outermost steps, which tanh reaches at infinity only
        inside = vectors.clamp(-0.9, 0.9)
        if layer.codebook.preserve_symmetry:
            return inside.atanh()
        half = (layer.codebook._levels - 1) * 1.001 / 2
        offset = torch.where(layer.codebook._levels % 2 == 0, 0.5, 0.0)
        steps = (vectors * (layer.codebook._levels // 2) + offset) / half
        return steps.clamp(-0.99, 0.99).atanh() - (offset / half).atanh()
    if layer.name == "ResidualFSQ":
        clamp = layer.codebook.soft_clamp_input_value
        return (vectors / clamp).atanh() * clamp
    return vectors


@pytest.mark.parametrize(("quantizer", "size"), SEVERAL)
def test_any_prefix_decodes_as_it_was_trained(
    quantizer: QuantizerConfig, size: int, clip: Tensor
) -> None:
    tokenizer = tokenizer_with(quantizer)
    codes = tokenizer.encode(clip)
    assert codes.indices.shape == (2, 4, 3, 2, 3) and codes.rates == 3
    videos = []
    for rate in (1, 2, 3):
        prefix = codes.prefix(rate)
        assert torch.equal(prefix.indices, codes.indices[..., :rate])
        videos.append(tokenizer.decode(prefix))
        torch.testing.assert_close(videos[-1], tokenizer(clip, rate=rate).video.clamp(-1, 1))
        bits = bits_per_pixel(prefix.indices, tokenizer.codebook_size, 10, 12, 8)
        assert bits == pytest.approx(rate * bits_per_pixel(codes.indices[..., :1], size, 10, 12, 8))
    assert not torch.allclose(videos[0], videos[1]) and not torch.allclose(videos[1], videos[2])
    torch.testing.assert_close(videos[2], tokenizer(clip).video.clamp(-1, 1))


@pytest.mark.parametrize(("quantizer", "size"), SEVERAL)
def test_the_clips_of_a_batch_have_rates_of_their_own(
    quantizer: QuantizerConfig, size: int, clip: Tensor
) -> None:
    tokenizer = tokenizer_with(quantizer).train()
    mixed = tokenizer(clip, rate=torch.tensor([3, 1]))
    assert torch.equal(mixed.indices, tokenizer(clip).indices)
    for row, rate in enumerate((3, 1)):
        torch.testing.assert_close(mixed.video[row], tokenizer(clip, rate=rate).video[row])


@pytest.mark.parametrize(("quantizer", "size"), SEVERAL)
def test_several_codebooks_stream_exactly(
    quantizer: QuantizerConfig, size: int, clip: Tensor
) -> None:
    tokenizer = tokenizer_with(quantizer)
    whole = tokenizer.encode(clip)
    streamed = torch.cat(list(tokenizer.stream_encode(clip.split([1, 2, 4, 3], dim=2))), dim=1)
    assert torch.equal(streamed, whole.indices)
    for rate in (2, 3):
        chunks = tokenizer.stream_decode(streamed[..., :rate].split([1, 2, 1], dim=1), 12, 8)
        torch.testing.assert_close(
            torch.cat(list(chunks), dim=2), tokenizer.decode(whole.prefix(rate))
        )


def test_nested_codebooks_are_ordered_by_training() -> None:
    """Of two numbers worth keeping, the one that matters more goes into the first codebook."""
    torch.manual_seed(0)
    layer = Quantizer(
        QuantizerConfig("FSQ", {"levels": [5], "num_codebooks": 2, "preserve_symmetry": True}), 2
    )
    lift = torch.nn.Linear(2, 2)
    parameters = [*layer.project.parameters(), *lift.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=0.03)
    angle = 2 * torch.pi * torch.rand(64, 1, 1, 16, 1)
    circle = torch.cat([angle.cos(), angle.sin()], -1)
    target = circle * torch.tensor([1.0, 0.3])
    for _ in range(150):
        vectors, _, _ = layer(circle, rate=torch.randint(1, 3, (64,)))
        optimizer.zero_grad()
        (lift(vectors) - target).square().mean().backward()
        optimizer.step()
    first = (lift(layer(circle, rate=1)[0]) - target).square().mean((0, 1, 2, 3))
    both = (lift(layer(circle)[0]) - target).square().mean()
    assert first[0] < 0.15 and first[0] < first[1] * 5
    assert both < first.mean() / 1.5


def test_half_precision_never_reaches_the_codes(clip: Tensor) -> None:
    layer = tokenizer_with(NESTED).quantizer
    latents = torch.randn(1, 2, 4, 4, 16)
    with torch.autocast("cpu", torch.bfloat16):
        vectors, indices, _ = layer(latents)
        decoded = layer.code_vectors(indices)
    assert vectors.dtype == decoded.dtype == torch.float32
    assert torch.equal(indices, layer(latents)[1])
    torch.testing.assert_close(decoded, vectors)


@pytest.mark.parametrize(("quantizer", "size"), [*ONE[:2], *SEVERAL])
def test_the_library_compiles_without_a_break(quantizer: QuantizerConfig, size: int) -> None:
    """But for VectorQuantize, which asks in mid-forward whether its codebook has been
    initialised."""
    layer = tokenizer_with(quantizer).quantizer
    latents = torch.randn(1, 2, 4, 4, 16)
    with torch.no_grad():
        vectors, indices, _ = torch.compile(layer, fullgraph=True, backend="eager")(latents)
        decoded = torch.compile(layer.code_vectors, fullgraph=True, backend="eager")(indices)
    assert torch.equal(indices, layer(latents)[1])
    torch.testing.assert_close(decoded, vectors)


def test_codes_of_another_rate_are_refused(clip: Tensor) -> None:
    tokenizer = tokenizer_with(NESTED)
    codes = tokenizer.encode(clip)
    with pytest.raises(ValueError, match="have 3 codebooks per cell; got rate 4"):
        codes.prefix(4)
    with pytest.raises(ValueError, match="have 3 codebooks per cell; got rate 0"):
        codes.prefix(0)
    with pytest.raises(
        ValueError, match=r"\[B, t, H, W, q\] with q from 1 to 3.*got shape \[2, 4, 3, 2\]"
    ):
        tokenizer.decode(VideoCodes(codes.indices[..., 0], 10, 12, 8, tokenizer=tokenizer.id))
    with pytest.raises(ValueError, match="rate must be from 1 to 3; got 4"):
        tokenizer(clip, rate=4)


@pytest.mark.parametrize(
    ("name", "args", "message"),
    [
        ("ResidualVQ", {}, "quantizer must be one of FSQ, LFQ, ResidualFSQ, VectorQuantize"),
        ("FSQ", {}, "FSQ needs the arguments levels; levels is missing"),
        ("ResidualFSQ", {"levels": [4]}, "num_quantizers is missing"),
        (
            "FSQ",
            {"levels": [4], "num_codebooks": 0},
            "num_codebooks must be a whole number from 1 to 64; got 0",
        ),
        ("FSQ", {"levels": [4], "dim": 8}, "FSQ cannot be used with dim here"),
        (
            "ResidualFSQ",
            {"levels": [4], "num_quantizers": 2, "quantize_dropout": True},
            "with quantize_dropout here",
        ),
        ("FSQ", {"levels": [2, 2]}, "FSQ does not take the arguments.*preserve_symmetry"),
        ("FSQ", {"levels": [4], "colour": 1}, "FSQ does not take the arguments.*colour"),
        ("LFQ", {"codebook_size": 20}, "LFQ does not take the arguments.*power of 2"),
        (
            "VectorQuantize",
            {"dim": 4, "codebook_size": 8, "levels": [4]},
            "VectorQuantize does not take.*levels",
        ),
    ],
)
def test_impossible_quantizers_are_refused(name: str, args: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Quantizer(QuantizerConfig(name, args), 8)
