"""Train the judge: `python -m kinetoscope.data.worlds.physics.judge.fit --out FOLDER`.

There are three stages, which take minutes on one CPU core. First FrameNet learns pixels, pose and
time of day from single frames. Then ObjectNet and ContactNet learn from the tracks that the
finished FrameNet makes. Half of all pictures are degraded as a video decoder degrades them, so that
reconstructions can be read as well as renders.
"""

from __future__ import annotations

import argparse
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from ....ledger.card import save_training_data
from ....ledger.sources import rendered_row
from ..clips import HELD_OUT_SEED, physics_batch
from ..render import render
from ..scene import MOTIONS, PhysicsConfig, Scenes, sample_scenes
from .judge import MIN_FRAMES, READ_FRAMES, Judge, calibrate
from .network import ObjectNet, TrackConvs
from .tracks import mirror_track, pair_features, pose_of

log = logging.getLogger(__name__)
FRAME_SEED = 500_000_000  # none of the seeds that models train on
TRACK_SEED = 600_000_000
MIRRORED = {"left": "right", "right": "left"}
# Taken in turn: one clip of three may have three objects, and half of all clips come from worlds in
# which objects that move sideways may miss each other.
WORLDS = [
    PhysicsConfig(max_objects=most, any_motions=free)
    for free in (False, True)
    for most in (2, 2, 3)
]


class TrackSet(NamedTuple):
    """Tracks of K objects with the truth, and Q pairs of objects of one clip."""

    features_KFD: Tensor
    state_KF4: Tensor
    motion_K: Tensor
    pairs_Q2: Tensor  # rows of the two objects
    contact_QF: Tensor


def spoil(video: Tensor, generator: torch.Generator) -> Tensor:
    """Imitate the errors of a decoder on about half of the uint8 clips [B, 3, F, Y, X].

    The errors are blur, 8x8 blocks that lose their detail, noise, and changes of brightness,
    contrast and tint by a few percent. The result is uint8.
    """

    def draw(*shape: int) -> Tensor:
        return torch.rand(shape, generator=generator)

    rows = (draw(len(video)) < 0.5).nonzero()[:, 0]
    clips, frames, height, width = len(rows), *video.shape[2:]
    x = video[rows].transpose(1, 2).flatten(0, 1).float()

    def per_clip(value: Tensor) -> Tensor:
        return value.view(clips, 1, -1, 1, 1).expand(-1, frames, -1, -1, -1).flatten(0, 1)

    soft = functional.avg_pool2d(x, 3, 1, 1, count_include_pad=False)
    y = x + per_clip(draw(clips) * 1.2) * (soft - x)
    steps = -(-frames // 4)  # a block keeps its error for the four frames of one latent
    flat = (draw(clips, steps, height // 8, width // 8) < 0.25 * draw(clips, 1, 1, 1)).float()
    flat = functional.interpolate(
        flat.repeat_interleave(4, 1)[:, :frames].flatten(0, 1)[:, None], scale_factor=8.0
    )
    coarse = functional.interpolate(functional.avg_pool2d(y, 4), scale_factor=4.0, mode="bilinear")
    y = y + flat * 0.8 * (coarse - y)
    y = y + torch.randn(y.shape, generator=generator) * per_clip(draw(clips)) * 8
    tint = 1 + (draw(clips, 3) - 0.5) * 0.05 + (draw(clips, 1) - 0.5) * 0.10
    y = ((y - 110) * per_clip(1 + (draw(clips) - 0.5) * 0.12) + 110) * per_clip(tint)
    spoiled = y.clamp(0, 255).round().to(torch.uint8).unflatten(0, (clips, frames)).transpose(1, 2)
    return video.index_copy(0, rows, spoiled)


def single_frames(clips: int, each: int, compiled: bool) -> Iterator[tuple[Tensor, Scenes, Tensor]]:
    """`each` frames of every clip: video [B, 3, 1, Y, X], their scenes, slots [B, Y, X]."""
    for begin in range(0, clips, 512):
        config = WORLDS[begin // 512 % len(WORLDS)]
        seeds = range(FRAME_SEED + begin, FRAME_SEED + min(begin + 512, clips))
        scenes = sample_scenes(seeds, READ_FRAMES, config)
        moments = torch.rand(
            len(seeds), READ_FRAMES, generator=torch.Generator().manual_seed(begin)
        ).argsort(1)
        for k in range(each):
            rows = torch.arange(len(seeds))
            at = moments[:, k]
            position, eye, view = (
                x[rows, at][:, None] for x in (scenes.position, scenes.eye, scenes.view)
            )
            frame = replace(scenes, position=position, eye=eye, view=view)
            video, slots = render(frame, compiled=compiled)
            yield video, frame, slots[:, 0]


def frame_targets(scenes: Scenes, slots: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """True colour [M, Y, X] (0: none), shape [M, Y, X] (-100: none), pose [M, 3], time [M]."""
    none = torch.zeros(len(scenes), 1, dtype=torch.long)
    index = slots.long().flatten(1)
    colour = torch.cat([none, scenes.colour + 1], 1).gather(1, index).view(slots.shape)
    shape = torch.cat([none - 100, scenes.shape], 1).gather(1, index).view(slots.shape)
    return colour, shape, pose_of(scenes)[:, 0], scenes.time


def fit_frames(judge: Judge, clips: int, each: int, steps: int, batch: int, compiled: bool) -> None:
    """Stage one: pixels, pose and time of day from single frames."""
    parts = [
        (video, *frame_targets(scenes, slots))
        for video, scenes, slots in single_frames(clips, each, compiled)
    ]
    data = tuple(torch.cat(column) for column in zip(*parts))
    log.info("rendered %d frames", len(data[0]))
    generator = torch.Generator().manual_seed(1)
    optimizer = torch.optim.AdamW(judge.frame.parameters(), lr=3e-3, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 3e-3, total_steps=steps, pct_start=0.1
    )
    judge.frame.train()
    for step in range(steps):
        rows = torch.randint(len(data[0]), (batch,), generator=generator)
        video, colour, shape, pose, hour = (x[rows] for x in data)
        with torch.autocast("cpu", torch.bfloat16):
            looks = judge.frame(judge._frames(spoil(video, generator)))
        losses = (
            functional.cross_entropy(looks.colour_MCYX, colour),
            functional.cross_entropy(looks.shape_MSYX, shape),
            functional.smooth_l1_loss(looks.pose_MP, pose, beta=0.1),
            functional.cross_entropy(looks.time_MT, hour),
        )
        loss = 3 * losses[0] + 0.5 * losses[1] + losses[2] + 0.2 * losses[3]
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(judge.frame.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 100 == 0 or step == steps - 1:
            log.info(
                "frames %d: colour %.4f shape %.4f pose %.4f time %.4f",
                step,
                *(x.item() for x in losses),
            )
    judge.eval()


def collect_tracks(judge: Judge, clips: int, compiled: bool) -> TrackSet:
    """Tracks that FrameNet makes of known objects, in clips that are partly degraded."""
    generator = torch.Generator().manual_seed(2)
    parts: list[tuple[Tensor, ...]] = []
    total = 0
    for index, begin in enumerate(range(0, clips, 32)):
        seeds = range(TRACK_SEED + begin, TRACK_SEED + min(begin + 32, clips))
        scenes = sample_scenes(seeds, READ_FRAMES, WORLDS[index % len(WORLDS)])
        video = spoil(render(scenes, compiled=compiled)[0], generator)
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            features = judge.look(video)[1].features_BFND.float()
        rows = scenes.colour[:, None, :, None].expand(-1, READ_FRAMES, -1, features.shape[-1])
        there = scenes.present
        radius = scenes.radius[:, :, None, None].expand(-1, -1, READ_FRAMES, -1)
        states = torch.cat([scenes.position.transpose(1, 2), radius], -1)
        numbers = torch.full(there.shape, -1)
        numbers[there] = torch.arange(total, total + int(there.sum()))
        total += int(there.sum())
        i, j = torch.combinations(torch.arange(there.shape[1])).unbind(1)
        both = there[:, i] & there[:, j]
        pairs = torch.stack([numbers[:, i], numbers[:, j]], -1)[both]
        contacts = scenes.contact[:, :, i, j].transpose(1, 2)[both]
        own = features.gather(2, rows).transpose(1, 2)
        parts.append((own[there], states[there], scenes.motion[there], pairs, contacts))
    return TrackSet(*(torch.cat(column) for column in zip(*parts)))


def fit_objects(net: ObjectNet, data: TrackSet, steps: int, batch: int = 128) -> None:
    """Stage two: place, radius and motion of every object from its track."""
    _standardise(net.convs, data.features_KFD)
    generator = torch.Generator().manual_seed(3)
    mirrored_motion = torch.tensor([MOTIONS.index(MIRRORED.get(name, name)) for name in MOTIONS])
    for rows, valid, optimizer in _steps(net, len(data.features_KFD), steps, batch, generator):
        x = data.features_KFD[rows]
        state = data.state_KF4[rows]
        motion = data.motion_K[rows]
        flip = torch.rand(batch, generator=generator) < 0.5
        x = torch.where(flip[:, None, None], mirror_track(x), x)
        x = x + 0.02 * net.convs.std * torch.randn(x.shape, generator=generator)
        state = torch.where(flip[:, None, None], state * torch.tensor([-1.0, 1.0, 1.0, 1.0]), state)
        states, logits = net(x, valid)
        place = functional.smooth_l1_loss(states[valid], state[valid], beta=0.05)
        loss = 5 * place + functional.cross_entropy(
            logits, torch.where(flip, mirrored_motion[motion], motion)
        )
        optimizer(loss)


def fit_contacts(judge: Judge, data: TrackSet, steps: int, batch: int = 128) -> None:
    """Stage three: touching or not, from the places that stage two finds."""
    with torch.no_grad():
        whole = torch.ones(data.features_KFD.shape[:2], dtype=torch.bool)
        states = judge.object(data.features_KFD, whole)[0]
        one, two = data.pairs_Q2.unbind(1)
        x_QFE = pair_features(
            (data.features_KFD[one], data.features_KFD[two]), (states[one], states[two])
        )
    net = judge.contact
    generator = torch.Generator().manual_seed(4)
    _standardise(net.convs, x_QFE)
    for rows, valid, optimizer in _steps(net, len(x_QFE), steps, batch, generator):
        x = x_QFE[rows]
        for axis in (2, 4):  # x and z: a pair may be seen from either side
            x[..., axis] *= torch.where(torch.rand(batch, 1, generator=generator) < 0.5, -1.0, 1.0)
        for shape in (x.shape, (batch, 1, x.shape[-1])):
            x = x + 0.04 * torch.randn(shape, generator=generator)
        so_far = (data.contact_QF[rows] & valid).any(1).float()
        optimizer(functional.binary_cross_entropy_with_logits(net(x, valid), so_far))


def _standardise(convs: TrackConvs, x_KFD: Tensor) -> None:
    flat = x_KFD.flatten(0, 1)
    convs.mean.copy_(flat.mean(0))
    convs.std.copy_(flat.std(0).clamp_min(1e-3))


def _steps(
    net: nn.Module, size: int, steps: int, batch: int, generator: torch.Generator
) -> Iterator[tuple[Tensor, Tensor, Callable[[Tensor], None]]]:
    """Random rows, which of their frames count (9 to all), and a function that takes a step."""
    optimizer = torch.optim.AdamW(net.parameters(), lr=3e-3, weight_decay=0.1)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 3e-3, total_steps=steps, pct_start=0.1
    )
    net.train()
    for step in range(steps):

        def descend(loss: Tensor, step: int = step) -> None:
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            if step % 200 == 0 or step == steps - 1:
                log.info("%s %d: loss %.4f", type(net).__name__, step, loss.item())

        lengths = torch.randint(MIN_FRAMES, 2 * READ_FRAMES, (batch, 1), generator=generator)
        yield (
            torch.randint(size, (batch,), generator=generator),
            torch.arange(READ_FRAMES) < lengths,
            descend,
        )
    net.eval()


def held_out(
    clips: int, frames: int, config: PhysicsConfig, compiled: bool
) -> Iterator[dict[str, object]]:
    """Batches of clips that nothing was trained on."""
    for begin in range(HELD_OUT_SEED, HELD_OUT_SEED + clips, 32):
        yield physics_batch(
            range(begin, min(begin + 32, HELD_OUT_SEED + clips)), frames, 64, config, compiled
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", required=True, help="folder of the new weights")
    parser.add_argument(
        "--frames",
        help="folder of a judge whose frame network is kept; only the others are fitted",
    )
    parser.add_argument(
        "--frame-clips", type=int, default=6144, help="clips that single frames are taken from"
    )
    parser.add_argument("--frame-steps", type=int, default=1200)
    parser.add_argument(
        "--track-clips", type=int, default=2048, help="whole clips for motion and contact"
    )
    parser.add_argument("--track-steps", type=int, default=1000)
    parser.add_argument(
        "--check-clips", type=int, default=512, help="held-out clips of the final table"
    )
    parser.add_argument(
        "--eager", action="store_true", help="render without torch.compile (slow; no C++ compiler)"
    )
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(relativeCreated)7d ms  %(message)s")
    begin = time.monotonic()
    compiled = not options.eager
    torch.manual_seed(0)
    judge = Judge()
    if options.frames:
        judge.frame = Judge.from_pretrained(options.frames).frame
    else:
        fit_frames(judge, options.frame_clips, 4, options.frame_steps, 64, compiled)
    tracks = collect_tracks(judge, options.track_clips, compiled)
    log.info("made %d tracks and %d pairs", len(tracks.features_KFD), len(tracks.pairs_Q2))
    fit_objects(judge.object, tracks, options.track_steps)
    fit_contacts(judge, tracks, options.track_steps)
    judge.save_pretrained(options.out)
    learned = [rendered_row("physics world, whole clips", options.track_clips)]
    if not options.frames:
        learned.insert(0, rendered_row("physics world, single frames", options.frame_clips))
    save_training_data(Path(options.out), learned, options.frames or "", part="judge")
    log.info("saved %s after %.0f s", options.out, time.monotonic() - begin)
    for frames, free in ((9, False), (READ_FRAMES, False), (READ_FRAMES, True)):
        world = PhysicsConfig(any_motions=free)
        table = calibrate(judge, held_out(options.check_clips, frames, world, compiled))
        scores = "  ".join(f"{name} {value:.3f}" for name, value in table.items())
        log.info(
            "%d frames, %s: %s", frames, "any motions" if free else "the default world", scores
        )


if __name__ == "__main__":
    main()
