"""`kinetoscope evaluate MODEL`."""

from __future__ import annotations

import logging
from pathlib import Path

from ....generator.sampling.params import SamplingParams
from ..options import Settings


def evaluate(
    model: str = "physics-64",
    *,
    prompts: int = 256,
    frames: int | None = None,
    seed: int = 0,
    long_prompts: int = 64,
    long_frames: int = 300,
    drift: bool = False,
    sampling: Settings = Settings(),
    real_clips: str | None = None,
    real_sources: str | None = None,
    size: int | None = None,
    memorisation: str | None = None,
    unseen: str | None = None,
    held_out: float = 0.02,
    sheet: str | None = None,
    network: str | None = None,
    json: str | None = None,
    rows: str | None = None,
    out: str = "outputs/evaluation",
) -> None:
    """Measure a model on its own world, or a tokenizer alone, and print the tables.

    Those worlds are the physics world and the stage. Of any model, `--memorisation` measures what
    it gives back of its training clips.

    `evaluate videos`, `evaluate tokenizer` and `evaluate compare` measure any videos, any tokenizer
    and why two results differ; each has a --help of its own. A model that is called like one of
    these words is given as a path, such as ./videos.

    Args:
        model: a shipped name, a folder, or a hub id.
        prompts: held-out captions per table, and clips for the tokenizer.
        frames: frames of every clip but the long ones; by default as many as the judge reads.
        seed: another seed takes other scenes, captions and samples.
        long_prompts: captions that long clips are made of; 0 leaves out what shows how a model
            drifts.
        long_frames: frames of a long clip.
        drift: only that, on long clips and on a past of the model's own making.
        sampling: how codes are drawn.
        real_clips: a folder of videos to measure the tokenizer on as well.
        real_sources: only those of them whose source fits one of these patterns, with commas
            between them.
        size: pixels a side of the clips that the tokenizer is measured on: by default 64, which is
            all that the judge of the physics world reads, and 128 for the stage.
        memorisation: the shards that the model was trained on. Only this is measured then: bits of
            training clips and of never-seen ones, how much of a clip the model repeats after its
            first latent frame, and which clips it gives back. Codes are the likeliest ones, unless
            settings of sampling are given; --prompts is how many clips of each kind are examined,
            and --seed the one that `fit` was given.
        unseen: with --memorisation, shards of videos that the model never saw; by default those
            that `fit` held out of the same shards.
        held_out: with --memorisation, the share of the videos that `fit` held out.
        sheet: with --memorisation, a .png of the clips that are given back.
        network: with --memorisation, a network that sees pictures (a TorchScript file, a Hugging
            Face folder or id, or a dotted path), by whose features clips are near each other; by
            default the tokenizer's own latents, so nothing is downloaded.
        json: a file for the tables.
        rows: of a model of the stage, which rows to measure, one after another, with commas
            between them. All by default; an unknown one is answered with their names. A row goes on
            where it was stopped.
        out: of a model of the stage, the folder of its results and of pictures of clips that
            failed.
    """
    if memorisation is not None:
        from ....evaluation.memorisation.replay import BY_HEART
        from ....evaluation.memorisation.report import Settings as Examination
        from ....evaluation.memorisation.report import evaluate_memorisation

        params = SamplingParams(**sampling.check()) if sampling else BY_HEART
        settings = Examination(unseen, held_out, seed, prompts, sampling=params, network=network)
        evaluate_memorisation(model, memorisation, settings, json, sheet)
        return
    if any(each is not None for each in (unseen, sheet, network)):
        raise ValueError(
            "--unseen, --sheet and --network belong to --memorisation SHARDS; give that too"
        )
    if rows is not None or Path(model).name.startswith("stage"):
        from ....evaluation.stage.evaluate import evaluate as measure_rows

        logging.basicConfig(level=logging.INFO, format="%(message)s")
        names = None if rows is None else [name.strip() for name in rows.split(",")]
        measure_rows(model, names, prompts, size or 128, seed, out, sampling.check())
        return
    from ....evaluation.prompts import evaluate as measure

    measure(
        model,
        prompts,
        frames,
        seed=seed,
        long_prompts=long_prompts,
        long_frames=long_frames,
        drift=drift,
        sampling=sampling.check(),
        real_clips=real_clips,
        real_sources=real_sources,
        size=size or 64,
        json=json,
    )
