"""LPIPS: how different two videos are for a network that classifies pictures (Zhang et al. 2018).

The network is the user's own VGG in one safetensors file. Its layers are numbered as torchvision
numbers them, with a ReLU after every convolution; a step of more than 2 between numbers is a
halving. The weights of torchvision are saved by

    vgg = torchvision.models.vgg16(weights="DEFAULT")
    save_file(vgg.features.state_dict(), "vgg16.safetensors")

and those of the package lpips, which learned how much each channel counts, by

    loss = lpips.LPIPS(net="vgg")
    weights = {name.split(".", 1)[1]: value for name, value in loss.net.state_dict().items()}
    for level, layer in enumerate(loss.lins):
        weights[f"channels.{level}"] = layer.model[-1].weight.flatten()
    save_file(weights, "lpips-vgg.safetensors")

Legend: N frames of all clips, C channels, Y X pixels (fewer after each halving).
"""

import os
import re
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...files.tensors import load_tensors

MEAN = (0.485, 0.456, 0.406)  # of ImageNet in [0, 1], which its networks expect
STD = (0.229, 0.224, 0.225)


class PerceptualLoss(nn.Module):
    """Two videos `[B, 3, F, Y, X]` in [-1, 1] to a scalar, 0 if they are equal. The network stays
    as it is.

    Args:
        weights: `{n}.weight` `[C', C, 3, 3]` and `{n}.bias` `[C']` of the convolutions, and
            optionally `channels.{level}` `[C]`: how much each channel counts before the first, the
            second, ... halving and at the end (1 if not given).

    Raises:
        ValueError: these are not the weights of such a network.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, weights: dict[str, Tensor]) -> None:
        super().__init__()
        self.levels = nn.ModuleList()
        self.importance = nn.ParameterList()
        channels = 3
        for level, numbers in enumerate(_levels(weights)):
            layers: list[nn.Module] = []
            for number in numbers:
                weight = weights[f"{number}.weight"]
                bias = weights.get(f"{number}.bias")
                if bias is None or weight.shape != (len(bias), channels, 3, 3):
                    raise ValueError(
                        f"not a VGG: layer {number} should be a 3x3 convolution of {channels} "
                        f"channels with a bias; its weight is {list(weight.shape)}"
                    )
                channels = len(bias)
                layers += [_convolution(weight, bias), nn.ReLU()]
            importance = weights.get(f"channels.{level}", torch.ones(channels))
            if importance.shape != (channels,):
                raise ValueError(
                    f"channels.{level} must be {channels} numbers; got {list(importance.shape)}"
                )
            self.levels.append(nn.Sequential(*layers))
            self.importance.append(importance.float())
        if not self.levels:
            raise ValueError("not a VGG: there are no convolutions named 0.weight, 2.weight, ...")
        self.register_buffer("mean", torch.tensor(MEAN).view(3, 1, 1))
        self.register_buffer("std", torch.tensor(STD).view(3, 1, 1))
        self.requires_grad_(False)

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> "PerceptualLoss":
        """Read a safetensors file. ValueError if it is none, or not a VGG."""
        if not Path(path).is_file():
            raise ValueError(f"perceptual: there is no file '{path}'")
        try:
            return cls(load_tensors(path)[0])
        except ValueError as error:
            raise ValueError(f"perceptual: '{path}' cannot be used: {error}") from error

    def features(self, video: Tensor) -> list[Tensor]:
        """Features of every level, `[N, C, Y, X]`, normalised over the channels of a position."""
        x_NCYX = ((video.movedim(2, 1).flatten(0, 1) + 1) / 2 - self.mean) / self.std
        features: list[Tensor] = []
        for level in self.levels:
            if features:
                if min(x_NCYX.shape[-2:]) < 2:
                    break
                x_NCYX = functional.max_pool2d(x_NCYX, 2)
            x_NCYX = level(x_NCYX)
            features.append(functional.normalize(x_NCYX.float(), dim=1, eps=1e-5))
        return features

    def forward(self, video: Tensor, target: Tensor) -> Tensor:
        with torch.no_grad():
            wanted = self.features(target)
        levels = zip(self.features(video), wanted, self.importance)
        return torch.stack(
            [
                torch.einsum("ncyx,c->nyx", (a - b).square(), importance).mean()
                for a, b, importance in levels
            ]
        ).mean()


def _levels(weights: dict[str, Tensor]) -> list[list[int]]:
    """Numbers of the convolutions before the first halving, before the second, ..."""
    levels: list[list[int]] = []
    for number in sorted(
        int(match[1])
        for match in (re.fullmatch(r"(\d+)\.weight", name) for name in weights)
        if match
    ):
        if levels and number - levels[-1][-1] == 2:  # nothing but a ReLU between them
            levels[-1].append(number)
        else:
            levels.append([number])
    return levels


def _convolution(weight: Tensor, bias: Tensor) -> nn.Conv2d:
    convolution = nn.Conv2d(weight.shape[1], weight.shape[0], 3, padding=1)
    convolution.load_state_dict({"weight": weight, "bias": bias})
    return convolution
