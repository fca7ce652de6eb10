"""What is given to a simulation and what follows from it.

Shapes: B clips, F frames, T latent frames, N object slots.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from torch import Tensor

# What speed words mean: slow, normal, fast.
TRAVEL_SPEED = (0.8, 1.5, 2.6)  # m/s of rolling and sliding, by speed word
TURN_SPEED = (1.2, 2.6, 5.0)  # radians per second of spinning
ORBIT_SPEED = (0.9, 1.6, 2.6)  # radians per second around the target
JUMP_SPEED = (1.5, 2.1, 2.8)  # m/s upwards


@dataclass(frozen=True)
class Script:
    """What is given before anything moves. Words as in `Scenes`.

    start float64 [B, N, 3]: positions; push [B, N, 2, 2]: velocity along x and z that the first and
    the second motion begin with; yaw [B, N]: where the object's axis (or own x) points at first;
    around [B, N, 3]: radius of the orbit, angle at first, radians per second.
    """

    present: Tensor
    shape: Tensor
    size: Tensor
    lying: Tensor
    ground: Tensor
    motion: Tensor
    direction: Tensor
    speed: Tensor
    then_frame: Tensor
    target: Tensor
    start: Tensor
    push: Tensor
    yaw: Tensor
    around: Tensor
    steered: Tensor
    action: Tensor
    heading: Tensor  # [B], angle by which the picture's directions are turned about the vertical

    def __getitem__(self, rows: Tensor | slice) -> Script:
        return Script(*(getattr(self, field.name)[rows] for field in fields(self)))


@dataclass(frozen=True)
class Course:
    """What follows: the state at each frame, named as in `Scenes`, float64 unless said there."""

    position: Tensor
    velocity: Tensor
    rotation: Tensor
    turning: Tensor
    resting: Tensor
    impact: Tensor
    moment: Tensor

    def __getitem__(self, rows: Tensor | slice) -> Course:
        return Course(*(getattr(self, field.name)[rows] for field in fields(self)))
