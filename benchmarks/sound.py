"""What a sound tokenizer keeps: `python benchmarks/sound.py [--model stage-256] [--real FOLDER]`.

- On sound of the stage that it was not trained on: mel distance and SI-SDR, what the judge hears in
  renders and after the round trip (strikes, materials), and what is left in silence.
- With a folder of videos or sound files: the same distances beside Opus and AAC, each at the lowest
  rates that they take, with the bits that they really used. Both see a whole file and spend bits
  where they are needed; the tokenizer gives every moment the same number of codes at once.
"""

import argparse
import io
import math
import time
from pathlib import Path

import av
import numpy as np
import torch
from kinetoscope.data.video.frames import VideoError
from kinetoscope.data.video.sound import read_sound
from kinetoscope.data.worlds.stage.clips import HELD_OUT_SEED
from kinetoscope.data.worlds.stage.judge.sound import SoundJudge, heard, score
from kinetoscope.data.worlds.stage.sample import sample_scenes
from kinetoscope.data.worlds.stage.scene import StageConfig
from kinetoscope.data.worlds.stage.sound import RATE, SAMPLES, sound
from kinetoscope.tokenizer.sound import SoundTokenizer
from kinetoscope.tokenizer.sound.spectra import mel_distance, si_sdr
from torch import Tensor

FRAMES = 33
CODECS = (("libopus", "ogg", 6_000), ("libopus", "ogg", 12_000), ("aac", "adts", 12_000))
LONGEST_LAG = 4_000  # samples that a codec may be late by


def bits_per_second(tokenizer: SoundTokenizer) -> float:
    codes = tokenizer.config.codes_per_latent * RATE / tokenizer.config.latent_samples
    return codes * math.log2(tokenizer.codebook_size)


def round_trip(tokenizer: SoundTokenizer, wave: Tensor) -> Tensor:
    return tokenizer.decode(tokenizer.encode(wave))


def through_codec(wave: Tensor, codec: str, container: str, rate: int) -> tuple[Tensor, float]:
    """A wave [L] after a codec, in step with it, and the bits a second that it took."""
    file = io.BytesIO()
    bits = 0
    with av.open(file, "w", format=container) as out:
        stream = out.add_stream(codec, rate=RATE, layout="mono")
        stream.bit_rate = rate
        resampler = av.AudioResampler(stream.format.name, "mono", RATE, stream.frame_size or 480)
        frame = av.AudioFrame.from_ndarray(wave.numpy()[None], "fltp", "mono")
        frame.sample_rate = RATE
        for piece in [*resampler.resample(frame), *resampler.resample(None)]:
            for packet in stream.encode(piece):
                bits += 8 * packet.size
                out.mux(packet)
        for packet in stream.encode(None):
            bits += 8 * packet.size
            out.mux(packet)
    file.seek(0)
    with av.open(file) as back:
        resampler = av.AudioResampler("flt", "mono", RATE)
        pieces = [p for frame in back.decode(audio=0) for p in resampler.resample(frame)]
        pieces += resampler.resample(None)
        decoded = np.concatenate([piece.to_ndarray()[0] for piece in pieces])
    return in_step(torch.from_numpy(decoded.copy()), wave), bits / (len(wave) / RATE)


def in_step(decoded: Tensor, wave: Tensor) -> Tensor:
    """What was decoded, without the silence that a codec puts in front, as long as the wave."""
    size = 1 << (len(wave) + LONGEST_LAG).bit_length()
    product = torch.fft.rfft(decoded, size) * torch.fft.rfft(wave, size).conj()
    lag = int(torch.fft.irfft(product, size)[:LONGEST_LAG].argmax())
    decoded = decoded[lag : lag + len(wave)]
    return torch.nn.functional.pad(decoded, (0, len(wave) - len(decoded)))


def stage_rows(tokenizer: SoundTokenizer, clips: int) -> None:
    config = StageConfig(max_objects=3, moving_objects=0.95)
    scenes = sample_scenes(range(HELD_OUT_SEED, HELD_OUT_SEED + clips), FRAMES, config)
    wave = sound(scenes)
    truth = heard(scenes, wave)
    judge = SoundJudge.from_pretrained()
    silent = wave.abs().amax(1) == 0
    print(f"stage: {clips} clips of {FRAMES} frames, {int(silent.sum())} of them silent")
    print("| sound | bits/s | mel dB | SI-SDR dB | strikes F | materials | silence dBFS |")
    print("|---|---|---|---|---|---|---|")
    rows = [
        ("render", 0.0, wave),
        ("tokenizer", bits_per_second(tokenizer), round_trip(tokenizer, wave)),
    ]
    for name, bits, heard_wave in rows:
        found = score(judge.read(heard_wave), truth)
        level = heard_wave[silent].square().mean(1).sqrt().amax() if silent.any() else 0.0
        decibels = 20 * math.log10(max(float(level), 1e-9))
        sounds = ~silent
        print(
            f"| {name} | {bits:.0f} | {mel_distance(heard_wave, wave).mean():.2f} "
            f"| {si_sdr(heard_wave[sounds], wave[sounds]).mean():.1f} | {found.f_measure:.3f} "
            f"| {found.materials:.3f} | {decibels:.0f} |"
        )


def real_rows(tokenizer: SoundTokenizer, folder: Path, seconds: float) -> None:
    waves = []
    for path in sorted(folder.iterdir()):
        try:
            wave = read_sound(path, RATE, seconds)
        except VideoError:
            continue
        if len(wave) >= RATE and wave.abs().amax() > 0.01:
            waves.append(wave)
    print(f"real: {len(waves)} files, {sum(map(len, waves)) / RATE:.0f} seconds")
    print("| sound | bits/s | mel dB | SI-SDR dB |")
    print("|---|---|---|---|")
    pairs = [(round_trip(tokenizer, wave[None])[0], wave) for wave in waves]
    print(row("tokenizer", [bits_per_second(tokenizer)] * len(pairs), pairs))
    for codec, container, bit_rate in CODECS:
        coded = [(through_codec(wave, codec, container, bit_rate), wave) for wave in waves]
        bits = [bits for (_, bits), _ in coded]
        print(row(f"{codec}, {bit_rate}", bits, [(back, wave) for (back, _), wave in coded]))


def row(name: str, bits: list[float], pairs: list[tuple[Tensor, Tensor]]) -> str:
    mel = [float(mel_distance(back[None], wave[None])) for back, wave in pairs]
    ratio = [float(si_sdr(back[None], wave[None])) for back, wave in pairs]
    means = [sum(values) / len(values) for values in (bits, mel, ratio)]
    return f"| {name} | {means[0]:.0f} | {means[1]:.2f} | {means[2]:.1f} |"


def speed(tokenizer: SoundTokenizer) -> None:
    wave = 0.1 * torch.randn(1, 100 * SAMPLES)
    begin = time.perf_counter()
    codes = tokenizer.encode(wave)
    middle = time.perf_counter()
    tokenizer.decode(codes)
    end = time.perf_counter()
    seconds = wave.shape[1] / RATE
    threads = torch.get_num_threads()
    print(
        f"speed: encoding {seconds / (middle - begin):.0f}, decoding "
        f"{seconds / (end - middle):.0f} times real time on {threads} threads"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="stage-256")
    parser.add_argument("--real", type=Path, help="folder of videos or sound files")
    parser.add_argument("--clips", type=int, default=256)
    parser.add_argument("--seconds", type=float, default=30.0, help="of each file at most")
    options = parser.parse_args()
    tokenizer = SoundTokenizer.from_pretrained(options.model)
    speed(tokenizer)
    stage_rows(tokenizer, options.clips)
    if options.real:
        real_rows(tokenizer, options.real, options.seconds)


if __name__ == "__main__":
    main()
