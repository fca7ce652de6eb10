"""Train the oracle from nothing: `python -m kinetoscope.data.oracle_fit --out pretrained/physics-oracle`.

Two stages, about six minutes on one CPU core. First FrameNet learns pixels, pose and time of day from single frames;
then the two track networks learn motion and contact from the tracks that the finished FrameNet makes. Half of all
pictures are spoiled the way a video decoder spoils them, so that reconstructions can be read as well as renders.
"""

from __future__ import annotations

import argparse
import logging
import time
from collections.abc import Iterator
from dataclasses import replace

import torch
import torch.nn.functional as functional
from torch import Tensor

from .oracle import READ_FRAMES, Oracle, calibrate
from .oracle_network import TrackNet
from .oracle_tracks import pair_features, pose_of
from .physics import PhysicsConfig, Scenes, sample_scenes
from .physics_dataset import HELD_OUT_SEED, physics_batch
from .render import render

log = logging.getLogger(__name__)
FRAME_SEED, TRACK_SEED = 500_000_000, 600_000_000  # apart from the seeds that models train on
MAX_OBJECTS = (2, 2, 3)  # of three clips, one comes from the wider world


def spoil(video: Tensor, generator: torch.Generator) -> Tensor:
    """Imitate the errors of a decoder on about half of the uint8 clips [B, 3, F, Y, X]; returns uint8.

    Blur, 8x8 blocks that lose their detail, noise, and brightness, contrast and tint off by a few percent.
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
    flat = functional.interpolate(flat.repeat_interleave(4, 1)[:, :frames].flatten(0, 1)[:, None], scale_factor=8.0)
    coarse = functional.interpolate(functional.avg_pool2d(y, 4), scale_factor=4.0, mode="bilinear")
    y = y + flat * 0.8 * (coarse - y)
    y = y + torch.randn(y.shape, generator=generator) * per_clip(draw(clips)) * 8
    tint = 1 + (draw(clips, 3) - 0.5) * 0.05 + (draw(clips, 1) - 0.5) * 0.10
    y = ((y - 110) * per_clip(1 + (draw(clips) - 0.5) * 0.12) + 110) * per_clip(tint)
    spoiled = y.clamp(0, 255).round().to(torch.uint8).unflatten(0, (clips, frames)).transpose(1, 2)
    return video.index_copy(0, rows, spoiled)


def single_frames(clips: int, each: int, compiled: bool) -> Iterator[tuple[Tensor, Scenes, Tensor]]:
    """Blocks of (video [B, 3, 1, Y, X], scenes of one frame, slots [B, Y, X]): `each` moments of every clip."""
    for begin in range(0, clips, 512):
        config = PhysicsConfig(max_objects=MAX_OBJECTS[begin // 512 % len(MAX_OBJECTS)])
        seeds = range(FRAME_SEED + begin, FRAME_SEED + min(begin + 512, clips))
        scenes = sample_scenes(seeds, READ_FRAMES, config)
        moments = torch.rand(len(seeds), READ_FRAMES, generator=torch.Generator().manual_seed(begin)).argsort(1)
        for k in range(each):
            rows, at = torch.arange(len(seeds)), moments[:, k]
            position, eye, view = (x[rows, at][:, None] for x in (scenes.position, scenes.eye, scenes.view))
            frame = replace(scenes, position=position, eye=eye, view=view)
            video, slots = render(frame, compiled=compiled)
            yield video, frame, slots[:, 0]


def frame_targets(scenes: Scenes, slots: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Truth of single frames: colour [M, Y, X] (0 none), shape [M, Y, X] (-100 none), pose [M, 3], time [M]."""
    none = torch.zeros(len(scenes), 1, dtype=torch.long)
    index = slots.long().flatten(1)
    colour = torch.cat([none, scenes.colour + 1], 1).gather(1, index).view(slots.shape)
    shape = torch.cat([none - 100, scenes.shape], 1).gather(1, index).view(slots.shape)
    return colour, shape, pose_of(scenes)[:, 0], scenes.time


def fit_frames(oracle: Oracle, clips: int, each: int, steps: int, batch: int, compiled: bool) -> None:
    """Stage one: pixels, pose and time of day from single frames."""
    parts = [(video, *frame_targets(scenes, slots)) for video, scenes, slots in single_frames(clips, each, compiled)]
    data = tuple(torch.cat(column) for column in zip(*parts))
    log.info("rendered %d frames", len(data[0]))
    generator = torch.Generator().manual_seed(1)
    optimizer = torch.optim.AdamW(oracle.frame.parameters(), lr=3e-3, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps, pct_start=0.1)
    oracle.frame.train()
    for step in range(steps):
        rows = torch.randint(len(data[0]), (batch,), generator=generator)
        video, colour, shape, pose, hour = (x[rows] for x in data)
        with torch.autocast("cpu", torch.bfloat16):
            looks = oracle.frame(oracle._frames(spoil(video, generator)))
        losses = (
            functional.cross_entropy(looks.colour_MCYX, colour),
            functional.cross_entropy(looks.shape_MSYX, shape),
            functional.smooth_l1_loss(looks.pose_MP, pose, beta=0.1),
            functional.cross_entropy(looks.time_MT, hour),
        )
        loss = 3 * losses[0] + 0.5 * losses[1] + losses[2] + 0.2 * losses[3]
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(oracle.frame.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 100 == 0 or step == steps - 1:
            log.info("frames %d: colour %.4f shape %.4f pose %.4f time %.4f", step, *(x.item() for x in losses))
    oracle.eval()


def collect_tracks(oracle: Oracle, clips: int, compiled: bool) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Tracks [K, F, D] with motions [K], and pairs [K, F, 2 D + 2] with contacts bool [K, F], of known objects."""
    generator = torch.Generator().manual_seed(2)
    tracks, motions, pairs, contacts = [], [], [], []
    for index, begin in enumerate(range(0, clips, 32)):
        config = PhysicsConfig(max_objects=MAX_OBJECTS[index % len(MAX_OBJECTS)])
        scenes = sample_scenes(range(TRACK_SEED + begin, TRACK_SEED + min(begin + 32, clips)), READ_FRAMES, config)
        video = spoil(render(scenes, compiled=compiled)[0], generator)
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            features = oracle.look(video)[1].features_BFND.float()
        own = features.gather(2, scenes.colour[:, None, :, None].expand(-1, READ_FRAMES, -1, features.shape[-1]))
        own = own.transpose(1, 2)  # [B, N, F, D]
        tracks.append(own[scenes.present])
        motions.append(scenes.motion[scenes.present])
        for i in range(config.max_objects):
            for j in range(i + 1, config.max_objects):
                both = scenes.present[:, i] & scenes.present[:, j]
                flip = (scenes.colour[:, i] > scenes.colour[:, j])[both, None, None]  # in the order of the colours
                a, b = own[both, i], own[both, j]
                pairs.append(pair_features(torch.where(flip, b, a), torch.where(flip, a, b)))
                contacts.append(scenes.contact[both][:, :, i, j])
    return (torch.cat(tracks), torch.cat(motions)), (torch.cat(pairs), torch.cat(contacts))


def fit_tracks(net: TrackNet, x_KFD: Tensor, target: Tensor, steps: int, batch: int = 128) -> None:
    """Stage two, for one network: `target` is a class [K], or bool [K, F] for "at some time so far"."""
    flat = x_KFD.flatten(0, 1)
    net.mean.copy_(flat.mean(0))
    net.std.copy_(flat.std(0).clamp_min(1e-3))
    generator = torch.Generator().manual_seed(3)
    optimizer = torch.optim.AdamW(net.parameters(), lr=3e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps, pct_start=0.1)
    net.train()
    for step in range(steps):
        rows = torch.randint(len(x_KFD), (batch,), generator=generator)
        x = x_KFD[rows]
        lengths = torch.randint(9, 2 * READ_FRAMES, (batch, 1), generator=generator).clamp(max=READ_FRAMES)
        valid = torch.arange(READ_FRAMES) < lengths
        x = x + 0.01 * net.std * torch.randn(x.shape, generator=generator)
        logits = net(x, valid)
        if target.dim() == 1:
            loss = functional.cross_entropy(logits, target[rows])
        else:
            so_far = (target[rows] & valid).any(1).float()
            loss = functional.binary_cross_entropy_with_logits(logits[:, 0], so_far)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 500 == 0 or step == steps - 1:
            log.info("tracks %d: loss %.4f", step, loss.item())
    net.eval()


def held_out(clips: int, frames: int, config: PhysicsConfig, compiled: bool) -> Iterator[dict[str, object]]:
    """Batches of clips that nothing was trained on."""
    for begin in range(HELD_OUT_SEED, HELD_OUT_SEED + clips, 32):
        yield physics_batch(range(begin, min(begin + 32, HELD_OUT_SEED + clips)), frames, 64, config, compiled)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True, help="folder of the new weights")
    parser.add_argument("--frame-clips", type=int, default=6144, help="clips that single frames are taken from")
    parser.add_argument("--frame-steps", type=int, default=1500)
    parser.add_argument("--track-clips", type=int, default=3072, help="whole clips for motion and contact")
    parser.add_argument("--track-steps", type=int, default=3000)
    parser.add_argument("--check-clips", type=int, default=512, help="held-out clips of the closing table")
    parser.add_argument("--eager", action="store_true", help="render without torch.compile (slow; no C++ compiler)")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(relativeCreated)7d ms  %(message)s")
    begin, compiled = time.monotonic(), not options.eager
    torch.manual_seed(0)
    oracle = Oracle()
    fit_frames(oracle, options.frame_clips, 4, options.frame_steps, 64, compiled)
    tracks, pairs = collect_tracks(oracle, options.track_clips, compiled)
    log.info("made %d tracks and %d pairs", len(tracks[0]), len(pairs[0]))
    fit_tracks(oracle.motion, *tracks, options.track_steps)
    fit_tracks(oracle.contact, *pairs, options.track_steps)
    oracle.save_pretrained(options.out)
    log.info("saved %s after %.0f s", options.out, time.monotonic() - begin)
    for frames in (9, READ_FRAMES):
        table = calibrate(oracle, held_out(options.check_clips, frames, PhysicsConfig(), compiled))
        log.info("%d frames: %s", frames, "  ".join(f"{name} {value:.3f}" for name, value in table.items()))


if __name__ == "__main__":
    main()
