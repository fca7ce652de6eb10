"""`kinetoscope demo`."""

from __future__ import annotations

from ..provenance.options import Disclosure, Rules
from .options import at_least_one


def demo(
    *,
    out: str = "outputs/demo",
    prompts: str | None = None,
    model: str = "physics-64",
    frames: int = 33,
    seed: int = 0,
    fps: float = 12.0,
    device: str | None = None,
    disclosure: Disclosure = Disclosure(),
    rules: Rules = Rules(),
) -> int:
    """Turn the sentences of the demo into videos, and show them on one page, index.html.

    Args:
        out: the folder to write to; it is made if needed.
        prompts: a text file with one sentence per line; by default the sentences that come with the
            package.
        model: a shipped model, a folder, or a hub id.
        frames: length of each video.
        seed: another number gives other videos.
        fps: frames per second at which the MP4s play.
        device: such as cpu or cuda; by default a GPU if there is one.
        disclosure: what the videos say about where they came from.
        rules: who is asked before anything is drawn.
    """
    at_least_one({"frames": frames, "fps": fps})
    disclosure.check()
    from ..runs.demo import run_demo
    from ..runs.sample import SampleOptions

    options = SampleOptions(model, frames, fps, device=device, disclosure=disclosure, rules=rules)
    return run_demo(out, prompts, options, seed)
