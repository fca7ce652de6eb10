"""What a tokenizer keeps of held-out clips of the stage, each style and weather apart."""

from __future__ import annotations

import torch

from ..data.video import to_float
from ..data.worlds.stage.clips import HELD_OUT_SEED
from ..data.worlds.stage.scene import StageConfig
from ..data.worlds.stage.store import kinds, stage_store
from ..tokenizer import VideoTokenizer
from ..tokenizer.metrics import CodeUsage, psnr, ssim
from .edges import edge_sharpness, texture
from .flicker import Steadiness

Table = dict[str, float]
SEED = HELD_OUT_SEED + 10_000_000  # not those that validation looks at while a model trains
BATCH = 8


def stage_tables(
    tokenizer: VideoTokenizer,
    folder: str,
    clips: int = 16,
    frames: int = 17,
    size: int = 128,
    config: StageConfig = StageConfig(),
    compiled: bool = False,
) -> dict[str, Table]:
    """Kind ("shaded", …, "fog") -> means over `clips` held-out clips; "all" is the mean of kinds.

    Clips of `frames` frames and `size` pixels are rendered once and kept under `folder`.

    Raises ValueError if clips is below 1.
    """
    if clips < 1:
        raise ValueError(f"clips must be at least 1; got {clips}")
    usage = CodeUsage(tokenizer.codebook_size)
    tables: dict[str, Table] = {}
    for kind, scenes in kinds(config).items():
        store = stage_store(folder, frames, size, scenes, SEED, compiled)
        store.grow(clips)
        rows: dict[str, list[torch.Tensor]] = {}
        steadiness = Steadiness(*tokenizer.config.cell)
        for begin in range(0, clips, BATCH):
            video, foreground = store.read(range(begin, min(begin + BATCH, clips)))
            target = to_float(video)
            codes = tokenizer.encode(target)
            usage.update(codes.indices)
            decoded = tokenizer.decode(codes)
            for name, value in {
                "PSNR dB": psnr(decoded, target),
                "PSNR on objects dB": psnr(decoded, target, foreground),
                "SSIM": ssim(decoded, target),
                "edge sharpness": edge_sharpness(decoded, target),
                "texture": texture(decoded, target),
            }.items():
                rows.setdefault(name, []).append(value)
            steadiness.update(decoded, target)
        tables[kind] = {name: float(torch.cat(parts).nanmean()) for name, parts in rows.items()}
        tables[kind]["patch seams"] = steadiness.table()["seam between patches"]
    names = list(next(iter(tables.values())))
    tables["all"] = {
        name: sum(table[name] for table in tables.values()) / len(tables) for name in names
    }
    tables["codes"] = {"codes used": usage.used, "code perplexity": usage.perplexity}
    return tables
