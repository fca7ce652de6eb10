"""A discriminator that teaches a decoder detail that no average error asks for.

- it classifies patches, never the whole clip (PatchGAN, Isola et al. 2017): strided 3-D
  convolutions that see 38 pixels of 7 frames, without statistics over a clip
- spectral normalisation (Miyato et al. 2018), hinge loss (Lim and Ye 2017)
- its gradient at the pixels is scaled to a share of the gradient of all other losses, so its own
  scale does not matter and one number fits any recipe (the balancer of Défossez et al. 2022)

It trains beside the decoder in the same step. Only the decoder may follow it: codes that please a
discriminator would no longer describe the video.

Legend: B batch, C channels, F Y X frames and pixels.
"""

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from ..patches import pad_pictures

HALVINGS = 3


class PatchDiscriminator(nn.Module):
    """Video `[B, 3, F, Y, X]` to logits `[B, F, y, x]`, one per 8x8 pixels; above 0 is real."""

    def __init__(self, channels: int = 32) -> None:
        super().__init__()
        widths = [3, *(channels * 2**place for place in range(HALVINGS))]
        layers: list[nn.Module] = []
        for inner, outer in pairwise(widths):
            halving = nn.Conv3d(inner, outer, (3, 4, 4), stride=(1, 2, 2), padding=1)
            layers += [spectral_norm(halving), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(
            *layers, spectral_norm(nn.Conv3d(widths[-1], 1, (1, 3, 3), padding=(0, 1, 1)))
        )

    def forward(self, video: Tensor) -> Tensor:
        logits: Tensor = self.layers(pad_pictures(video, 2**HALVINGS))
        return logits.squeeze(1).float()


class Adversary(nn.Module):
    """A discriminator and its `strength`; 1 is the gradient of all other losses together."""

    def __init__(self, strength: float) -> None:
        super().__init__()
        self.strength = strength
        self.discriminator = PatchDiscriminator()

    def forward(
        self, video: Tensor, target: Tensor, loss: Tensor, pulling: bool = True
    ) -> tuple[Tensor, Tensor]:
        """What to add to `loss`, a function of the decoded `video`, and the discriminator's loss.

        The discriminator's loss is a scalar, 2 if it cannot tell decoded from real; its gradient
        reaches the discriminator alone. The other part is 0, and its gradient reaches the video
        alone; it is left out without `pulling`.
        """
        decoded = video.detach().requires_grad_()
        fake, real = self.discriminator(torch.cat([decoded, target])).chunk(2)
        own = (1 - real).relu().mean() + (1 + fake).relu().mean()
        if not pulling:
            return own, own
        (wish,) = torch.autograd.grad(-fake.mean(), decoded, retain_graph=True)
        (others,) = torch.autograd.grad(loss, video, retain_graph=True)
        gradient = self.strength * others.norm() / wish.norm().clamp_min(1e-12) * wish
        return own + ((video - video.detach()) * gradient).sum(), own

    def parameter_group(self, lr: float) -> dict[str, Any]:
        """For AdamW, with the momenta that are usual for discriminators, whose target moves."""
        return {
            "params": list(self.parameters()),
            "lr": lr,
            "betas": (0.5, 0.9),
            "weight_decay": 0.0,
        }
