"""Blur lowers sharpness and leaves texture out of it; smoothing lowers texture."""

import torch
from kinetoscope.evaluation.edges import edge_sharpness, texture
from torch import Tensor
from torch.nn import functional


def half_white(grain: float) -> Tensor:
    """[2, 3, 2, 32, 32]: a black and a white half, with grain."""
    video = torch.full((2, 3, 2, 32, 32), -0.8)
    video[..., 16:] = 0.8
    noise = torch.rand(2, 1, 2, 32, 32, generator=torch.Generator().manual_seed(0))
    return video + grain * (noise - 0.5)


def blurred(video: Tensor) -> Tensor:
    flat = functional.pad(video.flatten(0, 1).flatten(0, 1)[:, None], (1, 1, 1, 1), "replicate")
    return functional.avg_pool2d(flat, 3, stride=1)[:, 0].view_as(video)


def test_a_video_is_as_sharp_and_textured_as_itself() -> None:
    video = half_white(0.1)
    assert torch.allclose(edge_sharpness(video, video), torch.ones(2))
    assert torch.allclose(texture(video, video), torch.ones(2))


def test_blur_takes_down_edges_and_grain() -> None:
    video = half_white(0.1)
    assert (edge_sharpness(blurred(video), video) < 0.5).all()
    assert (texture(half_white(0.0), video) < 0.01).all()
    assert torch.allclose(edge_sharpness(half_white(0.0), video), torch.ones(2), atol=0.05)


def test_a_clip_without_edges_has_no_sharpness() -> None:
    flat = torch.zeros(1, 3, 1, 8, 8)
    assert edge_sharpness(flat, flat).isnan().all()
    assert texture(flat, flat) == 0
