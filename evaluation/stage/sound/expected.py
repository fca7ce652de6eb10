"""What one should hear of a clip, from its pixels: who strikes what when, and where nothing sounds.

A strike is a touch of two things, a landing or a wall that is hit. What happens between two frames
sounds in the second of them, as in the world (`data.worlds.stage.sound.events`).

Legend: F frames.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from ....data.worlds.stage.captions import Attributes
from ....data.worlds.stage.captions.facts import COLLIDE, EMERGE, ORBIT, ROLL, SLIDE
from ....data.worlds.stage.judge.sound import TOGETHER, Strike
from ....data.worlds.stage.scene import HALF_DEPTH, HALF_WIDTH, MATERIALS, PLACES, RADII, WEATHERS
from ....data.worlds.stage.sound.noise import WIND
from ..courses import Course, ShownClip
from ..physics import laws

SOFT = 0.6  # m/s; what strikes more softly may be heard or not
NEAR_WALL = 0.35  # metres
LATE_BOUNCES = 9  # frames after a landing in which a thing may bounce again
MARGIN = 2  # frames before a strike that may sound already
TRAVELS = (ROLL, SLIDE, ORBIT, COLLIDE, EMERGE)

Event = tuple[float, float, frozenset[str]]  # frames from the beginning, m/s, materials


def expected_strikes(shown: ShownClip, said: Attributes) -> list[tuple[Strike, bool]]:
    """Strikes that the picture shows, and whether each must be heard: soft ones, and those under
    rain and wind, may be covered. What may be heard though no picture shows it stands among them:
    a thing that is out of the picture may strike anything, and one that has landed may still
    bounce too low to see."""
    covered = _windy(shown, said)
    found: list[tuple[Strike, bool]] = []
    for frame, speed, materials in sorted(_events(shown), key=lambda event: event[0]):
        time = _second(frame)
        loud = speed >= SOFT and not covered
        if found and time - found[-1][0].time < TOGETHER:
            last, was_loud = found[-1]
            found[-1] = (Strike(last.time, last.materials | materials), was_loud or loud)
        else:
            found.append((Strike(time, materials), loud))
    found += [(strike, False) for thing in shown.things for strike in _unseen(thing)]
    return sorted(found, key=lambda pair: pair[0].time)


def _second(frame: float) -> float:
    """When what happens at a frame sounds."""
    return (frame + 1) / laws.FPS


def _unseen(thing: Course) -> Iterator[Strike]:
    """Strikes of a thing that no picture can show."""
    material = frozenset([MATERIALS[thing.material]])
    after = [frame + step for frame, _ in landings(thing) for step in range(2, LATE_BOUNCES)]
    hidden = (~thing.there).nonzero()[:, 0].tolist()
    for frame in (*hidden, *after):
        yield Strike(_second(frame - 0.5), material)


def quiet_frames(
    shown: ShownClip, said: Attributes, strikes: Sequence[tuple[Strike, bool]], frames: int
) -> int:
    """How many frames of the beginning give no reason to sound, neither by the pixels nor by the
    sentence: nothing rolls, slides, rains or blows, and nothing was struck yet."""
    if _windy(shown, said) or any(_travels(thing) for thing in shown.things):
        return 0
    if said.hits or any(deed.motion in TRAVELS for thing in said.things for deed in thing.deeds):
        return 0
    first = min((strike.time for strike, _ in strikes), default=_second(frames + MARGIN))
    return max(0, min(frames, int(first * laws.FPS) - MARGIN))


def _windy(shown: ShownClip, said: Attributes) -> bool:
    inside = PLACES.index("room") in (shown.scene["place"], said.place)
    blows = [WEATHERS.index(name) for name in WIND]
    return said.weather in blows or (shown.scene["weather"] in blows and not inside)


def _travels(thing: Course) -> bool:
    before, after = laws.velocities(thing.place)
    speed = torch.fmin(before.norm(dim=-1), after.norm(dim=-1))
    return thing.motion in TRAVELS or bool((speed[thing.whole] > laws.MOVING).any())


def _events(shown: ShownClip) -> Iterator[Event]:
    materials = [frozenset([MATERIALS[thing.material]]) for thing in shown.things]
    for touch in shown.touches:
        one, two = shown.things[touch.one], shown.things[touch.two]
        speed = _speed_before(one.place - two.place, touch.frame)
        yield touch.frame - 0.5, speed, materials[touch.one] | materials[touch.two]
    for thing, own in zip(shown.things, materials):
        touched = {t.frame for t in shown.touches if shown.things[t.one] is thing}
        touched |= {t.frame for t in shown.touches if shown.things[t.two] is thing}
        for frame, speed in landings(thing):
            yield frame, speed, own
        for frame, speed in wall_hits(thing, touched):
            yield frame, speed, own


def _speed_before(place_F3: Tensor, frame: int) -> float:
    before, _ = laws.velocities(place_F3)
    rows = before[: max(frame, 1)]
    known = rows[~rows.isnan().any(-1)]
    return float(known[-1].norm()) if len(known) else SOFT


def landings(thing: Course) -> list[tuple[float, float]]:
    """When a thing comes down on the ground, in frames, and how fast, m/s."""
    height = thing.place[:, 1]
    ground = laws.ground_height(height, thing.there)
    found = []
    for flight in laws.flights(height, thing.there):
        down = flight.stop < len(height) and bool(thing.there[flight.stop])
        if down and flight.stop - flight.start >= 3:
            time = torch.linspace(flight.stop - 1, flight.stop, 33).double()
            path = laws.flight_heights(height, flight, time)
            below = (path <= ground).nonzero()
            at = int(below[0]) if len(below) else len(time) - 1
            speed = float(path[at - 1] - path[at]) * 32 * laws.FPS if at else 0.0
            if speed > 0:
                found.append((float(time[at]), speed))
    return found


def wall_hits(thing: Course, touched: set[int]) -> list[tuple[float, float]]:
    """When a thing is thrown back by a wall, in frames, and how fast it came; not where it touches
    another thing."""
    before, after = laws.velocities(thing.place)
    found: list[tuple[float, float]] = []
    for axis, column, end in ((0, 0, HALF_WIDTH), (2, 1, HALF_DEPTH)):
        side = thing.place[:, axis].sign()
        closing, leaving = before[:, column] * side, -after[:, column] * side
        near = thing.place[:, axis].abs() > end - RADII[thing.size] - NEAR_WALL
        turns = (closing > laws.MOVING) & (leaving > 0.3 * closing) & near & thing.there
        for run in laws.runs(turns):
            change = (closing + leaving)[run]
            frame = run.start + int(change.argmax())
            if not any(abs(frame - other) <= laws.SMOOTH for other in touched):
                found.append((float(frame), float(closing[frame])))
    return found
