"""The first stage of making the judge of pictures: FrameNet learns from single frames.

Shapes: B clips, F frames, M frames of any clips, N object slots, Y X places of a map.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from ..drawing.render import Truth, render
from ..sample import sample_scenes
from ..scene import Scenes, StageConfig
from .network import FrameNet, resized
from .targets import HIDDEN, frame_rows, object_maps, object_rows

log = logging.getLogger(__name__)
SEED = 500_000_000  # none of the seeds that models train on
CLIPS_AT_ONCE = 32
RENDERED = 128  # pixels of each side of what is rendered
EACH = 2  # frames of a clip
RUN = 5  # frames of a clip that go through a tokenizer; every second one is kept
# Taken in turn: single objects more often than two.
WORLDS = tuple(StageConfig(max_objects=most, other_colours=0.15) for most in (1, 1, 2))
Rows = dict[str, Tensor]


def moments(scenes: Scenes, frames: Tensor) -> Scenes:
    """Scenes of the given frames [B, k] alone."""
    rows = torch.arange(len(scenes))[:, None]
    moving = ("position", "velocity", "rotation", "turning", "resting", "impact", "moment")
    names = (*moving, "eye", "view", "lens")
    return replace(scenes, **{name: getattr(scenes, name)[rows, frames] for name in names})


def rendered_frames(
    clips: int,
    first_seed: int = SEED,
    through: Callable[[Tensor], Tensor] | None = None,
    compiled: bool = False,
) -> Iterator[Rows]:
    """A few frames of every clip with all targets: pictures uint8 [M, 3, RENDERED, RENDERED].

    Args:
        through: what a tokenizer makes of clips uint8 [B, 3, 5, Y, X]. Frames that follow one
            another go through it, so that its errors are those of moving pictures; without it
            frames are taken from all over the clip.
    """
    for index, begin in enumerate(range(first_seed, first_seed + clips, CLIPS_AT_ONCE)):
        seeds = range(begin, min(begin + CLIPS_AT_ONCE, first_seed + clips))
        scenes = sample_scenes(seeds, 33, WORLDS[index % len(WORLDS)])
        generator = torch.Generator().manual_seed(begin)
        if through is None:
            order = torch.rand(len(seeds), 33, generator=generator).argsort(1)
            frames = order[:, :EACH].sort(1).values
        else:
            start = torch.randint(33 - RUN + 1, (len(seeds), 1), generator=generator)
            frames = start + torch.arange(RUN)
        some = moments(scenes, frames)
        video, truth = render(some, RENDERED, compiled=compiled)
        if through is not None:
            video = through(video)
        rows = {"pictures": video.transpose(1, 2).flatten(0, 1), **frame_targets(some, truth)}
        if through is not None:
            kept = torch.arange(len(rows["pictures"])).view(len(seeds), RUN)[:, ::2].flatten()
            rows = {name: value[kept] for name, value in rows.items()}
        yield rows


def frame_targets(scenes: Scenes, truth: Truth, slots: int = 4) -> Rows:
    """All that FrameNet learns, as rows of M frames; `slots` objects whatever the scenes have."""
    regions = truth.regions[..., 1::2, 1::2]  # of the size at which FrameNet sees them
    maps = object_maps(scenes, replace(truth, regions=regions))
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


def fit_frames(
    net: FrameNet, size: int, data: Rows, steps: int, batch: int = 32, rate: float = 3e-3
) -> None:
    """Train on rows of rendered frames, resized to `size`."""
    generator = torch.Generator().manual_seed(1)
    for step, descend in descents(net, steps, rate):
        rows = torch.randint(len(data["pictures"]), (batch,), generator=generator)
        wanted = {name: value[rows] for name, value in data.items()}
        pictures = spoil(resized(wanted.pop("pictures"), size), generator)
        losses = frame_losses(net, pictures.contiguous(memory_format=torch.channels_last), wanted)
        descend(sum(losses.values(), torch.zeros(())))
        if step % 100 == 0 or step == steps - 1:
            said = " ".join(f"{name} {value.item():.3f}" for name, value in losses.items())
            log.info("frames %d: %s", step, said)


def descents(
    net: nn.Module, steps: int, rate: float
) -> Iterator[tuple[int, Callable[[Tensor], None]]]:
    """The number of each step, and what takes it for a loss."""
    if steps < 1:
        return
    optimizer = torch.optim.AdamW(net.parameters(), lr=rate, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, rate, total_steps=steps, pct_start=0.1
    )

    def descend(loss: Tensor) -> None:
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        schedule.step()

    net.train()
    for step in range(steps):
        yield step, descend
    net.eval()
