import dataclasses
from pathlib import Path

import pytest
import torch
from kinetoscope.tokenizer.training.losses import (
    LossWeights,
    absolute_error,
    calm_loss,
    haar_gradient,
    log_squared_error,
    reconstruction_loss,
    squared_error,
    structure,
    temporal_difference,
)
from kinetoscope.tokenizer.training.perceptual import PerceptualLoss
from safetensors.torch import save_file

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
    assert set(reconstruction_loss(target, target, weights)[1]) == {
        "squared",
        "absolute",
        "gradient",
    }


def test_foreground_pixels_count_more() -> None:
    """One pixel of four is foreground with weight 1 + 3: an error of 1 there costs 4/7, and one
    elsewhere 1/7."""
    target = torch.zeros(1, 3, 1, 2, 2)
    foreground = torch.zeros(1, 1, 1, 2, 2, dtype=torch.bool)
    foreground[..., 0, 0] = True
    weights = LossWeights(squared=1, absolute=0, gradient=0, temporal=0, foreground=3)
    inside = target.clone()
    outside = target.clone()
    inside[..., 0, 0] = 1
    outside[..., 1, 1] = 1
    assert reconstruction_loss(inside, target, weights, foreground)[0].item() == pytest.approx(
        4 / 7
    )
    assert reconstruction_loss(outside, target, weights, foreground)[0].item() == pytest.approx(
        1 / 7
    )
    assert squared_error(inside, target).item() == pytest.approx(1 / 4)


def test_gradients_and_motion_ignore_a_constant_shift(target: torch.Tensor) -> None:
    shifted = target + 0.1
    assert haar_gradient(shifted, target).item() == pytest.approx(0, abs=1e-6)
    assert temporal_difference(shifted, target).item() == pytest.approx(0, abs=1e-6)
    assert haar_gradient(target.flip(-1), target) > 0.1
    assert temporal_difference(target.flip(2), target) > 0.1
    assert structure(target.flip(-1), target) > 0.1


def gradient_of(loss: torch.Tensor, video: torch.Tensor) -> torch.Tensor:
    return torch.autograd.grad(loss, video)[0]


def test_what_each_term_asks_of_a_pixel(target: torch.Tensor) -> None:
    """The gradient at the pixels: how hard a term pulls, and what it leaves free."""
    error = torch.randn(target.shape, generator=torch.Generator().manual_seed(1)) / 10
    video = (target + error).requires_grad_()
    size = target.numel()
    torch.testing.assert_close(gradient_of(squared_error(video, target), video), 2 * error / size)
    torch.testing.assert_close(
        gradient_of(absolute_error(video, target), video), error.sign() / size
    )
    across = gradient_of(haar_gradient(video, target, scales=1), video)
    assert across.abs().max() > 0  # it pulls at single pixels, and leaves the mean of each 2x2 free
    torch.testing.assert_close(
        torch.nn.functional.avg_pool3d(across, (1, 2, 2)), torch.zeros(2, 3, 4, 12, 13)
    )
    over_time = gradient_of(temporal_difference(video, target), video)
    # it pulls at single frames, and leaves the mean of all of them free
    assert over_time.abs().max() > 0
    torch.testing.assert_close(over_time.mean(2), torch.zeros(2, 3, 24, 26))


def test_the_logarithm_is_psnr_and_lets_each_clip_pull_alike(target: torch.Tensor) -> None:
    error = torch.tensor([0.4, 0.04])[:, None, None, None, None]  # 13.98 and 33.98 dB
    video = (target + error).requires_grad_()
    loss = log_squared_error(video, target)
    assert -10 * loss.item() + 10 * torch.log10(torch.tensor(4.0)) == pytest.approx(23.98, abs=0.05)
    # gain by a given share of each clip's own error
    relative = (gradient_of(loss, video) * error).sum((1, 2, 3, 4))
    torch.testing.assert_close(relative[0], relative[1], rtol=0.01, atol=0)


def test_foreground_pixels_pull_harder(target: torch.Tensor) -> None:
    foreground = torch.zeros(2, 1, 4, 24, 26, dtype=torch.bool)
    foreground[..., :12, :] = True
    video = (target + 0.1).requires_grad_()
    for leading in ({"squared": 1.0}, {"squared": 0.0, "log_squared": 1.0}):
        weights = LossWeights(**leading, absolute=0, gradient=0, temporal=0, foreground=2)
        pulls = gradient_of(reconstruction_loss(video, target, weights, foreground)[0], video)
        torch.testing.assert_close(pulls[..., :12, :], 3 * pulls[..., 12:, :])


def vgg(halvings: bool = True) -> dict[str, torch.Tensor]:
    """A small one: two convolutions, a halving, one convolution."""
    torch.manual_seed(0)
    third = 5 if halvings else 4
    sizes = {0: (4, 3), 2: (6, 4), third: (8, 6)}
    convolutions = {
        number: torch.nn.Conv2d(inner, outer, 3) for number, (outer, inner) in sizes.items()
    }
    return {
        f"{n}.{name}": value
        for n, layer in convolutions.items()
        for name, value in layer.state_dict().items()
    }


def test_structure_and_looks_improve_where_their_gradient_leads(
    target: torch.Tensor, tmp_path: Path
) -> None:
    save_file(vgg(), tmp_path / "vgg.safetensors")
    for loss in (structure, PerceptualLoss.from_file(tmp_path / "vgg.safetensors")):
        video = (target * 0.3).requires_grad_()
        before = loss(video, target)
        pulls = gradient_of(before, video)
        assert loss(video - 0.5 * pulls / pulls.abs().max(), target) < before
        assert loss(target, target).item() == pytest.approx(0, abs=1e-6)


def test_the_perceptual_loss_is_lpips_of_the_given_network(target: torch.Tensor) -> None:
    """Against the formula, written out for a network of two levels with weights of the channels."""
    weights = vgg() | {"channels.0": torch.rand(6), "channels.1": torch.rand(8)}
    video = target.flip(-1)

    def levels(frames: torch.Tensor) -> list[torch.Tensor]:
        def conv(x: torch.Tensor, n: int) -> torch.Tensor:
            return torch.conv2d(x, weights[f"{n}.weight"], weights[f"{n}.bias"], padding=1).relu()

        shift, scale = (
            torch.tensor(values).view(3, 1, 1)
            for values in ((-0.030, -0.088, -0.188), (0.458, 0.448, 0.45))
        )
        first = conv(conv((frames - shift) / scale, 0), 2)
        return [first, conv(torch.nn.functional.max_pool2d(first, 2), 5)]

    expected = []
    for level, (a, b) in enumerate(
        zip(*(levels(x.transpose(1, 2).flatten(0, 1)) for x in (video, target)))
    ):
        a, b = (x / (x.square().sum(1, keepdim=True).sqrt() + 1e-10) for x in (a, b))
        expected.append(
            ((a - b).square() * weights[f"channels.{level}"].view(-1, 1, 1)).sum(1).mean()
        )
    torch.testing.assert_close(PerceptualLoss(weights)(video, target), torch.stack(expected).mean())
    alike = PerceptualLoss(weights | {"channels.0": torch.ones(6), "channels.1": torch.ones(8)})
    torch.testing.assert_close(PerceptualLoss(vgg())(video, target), alike(video, target))


def test_a_halving_is_read_from_the_numbers() -> None:
    assert [len(level) for level in PerceptualLoss(vgg()).levels] == [4, 2]
    assert [len(level) for level in PerceptualLoss(vgg(halvings=False)).levels] == [6]


def test_a_picture_too_small_to_halve_still_has_looks() -> None:
    assert torch.isfinite(
        PerceptualLoss(vgg())(torch.ones(1, 3, 1, 1, 1), torch.zeros(1, 3, 1, 1, 1))
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"0.weight": torch.zeros(4, 3, 11, 11)}, "3x3 convolution of 3 channels"),
        ({"5.weight": torch.zeros(8, 7, 3, 3)}, "3x3 convolution of 6 channels"),
        ({"channels.1": torch.ones(9)}, "channels.1 must be 8 numbers"),
    ],
)
def test_another_network_is_refused(
    changes: dict[str, torch.Tensor], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "other.safetensors"
    save_file(vgg() | changes, path)
    with pytest.raises(ValueError, match=message):
        PerceptualLoss.from_file(path)
    for broken in (b"", b"PK not safetensors"):
        path.write_bytes(broken)
        with pytest.raises(ValueError, match="cannot be used"):
            PerceptualLoss.from_file(path)
    with pytest.raises(ValueError, match="there is no file"):
        PerceptualLoss.from_file(tmp_path / "absent")
    with pytest.raises(ValueError, match="no convolutions"):
        PerceptualLoss({"features.0.weight": torch.zeros(4, 3, 3, 3)})


def test_a_single_pixel_has_a_loss() -> None:
    total, _ = reconstruction_loss(torch.ones(1, 3, 1, 1, 1), torch.zeros(1, 3, 1, 1, 1), ALL_ON)
    assert torch.isfinite(total) and total > 0


def test_calm_charges_still_cells_for_changed_codes_only() -> None:
    vectors = torch.zeros(1, 3, 1, 2, 2, requires_grad=True)
    still = torch.tensor([[[[True, False]], [[True, False]]]])
    # of size 2 once, in both cells
    changed = vectors + torch.tensor([0.0, 1.0, 1.0]).view(1, 3, 1, 1, 1)
    loss = calm_loss(changed, still)
    assert loss.item() == pytest.approx(2 / 2)  # over the two still moments of the left cell
    loss.backward()
    assert vectors.grad is not None
    moved = vectors.grad.abs().amax((0, 2, 4))
    assert (moved[:2, 0] > 0).all()  # the two codes that differ pull on each other
    # the last agrees with the one before; the right cell may change
    assert moved[2, 0] == 0 and not moved[:, 1].any()


def test_without_anything_still_calm_costs_nothing() -> None:
    vectors = torch.randn(1, 3, 2, 2, 4)
    assert calm_loss(vectors, torch.zeros(1, 2, 2, 2, dtype=torch.bool)).item() == 0
    assert calm_loss(vectors[:, :1], torch.zeros(1, 0, 2, 2, dtype=torch.bool)).item() == 0
