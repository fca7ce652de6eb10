"""A tokenizer small enough to build in milliseconds, with every kind of block in it."""

import pytest
import torch


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def clip() -> torch.Tensor:
    return 2 * torch.rand(2, 3, 10, 12, 8, generator=torch.Generator().manual_seed(1)) - 1
