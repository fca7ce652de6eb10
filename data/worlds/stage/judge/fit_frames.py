"""The first stage of making the judge of pictures: FrameNet learns from single frames.

Shapes: B clips, F frames, M frames of any clips, N object slots, Y X places of a map.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace

import torch
import torch.nn.functional as functional
from torch import Tensor

from ..drawing.render import Truth, render
from ..sample import sample_scenes
from ..scene import Scenes, StageConfig
from .network import FrameNet
from .targets import HIDDEN, frame_rows, object_maps, object_rows

log = logging.getLogger(__name__)
SEED = 500_000_000  # none of the seeds that models train on
CLIPS_AT_ONCE = 32
# Taken in turn, so that crowds are as well known as single objects.
WORLDS = tuple(StageConfig(max_objects=most, other_colours=0.15) for most in (2, 4, 1, 3))
Rows = dict[str, Tensor]


def moments(scenes: Scenes, frames: Tensor) -> Scenes:
    """Scenes of the given frames [B, k] alone."""
    rows = torch.arange(len(scenes))[:, None]
    moving = ("position", "velocity", "rotation", "turning", "resting", "impact", "moment")
    names = (*moving, "eye", "view", "lens")
    return replace(scenes, **{name: getattr(scenes, name)[rows, frames] for name in names})


def rendered_frames(clips: int, each: int, size: int, first_seed: int) -> Iterator[Rows]:
    """`each` frames of every clip, with all targets: pictures uint8 [M, 3, size, size]."""
    for index, begin in enumerate(range(first_seed, first_seed + clips, CLIPS_AT_ONCE)):
        seeds = range(begin, min(begin + CLIPS_AT_ONCE, first_seed + clips))
        scenes = sample_scenes(seeds, 33, WORLDS[index % len(WORLDS)])
        generator = torch.Generator().manual_seed(begin)
        order = torch.rand(len(seeds), 33, generator=generator).argsort(1)
        some = moments(scenes, order[:, :each].sort(1).values)
        video, truth = render(some, size)
        pictures = video.transpose(1, 2).flatten(0, 1)
        yield {"pictures": pictures, **frame_targets(some, truth)}


def frame_targets(scenes: Scenes, truth: Truth, slots: int = 4) -> Rows:
    """All that FrameNet learns, as rows of M frames; `slots` objects whatever the scenes have."""
    maps = object_maps(scenes, truth)
    rows = {}
    for name, value in object_rows(scenes).items():
        missing = slots - value.shape[1]
        rows[name] = functional.pad(value.transpose(1, -1), (0, missing)).transpose(1, -1)
    half = ("centre", "offset", "weight")
    maps = {
        name: value.half() if name in half else value.to(torch.int8) for name, value in maps.items()
    }
    rows = {
        name: value.half() if value.is_floating_point() else value for name, value in rows.items()
    }
    return maps | rows | frame_rows(scenes)


def spoil(x_M3YX: Tensor, generator: torch.Generator) -> Tensor:
    """Imitate the errors of a decoder on half of the pictures: blur, blocks without detail, noise,
    changes of brightness, contrast and tint by a few percent. Pictures are in [-1, 1]."""
    M = len(x_M3YX)

    def draw(*shape: int) -> Tensor:
        return torch.rand(M, *shape, generator=generator)

    soft = functional.avg_pool2d(x_M3YX, 3, 1, 1, count_include_pad=False)
    y = x_M3YX + draw(1, 1, 1) * (soft - x_M3YX)
    places = x_M3YX.shape[-1] // 8
    flat = (draw(1, places, places) < 0.25 * draw(1, 1, 1)).float()
    flat = functional.interpolate(flat, scale_factor=8.0)
    coarse = functional.interpolate(functional.avg_pool2d(y, 2), scale_factor=2.0, mode="bilinear")
    y = y + flat * (coarse - y)
    noise = torch.randn(y.shape, generator=generator)
    y = y + noise * (draw(1, 1, 1) * 0.04)
    y = y * (1 + 0.1 * (draw(1, 1, 1) - 0.5)) + 0.06 * (draw(3, 1, 1) - 0.5)
    return torch.where(draw(1, 1, 1) < 0.5, y.clamp(-1, 1), x_M3YX)


def frame_losses(net: FrameNet, x_M3YX: Tensor, wanted: Rows) -> dict[str, Tensor]:
    """Losses of one batch by name, scalars."""
    pixels, frames = net(x_M3YX)
    slot = wanted["slot"].long()
    there = slot >= 0
    weight = wanted["weight"].float()
    total = weight.sum().clamp_min(1)
    heat = wanted["centre"].float()
    guess = pixels["centre"][:, 0]
    losses = {
        "object": functional.binary_cross_entropy_with_logits(
            pixels["object"][:, 0], there.float()
        ),
        "centre": 10 * (guess.sigmoid() - heat).square().mean(),
        "offset": 5
        * ((pixels["offset"] - wanted["offset"].float()).abs().sum(1) * weight).sum()
        / total,
    }
    index = slot.clamp_min(0).flatten(1)
    for name in ("shape", "material", "size", "colour"):
        classes = wanted[name].long().gather(1, index).view(slot.shape)
        classes = torch.where(there, classes, HIDDEN)
        error = functional.cross_entropy(
            pixels[name], classes, ignore_index=HIDDEN, reduction="none"
        )
        shown = weight * (classes != HIDDEN)
        losses[name] = (error * shown).sum() / shown.sum().clamp_min(1)
    for name, scale in (("ahead", 3.0), ("turn", 1.0)):
        values = wanted[name].float()
        rows = values.gather(1, index[..., None].expand(-1, -1, values.shape[-1]))
        rows = rows.transpose(1, 2).unflatten(2, slot.shape[1:])
        error = functional.smooth_l1_loss(pixels[name], rows, beta=0.1, reduction="none")
        losses[name] = scale * (error.mean(1) * weight).sum() / total
    for name in ("ground", "time", "weather", "style", "place"):
        losses[name] = 0.3 * functional.cross_entropy(frames[name], wanted[name].long())
    losses["pose"] = functional.smooth_l1_loss(frames["pose"], wanted["pose"].float(), beta=0.1)
    return losses


def fit_frames(net: FrameNet, data: Rows, steps: int, batch: int = 32, rate: float = 3e-3) -> None:
    """Train on rows of rendered frames."""
    generator = torch.Generator().manual_seed(1)
    optimizer = torch.optim.AdamW(net.parameters(), lr=rate, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, rate, total_steps=steps, pct_start=0.1
    )
    net.train()
    for step in range(steps):
        rows = torch.randint(len(data["pictures"]), (batch,), generator=generator)
        wanted = {name: value[rows] for name, value in data.items()}
        pictures = spoil(wanted.pop("pictures").float() / 127.5 - 1, generator)
        pictures = pictures.contiguous(memory_format=torch.channels_last)
        losses = frame_losses(net, pictures, wanted)
        optimizer.zero_grad()
        sum(losses.values(), torch.zeros(())).backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 100 == 0 or step == steps - 1:
            said = " ".join(f"{name} {value.item():.3f}" for name, value in losses.items())
            log.info("frames %d: %s", step, said)
    net.eval()
