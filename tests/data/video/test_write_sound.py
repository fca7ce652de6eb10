"""Sound in video files: in step with the frames, as a player shows both, for as long as they
last."""

import struct
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from kinetoscope.data.video.sound import read_sound, read_span
from kinetoscope.data.video.write import VideoWriter
from torch import Tensor

RATE = 24_000
FPS = 12
SAMPLES = RATE // FPS  # of a frame
NEAR = 0.020  # seconds


def flash(frame: int) -> bool:
    """Every 29th frame is white and begins with a click."""
    return frame % 29 == 7


def clicking(frames: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Frames one by one, with their samples."""
    time = torch.arange(200) / RATE
    click = torch.exp(-time * 400) * torch.sin(2 * torch.pi * 2000 * time) * 0.8
    for frame in range(frames):
        samples = torch.zeros(SAMPLES)
        if flash(frame):
            samples[:200] = click
        yield torch.full((3, 1, 16, 16), 255 * flash(frame), dtype=torch.uint8), samples


def write(path: Path, frames: int, together: int = 4) -> None:
    with VideoWriter(path, FPS, sound_rate=RATE) as writer:
        waiting = []
        for pixels, samples in clicking(frames):
            waiting.append((pixels, samples))
            if len(waiting) == together or writer.frames + len(waiting) == frames:
                writer.write(torch.cat([each[0] for each in waiting], dim=1))
                writer.write_sound(torch.cat([each[1] for each in waiting]))
                waiting = []


def seen(path: Path) -> list[float]:
    """Seconds at which white frames are shown."""
    with av.open(str(path)) as container:
        frames = container.decode(video=0)
        return [f.time for f in frames if f.to_ndarray(format="gray").mean() > 128]


def heard(path: Path) -> list[float]:
    """Seconds at which clicks begin, by the times that the file gives its sound."""
    found = []
    last = -1.0
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            loud = np.abs(frame.to_ndarray()[0].astype(np.float64)) > 0.25
            for index in np.flatnonzero(loud):
                time = frame.time + index / frame.sample_rate
                if time - last > 0.5:
                    found.append(time)
                    last = time
    return found


def check_in_step(path: Path, frames: int) -> None:
    shown = seen(path)
    clicks = heard(path)
    assert len(shown) == len(clicks) == sum(flash(frame) for frame in range(frames))
    assert max(abs(a - b) for a, b in zip(shown, clicks)) < NEAR


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.mkv", "a.webm"])
def test_clicks_come_with_their_flashes(tmp_path: Path, name: str) -> None:
    write(tmp_path / name, 100)
    check_in_step(tmp_path / name, 100)


@pytest.mark.slow
def test_ten_minutes_stay_in_step(tmp_path: Path) -> None:
    frames = 600 * FPS
    write(tmp_path / "a.mp4", frames)
    check_in_step(tmp_path / "a.mp4", frames)


def test_the_lead_in_of_aac_is_told_to_players(tmp_path: Path) -> None:
    """The edit list of the sound track skips the 1,024 samples that the encoder puts first."""
    write(tmp_path / "a.mp4", 30)
    content = (tmp_path / "a.mp4").read_bytes()
    sound = content.index(b"soun")
    edits = content.rindex(b"elst", 0, sound)
    version, count = content[edits + 4], struct.unpack(">I", content[edits + 8 : edits + 12])[0]
    assert (version, count) == (0, 1)
    assert struct.unpack(">i", content[edits + 16 : edits + 20])[0] == 1024


def test_the_sound_is_as_long_as_the_frames(tmp_path: Path) -> None:
    write(tmp_path / "a.mp4", 30)
    assert abs(len(read_sound(tmp_path / "a.mp4")) - 30 * SAMPLES) <= 1024


def test_sound_keeps_its_shape(tmp_path: Path) -> None:
    time = torch.arange(RATE) / RATE
    tone = 0.5 * torch.sin(2 * torch.pi * 440 * time)
    with VideoWriter(tmp_path / "a.mp4", FPS, sound_rate=RATE) as writer:
        writer.write(torch.zeros(3, FPS, 16, 16, dtype=torch.uint8))
        writer.write_sound(tone)
    found = read_sound(tmp_path / "a.mp4")[2000:20_000]
    assert torch.allclose(found, tone[2000:20_000], atol=0.02)


@pytest.mark.parametrize("name", ["a.gif", "a.webp", "frames/%03d.png"])
def test_formats_without_sound_say_so(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match=r"holds no sound; give a name that ends in \.mp4"):
        VideoWriter(tmp_path / name, FPS, sound_rate=RATE)


def test_mistakes_are_named(tmp_path: Path) -> None:
    pixels = torch.zeros(3, 1, 16, 16, dtype=torch.uint8)
    with VideoWriter(tmp_path / "a.mp4", FPS) as writer:
        writer.write(pixels)
        with pytest.raises(ValueError, match="this video is silent"):
            writer.write_sound(torch.zeros(8))
    with VideoWriter(tmp_path / "b.mp4", FPS, sound_rate=RATE) as writer:
        with pytest.raises(ValueError, match="sound comes after the first frames"):
            writer.write_sound(torch.zeros(8))
        writer.write(pixels)
        with pytest.raises(ValueError, match=r"samples must be float \[L\]"):
            writer.write_sound(torch.zeros(1, 8))


# ---- pieces of a track ----


def program_stream(path: Path, frames: int) -> None:
    """As old cameras write: MPEG-1 pictures and MP2 sound, whose times do not begin at 0."""
    with av.open(str(path), "w", format="mpeg") as container:
        picture = container.add_stream("mpeg1video", rate=24)
        picture.width = picture.height = 16
        picture.pix_fmt = "yuv420p"
        sound = container.add_stream("mp2", rate=RATE, layout="mono")
        count = 0
        for pixels, samples in clicking(frames):
            for _ in range(2):
                image = pixels[:, 0].permute(1, 2, 0).contiguous().numpy()
                container.mux(picture.encode(av.VideoFrame.from_ndarray(image, "rgb24")))
            whole = (samples * 32767).short().numpy()[None]
            frame = av.AudioFrame.from_ndarray(whole, "s16", "mono")
            frame.sample_rate = RATE
            frame.pts = count
            count += SAMPLES
            container.mux(sound.encode(frame))
        container.mux(picture.encode(None))
        container.mux(sound.encode(None))


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.webm", "a.mpg"])
@pytest.mark.parametrize("first", [0, 3, 30, 61])
def test_a_piece_of_a_track_is_that_of_its_frames(tmp_path: Path, name: str, first: int) -> None:
    (program_stream if name == "a.mpg" else write)(tmp_path / name, 80)
    wave = read_span(tmp_path / name, first / FPS, 30 * SAMPLES)
    assert wave is not None and wave.shape == (30 * SAMPLES,)
    loud = (wave.abs() > 0.25).nonzero().flatten() / SAMPLES + first
    frames = [frame for frame in range(first, min(80, first + 30)) if flash(frame)]
    assert sorted({round(float(place)) for place in loud}) == frames
    near = NEAR * FPS
    assert all(-near < float(place) - round(float(place)) < 0.2 for place in loud)


def test_a_piece_beyond_the_end_is_silent_and_a_silent_file_has_none(tmp_path: Path) -> None:
    write(tmp_path / "a.mp4", 20)
    wave = read_span(tmp_path / "a.mp4", 10.0, 500)
    assert wave is not None and wave.tolist() == [0.0] * 500
    with VideoWriter(tmp_path / "b.mp4", FPS) as writer:
        writer.write(torch.zeros(3, 2, 16, 16, dtype=torch.uint8))
    assert read_span(tmp_path / "b.mp4", 0.0, 500) is None
