"""The same training run with each quantizer, at 12 bits per cell.

`python benchmarks/quantizers.py --steps 2000` trains on the same data in the same order with the
same sizes and settings; only the quantizer differs. It prints a Markdown table of the quality of
held-out clips. The rows "1 of 3" and "2 of 3" are the checkpoint above them, decoded from its first
codebooks.
"""

from kinetoscope.data.worlds.physics.judge.judge import Judge
from kinetoscope.evaluation.tokenizer import Quality
from kinetoscope.tokenizer import QuantizerConfig, TokenizerConfig
from kinetoscope.tokenizer.training.losses import LossWeights
from short_runs import arguments, measure, prepare, train

QUANTIZERS = {
    "FSQ": QuantizerConfig("FSQ", {"levels": [8, 8, 8, 8]}),
    "LFQ": QuantizerConfig("LFQ", {"codebook_size": 4096}),
    "VectorQuantize": QuantizerConfig("VectorQuantize", {"dim": 8, "codebook_size": 4096}),
    "ResidualFSQ": QuantizerConfig("ResidualFSQ", {"levels": [2, 2, 2, 2], "num_quantizers": 3}),
    "nested FSQ": QuantizerConfig(
        "FSQ", {"levels": [4, 4], "num_codebooks": 3, "preserve_symmetry": True}
    ),
}
LOSS = LossWeights(absolute=0.005, gradient=0.003, temporal=0.003, calm=0.01)
HEADER = (
    "quantizer",
    "bits per pixel",
    "PSNR",
    "PSNR on objects",
    "SSIM",
    "codes used",
    "perplexity",
    "s per step",
)


def rows(name: str, quality: Quality, seconds: float) -> list[str]:
    """A line of the table for each rate, the best first."""
    size = quality.tokenizer.codebook_size
    rates = len(quality.rates)
    lines = []
    for rate in reversed(quality.rates):
        kept = rate.table()
        usage = quality.usage[: rate.rate]
        full = rate.rate == rates
        lines.append(
            f"| {name if full else f'{name}, {rate.rate} of {rates}'} "
            f"| {kept['bits per pixel']:.4f} "
            f"| {kept['PSNR dB']:.2f} | {kept['PSNR on objects dB']:.2f} | {kept['SSIM']:.4f} "
            f"| {' + '.join(str(book.used) for book in usage)} of {size} "
            f"| {' + '.join(f'{book.perplexity:.0f}' for book in usage)} "
            f"| {f'{seconds:.3f}' if full else ''} |"
        )
    return lines


def main() -> None:
    args = arguments(__doc__, 2000, "quantizers", list(QUANTIZERS)).parse_args()
    judge = Judge.from_pretrained()
    prepare(args, HEADER)
    for name in args.only:
        config = TokenizerConfig(quantizer=QUANTIZERS[name])
        tokenizer, seconds = train(name.replace(" ", "-"), args, tokenizer=config, loss=LOSS)
        print("\n".join(rows(name, measure(tokenizer, args, judge)[0], seconds)), flush=True)


if __name__ == "__main__":
    main()
