"""Makes the judge of the stage's sound, in a few minutes on one core.

    python -m kinetoscope.data.worlds.stage.judge.fit_sound --out FOLDER

Half of the clips are spoiled as a codec spoils them (noise, a lost upper range, coarse steps), so
that the judge also reads what went through a tokenizer. At the end it prints its score on scenes
that were simulated and that it never heard.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from ....ledger.card import save_training_data
from ....ledger.sources import rendered_row
from ..clips import HELD_OUT_SEED
from ..sample import sample_scenes
from ..scene import MATERIALS, StageConfig
from ..sound import RATE, sound
from ..sound.made_up import made_up_scenes
from .sound import HOP, SoundJudge, heard, score

log = logging.getLogger(__name__)
FRAMES = 21
SEED = 700_000_000


def training_set(clips: int) -> tuple[Tensor, Tensor]:
    """Waves int16 [N, L] and targets float16 [N, T, 1 + materials]; -1 where nothing is asked."""
    waves, targets = [], []
    for begin in range(SEED, SEED + clips, 64):
        scenes = made_up_scenes(range(begin, min(begin + 64, SEED + clips)), FRAMES, meetings=0.6)
        wave = sound(scenes)
        waves.append((wave * 32767).round().to(torch.int16))
        targets.append(target(heard(scenes, wave), wave.shape[1] // HOP + 1))
    return torch.cat(waves), torch.cat(targets)


def target(truth: list, moments: int) -> Tensor:
    """What the network should say at every moment, [B, T, 1 + materials]."""
    rows = torch.zeros(len(truth), moments, 1 + len(MATERIALS))
    rows[..., 1:] = -1
    for row, clip in zip(rows, truth):
        for strike, loud in clip:
            place = round(strike.time * RATE / HOP)
            near = slice(max(0, place - 3), place + 4)
            if not loud:
                row[near, 0] = torch.where(row[near, 0] == 1, 1.0, -1.0)
                continue
            row[near, 0] = torch.where(row[near, 0] == 1, 1.0, -1.0)
            row[place : place + 1, 0] = 1
            said = torch.tensor([float(name in strike.materials) for name in MATERIALS])
            row[max(0, place - 1) : place + 3, 1:] = said
    return rows.half()


def spoil(wave_BL: Tensor, generator: torch.Generator) -> Tensor:
    """Noise, a lost upper range and coarse steps, in half of the clips."""
    B = len(wave_BL)

    def draw() -> Tensor:
        return torch.rand(B, 1, generator=generator)

    gain = 10 ** (-0.5 + 0.6 * draw())
    wave = wave_BL * gain
    half = draw() < 0.5
    taps = 2 * torch.randint(1, 4, (1,), generator=generator) + 1
    soft = functional.avg_pool1d(wave[:, None], int(taps), 1, int(taps) // 2)[:, 0]
    spoiled = torch.where(draw() < 0.5, soft, wave)
    level = wave.square().mean(1, keepdim=True).sqrt()
    noise = torch.randn(wave.shape, generator=generator)
    spoiled = spoiled + noise * (level * 0.15 * draw() ** 2 + 0.002 * draw() ** 2)
    envelope = functional.avg_pool1d(spoiled.abs()[:, None], 241, 1, 120)[:, 0]
    spoiled = spoiled + torch.randn(wave.shape, generator=generator) * envelope * 0.3 * draw() ** 2
    return torch.where(half, spoiled, wave)


def fit(judge: SoundJudge, waves: Tensor, targets: Tensor, steps: int, batch: int) -> None:
    generator = torch.Generator().manual_seed(1)
    optimizer = torch.optim.AdamW(judge.parameters(), lr=3e-3, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 3e-3, total_steps=steps, pct_start=0.1
    )
    judge.train()
    for step in range(steps):
        rows = torch.randint(len(waves), (batch,), generator=generator)
        logits = judge(spoil(waves[rows].float() / 32767, generator))
        wanted = targets[rows].float()
        asked = (wanted >= 0).float()
        loss = functional.binary_cross_entropy_with_logits(
            logits, wanted.clamp_min(0), reduction="none"
        )
        weight = torch.where(wanted == 1, 6.0, 1.0) * asked
        strike = (loss * weight)[..., 0].mean()
        material = (loss * asked)[..., 1:].sum() / asked[..., 1:].sum().clamp_min(1)
        optimizer.zero_grad()
        (4 * strike + material).backward()
        torch.nn.utils.clip_grad_norm_(judge.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 100 == 0 or step == steps - 1:
            log.info("step %d: strike %.4f material %.4f", step, strike.item(), material.item())
    judge.eval()


def check(judge: SoundJudge, clips: int, frames: int = 33) -> None:
    """Print the score on held-out scenes that were simulated."""
    seeds = range(HELD_OUT_SEED, HELD_OUT_SEED + clips)
    scenes = sample_scenes(seeds, frames, StageConfig(max_objects=3, moving_objects=0.95))
    wave = sound(scenes)
    for tolerance in (0.125, 0.025):
        result = score(judge.read(wave), heard(scenes, wave), tolerance)
        log.info(
            "%d clips, within %.0f ms: F %.3f (%d found, %d missed, %d invented), materials %.3f",
            clips,
            1000 * tolerance,
            result.f_measure,
            result.found,
            result.missed,
            result.invented,
            result.materials,
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", required=True, help="folder of the new weights")
    parser.add_argument("--clips", type=int, default=3072, help="clips that it learns from")
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--check-clips", type=int, default=256)
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(relativeCreated)7d ms  %(message)s")
    torch.manual_seed(0)
    waves, targets = training_set(options.clips)
    log.info("made %d clips", len(waves))
    judge = SoundJudge()
    fit(judge, waves, targets, options.steps, options.batch)
    judge.save_pretrained(options.out)
    save_training_data(Path(options.out), [rendered_row("sounds of the stage", options.clips)])
    check(SoundJudge.from_pretrained(options.out), options.check_clips)


if __name__ == "__main__":
    main()
