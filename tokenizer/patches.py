"""Pixels to whitened patch vectors and back.

Legend: B batch, T H W latent grid, k frames per latent, p patch side, Y = H*p, X = W*p, P = 3*k*p*p
values of a patch.

A patch is k frames of p x p pixels. It passes through a fixed orthonormal transform (a cosine basis
along time, height and width, and an opponent basis over the colours), and each coefficient is
standardised with statistics measured before training. The mean colour dominates raw patches. In
whitened patches edges have the same scale as flat areas, for the first linear layer and for the
last one.
"""

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional

ONE_PRODUCT = 8  # patches up to this wide are changed by one matrix of p^2 x p^2


def cosine_basis(size: int) -> Tensor:
    """Orthonormal DCT-II, `[size, size]`: row i is the i-th cosine."""
    position = torch.arange(size, dtype=torch.float64) + 0.5
    basis = torch.cos(math.pi / size * torch.arange(size, dtype=torch.float64)[:, None] * position)
    basis[0] /= math.sqrt(2)
    return (basis * math.sqrt(2 / size)).float()


def opponent_basis() -> Tensor:
    """Orthonormal `[3, 3]`: lightness, red against blue, green against the other two."""
    rows = torch.tensor([[1.0, 1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 2.0, -1.0]])
    return rows / rows.norm(dim=1, keepdim=True)


def repeat_first(video_BCFYX: Tensor, count: int) -> Tensor:
    """`count` copies of the first frame, then the video."""
    return torch.cat([video_BCFYX[:, :, :1].expand(-1, -1, count, -1, -1), video_BCFYX], dim=2)


def repeat_last(video_BCFYX: Tensor, count: int) -> Tensor:
    """The video, then `count` copies of its last frame."""
    last = video_BCFYX[:, :, -1:].expand(-1, -1, count, -1, -1)
    return torch.cat([video_BCFYX, last], dim=2) if count else video_BCFYX


def pad_pictures(video_BCFYX: Tensor, p: int) -> Tensor:
    """Pad rows and columns to whole patches with copies of the lower and right edge."""
    bottom = -video_BCFYX.shape[3] % p
    right = -video_BCFYX.shape[4] % p
    padding = (0, right, 0, bottom, 0, 0)
    return (
        functional.pad(video_BCFYX, padding, mode="replicate") if bottom or right else video_BCFYX
    )


def patchify(video_BCFYX: Tensor, k: int, p: int) -> Tensor:
    """`[B, 3, T*k, H*p, W*p]` to `[B, T, H, W, k*3, p*p]`."""
    B, C, F, Y, X = video_BCFYX.shape
    split = video_BCFYX.reshape(B, C, F // k, k, Y // p, p, X // p, p)
    return split.permute(0, 2, 4, 6, 3, 1, 5, 7).reshape(B, F // k, Y // p, X // p, k * C, p * p)


def unpatchify(patches: Tensor, k: int, p: int) -> Tensor:
    """`[B, T, H, W, k*3, p, p]` to channels-last pixels `[B, T*k, H*p, W*p, 3]`."""
    B, T, H, W = patches.shape[:4]
    split = patches.unflatten(4, (k, 3))
    return split.permute(0, 1, 4, 2, 6, 3, 7, 5).reshape(B, T * k, H * p, W * p, 3)


class Whitening(nn.Module):
    """Fixed orthonormal transform of patches, then a standardisation measured by `fit`.

    `floor` is a standard deviation that is added (in quadrature) to that of each coefficient, in
    units of video in [-1, 1]. It keeps coefficients that hardly vary from being amplified into
    noise.
    """

    frames_colours: Tensor
    rows_columns: Tensor
    mean: Tensor
    scale: Tensor

    def __init__(self, frames_per_latent: int, patch: int, floor: float = 0.02) -> None:
        super().__init__()
        self.k = frames_per_latent
        self.p = patch
        self.floor = floor
        basis_p = cosine_basis(patch)
        frames_colours = torch.kron(cosine_basis(frames_per_latent), opponent_basis())
        self.register_buffer("frames_colours", frames_colours, persistent=False)
        # one product is faster for small patches, one for rows and one for columns for large ones
        self.separable = patch > ONE_PRODUCT
        rows_columns = basis_p if self.separable else torch.kron(basis_p, basis_p)
        self.register_buffer("rows_columns", rows_columns, persistent=False)
        self.register_buffer("mean", torch.zeros(3 * frames_per_latent, patch * patch))
        self.register_buffer("scale", torch.ones(3 * frames_per_latent, patch * patch))

    @property
    def size(self) -> int:
        return self.mean.numel()

    @property
    def fitted(self) -> bool:
        """Whether `fit` has been called (or fitted statistics were loaded)."""
        return bool((self.scale != 1).any())

    def transform(self, video_BCFYX: Tensor) -> Tensor:
        """`[B, 3, T*k, H*p, W*p]` to raw coefficients `[B, T, H, W, k*3, p*p]`."""
        patches = patchify(video_BCFYX.float(), self.k, self.p)
        return self.frames_colours @ self._over_pictures(patches, self.rows_columns.T).flatten(-2)

    def forward(self, video_BCFYX: Tensor) -> Tensor:
        """Pixels to whitened coefficients `[B, T, H, W, P]`, always in float32."""
        with torch.autocast(video_BCFYX.device.type, enabled=False):
            return ((self.transform(video_BCFYX) - self.mean) / self.scale).flatten(-2)

    def inverse(self, white_BTHWP: Tensor) -> Tensor:
        """Whitened coefficients to channels-last pixels `[B, T*k, H*p, W*p, 3]`, in float32."""
        with torch.autocast(white_BTHWP.device.type, enabled=False):
            coefficients = (
                white_BTHWP.float().unflatten(-1, self.mean.shape) * self.scale + self.mean
            )
            pictures = self._over_pictures(coefficients, self.rows_columns).flatten(-2)
            patches = (self.frames_colours.T @ pictures).unflatten(-1, (self.p, self.p))
        return unpatchify(patches, self.k, self.p)

    def _over_pictures(self, patches: Tensor, basis: Tensor) -> Tensor:
        """Change `[..., p*p]` along rows and along columns, to `[..., p, p]`."""
        if not self.separable:
            return (patches @ basis).unflatten(-1, (self.p, self.p))
        pictures = patches.unflatten(-1, (self.p, self.p))
        turned = (pictures @ basis).transpose(-1, -2)
        return (turned @ basis).transpose(-1, -2)

    def low(self, side: int) -> Tensor:
        """bool `[p*p]`: the coefficients of rows and columns below `side`."""
        below = torch.arange(self.p, device=self.mean.device) < side
        return (below[:, None] & below).flatten()

    @torch.no_grad()
    def fit(self, videos: Iterable[Tensor], keep: Tensor | None = None) -> None:
        """Measure mean and scale over batches `[B, 3, T*k, H*p, W*p]` in [-1, 1], but of the
        coefficients `keep`, bool `[p*p]`. ValueError if there is no batch."""
        count = 0
        total = torch.zeros_like(self.mean).double()
        squares = torch.zeros_like(self.mean).double()
        for video in videos:
            coefficients = self.transform(video.to(self.mean.device)).flatten(0, 3).double()
            count += len(coefficients)
            total += coefficients.sum(0)
            squares += coefficients.square().sum(0)
        if count == 0:
            raise ValueError("whitening needs at least one batch of video; got none")
        mean = total / count
        variance = (squares / count - mean.square()).clamp_min(0)
        scale = (variance + self.floor**2).sqrt()
        if keep is not None:
            mean = torch.where(keep, self.mean, mean)
            scale = torch.where(keep, self.scale, scale)
        self.mean.copy_(mean)
        self.scale.copy_(scale)
