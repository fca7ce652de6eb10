"""Any video autoencoder of diffusers beside ours, in one table.

    PYTHONPATH=examples kinetoscope evaluate tokenizer VIDEOS video-128 \
        diffusers_tokenizer:Autoencoder=FOLDER --frames 17 --size 128

FOLDER holds the autoencoder's config.json and weights. Its latents are no whole numbers, so the
table has no bits for it.
"""

import json
from pathlib import Path

import diffusers
from torch import Tensor, nn


class Autoencoder(nn.Module):
    def __init__(self, folder: str) -> None:
        super().__init__()
        kind = json.loads((Path(folder) / "config.json").read_text())["_class_name"]
        self.model = getattr(diffusers, kind).from_pretrained(folder)

    def encode(self, video: Tensor) -> Tensor:
        return self.model.encode(video).latent_dist.mode()

    def decode(self, latents: Tensor) -> Tensor:
        return self.model.decode(latents).sample
