r"""The shipped tokenizers beside H.264 and AV1 on held-out clips of their own world.

    python benchmarks/shipped_tokenizers.py --clips 16
    python benchmarks/shipped_tokenizers.py --clips 32 --world stage --size 256 --frames 17 \
        --tokenizers stage-256,video-128

Clips are rendered from seeds that no model trained on, stored nearly without loss, and measured as
`kinetoscope evaluate tokenizer` does. The network of rFVD is that of shipped_generator.py: small,
with random weights of a fixed seed, so its distances compare with each other alone.
"""

import argparse
import tempfile
from pathlib import Path

import torch
from kinetoscope.data.video import write_video
from kinetoscope.data.worlds.physics.clips import HELD_OUT_SEED, physics_batch
from kinetoscope.data.worlds.physics.scene import PhysicsConfig
from kinetoscope.data.worlds.stage.clips import stage_batch
from kinetoscope.evaluation.any_tokenizer import (
    evaluate_tokenizers,
    format_tokenizers,
    open_tokenizer,
)
from kinetoscope.evaluation.protocols import Protocol
from shipped_generator import write_network

FIRST_SEED = HELD_OUT_SEED + 50_000_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=16)
    parser.add_argument("--frames", type=int, default=33)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--tokenizers", default="physics-64,video-128")
    parser.add_argument("--world", choices=("physics", "stage"), default="physics")
    parser.add_argument("--codecs", default="h264,av1")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    seeds = range(FIRST_SEED, FIRST_SEED + arguments.clips)
    if arguments.world == "stage":
        clips = stage_batch(seeds, arguments.frames, arguments.size)["video"]
    else:
        clips = physics_batch(seeds, arguments.frames, arguments.size, PhysicsConfig())["video"]
    with tempfile.TemporaryDirectory() as root:
        (Path(root) / "clips").mkdir()
        for number, clip in enumerate(clips):
            write_video(Path(root) / "clips" / f"{number:04d}.mp4", clip, fps=12, crf=4)
        network = Path(root) / "network.pt"
        write_network(network)
        result = evaluate_tokenizers(
            f"{root}/clips",
            [open_tokenizer(name) for name in arguments.tokenizers.split(",")],
            Protocol(frames=arguments.frames),
            {"video": str(network)},
            codecs=arguments.codecs.split(","),
            cache=f"{root}/cache",
        )
    print(format_tokenizers(result))


if __name__ == "__main__":
    main()
