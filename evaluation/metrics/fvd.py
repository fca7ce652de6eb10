"""Fréchet video distance (Unterthiner et al. 2018): the Fréchet distance of features of clips."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ..clips.feature_store import Rows
from ..clips.resize import fit
from ..distances.frechet import distance_of_rows, rank_notes
from ..features import Network
from ..protocols import Protocol
from .base import Batch, Metric

FEWEST_FRAMES = 9  # of I3D: four halvings of time and a window of two


def network_input(video_B3FYX: Tensor, protocol: Protocol) -> Tensor:
    """float32 `[B, 3, F, side, side]` in the value range of the protocol, of uint8 clips."""
    low, high = protocol.value_range
    B, _, F = video_B3FYX.shape[:3]
    frames = video_B3FYX.transpose(1, 2).flatten(0, 1)
    square = fit(frames, protocol.network_size, protocol.network_resize, protocol.network_crop)
    pixels = square * ((high - low) / 255) + low
    return pixels.unflatten(0, (B, F)).transpose(1, 2).contiguous()


def clip_features(network: Network, protocol: Protocol, video: Tensor) -> Tensor:
    """Features `[B, D]` of uint8 clips `[B, 3, F, Y, X]`."""
    given = video if network.own_pixels else network_input(video, protocol)
    try:
        features = network.call(given)
    except RuntimeError as error:
        if video.shape[2] < FEWEST_FRAMES:
            raise ValueError(
                f"'{network.name}' cannot see clips of {video.shape[2]} frames; I3D needs at "
                f"least {FEWEST_FRAMES} (--frames)"
            ) from error
        raise
    if features.dim() != 2 or len(features) != len(video):
        raise ValueError(
            f"'{network.name}' must return one row of features for each clip, "
            f"[{len(video)}, D]; got {list(features.shape)}"
        )
    return features


def network_key(network: Network, protocol: Protocol) -> str:
    """Changes with the network and with what it is given."""
    if network.own_pixels:
        return network.fingerprint
    given = (protocol.network_size, protocol.network_resize, protocol.network_crop)
    return f"{network.fingerprint} {given} {protocol.value_range}"


class FVD(Metric):
    """The distance of features of clips, float64; 0 for equal sets."""

    name = "fvd"
    title = "Fréchet video distance"
    role = "video"

    @property
    def key(self) -> str:
        assert self.network is not None
        # KVD shares the rows
        return f"clips {network_key(self.network, self.protocol)}"

    @torch.inference_mode()
    def rows(self, batch: Batch) -> Tensor:
        assert self.network is not None
        return clip_features(self.network, self.protocol, batch.video)

    def value(self, rows: Mapping[str, Rows]) -> float:
        reference = rows["reference"]
        return distance_of_rows(reference, rows["generated"], self.protocol.covariance)

    def notes(self, rows: Mapping[str, Rows]) -> list[str]:
        return rank_notes(rows["reference"], rows["generated"], "clips")
