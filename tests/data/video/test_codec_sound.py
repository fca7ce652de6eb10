"""Files of codes with sound: the codes of the whole, in step with the frames, as long as they
are."""

import os
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from kinetoscope.data.video import probe
from kinetoscope.data.video.codec import decode_file, encode_file
from kinetoscope.data.video.frames import VideoError
from kinetoscope.data.video.sound import read_sound, read_span, stream
from kinetoscope.data.video.write import VideoWriter
from kinetoscope.tokenizer import (
    QuantizerConfig,
    StackConfig,
    TokenizerConfig,
    VideoCodes,
    VideoTokenizer,
)
from kinetoscope.tokenizer.codes import CodesFile, SoundCodes
from kinetoscope.tokenizer.sound import SoundTokenizer

from .test_write_sound import FPS, NEAR, RATE, SAMPLES, flash, write


@pytest.fixture(scope="module")
def tokenizer() -> VideoTokenizer:
    torch.manual_seed(0)
    stack = StackConfig(width=8, depth=1, spatial=(), temporal=())
    quantizer = QuantizerConfig("FSQ", {"levels": [4, 4]})
    config = TokenizerConfig(encoder=stack, decoder=stack, refine_channels=0, quantizer=quantizer)
    tokenizer = VideoTokenizer(config)
    tokenizer.fit_whitening([2 * torch.rand(2, 3, 5, 16, 16) - 1])
    return tokenizer.eval()


@pytest.fixture(scope="module")
def sound() -> SoundTokenizer:
    return SoundTokenizer.from_pretrained("stage-256")


@pytest.fixture(scope="module")
def clicks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hundred frames, of which every 29th begins with a click."""
    path = tmp_path_factory.mktemp("clicks") / "clicks.mp4"
    write(path, 100)
    return path


def onsets(path: Path) -> list[float]:
    """Seconds at which clicks begin, by the times that the file gives its sound: where the
    loudness of 2 ms rises above a tenth of the loudest."""
    with av.open(str(path)) as container:
        frames = list(container.decode(audio=0))
    wave = np.concatenate([frame.to_ndarray()[0] for frame in frames])
    step = RATE // 500
    loudness = np.abs(wave[: len(wave) // step * step]).reshape(-1, step).max(1)
    found: list[float] = []
    last = 0.0
    for place in np.flatnonzero(loudness > 0.1 * loudness.max()):
        time = frames[0].time + place * step / RATE
        if not found or time - last > 0.5:
            found.append(time)
        last = time
    return found


@pytest.mark.parametrize("frames", [100, pytest.param(740, marks=pytest.mark.slow)])
def test_clicks_come_back_with_their_frames(
    tokenizer: VideoTokenizer, sound: SoundTokenizer, tmp_path: Path, frames: int
) -> None:
    """Seconds and a minute, streamed: the codes are those of the whole, and what they become is in
    step."""
    source = tmp_path / "source.mp4"
    write(source, frames)
    file = encode_file(tokenizer, source, tmp_path / "a.safetensors", sound=sound)
    codes = VideoCodes.load(file.path)
    assert codes.sound is not None and codes.num_frames == frames
    assert (codes.sound.num_samples, codes.sound.tokenizer) == (frames * SAMPLES, sound.id)
    assert codes.sound.indices.shape[:2] == codes.indices.shape[:2]
    wave = read_span(source, 0.0, frames * SAMPLES)
    assert wave is not None and wave.abs().amax() > 0.5
    assert torch.equal(codes.sound.indices, sound.encode(wave[None]).indices)
    decode_file(tokenizer, file.path, tmp_path / "a.mp4", sound=sound)
    wanted = [frame / FPS for frame in range(frames) if flash(frame)]
    found = onsets(tmp_path / "a.mp4")
    assert len(found) == len(wanted) >= frames // 29
    assert max(abs(a - b) for a, b in zip(found, wanted)) < NEAR


def test_the_file_sounds_as_the_codes_do(
    tokenizer: VideoTokenizer, sound: SoundTokenizer, tmp_path: Path
) -> None:
    write(tmp_path / "a.mp4", 50)
    encode_file(tokenizer, tmp_path / "a.mp4", tmp_path / "a.safetensors", sound=sound)
    decode_file(tokenizer, tmp_path / "a.safetensors", tmp_path / "b.mp4", sound=sound)
    codes = VideoCodes.load(tmp_path / "a.safetensors").sound
    assert codes is not None
    wave = sound.decode(codes)[0]
    found = read_span(tmp_path / "b.mp4", 0.0, 50 * SAMPLES)
    assert found is not None and wave.abs().amax() > 0.1
    likeness = torch.nn.functional.cosine_similarity(found, wave, dim=0)
    assert likeness > 0.95  # with AAC between them; a millisecond later it is below 0.5
    assert torch.nn.functional.cosine_similarity(found[24:], wave[:-24], dim=0) < 0.5


@pytest.mark.parametrize("seconds", [1.0, 6.0])
def test_the_sound_is_as_long_as_the_frames(
    tokenizer: VideoTokenizer, sound: SoundTokenizer, tmp_path: Path, seconds: float
) -> None:
    """Of a track that ends before the pictures, or goes on after them."""
    noise = torch.rand(int(seconds * RATE), generator=torch.Generator().manual_seed(0)) - 0.5
    with VideoWriter(tmp_path / "a.mkv", FPS, sound_rate=RATE) as writer:
        writer.write(torch.zeros(3, 36, 16, 16, dtype=torch.uint8))
        writer.write_sound(noise)
    encode_file(tokenizer, tmp_path / "a.mkv", tmp_path / "a.safetensors", sound=sound)
    codes = VideoCodes.load(tmp_path / "a.safetensors").sound
    assert codes is not None and codes.num_samples == 36 * SAMPLES
    decode_file(tokenizer, tmp_path / "a.safetensors", tmp_path / "b.mp4", sound=sound)
    found = read_sound(tmp_path / "b.mp4")
    assert abs(len(found) - 36 * SAMPLES) <= 1024
    assert found[:20_000].abs().amax() > 0.1
    assert bool(found[40_000:70_000].abs().amax() > 0.1) == (seconds > 3)


def test_few_frames_have_the_sound_of_few(
    tokenizer: VideoTokenizer, sound: SoundTokenizer, clicks: Path, tmp_path: Path
) -> None:
    file = encode_file(tokenizer, clicks, tmp_path / "a.safetensors", max_frames=6, sound=sound)
    assert (file.sound_shape, file.sound["samples"]) == ((1, 3, 64), str(6 * SAMPLES))
    one = encode_file(tokenizer, clicks, tmp_path / "b.safetensors", max_frames=1, sound=sound)
    assert one.sound_shape == (1, 1, 64)


def test_what_has_no_track_has_no_codes_of_sound(
    tokenizer: VideoTokenizer, sound: SoundTokenizer, tmp_path: Path
) -> None:
    from PIL import Image

    Image.new("RGB", (8, 8)).save(tmp_path / "image.png")
    with VideoWriter(tmp_path / "silent.mp4", 30) as writer:
        writer.write(torch.zeros(3, 2, 16, 16, dtype=torch.uint8))
    for name in ("image.png", "silent.mp4"):  # whatever their rate
        file = encode_file(tokenizer, tmp_path / name, tmp_path / "a.safetensors", sound=sound)
        assert VideoCodes.load(file.path).sound is None
        decode_file(tokenizer, file.path, tmp_path / "back.mp4", sound=sound)
        with pytest.raises(VideoError, match="has no sound"):
            read_sound(tmp_path / "back.mp4")


def test_a_video_that_is_stopped_has_the_sound_so_far(
    tokenizer: VideoTokenizer, sound: SoundTokenizer, clicks: Path, tmp_path: Path
) -> None:
    encode_file(tokenizer, clicks, tmp_path / "a.safetensors", sound=sound)
    asked = iter([False, True])
    stop = asked.__next__
    frames = decode_file(
        tokenizer, tmp_path / "a.safetensors", tmp_path / "a.mp4", stop=stop, sound=sound
    )
    assert 30 < frames < 100 == CodesFile.open(tmp_path / "a.safetensors").num_frames
    assert abs(len(read_sound(tmp_path / "a.mp4")) - frames * SAMPLES) <= 1024


def test_mistakes_are_named_and_leave_nothing(
    tokenizer: VideoTokenizer,
    sound: SoundTokenizer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with VideoWriter(tmp_path / "a.mp4", 25, sound_rate=RATE) as writer:
        writer.write(torch.zeros(3, 50, 16, 16, dtype=torch.uint8))
        writer.write_sound(torch.zeros(48_000))
    codes = tmp_path / "a.safetensors"
    with pytest.raises(
        ValueError, match=r"a\.mp4' is read at 25 frames .* kept at 12; give fps=12"
    ):
        encode_file(tokenizer, tmp_path / "a.mp4", codes, sound=sound)

    def broken(*_: object) -> None:
        raise av.error.ExternalError(1, "no such decoder")

    with monkeypatch.context() as patch:
        patch.setattr(stream, "_decoded", broken)
        with pytest.raises(VideoError, match=r"sound of '.*a\.mp4' cannot be read \(no such deco"):
            encode_file(tokenizer, tmp_path / "a.mp4", codes, fps=12, sound=sound)
    assert sorted(os.listdir(tmp_path)) == ["a.mp4"]
    encode_file(tokenizer, tmp_path / "a.mp4", codes, fps=12, sound=sound)
    with pytest.raises(ValueError, match=r"b\.gif' holds no sound"):
        decode_file(tokenizer, codes, tmp_path / "b.gif", sound=sound)
    other = SoundTokenizer()
    with pytest.raises(
        ValueError, match=f"by sound tokenizer {sound.id}, and this one is {other.id}"
    ):
        decode_file(tokenizer, codes, tmp_path / "b.mp4", sound=other)
    assert decode_file(tokenizer, codes, tmp_path / "b.gif") == 24  # without it
    assert sorted(os.listdir(tmp_path)) == ["a.mp4", "a.safetensors", "b.gif"]


@pytest.mark.parametrize(
    ("shape", "value", "samples", "message"),
    [
        ((1, 2, 64), 1 << 14, 8_000, "codes of its sound run from 0 to 16383"),
        ((1, 2, 95), 0, 8_000, r"its sound has shape \[1, 2, 95\]"),
        ((1, 2, 64), 0, 10_001, "10000 of its 10001 samples of sound are there"),
    ],
)
def test_damaged_sound_leaves_no_video(
    tokenizer: VideoTokenizer,
    sound: SoundTokenizer,
    tmp_path: Path,
    shape: tuple[int, ...],
    value: int,
    samples: int,
    message: str,
) -> None:
    pictures = torch.zeros(1, 2, 2, 2, dtype=torch.int64)
    heard = SoundCodes(torch.full(shape, value), samples, sound.id)
    VideoCodes(pictures, 5, 16, 16, 12, tokenizer.id, sound=heard).save(tmp_path / "a.safetensors")
    with pytest.raises(ValueError, match=f"damaged: {message}"):
        decode_file(tokenizer, tmp_path / "a.safetensors", tmp_path / "a.mp4", sound=sound)
    assert os.listdir(tmp_path) == ["a.safetensors"]


def test_codes_without_a_rate_play_at_that_of_their_sound(
    tokenizer: VideoTokenizer, sound: SoundTokenizer, tmp_path: Path
) -> None:
    codes = tokenizer.encode(torch.zeros(1, 3, 9, 16, 16))
    codes = VideoCodes(
        codes.indices, 9, 16, 16, 0.0, tokenizer.id, sound=sound.encode(torch.zeros(1, 18_000))
    )
    codes.save(tmp_path / "a.safetensors")
    decode_file(tokenizer, tmp_path / "a.safetensors", tmp_path / "a.mp4", sound=sound)
    assert probe(tmp_path / "a.mp4").fps == 12
    assert CodesFile.open(tmp_path / "a.safetensors").fps == 0
