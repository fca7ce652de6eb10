"""The distance between sets of frames: right on known Gaussians, small between renders, large to
anything else."""

import pytest
import torch
from kinetoscope.data.worlds.physics.clips import HELD_OUT_SEED
from kinetoscope.data.worlds.physics.judge.judge import Judge
from kinetoscope.data.worlds.physics.scene import PhysicsConfig
from kinetoscope.evaluation.frame_distance import frechet, rendered_features


def test_frechet_of_moved_and_stretched_sets() -> None:
    a = torch.randn(500, 6, generator=torch.Generator().manual_seed(0))
    assert frechet(a, a) == pytest.approx(0, abs=1e-9)
    assert frechet(a, a + 2) == pytest.approx(6 * 4, rel=1e-6)
    stretched = float((a.mean(0) * 2).square().sum() + 4 * torch.cov(a.T).trace())
    assert frechet(a, a * 3) == pytest.approx(stretched, rel=1e-5)
    with pytest.raises(ValueError, match="at least 2 frames; got 1 and 500"):
        frechet(a[:1], a)


def test_renders_are_near_each_other_and_noise_is_far() -> None:
    judge = Judge.from_pretrained()
    world = PhysicsConfig()
    a, b = (rendered_features(judge, HELD_OUT_SEED + first, 24, 12, world) for first in (0, 100))
    noise = torch.randint(
        0, 256, (24, 3, 1, 64, 64), generator=torch.Generator().manual_seed(0), dtype=torch.uint8
    )
    assert frechet(judge.features(noise), b) > 3 * frechet(a, b)
