"""`kinetoscope studio`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from ..provenance.options import Disclosure, Rules


def studio(
    *,
    folder: str = "outputs/studio",
    model: str | None = None,
    adapters: str | None = None,
    host: str | None = None,
    port: int | None = None,
    no_open: bool = False,
    limit_gb: float = 5.0,
    when_full: Literal["stop", "remove_oldest"] = "stop",
    device: str | None = None,
    disclosure: Disclosure = Disclosure(),
    rules: Rules = Rules(),
) -> int:
    """Open a page on this machine on which videos are made and kept.

    The page is served to this machine alone, and needs no connection to any other. Ctrl-C ends it.

    Args:
        folder: the gallery: each video beside a JSON file of what it was made from; made if needed.
        model: a folder or hub id to offer first, beside the models that ship.
        adapters: folders of adapters to offer, with commas between them.
        host: another address to serve, such as 0.0.0.0 for all of this machine; a token is then
            needed, which stands in the address that is printed.
        port: by default a free one.
        no_open: do not open the page in the browser.
        limit_gb: how many gigabytes the gallery may take; the page can change it.
        when_full: stop, to make nothing more then, or remove_oldest, to let the oldest videos go.
        device: such as cpu or cuda; by default a GPU if there is one.
        disclosure: what the videos say about where they came from.
        rules: who is asked before anything is drawn.
    """
    try:
        import fastapi  # noqa: F401
        import uvicorn  # noqa: F401
        import websockets  # noqa: F401
    except ImportError:
        raise ValueError("the studio needs more: pip install 'kinetoscope[studio]'") from None
    from ..studio.gallery import DiskRule
    from ..studio.launch import listen, run
    from ..studio.models import Models

    if port is not None and not 1 <= port <= 65535:
        raise ValueError(f"--port must be 1 to 65535; got {port}")
    disclosure.check()
    rule = DiskRule(limit_gb, when_full)
    folders = adapters.split(",") if adapters else []
    models = Models([model] if model else [], folders, device, rules)
    run(listen(host, port), Path(folder), models, rule, not no_open, disclosure)
    return 0
