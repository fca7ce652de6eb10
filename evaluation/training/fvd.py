"""The Fréchet video distance on validation clips, while a model is trained.

    callbacks:
      - class_path: kinetoscope.evaluation.training.fvd.FVDCallback
        init_args: {reference: VIDEOS, network: i3d_torchscript.pt, clips: 256}

The network is the user's, and a TorchScript file is code. So few clips give a number that is larger
than that of a protocol; it is for comparing steps of one run.
"""

from __future__ import annotations

from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor

from ...data.datasets.wanted import Wanted
from ...data.video import to_float, to_uint8
from ...files.atomic import scratch_folder
from ..clips.extraction import Job, decoded_groups, fill, row_key
from ..clips.feature_store import FeatureStore, Rows, collect, default_folder, rows_of
from ..clips.video_sets import Clip, choose_clips
from ..features import open_network
from ..metrics import FVD, Batch
from ..protocols import Protocol

ANY_WORD = "-"


class FVDCallback(Callback):
    """Logs `val/fvd` of samples of a generator, or `val/rfvd` of what a tokenizer keeps.

    A generator samples a clip for the caption of each clip of the reference; a tokenizer encodes
    and decodes it. Seeds stay the same from one validation to the next. Features of the reference
    are kept on the disk. A decoder that is divided over devices cannot sample: nothing is logged.

    Args:
        reference: videos that are not trained on, in any layout.
        network: a network of clips, see `evaluation.features`.
        clips: how many.
        frames: frames of a clip.
        size: side of the clips; a generator's own if not given.
        batch: clips at once.
        every: measure at every so many validations.
        wanted: which videos count, and how labels become captions.
        cache: where features are kept; by default the user's cache.
        seed: of the samples and of the choice of clips.
    """

    def __init__(
        self,
        reference: str,
        network: str,
        clips: int = 64,
        frames: int = 17,
        size: int | None = None,
        batch: int = 4,
        every: int = 1,
        wanted: Wanted = Wanted(),
        cache: str | None = None,
        seed: int = 0,
    ) -> None:
        for name, value in {"clips": clips, "batch": batch, "every": every}.items():
            if value < 1:
                raise ValueError(f"{name} must be at least 1; got {value}")
        self.reference = reference
        self.network = network
        self.protocol = Protocol(
            clips=clips, frames=frames, reference_choice="middle", shuffled=True, size=size
        ).with_changes(seed=seed)
        self.batch = batch
        self.every = every
        self.wanted = wanted
        self.cache = cache
        self.seed = seed
        self._validations = 0

    # At the end of the epoch and not of the validation: averaged weights are still in place then.
    @rank_zero_only
    @torch.no_grad()
    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.sanity_checking or getattr(pl_module, "divided", False):
            return
        self._validations += 1
        if self._validations % self.every:
            return
        name, value = self.measure(pl_module)
        # the module's own `log` would wait for the other processes
        for logger in trainer.loggers:
            logger.log_metrics({name: value}, trainer.global_step)
        trainer.callback_metrics[name] = torch.tensor(value)

    def measure(self, module: Any) -> tuple[str, float]:
        """The name of the number and its value, of the model as it is now."""
        samples = hasattr(module, "generator")
        model: Any = module.generator() if samples else module.model
        was_training = model.training
        model.eval()
        protocol = self.protocol
        if samples and protocol.size is None:
            height, width = model.size
            protocol = protocol.with_changes(size=height if height == width else (height, width))
        metric = FVD(protocol, open_network(self.network, "clips", str(module.device)))
        with (
            FeatureStore(self.cache or default_folder()) as store,
            scratch_folder() as scratch,
        ):
            chosen = choose_clips(self.reference, protocol, "reference", store, self.wanted)
            jobs = [Job(clip) for clip in chosen.clips]
            fill(store, jobs, [metric], protocol, self.batch, 1)
            names = [row_key(metric, job, protocol) for job in jobs]
            there = store.has(names)
            real = collect(store, [key for key in names if key in there], scratch)
            made = self._features(model, metric, chosen.clips, protocol, module.device, samples)
        model.train(was_training)
        value = metric.value({"reference": real, "generated": made})
        return ("val/fvd" if samples else "val/rfvd"), value

    def _features(
        self,
        model: Any,
        metric: FVD,
        clips: list[Clip],
        protocol: Protocol,
        device: torch.device,
        samples: bool,
    ) -> Rows:
        features = []
        place_of = {id(clip): place for place, clip in enumerate(clips)}
        jobs = [Job(clip) for clip in clips]
        with torch.autocast(device.type, enabled=False):
            for group, batch in decoded_groups(jobs, protocol, self.batch, 1, []):
                if samples:
                    seeds = [self.seed + place_of[id(job.clip)] for job in group]
                    video = _sampled(model, batch.captions, protocol.frames, seeds)
                else:
                    video = model.decode(model.encode(to_float(batch.video).to(device)))
                features.append(metric.rows(Batch(to_uint8(video).cpu())).cpu())
        return rows_of(torch.cat(features))


def _sampled(model: Any, captions: tuple[str, ...], frames: int, seeds: list[int]) -> Tensor:
    said = [caption or ANY_WORD for caption in captions]
    return model.generate(said, frames, seeds)
