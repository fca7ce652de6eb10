"""What a clip of the stage shows: the truth that captions may tell.

Rules
- An object that is in the picture, and not hidden by another, in less than SEEN of the frames is
  not there.
- A motion is there once it has gone far enough to be noticed, while the object was in the picture;
  one that was meant but has not happened yet is not. A bounce that has only fallen so far is a
  fall. A clip of one frame shows no motion.
- What turns about its own axis of symmetry shows it by its stripes only.
- A surface is told where its style of drawing shows it: flat drawings have no shine.
- A colour is not told of what does not glow, at night in fog.
- The camera is still if it never moves; a move is there once it has gone far enough.
- An impact is there if it was not faint and both were in the picture.

Shapes: B clips, F frames, N object slots.
"""

from __future__ import annotations

from torch import Tensor

from ..scene import CAMERAS, MATERIALS, STYLES, TIMES, WEATHERS, Scenes
from .facts import UNKNOWN, Deed, Facts, Hit, Thing
from .motions import FAINT, MOVED, Phase
from .picture import in_picture, places, seen_camera

SEEN = 0.2  # share of frames
SHOWS_MATERIAL = {
    "shaded": MATERIALS,
    "flat": ("striped", "glowing"),
    "pencil": MATERIALS,
    "pixels": MATERIALS,
    "watercolour": MATERIALS,
}


def facts(scenes: Scenes) -> list[Facts]:
    """What each clip shows."""
    seen = in_picture(scenes)
    across = places(scenes)[0][:, 0]
    camera = seen_camera(scenes)
    columns = [
        getattr(scenes, name).tolist()
        for name in ("camera_speed", "camera_target", "time", "weather", "ground", "style", "place")
    ]
    clips = []
    for row, (speed, target, time, weather, ground, style, place) in enumerate(zip(*columns)):
        slots = _seen_slots(scenes, seen, row)
        things = tuple(_thing(scenes, seen, across, row, slot) for slot in slots)
        hits = _hits(scenes, seen, row, slots)
        move = camera[row]
        if CAMERAS[move] == "follow" and target not in slots:
            move = UNKNOWN
        moves = move > 0
        clips.append(
            Facts(
                things,
                hits,
                move,
                speed if moves else UNKNOWN,
                target if moves and CAMERAS[move] == "follow" else UNKNOWN,
                time,
                weather,
                ground,
                style,
                place,
            )
        )
    return clips


def _seen_slots(scenes: Scenes, seen: Tensor, row: int) -> list[int]:
    share = seen[row].float().mean(0)
    return (share >= SEEN).nonzero().flatten().tolist()


def _thing(scenes: Scenes, seen: Tensor, across: Tensor, row: int, slot: int) -> Thing:
    style = STYLES[int(scenes.style[row])]
    material = int(scenes.material[row, slot])
    shows = MATERIALS[material] in SHOWS_MATERIAL[style]
    dark = TIMES[int(scenes.time[row])] == "night" and WEATHERS[int(scenes.weather[row])] == "fog"
    lit = not dark or MATERIALS[material] == "glowing"
    return Thing(
        slot,
        int(scenes.colour[row, slot]) if lit else UNKNOWN,
        int(scenes.shape[row, slot]),
        material if shows else UNKNOWN,
        int(scenes.size[row, slot]),
        _deeds(scenes, seen, row, slot),
        float(across[row, slot]),
    )


def _deeds(scenes: Scenes, seen: Tensor, row: int, slot: int) -> tuple[Deed, ...]:
    begin = int(scenes.then_frame[row, slot])
    first_end = scenes.frames if begin < 0 else min(begin + 1, scenes.frames)
    first = Phase(scenes, seen, row, slot, 0, 0, first_end).deed()
    if first is None or begin < 0 or begin + 2 > scenes.frames:
        return () if first is None else (first,)
    second = Phase(scenes, seen, row, slot, 1, begin, scenes.frames).deed()
    if second is None:
        return ()  # it is under way: neither the first motion alone nor both
    return (first,) if second == first else (first, second)


def _hits(scenes: Scenes, seen: Tensor, row: int, slots: list[int]) -> tuple[Hit, ...]:
    """The first impact of each pair, and of each object with a wall, in the order in which they
    happen."""
    N = scenes.shape.shape[1]
    wall = N + 1
    impact = scenes.impact[row]
    found = []
    done = set()
    strong = ((impact > FAINT) & seen[row][..., None]).nonzero().tolist()
    for frame, who, other in strong:
        if who not in slots or other == N:
            continue
        pair = (who, UNKNOWN) if other == wall else (min(who, other), max(who, other))
        if pair in done:
            continue
        if other == wall:
            done.add(pair)
            found.append(Hit(who, UNKNOWN, _phase_at(scenes, row, who, frame), False))
        elif other in slots and bool(seen[row, frame, other]):
            done.add(pair)
            found.append(_hit(scenes, row, frame, who, other))
    return tuple(found)


def _hit(scenes: Scenes, row: int, frame: int, one: int, two: int) -> Hit:
    """Who was faster hits the other one."""
    before = scenes.velocity[row, max(frame - 1, 0)].norm(dim=-1)
    who, whom = (one, two) if before[one] >= before[two] else (two, one)
    was_still = bool(before[whom] < 0.05)
    moved = (scenes.position[row, -1, whom] - scenes.position[row, frame, whom]).norm()
    pushes = was_still and bool(moved > MOVED)
    return Hit(who, whom, _phase_at(scenes, row, who, frame), pushes)


def _phase_at(scenes: Scenes, row: int, slot: int, frame: int) -> int:
    begin = int(scenes.then_frame[row, slot])
    return int(0 <= begin < frame)
