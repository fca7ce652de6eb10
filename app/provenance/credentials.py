"""Content credentials (C2PA): signed into a file or beside it, and read out of it again.

Nothing is asked of a network: no time stamps, no lists of revoked certificates, no manifests that
lie elsewhere.
"""

from __future__ import annotations

import contextlib
import glob
import io
import json
import mmap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...files.atomic import rewritten, whole_file, write_whole
from .generation import Ingredient
from .identity import Identity
from .manifest import LABEL, ingredient_definition, media_type

EMBEDDED = frozenset(
    {".mp4", ".mov", ".webp", ".gif", ".png", ".jpg", ".jpeg"}
)  # hold credentials themselves
SIDE_CAR = ".c2pa"
MISSING = "the Python package c2pa-python is not installed"
UNTRUSTED = "signingCredential.untrusted"
SETTINGS: dict[str, Any] = {
    "version": 1,
    "builder": {"thumbnail": {"enabled": False}},  # given pictures are named, not shown
    "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False},
}


class CredentialsError(Exception):
    """Why a file could not be signed, in one line."""


@dataclass(frozen=True)
class Credentials:
    """What was found of content credentials.

    Args:
        state: "none"; "valid": whole, by a signer nobody vouches for; "trusted": whole, by a signer
            whose certificate leads to one that was trusted; "broken"; "unread": there may be some.
        reason: why it is that state.
        signer: name and organisation of the certificate, as it says.
        serial: serial number of the signer's certificate.
        source_types: what its actions say the content is, as addresses of IPTC's list.
        details: our own record (model, seed, …), if there is one.
        generator: the program that signed, as it says.
        place: "embedded" or the name of the side-car.
    """

    state: str
    reason: str = ""
    signer: str | None = None
    serial: str | None = None
    source_types: Sequence[str] = ()
    details: dict[str, Any] = field(default_factory=dict)
    generator: str | None = None
    place: str | None = None

    @property
    def is_whole(self) -> bool:
        return self.state in ("valid", "trusted")

    @property
    def says_generated(self) -> bool:
        ends = ("/trainedAlgorithmicMedia", "/compositeWithTrainedAlgorithmicMedia")
        return any(each.endswith(ends) for each in self.source_types)


# ---- writing ----


def sign(
    path: Path,
    definition: dict[str, Any],
    ingredients: Sequence[Ingredient],
    identity: Identity,
    place: Path | None = None,
) -> Path:
    """Sign a finished file; returns where the credentials are, the file itself or its side-car.

    Args:
        path: the file.
        definition: the manifest.
        ingredients: what was given to the model.
        identity: who signs.
        place: where the file will be published, if it is not there yet.

    Raises:
        CredentialsError: it could not be signed; the file is as it was before.
    """
    final = place or path
    with _one_line_errors():
        c2pa = _library()
        algorithm = getattr(c2pa.C2paSigningAlg, identity.algorithm)
        chain = identity.chain.encode()
        key = identity.key.encode()
        info = c2pa.C2paSignerInfo(algorithm, chain, key, None)
        kind = media_type(final.name)
        with (
            c2pa.Signer.from_info(info) as signer,
            _context(c2pa) as context,
            c2pa.Builder(definition, context) as builder,
        ):
            for index, ingredient in enumerate(ingredients):
                _add_ingredient(builder, ingredient, index)
            if final.suffix.lower() in EMBEDDED:
                replacing = whole_file if place is None else rewritten
                with replacing(path) as target, open(path, "rb") as source:
                    builder.sign(signer, kind, source, target)
                return final
            builder.set_no_embed()
            with open(path, "rb") as source:
                signed = builder.sign(signer, kind, source, io.BytesIO())
            side_car = side_car_of(final)
            write_whole(side_car, signed)
            return side_car


def _add_ingredient(builder: Any, ingredient: Ingredient, index: int) -> None:
    kind = media_type(ingredient.path.name)
    definition = ingredient_definition(ingredient, index)
    if ingredient.path.is_dir():
        builder.add_ingredient(definition, kind, io.BytesIO())
    else:
        with open(ingredient.path, "rb") as file:
            builder.add_ingredient(definition, kind, file)


def side_car_of(path: Path) -> Path:
    """Where the credentials of a file that cannot hold them lie: where other readers look for
    them, or, if another file has that name, under the whole name."""
    usual = path.with_suffix(SIDE_CAR)
    return path.with_name(path.name + SIDE_CAR) if _siblings(path) else usual


# ---- reading ----


def read_credentials(path: Path, trusted: str | None = None) -> Credentials:
    """The credentials of a file, in it or beside it.

    Args:
        trusted: certificates, as PEM, of those whose word counts.
    """
    try:
        c2pa = _library()
    except CredentialsError as error:
        return Credentials("unread", str(error))
    settings = {"trust": {"trust_anchors": trusted}} if trusted else {}
    with _context(c2pa, **settings) as context:
        found = _read(c2pa, context, path, None)
        if found.state != "none":
            return found
        for place in (path.with_name(path.name + SIDE_CAR), path.with_suffix(SIDE_CAR)):
            if place.is_file():
                beside = _read(c2pa, context, path, place)
                if beside.is_whole or not _is_of_another(place, path):
                    return beside
    return found


def _read(c2pa: Any, context: Any, path: Path, side_car: Path | None) -> Credentials:
    place = "embedded" if side_car is None else side_car.name
    store = None if side_car is None else side_car.read_bytes()
    try:
        with (
            open(path, "rb") as file,
            c2pa.Reader(media_type(path.name), file, store, context=context) as reader,
        ):
            return _found(json.loads(reader.json()), place)
    except (c2pa.C2paError.ManifestNotFound, c2pa.C2paError.NotSupported) as error:
        if side_car is None:
            return Credentials("none", "there are none in the file or beside it")
        return Credentials("broken", _line(error), place=place)
    except c2pa.C2paError as error:
        is_there = side_car is not None or _holds_manifest(path)
        return Credentials("broken" if is_there else "unread", _line(error), place=place)


def _is_of_another(side_car: Path, path: Path) -> bool:
    """May a side-car belong to a file that has another ending?"""
    return side_car.stem == path.stem and bool(_siblings(path))


def _siblings(path: Path) -> list[Path]:
    """Other files of the same name and another ending."""
    others = path.parent.glob(f"{glob.escape(path.stem)}.*")
    return [other for other in others if other.suffix not in (path.suffix, SIDE_CAR)]


def _holds_manifest(path: Path) -> bool:
    """Are there the boxes of a manifest in a file that cannot be taken apart?"""
    if not path.stat().st_size:
        return False
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return content.find(b"jumb") >= 0 and content.find(b"c2pa") >= 0


def _found(store: dict[str, Any], place: str) -> Credentials:
    """What a reader reports, in our words."""
    active = store.get("manifests", {}).get(store.get("active_manifest"), {})
    signature = active.get("signature_info") or {}
    results = (store.get("validation_results") or {}).get("activeManifest") or {}
    failures = [each for each in results.get("failure", ()) if each.get("code") != UNTRUSTED]
    state, reason = _verdict(store.get("validation_state"), failures)
    assertions = active.get("assertions") or ()
    actions = [
        action
        for each in assertions
        if str(each.get("label", "")).startswith("c2pa.actions")
        for action in each["data"].get("actions", ())
    ]
    types = [str(each["digitalSourceType"]) for each in actions if each.get("digitalSourceType")]
    ours = [each["data"] for each in assertions if each.get("label") == LABEL]
    names = [signature.get("common_name"), signature.get("issuer")]
    signer = ", ".join(dict.fromkeys(name for name in names if name))
    generators = active.get("claim_generator_info") or [{}]
    tool = f"{generators[0].get('name', '')} {generators[0].get('version', '')}".strip()
    return Credentials(
        state,
        reason,
        signer or None,
        signature.get("cert_serial_number"),
        types,
        ours[0] if ours else {},
        tool or None,
        place,
    )


def _verdict(state: str | None, failures: Sequence[dict[str, Any]]) -> tuple[str, str]:
    if state == "Trusted":
        return "trusted", "whole, and signed with a certificate that is trusted here"
    if state == "Valid" and not failures:
        return "valid", "whole since it was signed; nobody vouches for who signed"
    codes = [str(each.get("code")) for each in failures]
    return "broken", ", ".join(dict.fromkeys(codes)) or "the signature does not hold"


# ---- the library ----


def _library() -> Any:
    try:
        import c2pa
    except (ImportError, OSError) as error:  # OSError: its shared library does not load
        raise CredentialsError(f"{MISSING} ({type(error).__name__})") from None
    return c2pa


def _context(c2pa: Any, **more: Any) -> Any:
    return c2pa.Context(c2pa.Settings.from_dict({**SETTINGS, **more}))


@contextlib.contextmanager
def _one_line_errors() -> Iterator[None]:
    """Whatever goes wrong when a file is signed must not become the end of the run."""
    try:
        yield
    except CredentialsError:
        raise
    except Exception as error:
        raise CredentialsError(_line(error)) from error


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
