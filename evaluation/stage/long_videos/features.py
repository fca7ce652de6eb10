"""How far drawn frames are from renders, by what the judge's own network sees in them.

The features are the means over the picture of the judge's coarsest maps (`FrameNet.encode`). They
were learned on this world, for all that can be in it: objects, ground, light, weather and style.
Networks of photographs know none of these drawings, and would have to be downloaded. There are few
enough features (96) that some dozens of videos give a covariance of full rank. The distance is
Fréchet's.

Renders of the same scenes at the same time are the reference: what lies on the stage after a minute
is not what lies there at first. Both distances are of as many frames, so both have the same bias,
and their ratio says how much the end of a drawn minute is farther from renders than its beginning.

Shapes: N frames, D features.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ....data.worlds.stage.judge.network import resized
from ....data.worlds.stage.judge.pixels import PixelJudge
from ...distances.frechet import frechet_distance

EVERY = 4  # frames between those that are looked at


@torch.inference_mode()
def frame_features(judge: PixelJudge, video: Tensor) -> Tensor:
    """Features [N, D] of some frames of a clip uint8 [1, 3, F, Y, X]."""
    frames = video[0].transpose(0, 1)[::EVERY]
    return judge.frame.encode(resized(frames, judge.config.size))[-1].mean((2, 3))


def distance(one_ND: Tensor, two_ND: Tensor) -> float:
    """Fréchet's, of at least two frames each."""
    one, two = one_ND.double(), two_ND.double()
    moments = [(rows.mean(0), torch.cov(rows.T).view(rows.shape[1], -1)) for rows in (one, two)]
    return frechet_distance(moments[0], moments[1])
