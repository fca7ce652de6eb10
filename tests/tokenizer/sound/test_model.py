"""A sound tokenizer: sizes, streams, files and mistakes."""

from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kinetoscope.tokenizer import QuantizerConfig, latent_count
from kinetoscope.tokenizer.sound import SoundCodes, SoundTokenizer, SoundTokenizerConfig
from safetensors.torch import load_file, save_file
from torch import Tensor

SMALL = SoundTokenizerConfig(
    frame_samples=20,
    frames_per_latent=4,
    codes_per_latent=4,
    window=20,
    hop=5,
    windows=(20, 40),
    bands=(6, 8),
    width=8,
    wide=12,
    encoder=((1, 2), (1,)),
    decoder=((1, 2), (1,)),
    taps=3,
    tones=6,
    noises=3,
    quantizer=QuantizerConfig("FSQ", {"levels": [5, 3], "num_codebooks": 2}),
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
    for layer in (tokenizer.loudness, tokenizer.mix):  # loud enough that differences show
        torch.nn.init.normal_(layer.weight, std=0.1)
        torch.nn.init.constant_(layer.bias, 0.5)
    return tokenizer


def noise(*shape: int) -> Tensor:
    return 2 * torch.rand(*shape, generator=torch.Generator().manual_seed(sum(shape))) - 1


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
    torch.testing.assert_close(torch.cat(chunks, dim=1), whole, atol=1e-5, rtol=0)


@pytest.mark.parametrize("frames", [1, 2, 5, 6, 9, 12])
def test_sound_has_the_latents_of_its_frames(tiny: SoundTokenizer, frames: int) -> None:
    codes = tiny.encode(noise(2, 20 * frames))
    assert codes.indices.shape == (2, latent_count(frames, 4), 4, 2)
    assert codes.indices.dtype == torch.int64
    assert codes.indices.min() >= 0 and codes.indices.max() < tiny.codebook_size == 15
    assert tiny.decode(codes).shape == (2, 20 * frames)
    assert tiny.latents(20 * frames) == latent_count(frames, 4)


def test_nothing_is_heard_before_it_is_there(tiny: SoundTokenizer) -> None:
    """By gradients: no sample depends on a later one."""
    wave = noise(1, 320).requires_grad_()
    result = tiny(wave, quantize=False)
    hop = 20  # samples of a code
    for code in (3, 7):
        (gradient,) = torch.autograd.grad(result.wave[0, code * hop], wave, retain_graph=True)
        assert gradient[0, (code + 1) * hop :].eq(0).all()
        assert gradient[0, : (code + 1) * hop].ne(0).any()


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
    whole = tiny.decode_step(codes, {})[0]
    torch.testing.assert_close(torch.cat([begin, end], 1), whole, atol=1e-5, rtol=0)


def test_fewer_codebooks_decode_too(tiny: SoundTokenizer) -> None:
    codes = tiny.encode(noise(1, 200))
    coarse = codes.prefix(1)
    assert coarse.rates == 1 and coarse.indices.shape[-1] == 1
    assert tiny.decode(coarse).shape == (1, 200)
    assert not torch.equal(tiny.decode(coarse), tiny.decode(codes))
    with pytest.raises(ValueError, match="got rate 3"):
        codes.prefix(3)


def test_save_and_load_give_the_same_codes(tiny: SoundTokenizer, tmp_path: Path) -> None:
    tiny.save_pretrained(tmp_path, half=False)
    again = SoundTokenizer.from_pretrained(tmp_path)
    wave = noise(2, 333)
    codes = tiny.encode(wave)
    assert again.id == tiny.id
    assert torch.equal(again.encode(wave).indices, codes.indices)
    torch.testing.assert_close(again.decode(codes), tiny.decode(codes))
    tiny.save_pretrained(tmp_path)
    assert SoundTokenizer.from_pretrained(tmp_path).id == tiny.id


def test_codes_of_another_tokenizer_are_refused(tiny: SoundTokenizer) -> None:
    codes = tiny.encode(noise(1, 100))
    with pytest.raises(ValueError, match="unknown"):
        tiny.decode(SoundCodes(codes.indices, 100))
    with pytest.raises(ValueError, match="has 3 latents; got 2"):
        tiny.decode(SoundCodes(codes.indices[:, :2], 180, tiny.id))
    with pytest.raises(ValueError, match="from 0 to 14; got 15"):
        tiny.decode_step(torch.full((1, 1, 4, 2), 15), {})
    with pytest.raises(ValueError, match=r"\[B, t, 4, q\]"):
        tiny.decode_step(torch.zeros(1, 1, 3, 2, dtype=torch.int64), {})


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
    with pytest.raises(ValueError, match="multiple of"):
        SoundTokenizerConfig(codes_per_latent=7)
    with pytest.raises(ValueError, match="multiple of hop"):
        SoundTokenizerConfig(window=300)
    with pytest.raises(ValueError, match="windows at least a hop, 125"):
        SoundTokenizerConfig(windows=(100, 2000))
    with pytest.raises(ValueError, match=r"is not a field|is missing"):
        SoundTokenizerConfig.from_dict({"quantizer": {}, "colour": 3})


def test_the_default_fits_in_two_megabytes() -> None:
    tokenizer = SoundTokenizer()
    assert sum(2 * p.numel() for p in tokenizer.parameters()) < 2e6
    assert tokenizer.config.latent_samples == 8000 and tokenizer.config.lead_in == 6000
