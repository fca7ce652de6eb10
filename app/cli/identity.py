"""`kinetoscope identity`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal


def identity(action: Literal["show", "export", "new"] = "show", *, out: str | None = None) -> None:
    """Show, export or replace the key that signs the content credentials of your videos.

    The key is made by itself at the first use and names nobody. It proves that a video was not
    changed since it was signed, and not who made it: readers call such credentials valid and not
    trusted. All videos that one key signed can be told to come from one hand; `kinetoscope identity
    new` makes another key, and --no-credentials writes no credentials at all.

    Args:
        action: show prints the key's fingerprint and where it lies; export writes its certificates,
            without the key, to --out, for others to trust; new puts another key in its place, for
            good.
        out: the file that export writes.
    """
    from ...files.atomic import write_whole
    from ..provenance.identity import identity_file, keep_identity, make_identity, own_identity

    if (action == "export") != (out is not None):
        raise ValueError("give --out FILE with export, and only with it")
    if action == "new":
        path = identity_file()
        kept = keep_identity(make_identity(), path)
        print(f"{path}: a new key, {kept.fingerprint}")
        print("Videos that the old key signed stay valid; nothing links them to the new ones.")
        return
    kept = own_identity()
    if out is not None:
        write_whole(Path(out), kept.chain)
        print(f"{out}: the certificates of {kept.fingerprint}, for `kinetoscope inspect --trust`")
        return
    place = "nowhere, it lasts for this run" if kept.path is None else str(kept.path)
    print(f"key          {kept.fingerprint} (SHA-256 of its certificate)")
    print(f"kept in      {place}")
    print("proves       that a file was not changed since it was signed")
    print("proves not   who made it: anybody can make such a key, and no name is in it")
    print("links        all videos signed with it; `kinetoscope identity new` makes another")
