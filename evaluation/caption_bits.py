"""Extra bits that a clip costs when one word of its caption is swapped.

They show whether a model reads its caption: a model that ignores a word pays nothing for a wrong
one. `captions.sentence` words a scene by its seed alone, so the same seed with one attribute
changed gives the same sentence with that word swapped. No clip is sampled: the true clip is scored
under both captions, teacher-forced.

Legend: B captions, T H W latent grid, G = H * W cells, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from ..data.worlds.physics.captions import Attributes, sentence
from ..data.worlds.physics.scene import CAMERAS, COLOURS, HELD_OUT_PAIRS, MOTIONS, SHAPES, TIMES

UNSEEN = {(COLOURS.index(colour), SHAPES.index(shape)) for colour, shape in HELD_OUT_PAIRS}
BitsOf = Callable[[Sequence[str]], list[float]]


def _first_object(truth: Attributes, **change: int) -> Attributes:
    colour, shape, size, motion = truth.objects[0]
    first = (
        change.get("colour", colour),
        change.get("shape", shape),
        change.get("size", size),
        change.get("motion", motion),
    )
    return replace(truth, objects=(first, *truth.objects[1:]))


def _colour(truth: Attributes) -> Attributes | None:
    used = {thing[0] for thing in truth.objects}
    shape = truth.objects[0][1]
    free = [c for c in range(len(COLOURS)) if c not in used and (c, shape) not in UNSEEN]
    later = [c for c in free if c > truth.objects[0][0]]
    return _first_object(truth, colour=(later or free)[0])


def _shape(truth: Attributes) -> Attributes | None:
    colour, shape = truth.objects[0][:2]
    others = [(shape + step) % len(SHAPES) for step in (1, 2)]
    return _first_object(truth, shape=next(s for s in others if (colour, s) not in UNSEEN))


def _size(truth: Attributes) -> Attributes | None:
    size = truth.objects[0][2]
    return None if size < 0 else _first_object(truth, size=1 - size)


def _motion(truth: Attributes) -> Attributes | None:
    if truth.collides:  # who hits whom would have to change as well
        return None
    return _first_object(truth, motion=(truth.objects[0][3] + 1) % len(MOTIONS))


def _binding(truth: Attributes) -> Attributes | None:
    """Swap the colours of the first two objects: the same words, for the other object."""
    if len(truth.objects) < 2 or truth.objects[0][1] == truth.objects[1][1]:
        return None
    (a, shape_a, *rest_a), (b, shape_b, *rest_b) = truth.objects[:2]
    if (b, shape_a) in UNSEEN or (a, shape_b) in UNSEEN:
        return None
    first = (b, shape_a, rest_a[0], rest_a[1])
    second = (a, shape_b, rest_b[0], rest_b[1])
    return replace(truth, objects=(first, second, *truth.objects[2:]))


def _count(truth: Attributes) -> Attributes | None:
    if len(truth.objects) < 2 or truth.collides:
        return None
    return replace(truth, objects=truth.objects[:-1])


def _camera(truth: Attributes) -> Attributes | None:
    return replace(truth, camera=(truth.camera + 1) % len(CAMERAS))


def _time(truth: Attributes) -> Attributes | None:
    return replace(truth, time=(truth.time + 1) % len(TIMES))


def _collision(truth: Attributes) -> Attributes | None:
    return replace(truth, collides=False) if truth.collides else None


SWAPS: dict[str, Callable[[Attributes], Attributes | None]] = {
    "colour": _colour,
    "shape": _shape,
    "size": _size,
    "motion": _motion,
    "binding": _binding,
    "count": _count,
    "camera": _camera,
    "time": _time,
    "collision": _collision,
}


def swapped_captions(
    truth: Attributes, seed: int, contacts: Sequence[Sequence[bool]] = ()
) -> dict[str, str]:
    """Captions of a clip with one attribute untrue, for each attribute that can be swapped in it.

    Args:
        truth: what the true caption says (`captions.describe`), worded by `seed`.
        contacts: [N][N], which objects touch, as in `captions.sentence`.
    """
    wrong = {name: swap(truth) for name, swap in SWAPS.items()}
    return {
        name: sentence(said, seed, contacts)[0] for name, said in wrong.items() if said is not None
    }


def extra_bits(
    truth: Attributes, seed: int, contacts: Sequence[Sequence[bool]], bits_of: BitsOf
) -> dict[str, float]:
    """Bits of one clip under each swapped caption, less its bits under the true one.

    Args:
        bits_of: gives the bits of this clip under several captions, scored as one batch.
    """
    swapped = swapped_captions(truth, seed, contacts)
    true, *wrong = bits_of([sentence(truth, seed, contacts)[0], *swapped.values()])
    return {name: bits - true for name, bits in zip(swapped, wrong)}
