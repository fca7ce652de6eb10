import dataclasses

import pytest
import torch
from kinetoscope.tokenizer.losses import (
    LossWeights,
    haar_gradient,
    reconstruction_loss,
    squared_error,
    structure,
    temporal_difference,
)

ALL_ON = LossWeights(structure=0.1)


@pytest.fixture
def target() -> torch.Tensor:
    return 2 * torch.rand(2, 3, 4, 24, 26, generator=torch.Generator().manual_seed(0)) - 1


def test_a_perfect_reconstruction_costs_nothing(target: torch.Tensor) -> None:
    total, terms = reconstruction_loss(target.clone(), target, ALL_ON)
    assert set(terms) == {"squared", "absolute", "gradient", "temporal", "structure"}
    assert total.item() == pytest.approx(0, abs=1e-6)


def test_the_total_is_the_weighted_sum(target: torch.Tensor) -> None:
    total, terms = reconstruction_loss(target * 0.5, target, ALL_ON)
    expected = sum(getattr(ALL_ON, name) * term for name, term in terms.items())
    assert total.item() == pytest.approx(float(expected))


def test_a_weight_of_zero_leaves_its_term_out(target: torch.Tensor) -> None:
    weights = dataclasses.replace(ALL_ON, temporal=0, structure=0)
    assert set(reconstruction_loss(target, target, weights)[1]) == {"squared", "absolute", "gradient"}


def test_foreground_pixels_count_more() -> None:
    """One pixel of four is foreground with weight 1 + 3: an error of 1 there costs 4/7, and one elsewhere 1/7."""
    target = torch.zeros(1, 3, 1, 2, 2)
    foreground = torch.zeros(1, 1, 1, 2, 2, dtype=torch.bool)
    foreground[..., 0, 0] = True
    weights = LossWeights(squared=1, absolute=0, gradient=0, temporal=0, foreground=3)
    inside, outside = target.clone(), target.clone()
    inside[..., 0, 0], outside[..., 1, 1] = 1, 1
    assert reconstruction_loss(inside, target, weights, foreground)[0].item() == pytest.approx(4 / 7)
    assert reconstruction_loss(outside, target, weights, foreground)[0].item() == pytest.approx(1 / 7)
    assert squared_error(inside, target).item() == pytest.approx(1 / 4)


def test_gradients_and_motion_ignore_a_constant_shift(target: torch.Tensor) -> None:
    shifted = target + 0.1
    assert haar_gradient(shifted, target).item() == pytest.approx(0, abs=1e-6)
    assert temporal_difference(shifted, target).item() == pytest.approx(0, abs=1e-6)
    assert haar_gradient(target.flip(-1), target) > 0.1
    assert temporal_difference(target.flip(2), target) > 0.1
    assert structure(target.flip(-1), target) > 0.1


def test_a_single_pixel_has_a_loss() -> None:
    total, _ = reconstruction_loss(torch.ones(1, 3, 1, 1, 1), torch.zeros(1, 3, 1, 1, 1), ALL_ON)
    assert torch.isfinite(total) and total > 0
