"""Scenes from seeds: looks, camera and the first draft of motions that shows what its words say.

Shapes: B clips, C drafts, F frames, N object slots.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .colours import BASIC, COLOURS, NAMED, rgb_table
from .motion.camera import camera_path, follow, project
from .motion.choice import choose
from .motion.dynamics import simulate
from .motion.plan import DRAFTS, HORIZON, UNIFORMS, Looks, draft_scripts
from .motion.script import Course
from .motion.words import M, pick
from .scene import (
    ACTIONS,
    CAMERAS,
    GROUNDS,
    HELD_OUT_PAIRS,
    HELD_OUT_TRIPLES,
    MATERIALS,
    PLACES,
    SHAPES,
    SIZES,
    SPEEDS,
    STYLES,
    TIMES,
    WEATHERS,
    Scenes,
    StageConfig,
    latent_of_frame,
)

CLIP_UNIFORMS = 40
ACTIONS_DRAWN = 256  # latent frames of actions; longer clips begin again with the first


def uniforms(seeds: Sequence[int], shape: tuple[int, ...]) -> Tensor:
    """Random numbers in [0, 1), [len(seeds), *shape]; row b depends on seeds[b] alone."""
    generator = torch.Generator()
    rows = [torch.rand(shape, generator=generator.manual_seed(int(seed))) for seed in seeds]
    return torch.stack(rows)


def sample_scenes(seeds: Sequence[int], frames: int, config: StageConfig = StageConfig()) -> Scenes:
    """Draw and simulate one scene per seed. Slots are ordered from left to right as first seen.

    Raises ValueError for no seeds and for frames below 1.
    """
    if len(seeds) < 1 or frames < 1:
        raise ValueError(f"seeds and frames must be at least 1; got {len(seeds)} and {frames}")
    N = config.max_objects
    draws = uniforms(seeds, (CLIP_UNIFORMS + (1 + DRAFTS) * 4 * UNIFORMS,))
    u_clip = draws[:, :CLIP_UNIFORMS]
    u = draws[:, CLIP_UNIFORMS:].unflatten(1, (1 + DRAFTS, 4, UNIFORMS))[:, :, :N]
    count, looks, colour, rgb = _looks(u_clip, u[:, 0], config)
    camera, camera_speed, nudge = _camera_words(u_clip, config)
    eye, view, lens = camera_path(camera, camera_speed, nudge, max(frames, HORIZON), config.fps)
    orbits = (camera == CAMERAS.index("orbit left")) | (camera == CAMERAS.index("orbit right"))
    heading = torch.where(orbits, view[:, 0, 0], 0.0)
    steered = torch.where(u_clip[:, 6] < config.steered, (u_clip[:, 7] * count).long(), -1)
    T = int(latent_of_frame(max(frames, HORIZON) - 1)) + 1
    action = _actions(seeds, steered, T)
    scripts = draft_scripts(u[:, 1:], looks, heading, steered, action, config)
    courses = simulate(scripts, HORIZON, config.fps)
    chosen = choose(scripts, courses, eye[:, :HORIZON], view[:, :HORIZON], lens[:, :HORIZON])
    rows = torch.arange(len(seeds)) * DRAFTS + chosen
    script, course = scripts[rows], courses[rows]
    if frames > HORIZON:
        course = simulate(script, frames, config.fps)
    eye, view, lens = eye[:, :frames], view[:, :frames], lens[:, :frames]
    camera, camera_target = _followed(camera, script.motion[..., 0], script.present)
    follows = camera == CAMERAS.index("follow")
    slot = camera_target.clamp_min(0)
    goal = course.position[torch.arange(len(seeds)), :frames, slot]
    view = follow(eye, view, camera_speed, goal, follows)
    words = {
        "count": count,
        "ground": looks.ground,
        **_scene_words(u_clip, config),
        "camera": camera,
        "camera_speed": camera_speed,
        "seed": torch.tensor([int(seed) for seed in seeds]),
        "eye": eye.float(),
        "view": view.float(),
        "lens": lens.float(),
        "action": action[:, : int(latent_of_frame(frames - 1)) + 1],
    }
    objects = {"colour": colour, "rgb": rgb, "material": looks.material} | {
        name: getattr(script, name)
        for name in ("shape", "size", "lying", "motion", "direction", "speed", "then_frame")
    }
    slots = {"target": script.target, "camera_target": camera_target, "steered": steered}
    across, _, _ = project(course.position[:, 0], eye[:, 0], view[:, 0], lens[:, 0])
    order = torch.where(looks.present, across, torch.inf).argsort(1)
    return _ordered(words, objects, slots, course, order, frames)


def _ordered(
    words: dict[str, Tensor],
    objects: dict[str, Tensor],
    slots: dict[str, Tensor],
    course: Course,
    order: Tensor,
    frames: int,
) -> Scenes:
    """Put slots into the given order, and say slots in that order."""
    rows = torch.arange(len(order))[:, None]
    objects = {name: value[rows, order] for name, value in objects.items()}
    new_place = torch.cat([order.argsort(1), torch.full_like(order[:, :1], -1)], 1)
    slots = {
        name: new_place[rows, value.view(len(order), -1)].view_as(value)
        for name, value in slots.items()
    }
    slots["target"] = slots["target"][rows, order]
    state = {}
    for name in ("position", "velocity", "rotation", "turning", "resting"):
        state[name] = getattr(course, name)[:, :frames].transpose(1, 2)[rows, order].transpose(1, 2)
    others = torch.cat([order, order.new_tensor([[-2, -1]]).expand(len(order), 2)], 1)
    others = torch.where(others < 0, others + order.shape[1] + 2, others)
    for name in ("impact", "moment"):
        table = getattr(course, name)[:, :frames].permute(0, 2, 3, 1)
        state[name] = table[rows[..., None], order[:, :, None], others[:, None]].permute(0, 3, 1, 2)
    state = {k: v if v.dtype == torch.bool else v.float() for k, v in state.items()}
    return Scenes(**words, **objects, **slots, **{k: v.contiguous() for k, v in state.items()})


def _looks(u_clip: Tensor, u: Tensor, config: StageConfig) -> tuple[Tensor, Looks, Tensor, Tensor]:
    """Count [B], looks, colour [B, N] and rgb [B, N, 3]."""
    N = config.max_objects
    count = config.min_objects + (u_clip[:, 0] * (N - config.min_objects + 1)).long()
    slots = torch.arange(N)
    present = slots < count[:, None]
    size = pick(u[..., 0], config.sizes, SIZES)
    crowded = (count[:, None] == 4) | ((count[:, None] == 3) & (slots > 0))
    size = torch.where(crowded & (size == 2), 1, size)  # so that they fit into the picture
    colour = u_clip[:, 10:20].argsort(1)[:, :N]
    shape = pick(u[..., 1], config.shapes, SHAPES)
    material = pick(u[..., 2], config.materials, MATERIALS)
    if config.only_held_out:
        forced = _held_out_look(u_clip[:, 8])
        colour = torch.where((colour == forced[:, :1]) & (slots > 0), colour[:, :1], colour)
        colour = torch.cat([forced[:, :1], colour[:, 1:]], 1)
        shape = torch.cat([forced[:, 1:2], shape[:, 1:]], 1)
        wanted = torch.where(forced[:, 2:] < 0, material[:, :1], forced[:, 2:])
        material = torch.cat([wanted, material[:, 1:]], 1)
    if config.hold_out:
        shape = _avoid_held_out(colour, shape, material, config)
    vary = 1 + 0.16 * (u[..., 3:4] - 0.5) + 0.08 * (u[..., 4:7] - 0.5)
    rgb = (rgb_table()[colour] * vary).clamp(0, 1)
    other = (u[..., 7] < config.other_colours) & ~(config.only_held_out & (slots == 0))
    named = len(BASIC) + (u[..., 8] * len(NAMED)).long()
    rgb = torch.where(other[..., None], rgb_table()[named], rgb)
    colour = torch.where(other, named, colour)
    looks = Looks(present, shape, material, size, pick(u_clip[:, 1], config.grounds, GROUNDS))
    return count, looks, colour, rgb


def _held_out_look(u: Tensor) -> Tensor:
    """Colour, shape and material (-1: any) of one of the held-out pairs and triples, [B, 3]."""
    pairs = [(COLOURS.index(c), SHAPES.index(s), -1) for c, s in HELD_OUT_PAIRS]
    triples = [
        (COLOURS.index(c), SHAPES.index(s), MATERIALS.index(m)) for c, m, s in HELD_OUT_TRIPLES
    ]
    table = torch.tensor(pairs + triples)
    return table[(u * len(table)).long()]


def _avoid_held_out(colour: Tensor, shape: Tensor, material: Tensor, config: StageConfig) -> Tensor:
    """Shapes such that no held-out look is left: each moves on to the next while it is one."""
    held = torch.zeros(len(BASIC), len(SHAPES), len(MATERIALS), dtype=torch.bool)
    for c, s in HELD_OUT_PAIRS:
        held[COLOURS.index(c), SHAPES.index(s)] = True
    for c, m, s in HELD_OUT_TRIPLES:
        held[COLOURS.index(c), SHAPES.index(s), MATERIALS.index(m)] = True
    allowed = sorted({SHAPES.index(word) for word in config.shapes})
    after = torch.arange(len(SHAPES))
    cycle = allowed if len(allowed) > 2 else list(range(len(SHAPES)))
    for here, there in zip(cycle, [*cycle[1:], cycle[0]], strict=True):
        after[here] = there
    for _ in SHAPES:
        shape = torch.where(held[colour, shape, material], after[shape], shape)
    return shape


def _scene_words(u: Tensor, config: StageConfig) -> dict[str, Tensor]:
    place = pick(u[:, 20], config.places, PLACES)
    weather = pick(u[:, 21], config.weathers, WEATHERS)
    return {
        "place": place,
        "weather": torch.where(place == PLACES.index("room"), 0, weather),
        "time": pick(u[:, 22], config.times, TIMES),
        "style": pick(u[:, 23], config.styles, STYLES),
    }


def _camera_words(u: Tensor, config: StageConfig) -> tuple[Tensor, Tensor, Tensor]:
    """Camera and speed words [B] and the nudge [B, 2] of its place in metres."""
    moves = pick(u[:, 2], config.cameras, CAMERAS)
    camera = torch.where(u[:, 3] < config.moving_camera, moves, 0)
    nudge = (u[:, 24:26].double() - 0.5) * torch.tensor([0.3, 0.7])
    return camera, pick(u[:, 4], config.speeds, SPEEDS), nudge


def _followed(camera: Tensor, motion: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
    """The camera follows the first object that travels; where none does, it is still."""
    travels = (motion == M["roll"]) | (motion == M["slide"]) | (motion >= M["orbit"])
    travels = travels & present & (motion != M["stop"])
    follows = (camera == CAMERAS.index("follow")) & travels.any(1)
    target = torch.where(follows, travels.int().argmax(1), -1)
    camera = torch.where((camera == CAMERAS.index("follow")) & ~follows, 0, camera)
    return camera, target


def _actions(seeds: Sequence[int], steered: Tensor, latents: int) -> Tensor:
    """Actions [B, T]: each lasts one to four latent frames; the first latent frame has none."""
    u = uniforms([int(seed) + (1 << 40) for seed in seeds], (ACTIONS_DRAWN, 2))
    drawn = torch.tensor([0, 1, 1, 2, 2, 3, 4, 5])[(u[..., 0] * 8).long()]
    fresh = u[..., 1] < 0.45
    fresh[:, 0] = True
    since = torch.where(fresh, torch.arange(ACTIONS_DRAWN), 0).cummax(1).values
    action = drawn.gather(1, since)
    action = torch.where((action == ACTIONS.index("jump")) & ~fresh, 0, action)
    action = action[:, torch.arange(latents) % ACTIONS_DRAWN]
    action[:, 0] = 0
    return torch.where((steered >= 0)[:, None], action, 0)
