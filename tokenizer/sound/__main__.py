"""Makes a sound tokenizer in a few minutes on one core.

    python -m kinetoscope.tokenizer.sound --out FOLDER [--real-root FOLDER]

It is solved for from sounds of made-up scenes of the stage, and of a folder of videos or sound
files.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from .config import SoundTokenizerConfig
from .model import SoundTokenizer
from .training.solve import solve
from .training.sounds import note_sounds, sounds_to_learn

log = logging.getLogger(__name__)
AT_ONCE = 32  # sounds whose levels are measured together


def levels_of(tokenizer: SoundTokenizer, waves_BL: Tensor) -> Tensor:
    """Warped levels `[B, S, K]` of whole blocks of sounds, with the silence before them."""
    c = tokenizer.config
    size = c.hop * c.block
    parts = []
    for waves in waves_BL.split(AT_ONCE):
        padded = functional.pad(waves, (size, 0))
        parts.append(tokenizer.levels(padded[:, : padded.shape[1] // size * size], {}, {}))
    return torch.cat(parts)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    default = SoundTokenizerConfig()
    parser.add_argument("--out", required=True, help="folder of the tokenizer")
    parser.add_argument("--real-root", type=Path, help="folder of videos or sound files")
    parser.add_argument("--real-seconds", type=float, default=30.0, help="of each file")
    parser.add_argument("--clips", type=int, default=640, help="made-up sounds")
    parser.add_argument("--frames", type=int, default=17, help="of each sound, of 2,000 samples")
    parser.add_argument("--codes", type=int, default=default.codes_per_latent, help="of a latent")
    parser.add_argument("--bits", type=int, default=default.code_bits, help="of a code")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(relativeCreated)7d ms  %(message)s")
    torch.manual_seed(0)
    config = SoundTokenizerConfig(codes_per_latent=options.codes, code_bits=options.bits)
    waves, learned = sounds_to_learn(
        options.clips, options.frames, options.real_root, options.real_seconds
    )
    log.info("%d sounds", len(waves))
    tokenizer = solve(config, levels_of(SoundTokenizer(config), waves))
    tokenizer.save_pretrained(options.out)
    note_sounds(Path(options.out), learned)
    log.info("%d components of a block, in %s", tokenizer.config.components, options.out)


if __name__ == "__main__":
    main()
