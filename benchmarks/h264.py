"""The quality of H.264 at the bit rates of a tokenizer: `python benchmarks/h264.py FOLDER`.

x264 at its slowest preset sees the whole clip before it writes a bit, spends bits where they are
needed and packs them with a context model. A tokenizer gives every cell the same number of bits as
soon as its frames are there, and a cell that stands still keeps its code, so that a generator can
predict it. The difference shows what that costs. The note about its settings that x264 puts into
every file is not counted.
"""

import argparse
import io
import re

import av
import torch
from kinetoscope.data.video import to_float
from kinetoscope.evaluation.tokenizer import real_clips
from kinetoscope.tokenizer import VideoTokenizer
from kinetoscope.tokenizer.metrics import bits_per_pixel, psnr
from torch import Tensor

NOTE = 6  # the type of a NAL unit that decoders ignore
WORST = 51


def encode(clip: Tensor, quality: float) -> bytes:
    """A clip uint8 [3, F, Y, X] as a raw H.264 stream of this constant rate factor."""
    file = io.BytesIO()
    with av.open(file, "w", format="h264") as container:
        stream = container.add_stream(
            "libx264", rate=24, options={"crf": str(quality), "preset": "veryslow"}
        )
        stream.pix_fmt = "yuv420p"
        (stream.height, stream.width) = clip.shape[2:]
        for image in clip.permute(1, 2, 3, 0).contiguous().numpy():
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    return file.getvalue()


def bits(coded: bytes) -> int:
    """Bits of a stream without notes."""
    units = re.split(b"\x00\x00\x00?\x01", coded)[1:]
    return 8 * sum(len(unit) + 3 for unit in units if unit and unit[0] & 31 != NOTE)


def decode(coded: bytes) -> Tensor:
    """The pixels of a stream, float [1, 3, F, Y, X] in [-1, 1]."""
    with av.open(io.BytesIO(coded)) as container:
        frames = [
            torch.from_numpy(frame.to_ndarray(format="rgb24"))
            for frame in container.decode(video=0)
        ]
    return to_float(torch.stack(frames).permute(3, 0, 1, 2)[None])


def best_within(clip: Tensor, budget: float) -> Tensor:
    """The clip after coding in at most `budget` bits; ValueError if that is impossible."""
    good = WORST  # a factor that fits, and one that does not
    bad = 0.0
    coded = encode(clip, good)
    if bits(coded) > budget:
        raise ValueError(f"H.264 needs {bits(coded)} bits at least and may use {budget:.0f}")
    while good - bad > 0.25:
        middle = (good + bad) / 2
        smaller = encode(clip, middle)
        if bits(smaller) <= budget:
            good = middle
            coded = smaller
        else:
            bad = middle
    return decode(coded)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", help="real videos")
    parser.add_argument("--tokenizer", default="video-128")
    parser.add_argument("--sources", help="as in `kinetoscope evaluate --real-sources`")
    parser.add_argument("--frames", type=int, default=33)
    parser.add_argument("--size", type=int, default=128)
    args = parser.parse_args()
    tokenizer = VideoTokenizer.from_pretrained(args.tokenizer)
    clips = real_clips(args.folder, args.frames, args.size, args.sources)
    print(
        f"{len(clips)} clips of {args.frames} x {args.size} x {args.size} pixels; mean PSNR in dB"
    )
    print(f"| bits per pixel | {args.tokenizer} | H.264 |\n|---|---|---|")
    for rate in range(1, tokenizer.rates + 1):
        kept = []
        peer = []
        for clip in clips:
            video = to_float(clip[None])
            codes = tokenizer.encode(video).prefix(rate)
            spent = bits_per_pixel(codes.indices, tokenizer.codebook_size, *clip.shape[1:])
            kept.append(float(psnr(tokenizer.decode(codes), video)))
            peer.append(float(psnr(best_within(clip, spent * clip[0].numel()), video)))
        print(
            f"| {spent:.4f} | {sum(kept) / len(kept):.2f} | {sum(peer) / len(peer):.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
