"""What can be found out about where a video or picture came from: its credentials, the mark in its
pixels, and what its metadata say.

A model made it if whole credentials say so, or if the mark is found. Nothing that is found here, or
missing, shows that a video is real: credentials are lost when a platform stores a video anew, and a
mark can be removed.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Any

from ...data.video.read import VideoInfo, iterate_frames, open_video, probe
from .credentials import Credentials, read_credentials
from .generation import MADE_BY, SHARED
from .identity import COMMON_NAME, identity_file, read_identity, serial_number
from .policy_lists import hash_text, picture_hash
from .watermark import Detector, Verdict

MOST_FRAMES = 48  # that are looked at for a mark; all frames have the same one
CHUNK = 16


class Status(IntEnum):
    """How a search ends; of several files the largest counts."""

    MADE_BY_A_MODEL = 0
    NOTHING_FOUND = 1
    UNREADABLE = 2
    BROKEN = 3


@dataclass(frozen=True)
class Finding:
    """All that was found about one file; `error` if it could not be read. `picture_hash` is of its
    first frame, as lists of a policy have it."""

    path: Path
    status: Status
    info: VideoInfo | None = None
    container: str = ""
    credentials: Credentials = field(default_factory=lambda: Credentials("none"))
    is_own_key: bool = False
    mark: Verdict | None = None
    tags: dict[str, str] = field(default_factory=dict)
    error: str = ""
    picture_hash: str = ""

    def as_json(self) -> dict[str, Any]:
        """What programs read."""
        if self.error:
            return {"file": str(self.path), "status": int(self.status), "error": self.error}
        info = self.info
        assert info is not None
        credentials = asdict(self.credentials)
        return {
            "file": str(self.path),
            "status": int(self.status),
            "made_by_a_model": self.status == Status.MADE_BY_A_MODEL,
            "container": self.container,
            "codec": info.codec,
            "width": info.width,
            "height": info.height,
            "frames": info.frames,
            "fps": info.fps,
            "seconds": info.seconds,
            "sound": info.has_audio,
            "credentials": {**credentials, "own_key": self.is_own_key},
            "mark": None if self.mark is None else asdict(self.mark),
            "metadata": self.tags,
            "picture_hash": self.picture_hash,
        }


def inspect_file(path: Path, trusted: str | None = None, owner_key: bytes | None = None) -> Finding:
    """Look at one file.

    Args:
        trusted: certificates, as PEM, of those whose word counts.
        owner_key: also read the number that the holder of this key wrote into the mark.

    Raises:
        ValueError: the key is too short.
    """
    detector = Detector(owner_key)
    try:
        info = probe(path)
        with open_video(path) as video:
            tags = dict(video.metadata)
            container = str(getattr(video, "kind", path.suffix.lstrip(".")))
        first = ""
        for chunk in iterate_frames(path, frames=MOST_FRAMES, chunk=CHUNK):
            first = first or hash_text(picture_hash(chunk[:, 0]))
            detector.add(chunk)
        mark = detector.verdict()
        credentials = read_credentials(path, trusted)
    except (OSError, ValueError) as error:
        return Finding(path, Status.UNREADABLE, error=_line(error))
    status = _status(credentials, mark)
    own = _is_own_key(credentials)
    return Finding(path, status, info, container, credentials, own, mark, tags, "", first)


def _status(credentials: Credentials, mark: Verdict | None) -> Status:
    if credentials.state == "broken":
        return Status.BROKEN
    is_marked = mark is not None and mark.found
    if is_marked or (credentials.is_whole and credentials.says_generated):
        return Status.MADE_BY_A_MODEL
    return Status.NOTHING_FOUND


def _is_own_key(credentials: Credentials) -> bool:
    """Was it signed with the key that this user has now?"""
    if credentials.serial is None or COMMON_NAME not in (credentials.signer or ""):
        return False
    try:
        return serial_number(read_identity(identity_file()).chain) == credentials.serial
    except (OSError, ValueError, RuntimeError, ImportError):
        return False


# ---- in words ----


def in_words(finding: Finding) -> list[str]:
    """Lines for people; the first names the file and what was found. What a file says of itself
    cannot steer a terminal."""
    lines = _lines(finding)
    return ["".join(letter if letter.isprintable() else "?" for letter in line) for line in lines]


def _lines(finding: Finding) -> list[str]:
    if finding.error:
        known = "" if str(finding.path) in finding.error else f"{finding.path}: "
        return [f"{known}{finding.error}"]
    info = finding.info
    assert info is not None
    lines = [f"{finding.path}: {_conclusion(finding)}"]
    if info.frames == 1:
        shape = f"{info.width} x {info.height}, one picture"
    else:
        frames = f"{info.frames} frames at {info.fps:g} a second ({info.seconds:.2f} s)"
        shape = f"{info.width} x {info.height}, {frames}"
    sound = "with sound" if info.has_audio else "no sound"
    lines.append(f"  file         {finding.container}, {info.codec}, {shape}, {sound}")
    lines += _credential_lines(finding)
    lines.append(f"  pixels       {_mark_line(finding.mark)}")
    lines.append(f"  first frame  hash {finding.picture_hash}")
    if finding.tags:
        said = ", ".join(f"{name} {_short(value)}" for name, value in finding.tags.items())
        lines.append(f"  metadata     {said} (anybody can write or remove these)")
    return lines


def _conclusion(finding: Finding) -> str:
    if finding.status == Status.BROKEN:
        found = finding.mark is not None and finding.mark.found
        also = "; a model's mark is in the pixels all the same" if found else ""
        return "its content credentials are broken: the file was changed after signing" + also
    if finding.status == Status.MADE_BY_A_MODEL:
        credentials = finding.credentials
        if not (credentials.is_whole and credentials.says_generated):
            return "a model made it, by the mark in its pixels"
        part = all(each.endswith("/trainedAlgorithmicMedia") for each in credentials.source_types)
        made = "a model made it" if part else "a model made parts of it"
        whose = "your own key" if finding.is_own_key else credentials.signer or "an unknown signer"
        return f"{made}, by its content credentials, which {whose} signed"
    if finding.tags.get("comment") in (MADE_BY, SHARED):
        return "its metadata say that a model made it, but nothing that can be checked does"
    return "no sign of a model was found, which does not mean that none made it"


def _credential_lines(finding: Finding) -> list[str]:
    credentials = finding.credentials
    lines = [f"  credentials  {credentials.state}: {credentials.reason}"]
    if credentials.signer is not None:
        own = ", your own key" if finding.is_own_key else ""
        lines.append(f"  signed by    {credentials.signer}{own} ({credentials.place})")
    if credentials.source_types:
        kinds = dict.fromkeys(each.rsplit("/", 1)[-1] for each in credentials.source_types)
        lines.append(f"  says         {', '.join(kinds)}, written by {credentials.generator}")
    details = credentials.details
    if details:
        model = f"{details.get('model')} {details.get('fingerprint', '')}".strip()
        lines.append(f"  model        {model}, watermark {details.get('watermark', 'unknown')}")
        settings = {"prompt": details.get("prompt"), "seed": details.get("seed")}
        settings |= details.get("settings") or {}
        known = [f"{name} {_short(value)}" for name, value in settings.items() if value is not None]
        lines.append(f"  settings     {', '.join(known)}")
    for each in details.get("ingredients") or ():
        lines.append(f"  given        {each['name']} as {each['role']}, SHA-256 {each['sha256']}")
    return lines


def _mark_line(mark: Verdict | None) -> str:
    if mark is None:
        return "not looked at"
    chance = f"{mark.false_alarm:.2g}" if mark.false_alarm else "below 1e-300"
    if not mark.found:
        return f"no mark found (that much is there in {chance} of videos without one)"
    owner = "" if mark.payload is None else f"; its owner's number is {mark.payload}"
    return f"a mark is found; the chance of a false alarm is {chance}{owner}"


def _short(value: object, longest: int = 60) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= longest else text[: longest - 1] + "…"


def _line(error: Exception) -> str:
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(text.split())
