"""`kinetoscope demo`."""

from __future__ import annotations

from ...pretrained import DEFAULT_MODEL
from ..provenance.options import Disclosure, Rules
from .options import at_least_one

FRAMES = 33


def demo(
    *,
    out: str = "outputs/demo",
    prompts: str | None = None,
    model: str = DEFAULT_MODEL,
    frames: int | None = None,
    seed: int = 0,
    fps: float = 12.0,
    size: int | None = None,
    device: str | None = None,
    disclosure: Disclosure = Disclosure(),
    rules: Rules = Rules(),
) -> int:
    """Turn the sentences of the demo into videos, and show them on one page, index.html.

    Args:
        out: the folder to write to; it is made if needed.
        prompts: a text file with one sentence per line, perhaps in sections; by default the
            sentences that come with the model, or with the package.
        model: a shipped model, a folder, or a hub id.
        frames: length of each video; by default what its section says, or 33.
        seed: of the first video, the next ones have the numbers after it; another one gives other
            videos.
        fps: frames per second at which the MP4s play.
        size: height of the pictures in pixels, a multiple of what the model draws by itself.
        device: such as cpu or cuda; by default a GPU if there is one.
        disclosure: what the videos say about where they came from.
        rules: who is asked before anything is drawn.
    """
    at_least_one({"frames": frames, "fps": fps, "size": size})
    disclosure.check()
    from ..runs.demo import run_demo
    from ..runs.sample import SampleOptions

    options = SampleOptions(
        model, FRAMES, fps, device=device, size=size, disclosure=disclosure, rules=rules
    )
    return run_demo(out, prompts, options, seed, frames)
