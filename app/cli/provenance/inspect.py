"""`kinetoscope inspect`."""

from __future__ import annotations


def inspect(
    file: list[str],
    *,
    json: bool = False,
    trust: str | None = None,
    mark_key: str | None = None,
    against: str | None = None,
) -> int:
    """Say what can be found out about where videos and pictures came from.

    Content credentials (C2PA) are checked without a network, the mark that this package draws into
    pixels is looked for, and what the metadata say is shown. The exit status is 0 if a model made
    all of the files, by whole credentials or by the mark; 1 if nothing was found for one; 2 if one
    cannot be read; 3 if the credentials of one are broken. Nothing that is found or missing shows
    that a video is real.

    Args:
        file: videos and pictures, of this package or of others, or folders of them.
        json: print a JSON object on a line for each file.
        trust: a PEM file with certificates of those whose word counts, such as a trust list of
            C2PA; what leads to one of them is called trusted.
        mark_key: the key file of sample --mark-owner, to read the owner's number from marks.
        against: shards that kinetoscope prepare made; the three clips in them that each video is
            nearest to are shown, and how near clips of different videos are to each other.
    """
    from ...runs.inspect import run

    return run(file, as_json=json, trust=trust, mark_key=mark_key, against=against)
