"""Codes decoded by arithmetic are those that the library of quantizers decodes, bit for bit."""

import subprocess
import sys
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from kinetoscope.tokenizer import QuantizerConfig, VideoTokenizer
from kinetoscope.tokenizer.fsq import FSQVectors, is_plain
from kinetoscope.tokenizer.quantizer import Quantizer
from torch import Tensor
from vector_quantize_pytorch import FSQ

SHIPPED: list[dict[str, Any]] = [
    {"levels": [8, 8, 8, 6, 5]},
    {"levels": [4, 4, 4, 4], "num_codebooks": 3, "preserve_symmetry": True},
]


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(3, 9), min_size=1, max_size=4), st.booleans())
def test_every_code_stands_for_the_same_vector(levels: list[int], symmetric: bool) -> None:
    library = FSQ(levels, preserve_symmetry=symmetric)
    vectors = FSQVectors(levels, symmetric)
    assert vectors.codebook_size == library.codebook_size
    codes = torch.arange(library.codebook_size)[None]
    assert torch.equal(vectors(codes), library.indices_to_codes(codes))


@pytest.mark.parametrize("args", SHIPPED, ids=["physics-64", "video-128"])
def test_shipped_quantizers_decode_without_the_library(args: dict[str, Any]) -> None:
    config = QuantizerConfig("FSQ", args)
    (alone, whole) = (Quantizer(config, 8, library) for library in (False, True))
    assert alone.codebook is None and whole.codebook is not None
    size = alone.codebook_size
    assert size == whole.codebook_size == whole.codebook.codebook_size
    several = (config.rates,) if config.rates > 1 else ()
    codes = torch.randint(size, (2, 3, 4, 5, *several))
    vectors = alone.code_vectors(codes)
    assert torch.equal(vectors.flatten(1, 3), whole.codebook.indices_to_codes(codes.flatten(1, 3)))
    for kept in range(1, config.rates):
        prefix = alone.code_vectors(codes[..., :kept])
        own = config.dim // config.rates * kept
        assert torch.equal(prefix[..., :own], vectors[..., :own]) and not prefix[..., own:].any()


@pytest.mark.parametrize("name", ["physics-64", "video-128"])
def test_a_tokenizer_that_only_decodes_is_whole_once_it_encodes(name: str) -> None:
    (late, early) = (VideoTokenizer.from_pretrained(name, library) for library in (False, True))
    assert late.id == early.id and list(late.state_dict()) == list(early.state_dict())
    video = 2 * torch.rand(1, 3, 9, 32, 32, generator=torch.Generator().manual_seed(0)) - 1
    codes = early.encode(video)
    assert late.quantizer.codebook is None
    assert torch.equal(late.decode(codes), early.decode(codes))
    assert late.quantizer.codebook is None
    with torch.inference_mode():
        assert torch.equal(late.encode(video).indices, codes.indices)
    assert late.id == early.id and late.codebook_size == early.codebook_size
    assert late.train()(video).video.requires_grad


@pytest.mark.parametrize(
    "args",
    [
        {"levels": [4, 4], "orthogonal_rotation": True},
        {"levels": [4, 4], "bound_hard_clamp": True},
        {"levels": [2, 4]},
    ],
)
def test_other_arguments_are_left_to_the_library(args: dict[str, Any]) -> None:
    assert not is_plain(args)
    if args["levels"] == [4, 4]:
        assert Quantizer(QuantizerConfig("FSQ", args), 8, library=False).codebook is not None
    else:
        with pytest.raises(ValueError, match="FSQ does not take"):
            Quantizer(QuantizerConfig("FSQ", args), 8, library=False)


def test_decoding_does_not_import_the_library(clip: Tensor) -> None:
    code = """
import sys, torch
from kinetoscope.tokenizer import VideoTokenizer
tokenizer = VideoTokenizer.from_pretrained("video-128", library=False)
tokenizer.decode_step(torch.zeros(1, 2, 2, 2, 3, dtype=torch.int64), {})
print("vector_quantize_pytorch" in sys.modules)
tokenizer.encode(torch.zeros(1, 3, 1, 8, 8))
print("vector_quantize_pytorch" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]
