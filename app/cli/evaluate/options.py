"""Options that `evaluate videos`, `evaluate tokenizer` and `evaluate generator` have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ....data.datasets.wanted import Wanted


@dataclass(frozen=True)
class DataOptions:
    """Which videos count.

    Args:
        layout: insist on a layout of the data: lerobot, something-something, prompts, table,
            frames, gymnasium, classes or plain.
        split: only train, validation or test, where the layout has splits.
        filter: only videos that this holds for, such as 'seconds > 2'.
    """

    layout: str | None = None
    split: str | None = None
    filter: str | None = None

    def wanted(self, template: str = "{label}") -> Wanted:
        from ....data.datasets.wanted import Wanted

        return Wanted(self.layout, self.split, template, self.filter)


@dataclass(frozen=True)
class NetworkOptions:
    """Networks of the user's.

    Args:
        i3d: the TorchScript I3D that papers use, for FVD and KVD.
        network: networks by role, such as picture=inception.pt,clip=FOLDER; roles are video (fvd,
            kvd), picture (fid, kid), classifier (is), clip, lpips and sound (fad). One without a
            role is for video. Files, Hugging Face folders or ids, or dotted paths.
    """

    i3d: str | None = None
    network: str | None = None

    def by_role(self) -> dict[str, str]:
        """Role -> network."""
        from ....evaluation.videos import ROLES

        found = {} if self.i3d is None else {"video": self.i3d}
        for part in (self.network or "").split(","):
            role, mark, name = part.strip().partition("=")
            if not role:
                continue
            if not mark:
                role, name = "video", role
            if role not in ROLES:
                names = ", ".join(ROLES)
                raise ValueError(f"unknown role {role!r} of --network; there are {names}")
            if role in found:
                raise ValueError(f"two networks are given for {role}; give one")
            found[role] = name
        return found


@dataclass(frozen=True)
class RunOptions:
    """How the work is done, which changes no number, and where the numbers go.

    Args:
        workers: threads that decode; changes no number.
        cache: folder where features are kept; by default the user's cache.
        device: such as cpu or cuda; by default a GPU if there is one.
        json: a file for the numbers and all that they depend on.
    """

    workers: int = 2
    cache: str | None = None
    device: str | None = None
    json: str | None = None

    def check(self) -> None:
        """ValueError if the file can never be written."""
        from ....files.output_path import check_output

        if self.json is not None:
            check_output(self.json, ".json")

    def place(self) -> str:
        """The device, found if it was not given."""
        import os

        import torch

        local = os.environ.get("LOCAL_RANK", "0")
        found = f"cuda:{local}" if torch.cuda.is_available() else "cpu"
        return self.device or found

    def write(self, result: Mapping[str, object]) -> None:
        """Write a result, if a file was named."""
        from json import dumps
        from pathlib import Path

        from ....files.atomic import write_whole

        if self.json is not None:
            text = dumps(result, indent=2, ensure_ascii=False) + "\n"
            write_whole(Path(self.json), text.encode(errors="backslashreplace"))
