"""Fréchet distance of a set of frames from frames of the physics world, on the judge's features.

The number has no unit and depends on the size of the sets, so compare it with the distance of as
many true frames.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import torch
from torch import Tensor

from ..data.worlds.physics.judge.judge import Judge
from ..data.worlds.physics.render import render
from ..data.worlds.physics.scene import PhysicsConfig, sample_scenes


def rendered_features(
    judge: Judge, first_seed: int, clips: int, frames: int, world: PhysicsConfig
) -> Tensor:
    """Features [clips, D] of the last frame of rendered clips of `frames` frames."""
    scenes = sample_scenes(range(first_seed, first_seed + clips), frames, world)
    last = replace(
        scenes, position=scenes.position[:, -1:], eye=scenes.eye[:, -1:], view=scenes.view[:, -1:]
    )
    return judge.features(render(last, judge.config.size)[0])


@cache
def _judge() -> Judge:
    return Judge.from_pretrained()


def judge_features(pictures_N3YX: Tensor) -> Tensor:
    """Features [N, D] of uint8 pictures by the judge that ships: a network for those who have no
    other, as `--network picture=kinetoscope.evaluation.frame_distance:judge_features`."""
    return _judge().features(pictures_N3YX[:, :, None])


def frechet(a_ND: Tensor, b_ND: Tensor) -> float:
    """Fréchet distance between two sets of features, each taken as Gaussian (Heusel et al. 2017).

    Raises ValueError for sets of fewer than two.
    """
    if min(len(a_ND), len(b_ND)) < 2:
        raise ValueError(f"each set needs at least 2 frames; got {len(a_ND)} and {len(b_ND)}")
    a = a_ND.double()
    b = b_ND.double()
    cov_a = torch.cov(a.T)
    cov_b = torch.cov(b.T)
    values, vectors = torch.linalg.eigh(cov_a)
    root_a = (vectors * values.clamp_min(0).sqrt()) @ vectors.T
    cross = torch.linalg.eigvalsh(root_a @ cov_b @ root_a).clamp_min(0).sqrt().sum()
    distance = (a.mean(0) - b.mean(0)).square().sum() + cov_a.trace() + cov_b.trace() - 2 * cross
    return float(distance.clamp_min(0))
