"""The sound of a file in step with its pictures, whatever its container, codec, rate and number of
channels."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from kinetoscope.data.video import read_clip
from kinetoscope.data.video.frames import VideoError
from kinetoscope.data.video.sound import has_track, iterate_sound, read_sound
from torch import Tensor

from .test_write_sound import RATE, SAMPLES, clicking

KINDS = {"pcm_u8": "u8", "pcm_s16le": "s16", "pcm_s32le": "s32", "pcm_f32le": "flt", "aac": "fltp"}


def tone(rate: int, seconds: float, loudness: float = 0.9) -> np.ndarray:
    time = np.arange(int(rate * seconds)) / rate
    return loudness * np.sin(2 * np.pi * 440 * time)


def stored(samples: np.ndarray, kind: str) -> np.ndarray:
    """Samples in [-1, 1] of [channels, L] as PyAV takes them."""
    if kind == "fltp":
        return samples.astype(np.float32)
    flat = samples.T.reshape(1, -1)
    if kind == "flt":
        return flat.astype(np.float32)
    if kind == "u8":
        return (flat * 127 + 128).astype(np.uint8)
    bits = {"s16": 15, "s32": 31}[kind]
    return (flat * (2**bits - 1)).astype(f"i{(bits + 1) // 8}")


def film(
    path: Path,
    wave: np.ndarray,
    rate: int,
    codec: str = "aac",
    layout: str = "mono",
    begin: float = 0.0,
    pictures_begin: float = 0.0,
    pictures: int = 24,
) -> Path:
    """Pictures at 12 a second with a track of the same samples in all channels, that begins at
    `begin` seconds."""
    with av.open(str(path), "w") as container:
        picture = container.add_stream("mpeg4", rate=12)
        picture.width = picture.height = 16
        picture.pix_fmt = "yuv420p"
        picture.codec_context.time_base = Fraction(1, 1200)
        sound = container.add_stream(codec, rate=rate, layout=layout)
        channels = np.stack([wave] * av.AudioLayout(layout).nb_channels)
        packets = []
        for number in range(pictures):
            frame = av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8), "rgb24")
            frame.pts = number * 100 + round(pictures_begin * 1200)
            frame.time_base = Fraction(1, 1200)
            packets += picture.encode(frame)
        packets += picture.encode(None)
        step = 1024
        for place in range(0, len(wave), step):
            part = stored(channels[:, place : place + step], KINDS[codec])
            frame = av.AudioFrame.from_ndarray(part, KINDS[codec], layout)
            frame.sample_rate = rate
            frame.pts = round(begin * rate) + place
            frame.time_base = Fraction(1, rate)
            packets += sound.encode(frame)
        packets += sound.encode(None)
        container.mux(sorted(packets, key=lambda each: (each.dts or 0) * each.time_base))
    return path


def whole(path: Path, samples: int | None = None) -> Tensor:
    return torch.cat(list(iterate_sound(path, RATE, samples=samples)))


def likeness(found: Tensor, wanted: np.ndarray) -> float:
    """Signal over what differs, in dB, away from the ends, where codecs and filters begin."""
    length = min(len(found), len(wanted))
    one = found[2000 : length - 2000].double()
    two = torch.from_numpy(wanted[2000 : length - 2000].copy())
    return float(10 * (two.square().sum() / (one - two).square().sum()).log10())


@pytest.mark.parametrize("layout", ["mono", "stereo", "2.1", "5.1"])
def test_channels_become_one_that_is_no_louder(tmp_path: Path, layout: str) -> None:
    path = film(tmp_path / "a.mkv", tone(48_000, 1.0), 48_000, "pcm_s16le", layout)
    assert likeness(whole(path), tone(RATE, 1.0)) > 25
    assert likeness(read_sound(path, RATE), tone(RATE, 1.0)) > 25
    assert 0.85 < read_sound(path, RATE, stereo=True).abs().amax() < 0.95


@pytest.mark.parametrize("rate", [8_000, 11_025, 22_050, 44_100, 48_000])
@pytest.mark.parametrize("codec", ["pcm_u8", "pcm_s32le", "pcm_f32le", "aac"])
def test_rates_and_formats_give_the_same_sound(tmp_path: Path, codec: str, rate: int) -> None:
    path = film(tmp_path / "a.mkv", tone(rate, 1.5), rate, codec)
    found = whole(path)
    assert abs(len(found) - 36_000) < 1024 * RATE / rate
    assert found.abs().amax() <= 1
    assert likeness(found, tone(RATE, 1.5)) > 25


@pytest.mark.parametrize("name", ["a.mkv", "a.mov"])
@pytest.mark.parametrize(("begin", "pictures_begin"), [(0.5, 0.0), (0.0, 0.25), (1.25, 0.5)])
def test_a_track_that_begins_at_another_time_is_heard_then(
    tmp_path: Path, name: str, begin: float, pictures_begin: float
) -> None:
    path = film(tmp_path / name, tone(RATE, 1.5), RATE, "pcm_s16le", "mono", begin, pictures_begin)
    late = round((begin - pictures_begin) * RATE)
    wanted = tone(RATE, 1.5)
    wanted = wanted[-late:] if late < 0 else np.concatenate([np.zeros(late), wanted])
    found = whole(path)
    assert abs(len(found) - len(wanted)) <= 24  # a thousandth of a second
    length = min(len(found), len(wanted))
    before = max(0, late - 24)
    assert not found[:before].any()
    shifts = range(-24, 25)
    best = max(likeness(found[24 + s : length - 24 + s], wanted[24 : length - 24]) for s in shifts)
    assert best > 25


def test_a_track_is_as_long_as_asked(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mov", tone(RATE, 1.0), RATE, "pcm_s16le")
    assert torch.equal(whole(path, 10_000), whole(path)[:10_000])
    longer = whole(path, 100_000)
    assert len(longer) == 100_000 and not longer[RATE:].any()
    assert torch.equal(longer[:RATE], whole(path))


def test_times_in_thousandths_of_a_second_leave_no_gaps(tmp_path: Path) -> None:
    """1,024 samples of 44,100 a second take 23.22 ms, which Matroska rounds."""
    path = film(tmp_path / "a.mkv", tone(44_100, 4.0), 44_100, "pcm_s16le")
    assert likeness(whole(path), tone(RATE, 4.0)) > 60


def test_a_gap_in_a_track_is_silent_and_what_follows_is_in_time(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        sound = container.add_stream("pcm_s16le", rate=RATE, layout="mono")
        for place in (0, 24, 25):
            part = stored(0.5 * np.ones((1, 1000)), "s16")
            frame = av.AudioFrame.from_ndarray(part, "s16", "mono")
            frame.sample_rate = RATE
            frame.pts = place * 1000
            frame.time_base = Fraction(1, RATE)
            container.mux(sound.encode(frame))
    found = whole(path)
    assert len(found) == 26_000
    assert (found[100:900] > 0.4).all() and (found[24_100:25_900] > 0.4).all()
    assert not found[1100:23_900].any()


@pytest.mark.parametrize("share", [0.0, 0.21, 0.33])
def test_a_stream_that_was_cut_is_heard_from_its_first_whole_picture(
    tmp_path: Path, share: float
) -> None:
    """Before its first key frame come sound, and pictures that cannot be shown."""
    with av.open(str(tmp_path / "whole.ts"), "w", format="mpegts") as container:
        picture = container.add_stream("mpeg2video", rate=24)
        picture.width = picture.height = 64
        picture.pix_fmt = "yuv420p"
        picture.codec_context.gop_size = 24
        sound = container.add_stream("mp2", rate=RATE, layout="mono")
        for number, (pixels, samples) in enumerate(clicking(120)):
            grey = np.full((64, 64, 3), int(pixels.max()), np.uint8)
            grey[:8] = np.random.default_rng(number).integers(0, 60, (8, 64, 3))
            for _ in range(2):
                container.mux(picture.encode(av.VideoFrame.from_ndarray(grey, "rgb24")))
            frame = av.AudioFrame.from_ndarray(stored(samples.numpy()[None], "s16"), "s16", "mono")
            frame.sample_rate = RATE
            frame.pts = number * SAMPLES
            container.mux(sound.encode(frame))
        container.mux([*picture.encode(None), *sound.encode(None)])
    content = (tmp_path / "whole.ts").read_bytes()
    path = tmp_path / "cut.ts"
    path.write_bytes(content[int(len(content) * share) // 188 * 188 :])
    bright = read_clip(path).video[:, :, 30:].float().mean((0, 2, 3)) > 128
    shown = [n / 24 for n in range(1, len(bright)) if bright[n] and not bright[n - 1]]
    loud = (whole(path).abs() > 0.25).nonzero().flatten().double() / RATE
    heard = [float(t) for n, t in enumerate(loud) if n == 0 or t - loud[n - 1] > 0.5]
    assert len(shown) == len(heard) >= 2
    assert max(abs(a - b) for a, b in zip(shown, heard)) < 0.02


def test_what_has_no_sound_says_so(tmp_path: Path) -> None:
    from PIL import Image

    (tmp_path / "frames").mkdir()
    for number in range(2):
        Image.new("RGB", (8, 8)).save(tmp_path / f"frames/{number}.png")
    for path in (tmp_path / "frames", tmp_path / "frames/%d.png", tmp_path / "frames/0.png"):
        assert not has_track(path)
    with pytest.raises(VideoError, match=r"'.*0\.png' has no sound"):
        whole(tmp_path / "frames/0.png")
    with pytest.raises(VideoError, match=r"the sound of '.*missing\.mp4' cannot be read"):
        has_track(tmp_path / "missing.mp4")
