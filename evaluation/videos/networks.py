"""Metrics with the networks that a user named for them."""

from __future__ import annotations

from pathlib import Path

import torch

from ...tokenizer.training.perceptual import PerceptualLoss
from ..clips.feature_store import file_sha256
from ..features import Network, open_network
from ..metrics import METRICS, Metric
from .settings import Settings


def make_metrics(settings: Settings) -> list[Metric]:
    """The metrics with their networks, each opened once. ValueError if one lacks its own."""
    opened: dict[str, Network] = {}
    made = []
    for name in settings.metrics:
        kind = METRICS[name]
        if kind.role and kind.role not in settings.networks:
            option = "--i3d FILE" if kind.role == "video" else f"--network {kind.role}=FILE"
            raise ValueError(f"{name} needs a network of yours: {option} (see docs/evaluation.md)")
        if kind.role and kind.role not in opened:
            given = settings.networks[kind.role]
            opened[kind.role] = open_for(given, kind.sees, settings.device)
        made.append(kind(settings.protocol, opened.get(kind.role)))
    return made


def open_for(name: str, sees: str, device: str) -> Network:
    if sees != "pairs" or Path(name).suffix != ".safetensors":
        return open_network(name, sees, device)
    loss = PerceptualLoss.from_file(name).to(device)

    @torch.inference_mode()
    def distances(a_N3YX: torch.Tensor, b_N3YX: torch.Tensor) -> torch.Tensor:
        a, b = (loss.features(x.to(device).unsqueeze(2)) for x in (a_N3YX, b_N3YX))
        levels = [
            torch.einsum("ncyx,c->nyx", (p - q).square(), weight).mean((1, 2))
            for p, q, weight in zip(a, b, loss.importance)
        ]
        # a training loss takes the mean over levels; LPIPS is their sum
        return torch.stack(levels).sum(0)

    return Network(Path(name).name, file_sha256(Path(name)), sees, distances, model=distances)
