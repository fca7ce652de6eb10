"""A tokenizer small enough to build in milliseconds, with every kind of block in it."""

import pytest
import torch
from kinetoscope.tokenizer import QuantizerConfig, StackConfig, TokenizerConfig, VideoTokenizer


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tiny_config() -> TokenizerConfig:
    return TokenizerConfig(
        patch=4,
        frames_per_latent=3,
        encoder=StackConfig(width=16, depth=3, kernel=3, spatial=(1,), temporal=(0, 2)),
        decoder=StackConfig(width=16, depth=3, kernel=5, spatial=(0, 2), temporal=(1, 2)),
        refine_channels=4,
        quantizer=QuantizerConfig("FSQ", {"levels": [5, 4, 3]}),
    )


@pytest.fixture
def tiny(tiny_config: TokenizerConfig) -> VideoTokenizer:
    """Random weights, and no layer left at zero: a layer that is off would hide its mistakes."""
    torch.manual_seed(0)
    tokenizer = VideoTokenizer(tiny_config)
    with torch.no_grad():
        for parameter in tokenizer.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        tokenizer.quantizer.project.weight.mul_(3)
    tokenizer.fit_whitening([2 * torch.rand(2, 3, 7, 16, 16) - 1])
    return tokenizer.eval()


@pytest.fixture
def clip() -> torch.Tensor:
    return 2 * torch.rand(2, 3, 10, 12, 8, generator=torch.Generator().manual_seed(1)) - 1
