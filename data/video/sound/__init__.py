"""The sound of video and sound files as samples, and samples as the sound of a file in the making,
through PyAV."""

from .read import MOST_SECONDS, read_sound, read_span, resample_sound
from .stream import has_track, iterate_sound
from .track import SoundTrack

__all__ = [
    "MOST_SECONDS",
    "SoundTrack",
    "has_track",
    "iterate_sound",
    "read_sound",
    "read_span",
    "resample_sound",
]
