"""A sound tokenizer: sizes, streams, files and mistakes."""

from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kinetoscope.data.worlds.stage.sound import sound
from kinetoscope.data.worlds.stage.sound.made_up import made_up_scenes
from kinetoscope.tokenizer import latent_count
from kinetoscope.tokenizer.sound import SoundCodes, SoundTokenizer, SoundTokenizerConfig
from kinetoscope.tokenizer.sound.block_codes import silent
from kinetoscope.tokenizer.sound.spectra import mel_distance
from safetensors.torch import load_file, save_file
from torch import Tensor

SMALL = SoundTokenizerConfig(
    frame_samples=20,
    frames_per_latent=4,
    codes_per_latent=4,
    code_bits=5,
    window=20,
    hop=5,
    rise=6,
    bands=8,
    block=8,
    components=6,
)
shared_model = settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.fixture(scope="module")
def tiny() -> SoundTokenizer:
    torch.manual_seed(0)
    tokenizer = SoundTokenizer(SMALL).eval()
    tokenizer.codes.predict.normal_(std=0.1)
    tokenizer.codes.predict[-1] = 4.0
    return tokenizer


def noise(*shape: int) -> Tensor:
    return 2 * torch.rand(*shape, generator=torch.Generator().manual_seed(sum(shape))) - 1


def test_silence_has_codes_of_its_own_whatever_was_before(tiny: SoundTokenizer) -> None:
    latent = SMALL.latent_samples
    wave = torch.cat([noise(2, 2 * latent), torch.zeros(2, 3 * latent), noise(2, latent)], dim=1)
    codes = tiny.encode(wave)
    silent = (codes.indices == 0).all(-1)
    assert silent[:, 3:-2].all() and not silent[:, :2].any()
    decoded = tiny.decode(codes)
    assert not decoded[:, -3 * latent : -2 * latent].any()  # exactly, and for all of it
    assert decoded[:, -latent:].any()


def test_no_sound_has_the_codes_of_silence(tiny: SoundTokenizer) -> None:
    block = tiny.codes
    past = torch.zeros(1, SMALL.past * SMALL.bands)
    first_points = block.predicted(past) + block.points[:, 0] @ block.basis.T
    assert not silent(first_points, SMALL)
    assert block.encode(first_points, past).tolist() == [[0, 1]]
    assert block.decode(torch.tensor([[0, 1]]), past).amax() > 1


@shared_model
@given(plan=st.lists(st.integers(1, 170), min_size=1, max_size=6), batch=st.integers(1, 3))
def test_streamed_codes_are_those_of_the_whole(
    tiny: SoundTokenizer, plan: list[int], batch: int
) -> None:
    wave = noise(batch, sum(plan))
    streamed = torch.cat(list(tiny.stream_encode(wave.split(plan, dim=1))), dim=1)
    assert torch.equal(streamed, tiny.encode(wave).indices)


@shared_model
@given(plan=st.lists(st.integers(1, 4), min_size=1, max_size=5), batch=st.integers(1, 3))
def test_streamed_samples_are_those_of_the_whole(
    tiny: SoundTokenizer, plan: list[int], batch: int
) -> None:
    codes = tiny.encode(noise(batch, 80 * sum(plan) - 60))
    chunks = list(tiny.stream_decode(codes.indices.split(plan, dim=1)))
    assert [chunk.shape[1] for chunk in chunks] == [
        80 * latents - (60 if index == 0 else 0) for index, latents in enumerate(plan)
    ]
    whole = tiny.decode(codes)
    assert whole.abs().amax() > 0.01
    assert torch.equal(torch.cat(chunks, dim=1), whole)


@pytest.mark.parametrize("frames", [1, 2, 5, 6, 9, 12])
def test_sound_has_the_latents_of_its_frames(tiny: SoundTokenizer, frames: int) -> None:
    codes = tiny.encode(noise(2, 20 * frames))
    assert codes.indices.shape == (2, latent_count(frames, 4), 4)
    assert codes.indices.dtype == torch.int64
    assert codes.indices.min() >= 0 and codes.indices.max() < tiny.codebook_size == 32
    assert tiny.decode(codes).shape == (2, 20 * frames)
    assert tiny.latents(20 * frames) == latent_count(frames, 4)


def test_encoding_looks_ahead_by_a_rise_at_most(tiny: SoundTokenizer) -> None:
    wave = noise(1, 340)
    other = wave.clone()
    other[:, 106:] = 0.0  # the second latent ends at 100, and a rise is 6
    first, second = (tiny.encode(x).indices[:, :2] for x in (wave, other))
    assert torch.equal(first, second)
    other[:, 80:] = 0.0
    assert not torch.equal(tiny.encode(other).indices[:, :2], first)


def test_a_state_can_be_saved_in_the_middle(tiny: SoundTokenizer, tmp_path: Path) -> None:
    wave = noise(2, 400)
    first, state = tiny.encode_step(wave[:, :150], {})
    save_file(state, tmp_path / "state.safetensors")
    second, _ = tiny.encode_step(wave[:, 150:], load_file(tmp_path / "state.safetensors"))
    assert torch.equal(torch.cat([first, second], 1), tiny.encode(wave).indices[:, :5])
    codes = tiny.encode(wave).indices
    begin, state = tiny.decode_step(codes[:, :2], {})
    save_file(state, tmp_path / "state.safetensors")
    end, _ = tiny.decode_step(codes[:, 2:], load_file(tmp_path / "state.safetensors"))
    assert torch.equal(torch.cat([begin, end], 1), tiny.decode_step(codes, {})[0])


def test_save_and_load_give_the_same_codes(tiny: SoundTokenizer, tmp_path: Path) -> None:
    tiny.save_pretrained(tmp_path, half=False)
    again = SoundTokenizer.from_pretrained(tmp_path)
    wave = noise(2, 333)
    codes = tiny.encode(wave)
    assert again.id == tiny.id
    assert torch.equal(again.encode(wave).indices, codes.indices)
    assert torch.equal(again.decode(codes), tiny.decode(codes))


def test_codes_of_another_tokenizer_are_refused(tiny: SoundTokenizer) -> None:
    codes = tiny.encode(noise(1, 100))
    with pytest.raises(ValueError, match="unknown"):
        tiny.decode(SoundCodes(codes.indices, 100))
    with pytest.raises(ValueError, match="has 3 latents; got 2"):
        tiny.decode(SoundCodes(codes.indices[:, :2], 180, tiny.id))
    with pytest.raises(ValueError, match="from 0 to 31; got 32"):
        tiny.decode_step(torch.full((1, 1, 4), 32), {})
    with pytest.raises(ValueError, match=r"\[B, t, 4\]"):
        tiny.decode_step(torch.zeros(1, 1, 3, dtype=torch.int64), {})


@pytest.mark.parametrize(
    ("wave", "message"),
    [
        (torch.zeros(100), "sound must be"),
        (torch.zeros(1, 0), "neither of them 0"),
        (torch.zeros(1, 9, dtype=torch.int16), "floating point"),
        (torch.full((1, 9), 3e4), r"\[-1, 1\]"),
        (torch.full((1, 9), torch.nan), r"\[-1, 1\]"),
    ],
)
def test_mistakes_name_the_way_out(tiny: SoundTokenizer, wave: Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tiny.encode(wave)


def test_config_mistakes_are_named() -> None:
    with pytest.raises(ValueError, match="multiple of the 4 blocks"):
        SoundTokenizerConfig(codes_per_latent=7)
    with pytest.raises(ValueError, match="at least two hops, 500"):
        SoundTokenizerConfig(window=300)
    with pytest.raises(ValueError, match="multiple of hop x block"):
        SoundTokenizerConfig(hop=300)
    with pytest.raises(ValueError, match="code_bits must be from 1 to 16; got 20"):
        SoundTokenizerConfig(code_bits=20)
    with pytest.raises(ValueError, match=r"is not a field|is missing"):
        SoundTokenizerConfig.from_dict({"quantizer": {}, "colour": 3})


def test_the_shipped_one_keeps_blows_and_silence() -> None:
    shipped = SoundTokenizer.from_pretrained("stage-256")
    silent = torch.zeros(1, 10_000)
    assert not shipped.decode(shipped.encode(silent)).any()
    wave = sound(made_up_scenes(range(3_000_000, 3_000_008), 13))
    codes = shipped.encode(wave)
    assert codes.indices.shape == (8, 4, shipped.config.codes_per_latent)
    streamed = torch.cat(list(shipped.stream_encode(wave.split(3_001, dim=1))), dim=1)
    assert torch.equal(streamed, codes.indices)
    assert float(mel_distance(shipped.decode(codes), wave).mean()) < 4
