"""The third stage of making the judge of pictures: what happens in the course of a clip.

The networks for objects, pairs and the camera learn from the tracks that the finished FrameNet
makes, with looks from close-ups, so they know its errors.

Shapes: B clips, F frames, N object slots, K courses, D features.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as functional
from torch import Tensor

from ..captions.facts import UNKNOWN, Facts
from ..captions.motions import FAINT
from ..captions.observe import facts
from ..drawing.render import BACKDROP, render
from ..sample import sample_scenes
from ..scene import Scenes, StageConfig
from .fit_frames import RENDERED, spoil
from .network import CourseNet
from .pixels import CAMERA_WORDS, COURSE_WORDS, READ_FRAMES, PixelJudge
from .reading import NO_SECOND
from .tracks import Tracks, pair_features

log = logging.getLogger(__name__)
SEED = 600_000_000  # none of the seeds that models train on
CLIPS_AT_ONCE = 8
NEAR_TOUCH = 1  # frames around a touch that may be taken for it
WORLDS = tuple(StageConfig(max_objects=most, moving_objects=0.9, then=0.3) for most in (1, 2))
Rows = dict[str, Tensor]


def collect(
    judge: PixelJudge, clips: int, compiled: bool = False, first_seed: int = SEED
) -> dict[str, Rows]:
    """Courses of objects, pairs and cameras with what they show, of clips half of which are
    spoiled."""
    generator = torch.Generator().manual_seed(2)
    parts: dict[str, list[Rows]] = {"course": [], "pair": [], "camera": []}
    for index, begin in enumerate(range(first_seed, first_seed + clips, CLIPS_AT_ONCE)):
        seeds = range(begin, min(begin + CLIPS_AT_ONCE, first_seed + clips))
        scenes = sample_scenes(seeds, READ_FRAMES, WORLDS[index % len(WORLDS)])
        video, truth = render(scenes, RENDERED, compiled=compiled)
        pictures = spoil(video.transpose(1, 2).flatten(0, 1).float() / 127.5 - 1, generator)
        video = ((pictures + 1) * 127.5).round().to(torch.uint8)
        look = judge.look(video.unflatten(0, (len(scenes), -1)).transpose(1, 2))
        shown = facts(scenes)
        slots = [slots_of(tracks, truth.regions[b]) for b, tracks in enumerate(look.tracks)]
        for b, tracks in enumerate(look.tracks):
            parts["course"] += list(object_courses(tracks, slots[b], scenes, shown[b], b))
            parts["pair"] += list(pair_courses(tracks, slots[b], scenes, b))
        parts["camera"].append(camera_courses(look.pose, shown))
    return {
        kind: {name: torch.cat([row[name] for row in rows]) for name in rows[0]}
        for kind, rows in parts.items()
        if rows
    }


def slots_of(tracks: Tracks, regions: Tensor) -> list[int]:
    """Which slot each track shows most of, or -1; of two tracks of one slot the larger has it."""
    half = regions.shape[-1] // tracks.maps.shape[-1]
    shown = regions[:, half // 2 :: half, half // 2 :: half].long()
    counts = torch.zeros(len(tracks), BACKDROP)
    for t in range(len(tracks)):
        here = shown[tracks.maps == t]
        counts[t] = here[here < BACKDROP].bincount(minlength=BACKDROP)[:BACKDROP].float()
    slots = [-1] * len(tracks)
    while counts.numel() and counts.max() > 0:
        t, region = divmod(int(counts.argmax()), BACKDROP)
        slots[t] = region - 1
        counts[t] = 0
        counts[:, region] = 0
    return slots


def object_courses(
    tracks: Tracks, slots: list[int], scenes: Scenes, shown: Facts, clip: int
) -> Iterator[Rows]:
    """One row for each track of a known object; words are UNKNOWN where nothing is sure."""
    deeds = {thing.slot: thing.deeds for thing in shown.things}
    for t, slot in enumerate(slots):
        if slot < 0:
            continue
        words = [UNKNOWN] * len(COURSE_WORDS)
        mine = deeds.get(slot, ())
        if mine:
            second = mine[1].motion if len(mine) > 1 else NO_SECOND
            words = [mine[0].motion, second, mine[0].direction, mine[0].speed]
        yield {
            "features": tracks.features[None, t],
            "place": scenes.position[clip, None, :, slot],
            "seen": tracks.seen[None, t],
            "words": torch.tensor([words]),
        }


def pair_courses(tracks: Tracks, slots: list[int], scenes: Scenes, clip: int) -> Iterator[Rows]:
    """One row for each pair of tracks of known objects; touch is -1 beside a touch."""
    touched = scenes.impact[clip, ..., : scenes.shape.shape[1]] > FAINT
    known = [t for t, slot in enumerate(slots) if slot >= 0]
    places = tracks.features[..., 9:12]
    for i, one in enumerate(known):
        for two in known[i + 1 :]:
            a, b = slots[one], slots[two]
            at = (touched[:, a, b] | touched[:, b, a]).float()
            near = functional.max_pool1d(at[None], 2 * NEAR_TOUCH + 1, 1, NEAR_TOUCH)[0]
            yield {
                "features": pair_features(tracks, places, one, two)[None],
                "touch": torch.where(at > 0, 1.0, -near)[None],
            }


def camera_courses(pose: Tensor, shown: list[Facts]) -> Rows:
    words = [[one.camera, one.camera_speed] for one in shown]
    return {"features": pose, "words": torch.tensor(words)}


def fit_courses(net: CourseNet, data: Rows, steps: int, batch: int = 64) -> None:
    """Places and words of objects."""
    for rows, valid, descend in _steps(net, data["features"], steps, batch):
        places, logits = net(data["features"][rows], valid)
        seen = (data["seen"][rows] & valid)[..., None]
        error = functional.smooth_l1_loss(places, data["place"][rows], beta=0.05, reduction="none")
        place = (error * seen).sum() / seen.sum().clamp_min(1)
        descend(2 * place + word_loss(logits, data["words"][rows], COURSE_WORDS))


def fit_pairs(net: CourseNet, data: Rows, steps: int, batch: int = 64) -> None:
    """Touches, at their frame and at all."""
    for rows, valid, descend in _steps(net, data["features"], steps, batch):
        each, ever = net(data["features"][rows], valid)
        touch = data["touch"][rows]
        asked = (touch >= 0) & valid
        error = functional.binary_cross_entropy_with_logits(
            each[..., 0], touch.clamp_min(0), reduction="none"
        )
        weight = torch.where(touch == 1, 5.0, 1.0) * asked
        any_touch = ((touch == 1) & valid).any(1).float()
        whole = functional.binary_cross_entropy_with_logits(ever[:, 0], any_touch)
        descend((error * weight).sum() / asked.sum() + whole)


def fit_camera(net: CourseNet, data: Rows, steps: int, batch: int = 64) -> None:
    """Move and speed of the camera."""
    for rows, valid, descend in _steps(net, data["features"], steps, batch):
        logits = net(data["features"][rows], valid)[1]
        descend(word_loss(logits, data["words"][rows], CAMERA_WORDS))


def word_loss(logits: Tensor, words: Tensor, sizes: tuple[int, ...]) -> Tensor:
    """Sum of the losses of several words [K, n] side by side; UNKNOWN ones do not count."""
    loss = logits.new_zeros(())
    for part, word in zip(logits.split(list(sizes), -1), words.T):
        error = functional.cross_entropy(part, word, ignore_index=UNKNOWN, reduction="sum")
        loss = loss + error / (word != UNKNOWN).sum().clamp_min(1)
    return loss


def _steps(
    net: CourseNet, features: Tensor, steps: int, batch: int
) -> Iterator[tuple[Tensor, Tensor, Callable[[Tensor], None]]]:
    """Random rows, which of their frames count, and a function that takes a step.

    What a clip shows is known of the whole of it, so all frames count.
    """
    flat = features.flatten(0, 1)
    net.mean.copy_(flat.mean(0))
    net.std.copy_(flat.std(0).clamp_min(1e-2))
    generator = torch.Generator().manual_seed(3)
    optimizer = torch.optim.AdamW(net.parameters(), lr=3e-3, weight_decay=0.1)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 3e-3, total_steps=steps, pct_start=0.1
    )
    net.train()
    for step in range(steps):

        def descend(loss: Tensor, step: int = step) -> None:
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            if step % 100 == 0 or step == steps - 1:
                log.info("%d: loss %.4f", step, loss.item())

        rows = torch.randint(len(features), (batch,), generator=generator)
        yield rows, torch.ones(batch, features.shape[1], dtype=torch.bool), descend
    net.eval()
