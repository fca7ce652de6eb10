import math

import pytest
import torch
from kinetoscope.tokenizer.metrics import (
    CodeUsage,
    bits_per_pixel,
    calm_rate,
    psnr,
    ssim,
    still_cells,
)


def test_psnr_of_known_errors() -> None:
    """An error of 0.2 on a range of 2 is a tenth of the peak: 20 dB."""
    target = torch.zeros(2, 3, 2, 4, 4)
    video = torch.stack([target[0] + 0.2, target[1]])
    assert psnr(video, target).tolist() == pytest.approx([20.0, 100.0])


def test_foreground_psnr_looks_inside_the_mask_only() -> None:
    target = torch.zeros(2, 3, 1, 4, 4)
    video = target.clone()
    video[:, :, :, 0] = 0.2
    mask = torch.zeros(2, 1, 1, 4, 4, dtype=torch.bool)
    mask[0, ..., :2, :] = True  # half of the masked pixels are wrong; the second clip has no object
    values = psnr(video, target, mask)
    assert values[0].item() == pytest.approx(10 * math.log10(4 / 0.02), abs=1e-4)
    assert values[1].isnan()


def test_ssim_knows_same_from_different() -> None:
    video = 2 * torch.rand(2, 3, 2, 20, 17, generator=torch.Generator().manual_seed(0)) - 1
    assert ssim(video, video).tolist() == pytest.approx([1.0, 1.0])
    assert ssim(-video, video).max() < 0
    constant = torch.zeros(1, 3, 1, 16, 16)
    # without contrast only the luminance term is left: (2ab + c1) / (a^2 + b^2 + c1) with a = 0.5,
    # b = 0.6
    expected = (2 * 0.5 * 0.6 + 1e-4) / (0.5**2 + 0.6**2 + 1e-4)
    assert ssim(constant + 0.2, constant).item() == pytest.approx(expected, abs=1e-4)
    assert ssim(torch.zeros(1, 3, 1, 2, 1), torch.zeros(1, 3, 1, 2, 1)).item() == pytest.approx(1.0)


def test_ssim_holds_under_autocast() -> None:
    video = torch.linspace(-1, 1, 16 * 16).view(1, 1, 1, 16, 16).expand(1, 3, 1, 16, 16)
    with torch.autocast("cpu", torch.bfloat16):
        assert ssim(video, video).item() == pytest.approx(1.0)


def test_bits_per_pixel_of_a_training_clip() -> None:
    indices = torch.zeros(5, 9, 8, 8, dtype=torch.int64)
    assert bits_per_pixel(indices, 4096, 33, 64, 64) == pytest.approx(9 * 64 * 12 / (33 * 64 * 64))
    three = indices.unsqueeze(-1).expand(-1, -1, -1, -1, 3)
    assert bits_per_pixel(three, 256, 33, 64, 64) == pytest.approx(9 * 64 * 24 / (33 * 64 * 64))


def test_code_usage() -> None:
    usage = CodeUsage(8)
    assert (usage.used, usage.perplexity) == (0, 1.0)
    usage.update(torch.tensor([[0, 1], [2, 3]]))
    usage.update(torch.tensor([0, 1, 2, 3]))
    assert usage.used == 4 and usage.perplexity == pytest.approx(4.0)
    usage.update(torch.full((1000,), 7))
    assert usage.used == 5 and 1 < usage.perplexity < 1.1
    usage.reset()
    assert usage.used == 0


def test_calm_rate_counts_still_cells_only() -> None:
    video = torch.zeros(1, 3, 5, 8, 8)
    video[:, :, 3, 0, 0] = 1.0  # only the upper left cell changes, within the second latent frame
    still = still_cells(video, frames_per_latent=4, patch=4)
    assert still.tolist() == [[[[False, True], [True, True]]]]
    indices = torch.zeros(1, 2, 2, 2, dtype=torch.int64)
    indices[0, 1, 0, 0] = 5  # may change
    indices[0, 1, 1, 1] = 5  # should not have changed
    assert calm_rate(indices, still) == pytest.approx(2 / 3)
    # with several codebooks a cell is calm when none of them changes
    both = torch.stack([torch.zeros_like(indices), indices], dim=-1)
    assert calm_rate(both, still) == pytest.approx(2 / 3) and calm_rate(both[..., :1], still) == 1
