"""Samples kept on the disk exactly as they were drawn, and the plan that they belong to.

Videos are Matroska files with FFV1 in RGB, which loses nothing: a number that is measured again on
the files, by whatever program, is the same number.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from torch import Tensor

from ...files.atomic import whole_file, write_whole
from ...files.json_file import read_object

PLAN = "plan.json"


def write_exactly(path: Path, video_3FYX: Tensor, fps: float) -> None:
    """Write uint8 `[3, F, Y, X]` so that the same values are read again."""
    height, width = video_3FYX.shape[2:]
    with whole_file(path) as file, av.open(file, "w", format="matroska") as container:
        stream: Any = container.add_stream("ffv1", Fraction(fps).limit_denominator(1000))
        stream.height = height
        stream.width = width
        stream.pix_fmt = "bgr0"
        for picture in video_3FYX.permute(1, 2, 3, 0).contiguous().numpy():
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="bgr0")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def file_stem(row: int, name: str) -> str:
    """A name for the files of a clip: its row keeps it apart from all others."""
    return f"{row:06d}-" + re.sub(r"[^\w.-]+", "_", name)


def agree(folder: Path, plan: Mapping[str, Any]) -> None:
    """Write the plan, or raise ValueError if `folder` holds samples of another one."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / PLAN
    text = json.dumps(plan, indent=2, sort_keys=True) + "\n"
    if not path.exists():
        write_whole(path, text)
        return
    begun = read_object(path)
    now = json.loads(text)
    other = [name for name in now if begun.get(name) != now[name]]
    if other:
        raise ValueError(
            f"'{folder}' holds samples made with another {', '.join(other)}; name another folder "
            "with --out"
        )


def write_captions(path: Path, captions: Mapping[str, str]) -> None:
    """A table beside videos that metrics which need captions read."""
    text = io.StringIO(newline="")
    rows = csv.writer(text)
    rows.writerow(["file_name", "text"])
    rows.writerows(captions.items())
    write_whole(path, text.getvalue())
