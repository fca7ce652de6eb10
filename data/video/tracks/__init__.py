"""What a video has beside its pictures: sound, subtitles and chapters."""

from .cues import Cue, read_chapters, read_cues
from .write import add_tracks

__all__ = ["Cue", "add_tracks", "read_chapters", "read_cues"]
