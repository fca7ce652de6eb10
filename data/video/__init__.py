"""Videos and images as tensors: reading, writing, and what runs beside it."""

from ...files.image_files import IMAGE_SUFFIXES
from .frames import VideoError
from .pixels import to_float, to_uint8
from .read import (
    VIDEO_SUFFIXES,
    VideoClip,
    VideoInfo,
    clip_rate,
    even_timing,
    first_look,
    iterate_frames,
    probe,
    read_clip,
    read_metadata,
)
from .write import VideoWriter, write_video

__all__ = [
    "IMAGE_SUFFIXES",
    "VIDEO_SUFFIXES",
    "VideoClip",
    "VideoError",
    "VideoInfo",
    "VideoWriter",
    "clip_rate",
    "even_timing",
    "first_look",
    "iterate_frames",
    "probe",
    "read_clip",
    "read_metadata",
    "to_float",
    "to_uint8",
    "write_video",
]
