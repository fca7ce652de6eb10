"""`kinetoscope evaluate generator`: a generator of ours on held-out clips of any data set."""

from __future__ import annotations

import sys

from ..options import Settings
from .options import DataOptions, NetworkOptions, RunOptions


def generator(
    data: str,
    model: str,
    out: str,
    *,
    protocol: str | None = None,
    networks: NetworkOptions = NetworkOptions(),
    only: DataOptions = DataOptions(),
    template: str = "{label}",
    clips: int | None = None,
    frames: int | None = None,
    stride: int | None = None,
    length: int | None = None,
    context: int | None = None,
    samples: int = 1,
    seed: int = 0,
    sampling: Settings = Settings(),
    memorisation: str | None = None,
    halves: int = 50,
    batch: int = 4,
    run: RunOptions = RunOptions(),
) -> int:
    """Measure a generator on held-out clips: bits, samples by the clips' conditions, distances.

    Prints bits per token and pixel, what each condition saves, and speed. Samples follow the
    caption (or the class), the first frames that are given with --context, and recorded actions
    where the model takes them. They are kept in OUT without loss, with a contact sheet beside the
    true clips; a run that was killed goes on. With a network of yours also FVD and its kin, over
    the length of the samples too, and LPIPS of predictions.

    Args:
        data: held-out videos in any layout that `kinetoscope data` knows.
        model: a shipped model, a folder, or a hub id.
        out: a folder for the samples.
        protocol: such as stylegan-v or bair; by default all clips of 16 frames.
        template: how a label becomes a caption, such as 'a video of {label}'.
        clips: how many clips.
        frames: frames of a clip.
        stride: take every so many frames of the data.
        length: frames of a sample; with twice the frames of a clip or more, the distance is also
            given over the length.
        context: how many first frames of each clip are given; by default as the protocol says.
        samples: samples of each clip; predictions are then also given as the best of so many.
        seed: of the first sample.
        sampling: how codes are drawn.
        memorisation: dotted path of a function that gets the folder of samples and returns numbers
            by name.
        halves: random halves that an interval is taken from; 0 saves their time.
        batch: clips at once; changes no number.
    """
    from ....evaluation.generator.measure import (
        GeneratorSettings,
        evaluate_generator,
        format_generator,
    )
    from ....evaluation.generator.samples import Sampling
    from ....evaluation.protocols import find_protocol

    run.check()
    chosen = find_protocol(protocol).with_changes(
        clips=clips, frames=frames, reference_stride=stride
    )
    how = Sampling(
        chosen.frames if length is None else length,
        chosen.context_frames if context is None else context,
        samples,
        seed,
        sampling.check(),
    )
    result = evaluate_generator(
        GeneratorSettings(
            data,
            model,
            out,
            chosen,
            how,
            only.wanted(template),
            networks.by_role(),
            memorisation,
            halves,
            batch,
            run.workers,
            run.cache,
            run.device,
        ),
        lambda line: print(line, file=sys.stderr),
    )
    print(format_generator(result))
    run.write(result)
    return 0
