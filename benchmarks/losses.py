"""The effect of each term of the loss, measured in short runs.

    python benchmarks/losses.py --steps 2000  # squared error, + each other term, all, - each
    python benchmarks/losses.py --perceptual vgg16.safetensors  # and "+ perceptual"
    python benchmarks/losses.py --decoder-of FOLDER --steps 1200  # the adversarial stage

Prints a Markdown table. Flicker is the mean change of the reconstruction from frame to frame over
that of the video. "Frames" is the Fréchet distance between the judge's features of decoded frames
and of real ones; it falls as pictures get sharper, even where PSNR falls too.
"""

import argparse
from dataclasses import asdict, replace
from typing import Any

from kinetoscope.data.worlds.physics.judge.judge import Judge
from kinetoscope.evaluation.frame_distance import frechet
from kinetoscope.tokenizer import VideoTokenizer
from kinetoscope.tokenizer.training.losses import LossWeights
from short_runs import arguments, measure, prepare, train

HEADER = (
    "loss",
    "PSNR",
    "PSNR on objects",
    "SSIM",
    "flicker",
    "calm cells",
    "frames",
    "s per step",
)
TERMS = {
    "absolute": 0.005,
    "gradient": 0.003,
    "temporal": 0.003,
    "structure": 0.01,
    "foreground": 1.0,
    "calm": 0.01,
}
SQUARED = LossWeights(**{name: float(name == "squared") for name in asdict(LossWeights())})
ALL = replace(SQUARED, **TERMS)
WHOLE = {
    "squared": SQUARED,
    **{f"+ {term}": replace(SQUARED, **{term: weight}) for term, weight in TERMS.items()},
    "all": ALL,
    **{f"all - {term}": replace(ALL, **{term: 0.0}) for term in TERMS},
    "all, logarithm of each clip": replace(ALL, squared=0.0, log_squared=0.02),
    "the defaults": LossWeights(),
}
PERCEPTUAL = {"+ perceptual": replace(SQUARED, perceptual=0.01)}
DECODER = LossWeights(squared=1, absolute=0.005, gradient=0.002, temporal=0.002, foreground=2)
STAGE = {"decoder alone": DECODER} | {
    f"adversarial {pull}": replace(DECODER, adversarial=pull) for pull in (0.1, 0.3)
}


def row(
    name: str, tokenizer: VideoTokenizer, seconds: float, args: argparse.Namespace, judge: Judge
) -> str:
    """A line of the table."""
    quality, decoded, real = measure(tokenizer, args, judge)
    kept = quality.rates[-1].table()
    return (
        f"| {name} | {kept['PSNR dB']:.2f} | {kept['PSNR on objects dB']:.2f} | {kept['SSIM']:.4f} "
        f"| {quality.steadiness.flicker.value:.3f} "
        f"| {kept['still cells that keep their code']:.3f} "
        f"| {frechet(decoded, real):.3f} | {f'{seconds:.3f}' if seconds else ''} |"
    )


def runs(args: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Settings of `TokenizerModule` for each row."""
    if args.decoder_of:
        stage = {"init_from": args.decoder_of, "decoder_only": True, "lr": 1e-3, "muon_lr": 1e-3}
        return {name: {"loss": weights, **stage} for name, weights in STAGE.items()}
    found: dict[str, dict[str, Any]] = {name: {"loss": weights} for name, weights in WHOLE.items()}
    if args.perceptual:
        found |= {
            name: {"loss": loss, "perceptual": args.perceptual} for name, loss in PERCEPTUAL.items()
        }
    return found


def main() -> None:
    parser = arguments(__doc__, 2000, "losses", [*WHOLE, *PERCEPTUAL, *STAGE])
    parser.add_argument("--perceptual", help="file of a network for the perceptual loss")
    parser.add_argument("--decoder-of", help="a tokenizer; train only its decoder, further")
    args = parser.parse_args()
    judge = Judge.from_pretrained()
    prepare(args, HEADER)
    if args.decoder_of:
        print(
            row("before", VideoTokenizer.from_pretrained(args.decoder_of), 0.0, args, judge),
            flush=True,
        )
    for name, settings in runs(args).items():
        if name in args.only:
            print(
                row(name, *train(name.replace(" ", "-"), args, **settings), args, judge),
                flush=True,
            )


if __name__ == "__main__":
    main()
