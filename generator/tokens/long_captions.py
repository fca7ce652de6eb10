"""Captions with more tokens than a model takes: named with their files, cut, or left out."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Literal, get_args

from ...files.config_fields import shown
from ..conditions.text_encoder import AT_ONCE, TextEncoder

log = logging.getLogger(__name__)
LongCaptions = Literal["stop", "skip", "cut"]


def check_choice(choice: str) -> None:
    """ValueError unless it is one of `LongCaptions`."""
    if choice not in get_args(LongCaptions):
        raise ValueError(
            f"long_captions must be {' or '.join(get_args(LongCaptions))}; got {shown(choice)}"
        )


def fitting(
    captions: Mapping[int, Sequence[str]],
    names: Mapping[int, str],
    text: TextEncoder,
    most: int,
    choice: LongCaptions,
) -> dict[int, tuple[str, ...] | None]:
    """What becomes of captions that are too long, for the clips that have some; None for a clip
    that has no other.

    Args:
        captions: of each clip.
        names: of the file that each clip is from, for people to read.
        most: tokens that a caption may have.
        choice: "stop" refuses them, "skip" leaves out the caption, and a clip that has no other,
            "cut" keeps its first words.

    Raises:
        ValueError: a caption is too long, and `choice` is "stop".
    """
    different = sorted({caption for own in captions.values() for caption in own if caption.strip()})
    lengths: dict[str, int] = {}
    for begin in range(0, len(different), AT_ONCE):
        some = different[begin : begin + AT_ONCE]
        lengths |= zip(some, text.lengths(some).tolist())
    long = {caption for caption, length in lengths.items() if length > most}
    clips = sorted(clip for clip, own in captions.items() if long.intersection(own))
    if not clips:
        return {}
    name = names[clips[0]]
    length = max(lengths[caption] for caption in captions[clips[0]] if caption in long)
    files = len({names[clip] for clip in clips})
    others = f", and {files - 1} more are too long" if files > 1 else ""
    said = f"the caption of '{name}' has {length} tokens and the model takes {most}{others}"
    if choice == "stop":
        raise ValueError(f"{said}; shorten it, or set data.long_captions to cut or skip")
    if choice == "skip":
        log.warning("%s: left out", said)
        kept = {clip: tuple(c for c in captions[clip] if c not in long) for clip in clips}
        return {clip: own or None for clip, own in kept.items()}
    log.warning("%s: cut to its first words", said)
    short = {caption: shortened(caption, text, most) for caption in long}
    return {clip: tuple(short.get(c, c) for c in captions[clip]) for clip in clips}


def shortened(caption: str, text: TextEncoder, most: int) -> str:
    """The first words of a caption that have `most` tokens at most, or the first letters of one
    that has no blanks.

    Raises:
        ValueError: not even one letter fits.
    """
    low, high = 0, len(caption)  # so many letters fit, and one more than `high` would not
    while low < high:
        middle = (low + high + 1) // 2
        part = caption[:middle]
        if not part.strip() or int(text.lengths([part])) <= most:
            low = middle
        else:
            high = middle - 1
    part = caption[:low]
    inside = low < len(caption) and not caption[low].isspace() and not part[-1:].isspace()
    if inside and " " in part.strip():  # a word is cut in two
        part = part.rsplit(None, 1)[0]
    if not part.strip():
        raise ValueError(f"captions of {most} tokens are too short for a word")
    return part.rstrip()
