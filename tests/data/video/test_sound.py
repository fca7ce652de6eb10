"""Sound of files: the right samples at the right rate, and one line for what cannot be read."""

import wave
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from kinetoscope.data.video.frames import VideoError
from kinetoscope.data.video.sound import read_sound


def write_wav(path: Path, samples: np.ndarray, rate: int) -> None:
    """16-bit samples [L, channels]."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(samples.shape[1])
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.astype("<i2").tobytes())


def tone(rate: int, seconds: float = 1.0, hertz: float = 440.0) -> np.ndarray:
    return np.sin(2 * np.pi * hertz * np.arange(int(rate * seconds)) / rate)


def test_samples_of_a_file_at_the_same_rate_come_as_they_are(tmp_path: Path) -> None:
    samples = (12_000 * tone(24_000)).astype(np.int16)
    write_wav(tmp_path / "a.wav", samples[:, None], 24_000)
    read = read_sound(tmp_path / "a.wav")
    assert read.dtype == torch.float32 and read.shape == (24_000,)
    np.testing.assert_allclose(read.numpy() * 32768, samples, atol=1)


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 48_000])
def test_other_rates_and_two_channels_are_converted(tmp_path: Path, rate: int) -> None:
    left = 16_000 * tone(rate, 2.0)
    write_wav(tmp_path / "a.wav", np.stack([left, left], 1), rate)
    read = read_sound(tmp_path / "a.wav")
    assert abs(len(read) - 48_000) < 50
    spectrum = torch.fft.rfft(read[:24_000]).abs()
    assert int(spectrum.argmax()) == 440
    middle = read[4_000:44_000].abs().amax()
    assert 0.4 < middle < 0.75


def test_only_the_beginning_is_read_where_that_is_asked(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", (9_000 * tone(24_000, 3.0))[:, None], 24_000)
    assert len(read_sound(tmp_path / "a.wav", seconds=0.5)) == 12_000


def test_the_track_of_a_video_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=48_000)
        samples = (0.5 * tone(48_000)).astype(np.float32)
        frame = av.AudioFrame.from_ndarray(samples[None], "fltp", "mono")
        frame.sample_rate = 48_000
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    read = read_sound(path)
    assert abs(len(read) - 24_000) < 1500
    assert int(torch.fft.rfft(read[2000:22_000]).abs().argmax() * 1.2) in range(435, 446)


def test_files_without_sound_are_named(tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("no sound here")
    with pytest.raises(VideoError, match=r"note\.txt"):
        read_sound(tmp_path / "note.txt")
    with pytest.raises(VideoError, match=r"missing\.mp4"):
        read_sound(tmp_path / "missing.mp4")
