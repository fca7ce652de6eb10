"""The trunk: channels-last blocks with local statistics only; and the refiners of pixels.

Legend: B batch, T H W latent grid, F Y X frames and pixels, C channels, s stride.

Every function of time is causal, sees a fixed number of frames back, and takes that past as an
argument, so a video cut into chunks gives the same numbers as the whole. The past of the first
frame is the first frame itself, repeated, so a still scene gives the same numbers at its beginning
as later on.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

State = dict[str, Tensor]
TAPS = 3  # frames that a causal convolution sees: two past ones and the present one
REFINED = "refine."  # prefix of the state of a pixel refiner


@dataclass(frozen=True)
class StackConfig:
    """A stack of blocks. `spatial` and `temporal` list the blocks, from 0, that mix neighbours."""

    LIMITS: ClassVar = {
        "width": (1, 1 << 14),
        "depth": (1, 256),
        "expand": (1, 64),
        "kernel": (1, 63),
        "spatial": (0, 255),
        "temporal": (0, 255),
    }

    width: int = 256
    depth: int = 6
    expand: int = 2
    kernel: int = 5
    spatial: tuple[int, ...] = (0, 1, 2, 3, 4, 5)
    temporal: tuple[int, ...] = (0, 3)

    def __post_init__(self) -> None:
        # JSON and YAML give lists
        object.__setattr__(self, "spatial", tuple(self.spatial))
        object.__setattr__(self, "temporal", tuple(self.temporal))
        for name in ("width", "depth", "expand"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1; got {getattr(self, name)}")
        if self.kernel % 2 == 0:
            raise ValueError(f"kernel must be odd so that it has a centre; got {self.kernel}")
        for index in (*self.spatial, *self.temporal):
            if not 0 <= index < self.depth:
                raise ValueError(
                    f"block {index} does not exist in a stack of depth {self.depth}; count from 0"
                )

    @property
    def radius(self) -> int:
        """Cells on each side of a cell that its result depends on."""
        return len(set(self.spatial)) * (self.kernel // 2)


def with_past(x_BTc: Tensor, key: str, state: State, new_state: State) -> Tensor:
    """Put the past before `x` `[B, T, ...]`, and store the new past under `key`."""
    past = (
        state[key]
        if key in state
        else x_BTc[:, :1].expand(-1, TAPS - 1, *(-1,) * (x_BTc.dim() - 2))
    )
    joined = torch.cat([past.to(x_BTc.dtype), x_BTc], dim=1)
    new_state[key] = joined[:, -(TAPS - 1) :].detach()
    return joined


def own(state: State) -> State:
    """Copies of the tensors, because a slice would keep all that it was cut from in memory."""
    return {key: value.clone(memory_format=torch.contiguous_format) for key, value in state.items()}


class Block(nn.Module):
    """Residual block on `[B, T, H, W, C]`: normalise, mix time, mix space, mix channels."""

    def __init__(self, config: StackConfig, index: int) -> None:
        super().__init__()
        width = config.width
        hidden = config.width * config.expand
        self.norm = nn.RMSNorm(width, eps=1e-6)
        self.temporal: nn.Parameter | None = None
        if index in config.temporal:
            taps = torch.zeros(TAPS, width)
            taps[-1] = 1.0
            self.temporal = nn.Parameter(taps + 0.02 * torch.randn(TAPS, width))
        self.spatial: nn.Conv2d | None = None
        if index in config.spatial:
            self.spatial = nn.Conv2d(
                width, width, config.kernel, padding=config.kernel // 2, groups=width
            )
        self.expand = nn.Linear(width, hidden)
        self.project = nn.Linear(hidden, width)
        nn.init.normal_(self.project.weight, std=0.5 / (hidden * config.depth) ** 0.5)
        nn.init.zeros_(self.project.bias)

    def forward(self, x_BTHWC: Tensor, key: str, state: State, new_state: State) -> Tensor:
        h_BTHWC = self.norm(x_BTHWC)
        if self.temporal is not None:
            joined = with_past(h_BTHWC, key, state, new_state)
            T = x_BTHWC.shape[1]
            taps = self.temporal.to(joined.dtype)
            h_BTHWC = (
                joined[:, :T] * taps[0] + joined[:, 1 : T + 1] * taps[1] + joined[:, 2:] * taps[2]
            )
        if self.spatial is not None:
            # float32: the backward of a depthwise 5x5 is half as fast in bfloat16 on CPU
            with torch.autocast(h_BTHWC.device.type, enabled=False):
                frames = h_BTHWC.float().flatten(0, 1).permute(0, 3, 1, 2)
                mixed = self.spatial(frames).permute(0, 2, 3, 1)
            h_BTHWC = mixed.unflatten(0, x_BTHWC.shape[:2])
        return x_BTHWC + self.project(functional.gelu(self.expand(h_BTHWC)))

    @torch.no_grad()
    def begin_as_identity(self) -> None:
        """Make the block compute the identity until it is trained or gets trained weights."""
        if self.temporal is not None:
            self.temporal.copy_((torch.arange(TAPS) == TAPS - 1).float()[:, None])
        if self.spatial is not None:
            nn.init.dirac_(self.spatial.weight, groups=self.spatial.groups)
            nn.init.zeros_(self.spatial.bias)  # type: ignore[arg-type]
        nn.init.zeros_(self.project.weight)  # its bias is 0 already


class Stack(nn.Module):
    """Blocks one after another. The past of block i is stored under `name.i` in the state."""

    def __init__(self, config: StackConfig, name: str) -> None:
        super().__init__()
        self.name = name
        self.blocks = nn.ModuleList(Block(config, index) for index in range(config.depth))

    def begin_as_identity(self) -> None:
        for block in self.blocks:
            block.begin_as_identity()  # type: ignore[operator]

    def forward(self, x_BTHWC: Tensor, state: State, new_state: State) -> Tensor:
        for index, block in enumerate(self.blocks):
            x_BTHWC = block(x_BTHWC, f"{self.name}.{index}", state, new_state)
        return x_BTHWC


# ---- the last layers: light convolutions over pixels, which smooth what patches leave at borders;
# the last convolution of each starts at zero, so it starts as the identity ----


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

    Squares of s x s pixels lie side by side as channels, so that a convolution has many channels at
    few places, which a processor does faster than few channels at many. Time is left to the trunk.
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
