import dataclasses
import json
import random
import struct
from importlib.metadata import version
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from kinetoscope.files.codes_file import about_sound
from kinetoscope.files.errors import UnreadableFile
from kinetoscope.tokenizer import VideoCodes, frame_count, latent_count
from kinetoscope.tokenizer.codes import CodesFile, CodesWriter, SoundCodes
from safetensors.torch import load_file, save_file


@given(st.integers(1, 500), st.integers(1, 8))
def test_latents_are_the_fewest_that_hold_the_frames(frames: int, k: int) -> None:
    latents = latent_count(frames, k)
    assert frame_count(latents, k) >= frames
    assert latents == 1 or frame_count(latents - 1, k) < frames


@pytest.mark.parametrize("shape", [(1, 2, 3, 4), (3, 2, 2, 2), (1, 2, 3, 2, 2)])
def test_saved_codes_come_back(tmp_path: Path, shape: tuple[int, ...]) -> None:
    codes = VideoCodes(torch.arange(24).view(shape) * 700, 5, 23, 30, 23.976, "abc", "its-näme")
    codes.save(tmp_path / "codes.safetensors")
    loaded = VideoCodes.load(tmp_path / "codes.safetensors")
    assert torch.equal(loaded.indices, codes.indices) and loaded.indices.dtype == torch.int64
    for field in ("num_frames", "height", "width", "fps", "tokenizer", "model"):
        assert getattr(loaded, field) == getattr(codes, field)
    assert [file.name for file in tmp_path.iterdir()] == ["codes.safetensors"]


def test_a_file_is_written_and_read_in_slices(tmp_path: Path) -> None:
    indices = torch.arange(7 * 6).view(1, 7, 2, 3)
    path = tmp_path / "codes.safetensors"
    with CodesWriter(path, 15, 20, 24, "abc", notes={"why": "a test"}) as writer:
        for part in indices.split([1, 2, 4], dim=1):
            writer.write(part)
        assert not path.exists()
        writer.finish(25)
    # a safetensors file like any other
    assert torch.equal(load_file(path)["indices"], indices.int())
    file = CodesFile.open(path)
    assert (file.shape, file.num_frames, file.fps, file.rates) == ((1, 7, 2, 3), 25, 24, 1)
    assert (file.notes, file.version) == ({"why": "a test"}, version("kinetoscope"))
    assert torch.equal(file.read(2, 5), indices[:, 2:5])


def test_half_written_codes_leave_nothing(tmp_path: Path) -> None:
    path = tmp_path / "codes.safetensors"
    with CodesWriter(path, 8, 8) as writer:
        writer.write(torch.zeros(1, 1, 2, 3))
    for other in (torch.zeros(1, 1, 2, 2), torch.zeros(2, 1, 2, 3)):
        with (
            CodesWriter(path, 8, 8) as writer,
            pytest.raises(ValueError, match="must continue one video"),
        ):
            writer.write(torch.zeros(1, 1, 2, 3))
            writer.write(other)
    with CodesWriter(path, 8, 8) as writer, pytest.raises(ValueError, match="no codes to write"):
        writer.finish(1)
    assert list(tmp_path.iterdir()) == []


def test_the_first_codebooks_are_codes_too() -> None:
    codes = VideoCodes(torch.arange(48).view(1, 2, 2, 4, 3), 5, 16, 32, tokenizer="abc")
    assert (codes.rates, codes.prefix(2).rates) == (3, 2)
    assert torch.equal(codes.prefix(2).indices, codes.indices[..., :2])
    assert codes.prefix(2).tokenizer == "abc"
    with pytest.raises(ValueError, match="have 3 codebooks per cell; got rate 4"):
        codes.prefix(4)


def test_other_files_are_refused(tmp_path: Path) -> None:
    text = tmp_path / "text.safetensors"
    foreign = tmp_path / "foreign.safetensors"
    text.write_text("no tensors here")
    save_file({"indices": torch.zeros(1, 1, 1, 1)}, foreign)
    with pytest.raises(ValueError, match="not a readable safetensors"):
        VideoCodes.load(text)
    with pytest.raises(ValueError, match="no codes of this format"):
        VideoCodes.load(foreign)
    header = {"format": "kinetoscope-codes-3", "version": "9.8"}
    save_file({"indices": torch.zeros(1, 1, 1, 1)}, foreign, header)
    with pytest.raises(
        ValueError, match=r"in format 3, of kinetoscope 9\.8; this is .* reads format 2: update it"
    ):
        VideoCodes.load(foreign)
    codes = {"indices": torch.zeros(1, 1, 1, 1, dtype=torch.int32)}
    save_file(codes, foreign, {"format": "kinetoscope-codes-1"})
    with pytest.raises(ValueError, match=r"damaged header \('num_frames'\)"):
        VideoCodes.load(foreign)
    with pytest.raises(ValueError, match="does not exist"):
        VideoCodes.load(tmp_path / "absent.safetensors")
    VideoCodes(torch.zeros(1, 1, 1, 1, dtype=torch.int64), 1, 1, 1).save(
        tmp_path / "absent" / "codes.safetensors"
    )
    assert (tmp_path / "absent/codes.safetensors").is_file()  # a missing folder is made


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"indices": torch.zeros(1, 2, 3, dtype=torch.int64)},
            r"\[B, T, H, W, Q\], .* got shape \[1, 2, 3\]",
        ),
        ({"indices": torch.zeros(1, 1, 1, 1)}, "int64; got torch.float32"),
        ({"indices": torch.zeros(1, 0, 1, 1, dtype=torch.int64)}, r"none of them 0; got shape"),
        ({"num_frames": 0}, "num_frames must be a whole number from 1 to 2147483647; got 0"),
        ({"num_frames": 1.5}, r"num_frames must be a whole number from 1 to 2147483647; got 1\.5"),
        ({"width": -3}, "width must be a whole number from 1 to 2147483647; got -3"),
        ({"fps": -1.0}, r"fps must be a number from 0 to 1e\+06; got -1.0"),
        ({"fps": float("nan")}, r"fps must be a number from 0 to 1e\+06; got nan"),
        (
            {"sound": SoundCodes(torch.zeros(2, 3, 1, dtype=torch.int64), 9)},
            "codes of 1 videos, and those of their sound of 2",
        ),
    ],
)
def test_impossible_codes_are_refused(change: dict, message: str) -> None:
    codes = VideoCodes(torch.zeros(1, 1, 1, 1, dtype=torch.int64), 1, 1, 1)
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(codes, **change)


# ---- the file: sound, the format before, damage ----


@pytest.fixture
def sounding() -> VideoCodes:
    generator = torch.Generator().manual_seed(0)
    indices = torch.randint(0, 4096, (1, 3, 4, 5), generator=generator)
    sound = SoundCodes(torch.randint(0, 1024, (1, 3, 16, 2), generator=generator), 18_000, "ear")
    return VideoCodes(indices, 9, 32, 40, 12.0, "abc", "physics-64", sound)


def content(codes: VideoCodes) -> list[object]:
    """All of it as plain values."""
    sound = codes.sound and [
        codes.sound.indices.tolist(),
        codes.sound.num_samples,
        codes.sound.tokenizer,
        codes.sound.rate,
    ]
    names = ("num_frames", "height", "width", "fps", "tokenizer", "model")
    return [codes.indices.tolist(), sound, *(getattr(codes, name) for name in names)]


def test_sound_is_kept_beside_the_picture(tmp_path: Path, sounding: VideoCodes) -> None:
    path = tmp_path / "codes.safetensors"
    sounding.save(path)
    assert content(VideoCodes.load(path)) == content(sounding)
    file = CodesFile.open(path)
    assert (file.sound_shape, file.sound["rate"]) == ((1, 3, 16, 2), "24000")
    assert load_file(path).keys() == {"indices", "sound"}  # a safetensors file like any other
    dataclasses.replace(sounding, sound=None).save(path)
    assert VideoCodes.load(path).sound is None


def test_sound_is_written_and_read_in_slices(tmp_path: Path, sounding: VideoCodes) -> None:
    path = tmp_path / "codes.safetensors"
    sound = sounding.sound
    assert sound is not None
    with CodesWriter(path, 32, 40, 12, "abc", "physics-64") as writer:
        with pytest.raises(ValueError, match="come after those of the pictures"):
            writer.write_sound(sound.indices)
        writer.write(sounding.indices)
        for part in sound.indices.split([1, 2], dim=1):
            writer.write_sound(part)
        with pytest.raises(ValueError, match="slices must continue one video"):
            writer.write_sound(sound.indices[:, :, :3])
        with pytest.raises(ValueError, match="pictures come before those of the sound"):
            writer.write(sounding.indices)
        with pytest.raises(ValueError, match="come with what they are of"):
            writer.finish(9)
        writer.finish(9, about_sound(18_000, 24_000, "ear"))
    assert content(VideoCodes.load(path)) == content(sounding)
    read = CodesFile.open(path).read_sound(1, 3)
    assert read is not None and torch.equal(read, sound.indices[:, 1:3])


def test_the_first_latents_have_the_sound_of_their_frames(sounding: VideoCodes) -> None:
    """Nine frames of 2,000 samples, four frames a latent."""
    assert sounding.sound is not None
    for latents, frames in ((1, 1), (2, 5), (3, 9)):
        first = sounding.first(latents, 4)
        assert first.num_frames == frames and first.sound is not None
        assert first.sound.num_samples == 2_000 * frames
        assert torch.equal(first.indices, sounding.indices[:, :latents])
        assert torch.equal(first.sound.indices, sounding.sound.indices[:, :latents])
    assert dataclasses.replace(sounding, sound=None).first(2, 4).sound is None
    for latents in (0, 4):
        with pytest.raises(ValueError, match=f"from 1 to 3, which are there; got {latents}"):
            sounding.first(latents, 4)


@pytest.mark.parametrize(
    ("about", "message"),
    [
        ({"samples": "many", "rate": "24000", "tokenizer": "ear"}, "invalid literal"),
        ({"samples": "0", "rate": "24000", "tokenizer": "ear"}, "samples of sound must be"),
        ({"samples": "9", "rate": "-1", "tokenizer": "ear"}, "samples a second must be"),
        ({"samples": "9", "rate": "24000"}, "'tokenizer'"),
    ],
)
def test_a_header_that_no_sound_can_have_is_refused(
    tmp_path: Path, sounding: VideoCodes, about: dict[str, str], message: str
) -> None:
    path = tmp_path / "codes.safetensors"
    with CodesWriter(path, 32, 40) as writer:
        writer.write(sounding.indices)
        writer.write_sound(torch.zeros(1, 3, 16, dtype=torch.int64))
        writer.finish(9, about)
    with pytest.raises(UnreadableFile, match=f"damaged header .*{message}"):
        CodesFile.open(path)


def write_before(path: Path, codes: VideoCodes, **changes: str) -> None:
    """A file of format 1, with changes of what it says."""
    told = {"format": "kinetoscope-codes-1", "version": "0.1.0", "num_frames": "9"}
    told |= {
        "height": "32",
        "width": "40",
        "fps": "12.0",
        "tokenizer": "abc",
        "model": "physics-64",
    }
    save_file({"indices": codes.indices.int()}, path, told | changes)


def test_files_of_the_format_before_load(tmp_path: Path, sounding: VideoCodes) -> None:
    path = tmp_path / "codes.safetensors"
    write_before(path, sounding)
    silent = dataclasses.replace(sounding, sound=None)
    assert content(VideoCodes.load(path)) == content(silent)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_frames": "0"}, "num_frames must be a whole number"),
        ({"num_frames": "-3"}, "num_frames must be a whole number"),
        ({"num_frames": "1"}, "3 latent frames cannot be of 1 frames"),
        ({"num_frames": "many"}, "invalid literal"),
        ({"height": "640000"}, "4 x 5 codes cannot be of 640000 x 40 pixels"),
        ({"width": "4"}, "4 x 5 codes cannot be of 32 x 4 pixels"),
        ({"fps": "1e30"}, "fps must be a number"),
        ({"fps": "inf"}, "fps must be a number"),
        ({"format": "kinetoscope-codes-2"}, "it has no checksum"),
        ({"checksum": "0" * 64}, "what format 1 has not"),
    ],
)
def test_a_header_that_cannot_be_is_refused(
    tmp_path: Path, sounding: VideoCodes, change: dict[str, str], message: str
) -> None:
    path = tmp_path / "codes.safetensors"
    write_before(path, sounding, **change)
    with pytest.raises(UnreadableFile, match=f"codes.safetensors.*{message}") as caught:
        VideoCodes.load(path)
    assert "\n" not in str(caught.value)


def test_a_code_below_zero_is_refused(tmp_path: Path, sounding: VideoCodes) -> None:
    sounding.indices[0, 1, 2, 3] = -1
    write_before(tmp_path / "codes.safetensors", sounding)
    with pytest.raises(UnreadableFile, match="it has the code -1"):
        VideoCodes.load(tmp_path / "codes.safetensors")


def test_every_damage_is_noticed(tmp_path: Path, sounding: VideoCodes) -> None:
    """Bytes flipped, cut off, doubled or put in anywhere: the same codes, or an error in a line."""
    path = tmp_path / "codes.safetensors"
    sounding.save(path)
    whole = path.read_bytes()
    draw = random.Random(0)
    refused = 0
    for _ in range(600):
        spoiled = bytearray(whole)
        place = draw.randrange(len(whole))
        kind = draw.randrange(4)
        if kind == 0:
            spoiled[place] ^= 1 << draw.randrange(8)
        elif kind == 1:
            del spoiled[place:]
        elif kind == 2:
            del spoiled[place : place + draw.randrange(1, 9)]
        else:
            spoiled[place:place] = draw.randbytes(draw.randrange(1, 9))
        path.write_bytes(spoiled)
        try:
            assert content(VideoCodes.load(path)) == content(sounding), (kind, place)
        except UnreadableFile as error:
            refused += 1
            assert str(path) in str(error) and "\n" not in str(error), error
    assert refused > 400


def test_an_edited_header_is_noticed(tmp_path: Path, sounding: VideoCodes) -> None:
    path = tmp_path / "codes.safetensors"
    sounding.save(path)
    whole = path.read_bytes()
    (length,) = struct.unpack("<Q", whole[:8])
    header = json.loads(whole[8 : 8 + length])
    for name, value in (("num_frames", "8"), ("height", "31"), ("fps", "24.0"), ("model", "x")):
        told = header["__metadata__"] | {name: value}
        edited = json.dumps(header | {"__metadata__": told}).encode().ljust(length)
        path.write_bytes(whole[:8] + edited + whole[8 + length :])
        with pytest.raises(UnreadableFile, match="checksum does not fit"):
            VideoCodes.load(path)
