"""Names of licences, as SPDX has them (https://spdx.org/licenses/)."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping

logger = logging.getLogger("kinetoscope.data")
SHOWN = 3  # names in a message


def canonical(licence: str) -> str | None:
    """The name in SPDX's spelling, or an expression of several ("MIT OR CC0-1.0"); None if it is
    none. Names of one's own begin with LicenseRef-."""
    from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

    try:
        return str(canonicalize_license_expression(licence))
    except InvalidLicenseExpression:
        return None


def read_allowed(text: str) -> frozenset[str]:
    """Names with commas between. ValueError for one that SPDX does not have."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise ValueError("require_licence must name licences, such as CC-BY-4.0,CC0-1.0; got none")
    known = {name: canonical(name) for name in names}
    for name, spelled in known.items():
        if spelled is None:
            raise ValueError(
                f"require_licence: '{name}' is no SPDX name, such as CC-BY-4.0 or CC0-1.0; names "
                "of your own begin with LicenseRef-"
            )
    return frozenset(spelled for spelled in known.values() if spelled)


def is_allowed(licence: str, allowed: frozenset[str]) -> bool:
    """Whether a licence, or of an expression one alternative with all its parts, is allowed."""
    spelled = canonical(licence) if licence else None
    if spelled is None:
        return False
    if spelled in allowed:
        return True
    if "(" in spelled:  # nested: only as a whole
        return False
    choices = (choice.split(" AND ") for choice in spelled.split(" OR "))
    return any(all(part in allowed for part in parts) for parts in choices)


def check_licences(licences: Mapping[str, str], required: str | None) -> None:
    """Warn of names that SPDX does not have, and refuse videos whose licence is not among those
    required.

    Args:
        licences: of each video, by its name; "" where nothing is said.
        required: names with commas between, or None to allow all.

    Raises:
        ValueError: some are not allowed, with their number and the first of them.
    """
    _warn_of_unknown(licences.values())
    if required is None:
        return
    allowed = read_allowed(required)
    verdicts = {licence: is_allowed(licence, allowed) for licence in set(licences.values())}
    refused = [name for name, licence in licences.items() if not verdicts[licence]]
    if refused:
        shown = ", ".join(f"'{name}' ({licences[name] or 'none'})" for name in refused[:SHOWN])
        more = ", …" * (len(refused) > SHOWN)
        raise ValueError(
            f"{len(refused)} of {len(licences)} videos have none of the licences "
            f"{', '.join(sorted(allowed))}: {shown}{more}; take them out, or name their licences "
            "in the column 'licence' of the manifest"
        )


def _warn_of_unknown(licences: Iterable[str]) -> None:
    counts = Counter(licence for licence in licences if licence)
    unknown = {name: count for name, count in counts.items() if canonical(name) is None}
    if unknown:
        first = ", ".join(f"'{name}' ({count})" for name, count in list(unknown.items())[:SHOWN])
        logger.warning(
            "these licences are no SPDX names, such as CC-BY-4.0 or CC0-1.0: %s%s",
            first,
            ", …" * (len(unknown) > SHOWN),
        )
