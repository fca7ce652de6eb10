"""How well generated frames fit their captions: the cosine of CLIP's embeddings (Hessel et al.
2021; CLIPSIM of Wu et al. 2021)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

from ..clips.feature_store import Rows
from .base import GENERATED, Batch, Metric, mean_of


class ClipScore(Metric):
    """100 times the cosine of frame and caption, mean over frames and clips; not cut at 0 and not
    multiplied by 2.5, as CLIPScore is."""

    name = "clip_score"
    title = "CLIP score, per frame"
    better = "higher"
    of = GENERATED
    role = "clip"
    sees = "pictures"
    needs_captions = True

    @torch.inference_mode()
    def rows(self, batch: Batch) -> Tensor:
        assert self.network is not None
        without = sum(not caption for caption in batch.captions)
        if without:
            raise ValueError(
                f"{without} of {len(batch.captions)} generated clips have no caption; write a .txt "
                "of the same name beside each, or leave out clip_score"
            )
        B, _, F = batch.video.shape[:3]
        pictures = self.network.call(batch.video.transpose(1, 2).flatten(0, 1))
        seen = functional.normalize(pictures.float(), dim=-1).unflatten(0, (B, F))
        said = functional.normalize(self._texts(batch.captions).float(), dim=-1)
        return 100 * (seen * said[:, None]).sum(-1)

    def _texts(self, captions: tuple[str, ...]) -> Tensor:
        from transformers import AutoTokenizer

        assert self.network is not None
        model = self.network.model
        if not hasattr(model, "get_text_features"):
            raise ValueError(f"'{self.network.name}' knows no text; clip_score needs a CLIP model")
        words = AutoTokenizer.from_pretrained(self.network.name)
        longest = model.config.text_config.max_position_embeddings
        # SigLIP reads the last place: a caption must not be padded to its neighbours' length
        padding = "max_length" if model.config.model_type.startswith("siglip") else True
        given = words(
            list(captions),
            padding=padding,
            truncation=True,
            max_length=longest,
            return_tensors="pt",
        )
        given = {
            key: value.to(model.device)
            for key, value in given.items()
            if key in ("input_ids", "attention_mask")
        }
        found = model.get_text_features(**given)
        return found if isinstance(found, Tensor) else found.pooler_output

    def value(self, rows: Mapping[str, Rows]) -> float:
        return mean_of(rows["generated"])
