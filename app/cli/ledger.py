"""`kinetoscope ledger`."""

from __future__ import annotations

from pathlib import Path


def ledger(folder: str, *, strike: str | None = None, reason: str = "") -> None:
    """Show what a model learned from, or strike a video out of what the next run learns from.

    With --strike, FOLDER holds shards or videos; the next fit on it leaves out every clip of the
    video with this content, and the ledger of the model says since when. A model that was trained
    before still knows it: only training anew changes that.

    Args:
        folder: a model, an adapter, or a folder of shards or videos.
        strike: the SHA-256 of a video, as the ledger and sha256sum have it; several with commas
            between.
        reason: why, to be written beside it.
    """
    from ...data.ledger.rows import LEDGER, read_ledger, summary
    from ...data.ledger.struck_out import STRUCK_OUT, read_struck_out, strike_out

    place = Path(folder)
    if strike is not None:
        fresh = strike_out(place, [each.strip() for each in strike.split(",")], reason)
        print(f"{place / STRUCK_OUT}: {len(fresh)} new, {len(read_struck_out(place))} in all")
        return
    if (place / LEDGER).is_file():
        print("\n".join(summary(read_ledger(place / LEDGER))))
        return
    struck = read_struck_out(place)
    if not struck:
        raise ValueError(f"'{folder}' holds neither {LEDGER} nor {STRUCK_OUT}")
    for each in struck.values():
        print(f"{each.sha256} since {each.since} {each.reason}".rstrip())
