"""`kinetoscope evaluate generator`: a generator of ours on held-out clips of any data set."""

from __future__ import annotations

import sys

from ....generator.sampling.params import SamplingParams


def generator(
    data: str,
    model: str,
    out: str,
    *,
    protocol: str | None = None,
    i3d: str | None = None,
    network: str | None = None,
    layout: str | None = None,
    split: str | None = None,
    filter: str | None = None,
    template: str = "{label}",
    clips: int | None = None,
    frames: int | None = None,
    stride: int | None = None,
    length: int | None = None,
    context: int | None = None,
    samples: int = 1,
    seed: int = 0,
    sampling: SamplingParams = SamplingParams(),
    memorisation: str | None = None,
    halves: int = 50,
    batch: int = 4,
    workers: int = 2,
    cache: str | None = None,
    device: str | None = None,
    json: str | None = None,
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
        i3d: the TorchScript I3D that papers use, for FVD.
        network: networks by role, such as picture=inception.pt,lpips=vgg.safetensors.
        layout: insist on a layout of the data.
        split: only train, validation or test, where the layout has splits.
        filter: only videos that this holds for, such as 'seconds > 2'.
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
        workers: threads that decode; changes no number.
        cache: folder where features are kept; by default the user's cache.
        device: such as cpu or cuda; by default a GPU if there is one.
        json: a file for the numbers and all that they depend on.
    """
    from ....data.datasets.wanted import Wanted
    from ....evaluation.generator.measure import (
        GeneratorSettings,
        evaluate_generator,
        format_generator,
    )
    from ....evaluation.generator.samples import Sampling
    from ....evaluation.protocols import find_protocol
    from ....files.output_path import check_output
    from .videos import networks_by_role, write_json

    if json is not None:
        check_output(json, ".json")
    chosen = find_protocol(protocol).with_changes(
        clips=clips, frames=frames, reference_stride=stride
    )
    how = Sampling(
        chosen.frames if length is None else length,
        chosen.context_frames if context is None else context,
        samples,
        seed,
        sampling,
    )
    result = evaluate_generator(
        GeneratorSettings(
            data,
            model,
            out,
            chosen,
            how,
            Wanted(layout, split, template, filter),
            networks_by_role(i3d, network),
            memorisation,
            halves,
            batch,
            workers,
            cache,
            device,
        ),
        lambda line: print(line, file=sys.stderr),
    )
    print(format_generator(result))
    if json is not None:
        write_json(json, result)
    return 0
