"""Fine-tune a video tokenizer on a folder of videos, in a loop that is yours to change.

    python examples/finetune_tokenizer.py FOLDER --out my-tokenizer

It prints the PSNR of videos that it holds back, before and after. The new weights have codes of
their own, which only they can decode. `python -m kinetoscope.tokenizer fit` trains with more care:
a schedule, averaged weights, checkpoints.
"""

import argparse
from collections.abc import Iterator
from itertools import count, islice

import torch
from kinetoscope.data.datasets.folder import ClipFolder
from kinetoscope.data.datasets.source import split_rows
from kinetoscope.data.video import to_float
from kinetoscope.tokenizer import VideoTokenizer
from kinetoscope.tokenizer.metrics import psnr
from kinetoscope.tokenizer.training.losses import LossWeights, reconstruction_loss
from torch import Tensor
from torch.nn.utils import clip_grad_norm_
from torch.utils.data import DataLoader, Subset

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def quality(tokenizer: VideoTokenizer, clips: Subset) -> float:
    """Mean PSNR in dB of what comes back from the codes."""
    # [1, 3, F, Y, X] in [-1, 1]
    videos = [to_float(clip["video"].to(DEVICE))[None] for clip in clips]
    return float(
        torch.cat(
            [psnr(tokenizer.decode(tokenizer.encode(video)), video) for video in videos]
        ).mean()
    )


def batches(clips: ClipFolder, rows: list[int], size: int) -> Iterator[Tensor]:
    """Endless batches [size, 3, F, Y, X] in [-1, 1], in every round other clips of the same
    videos."""
    loader = DataLoader(Subset(clips, rows), min(size, len(rows)), shuffle=True, drop_last=True)
    for epoch in count():
        clips.set_epoch(epoch)
        for batch in loader:
            yield to_float(batch["video"].to(DEVICE))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", help="videos of any kind, in subfolders too")
    parser.add_argument("--out", required=True, help="folder for the weights")
    parser.add_argument("--model", default="physics-64", help="where to start from")
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--batch", type=int, default=8, help="clips per step")
    parser.add_argument("--size", type=int, default=64, help="side of the clips in pixels")
    parser.add_argument(
        "--frames", type=int, default=17, help="frames of a clip: 1 and a multiple of 4"
    )
    parser.add_argument("--lr", type=float, default=3e-4)
    args = parser.parse_args()

    clips = ClipFolder(args.folder, args.frames, args.size, captions="none")
    rows, kept_back = split_rows(len(clips), 0.1, seed=0)
    held_out = Subset(clips.fixed(), kept_back or rows)
    tokenizer = VideoTokenizer.from_pretrained(args.model).to(DEVICE)
    optimizer = torch.optim.AdamW(tokenizer.parameters(), lr=args.lr, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.05, args.steps)
    before = quality(tokenizer, held_out)
    for step, video in enumerate(islice(batches(clips, rows, args.batch), args.steps), 1):
        # with several codebooks, each rate has its turn
        rates = torch.randint(1, tokenizer.rates + 1, (len(video),))
        with torch.autocast(DEVICE, torch.bfloat16):
            result = tokenizer(video, rate=rates)
        loss, _ = reconstruction_loss(result.video, video, LossWeights())
        (loss + result.loss).backward()
        clip_grad_norm_(tokenizer.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
        if step % 100 == 0:
            print(
                f"step {step}: PSNR {psnr(result.video.detach(), video).mean():.2f} dB", flush=True
            )
    tokenizer.save_pretrained(args.out)
    print(
        f"PSNR of {len(held_out)} held-out clips: {before:.2f} dB before, "
        f"{quality(tokenizer, held_out):.2f} dB after"
    )
    print(f"VideoTokenizer.from_pretrained({args.out!r}) loads it; its id is {tokenizer.id}")


if __name__ == "__main__":
    main()
