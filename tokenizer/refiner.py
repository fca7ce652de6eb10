"""The last layers of a decoder: light convolutions over pixels, which smooth what patches leave at
their borders.

Legend: B batch, F Y X frames and pixels, C channels, s stride.

The last convolution of each refiner starts at zero, so it starts as the identity.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from .blocks import TAPS, State, with_past

REFINED = "refine."  # prefix of the state of a pixel refiner


def refiner(channels: int, stride: int) -> "PixelRefiner | PictureRefiner | None":
    """The refiner with these sizes; none without channels."""
    if not channels:
        return None
    return PixelRefiner(channels) if stride == 1 else PictureRefiner(channels, stride)


def refiner_radius(channels: int, stride: int) -> int:
    """Pixels on each side of a pixel that its refined value depends on."""
    # of two convolutions of 3 x 3; what lies in one square of s x s pixels is seen together
    return 0 if not channels else 2 if stride == 1 else 3 * stride - 1


class PictureRefiner(nn.Module):
    """Two 3x3 convolutions within each frame, at 1/s of its size, added to the pixels.

    Squares of s x s pixels lie side by side as channels. Half the size and 16 channels take half
    the time of `PixelRefiner` with 8 at the same number of pixels; time is left to the trunk.
    """

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.widen = nn.Conv2d(3 * stride**2, channels, 3, padding=1)
        self.narrow = nn.Conv2d(channels, 3 * stride**2, 3, padding=1)
        nn.init.zeros_(self.narrow.weight)
        nn.init.zeros_(self.narrow.bias)  # type: ignore[arg-type]

    def forward(self, pixels_BFYXC: Tensor, state: State, new_state: State) -> Tensor:
        squares = to_squares(pixels_BFYXC, self.stride)
        hidden = over_frames(squares, self.widen.weight, self.widen.bias)
        added = over_frames(functional.gelu(hidden), self.narrow.weight, self.narrow.bias)
        return pixels_BFYXC + from_squares(added, self.stride)


def to_squares(x_BFYXC: Tensor, s: int) -> Tensor:
    """`[B, F, Y, X, C]` to `[B, F, Y / s, X / s, s * s * C]`."""
    split = x_BFYXC.unflatten(3, (-1, s)).unflatten(2, (-1, s))
    return split.transpose(3, 4).flatten(4)


def from_squares(x_BFYXC: Tensor, s: int) -> Tensor:
    """The inverse of `to_squares`."""
    split = x_BFYXC.unflatten(4, (s, s, -1)).transpose(3, 4)
    return split.flatten(4, 5).flatten(2, 3)


class PixelRefiner(nn.Module):
    """Two causal 3x3x3 convolutions, added to the pixels.

    Both are computed as convolutions over space, which is far faster on a CPU. The one with few
    inputs gets its three frames side by side as channels. The one with few outputs gives a part for
    each of three frames, and the parts are added up.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.widen = nn.Conv2d(3 * TAPS, channels, 3, padding=1)
        self.narrow = nn.Conv2d(channels * TAPS, 3, 3, padding=1)
        nn.init.zeros_(self.narrow.weight)
        nn.init.zeros_(self.narrow.bias)  # type: ignore[arg-type]

    def forward(self, pixels_BFYXC: Tensor, state: State, new_state: State) -> Tensor:
        hidden = functional.gelu(self._widened(pixels_BFYXC, state, new_state))
        return pixels_BFYXC + self._narrowed(hidden, state, new_state)

    def _widened(self, x_BFYXC: Tensor, state: State, new_state: State) -> Tensor:
        device = x_BFYXC.device.type
        F = x_BFYXC.shape[1]
        if torch.is_autocast_enabled(device):
            # cast before the copies are made, not after
            x_BFYXC = x_BFYXC.to(torch.get_autocast_dtype(device))
        joined = with_past(x_BFYXC, f"{REFINED}widen", state, new_state)
        side_by_side = torch.cat([joined[:, tap : tap + F] for tap in range(TAPS)], dim=-1)
        return over_frames(side_by_side, self.widen.weight, self.widen.bias)

    def _narrowed(self, x_BFYXC: Tensor, state: State, new_state: State) -> Tensor:
        key = f"{REFINED}narrow"
        F = x_BFYXC.shape[1]
        colours = self.narrow.out_channels
        weight = self.narrow.weight.unflatten(1, (TAPS, -1)).transpose(0, 1).flatten(0, 1)
        # what a frame adds to the second frame after it, to the next one and to itself
        second, following, present = (
            over_frames(x_BFYXC, weight, None).unflatten(-1, (TAPS, colours)).unbind(-2)
        )
        # the past is what is still to be added to the next two frames, which is smaller than the
        # frames that it comes from
        past = state.get(key)
        if past is None:
            past = torch.cat([second[:, :1] + following[:, :1], second[:, :1]], dim=1)
        added = torch.cat([past.to(second.dtype), second], dim=1)
        added = torch.cat([added[:, :1], added[:, 1:-1] + following, added[:, -1:]], dim=1)
        new_state[key] = added[:, F:].detach()
        return added[:, :F] + present + self.narrow.bias


def over_frames(x_BFYXC: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """A convolution of odd size with padding over each frame of channels-last pixels."""
    mixed = functional.conv2d(
        x_BFYXC.flatten(0, 1).permute(0, 3, 1, 2), weight, bias, padding=weight.shape[-1] // 2
    )
    return mixed.permute(0, 2, 3, 1).unflatten(0, x_BFYXC.shape[:2])
