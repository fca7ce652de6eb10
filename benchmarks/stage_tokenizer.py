"""What tokenizers keep of held-out clips of the stage, and how long a latent takes on one thread.

    python benchmarks/stage_tokenizer.py pretrained/stage-256/tokenizer [--size 128] [--clips 16]
    python benchmarks/stage_tokenizer.py physics-64 --patch 16  # as training begins

Clips are rendered once and kept in --folder. Times are processor seconds of this process.
"""

import argparse
import time

import torch
from kinetoscope.data.video import to_float
from kinetoscope.data.worlds.stage.clips import stage_batch
from kinetoscope.evaluation.stage_tokenizer import SEED, stage_tables
from kinetoscope.tokenizer import VideoTokenizer
from kinetoscope.tokenizer.enlarge import with_patch

ROUNDS = 5


def milliseconds(tokenizer: VideoTokenizer, size: int) -> tuple[float, float]:
    """Of encoding and of decoding a latent frame in a stream of one clip; the least of a few
    rounds."""
    video = to_float(stage_batch(range(SEED, SEED + 1), 17, size)["video"])
    k = tokenizer.config.frames_per_latent
    chunks = [video[:, :, :1], *video[:, :, 1:].split(k, dim=2)]
    encoding, decoding = [], []
    for _ in range(ROUNDS):
        start = time.process_time()
        codes = list(tokenizer.stream_encode(chunks))
        middle = time.process_time()
        for _ in tokenizer.stream_decode(codes):
            pass
        encoding.append((middle - start) / len(codes))
        decoding.append((time.process_time() - middle) / len(codes))
    return 1e3 * min(encoding), 1e3 * min(decoding)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="a shipped name, a folder or a hub id")
    parser.add_argument("--patch", type=int, help="draw each code with this many pixels")
    parser.add_argument("--size", type=int, default=128, help="side of the picture in pixels")
    parser.add_argument("--clips", type=int, default=16, help="clips of each kind")
    parser.add_argument("--frames", type=int, default=17, help="frames of a clip")
    parser.add_argument("--folder", default="runs/clips", help="where rendered clips are kept")
    parser.add_argument("--compiled", action="store_true", help="render through torch.compile")
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.patch:
        tokenizer = with_patch(args.model, args.patch)
    else:
        tokenizer = VideoTokenizer.from_pretrained(args.model)
    encoding, decoding = milliseconds(tokenizer, args.size)
    print(
        f"{args.model}, patch {tokenizer.config.patch}, {args.size} px, {args.clips} clips a kind"
    )
    print(f"a latent frame on one thread: {encoding:.1f} ms to encode, {decoding:.1f} to decode")
    tables = stage_tables(
        tokenizer, args.folder, args.clips, args.frames, args.size, compiled=args.compiled
    )
    usage = tables.pop("codes")
    print("            ", *(f"{name:>19}" for name in tables["all"]))
    for kind, table in tables.items():
        print(f"{kind:13}", *(f"{value:19.3f}" for value in table.values()))
    print(", ".join(f"{name} {value:.0f}" for name, value in usage.items()))


if __name__ == "__main__":
    main()
