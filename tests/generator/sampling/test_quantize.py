"""Packed, half-precision and eight-bit weights: what they share with the float32 decoder, and
what they refuse."""

import copy

import pytest
import torch
from kinetoscope.app.cli.main import main
from kinetoscope.generator import SamplingEngine, SamplingParams, VideoGenerator
from kinetoscope.generator.sampling.quantize import (
    LINEARS,
    Int8Linear,
    PackedLinear,
    lighten,
    pack,
    weight_bytes,
)
from torch import nn

VARIANTS = [("bfloat16", None), ("float32", "int8"), ("bfloat16", "int8")]


@pytest.mark.parametrize("tokens", [1, 2, 7, 40])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@torch.inference_mode()
def test_a_packed_layer_computes_the_same(tokens, dtype):
    torch.manual_seed(0)
    weight = torch.randn(48, 32, dtype=dtype)
    x = torch.randn(2, tokens, 32, dtype=dtype)
    layer = PackedLinear(weight)
    assert (layer.packed is not None) == (dtype != torch.float64)
    tolerance = {torch.float32: 1e-5, torch.bfloat16: 0.1, torch.float64: 0}[dtype]
    torch.testing.assert_close(layer(x), x @ weight.T, atol=tolerance, rtol=0)


@torch.inference_mode()
def test_half_precision_on_a_processor_is_of_products_alone(generator):
    torch.manual_seed(0)
    weight = torch.randn(48, 32).bfloat16()
    x = torch.randn(2, 5, 32)
    out = PackedLinear(weight)(x)
    assert out.dtype == torch.float32
    torch.testing.assert_close(out, x @ weight.float().T, atol=0.2, rtol=0)
    light = copy.deepcopy(generator).lighten("bfloat16")
    engine = light.session("a red ball").engine
    engine.draw()
    assert engine.ring.kv.dtype == torch.float32
    assert light.decoder.no_text.dtype == torch.bfloat16


@torch.inference_mode()
def test_a_state_in_half_precision_is_taken_over(generator):
    """As sessions hold it that were saved by earlier versions."""
    light = copy.deepcopy(generator).lighten("bfloat16")
    engine, other = (light.session("a red ball", seed=3).engine for _ in range(2))
    engine.draw()
    kept = ("kv", "bare_keys", "hidden_prefix", "pushed_out")
    state = engine.state()
    other.load_state(state | {name: state[name].bfloat16() for name in kept})
    assert other.draw().shape == engine.draw().shape
    assert other.ring.kv.dtype == torch.float32


@pytest.mark.parametrize("tokens", [1, 3, 20])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@torch.inference_mode()
def test_eight_bits_are_right_to_half_a_step(tokens, dtype):
    """Of inputs that pick single weights, so that each output is one of them."""
    torch.manual_seed(0)
    linear = nn.Linear(64, 32, bias=False).to(dtype)
    linear.weight[5] = 0
    picked = torch.randint(64, (2, tokens))
    out = Int8Linear(linear)(nn.functional.one_hot(picked, 64).to(dtype))
    wanted = linear.weight.T[picked]
    step = linear.weight.abs().amax(1) / 127
    rounding = wanted.abs() * (2**-7 if dtype == torch.bfloat16 else 1e-6)
    assert ((out - wanted).abs() <= 0.51 * step + rounding).all()


def test_sampling_leaves_the_decoder_as_it_is(make_decoder):
    decoder = make_decoder().float()
    before = copy.deepcopy(decoder.state_dict())
    SamplingEngine(decoder, torch.randn(1, 3, 10), torch.ones(1, 3, dtype=torch.bool), [0]).draw()
    assert all(
        type(getattr(block, name)) is nn.Linear for block in decoder.blocks for name in LINEARS
    )
    assert before.keys() == decoder.state_dict().keys()
    assert all(torch.equal(before[name], tensor) for name, tensor in decoder.state_dict().items())


def test_a_session_follows_weights_that_have_changed(make_decoder):
    decoder = make_decoder().float()
    text = torch.randn(1, 3, 10)
    arguments = text, torch.ones(1, 3, dtype=torch.bool), [0], SamplingParams(temperature=0.3)
    first = SamplingEngine(decoder, *arguments).draw()
    with torch.no_grad():
        decoder.blocks[0].gate_up.weight.data.mul_(-1)
    second = SamplingEngine(decoder, *arguments).draw()
    assert not torch.equal(first, second)


def test_a_packed_decoder_shares_what_it_does_not_pack(make_decoder):
    decoder = make_decoder().float()
    packed = pack(decoder)
    assert (
        packed.codes is decoder.codes and packed.blocks[0].sharpness is decoder.blocks[0].sharpness
    )
    assert all(
        isinstance(getattr(block, name), PackedLinear)
        for block in packed.blocks
        for name in LINEARS
    )


@pytest.mark.parametrize("variant", VARIANTS)
@torch.inference_mode()
def test_variants_are_smaller_and_nearly_the_same(variant):
    exact = VideoGenerator.from_pretrained("physics-64")
    light = VideoGenerator.from_pretrained("physics-64", *variant)
    # half of it is tables of codes
    assert weight_bytes(light.decoder) < 0.8 * weight_bytes(exact.decoder)
    codes = torch.stack(
        [exact.session("a red ball rolls", 0).engine.draw() for _ in range(1)], dim=1
    ).unflatten(-1, (8, 8))
    text, mask = exact.encode_text(["a red ball rolls"])
    logits = exact.decoder(codes, text, mask)
    others = light.decoder(codes, text.to(light.decoder.no_text), mask)
    assert (logits.softmax(-1) - others.float().softmax(-1)).abs().sum(-1).mean() < 0.1  # of 2


@pytest.mark.parametrize("variant", VARIANTS)
def test_variants_sample_what_they_sample_one_by_one(generator, variant):
    light = copy.deepcopy(generator).lighten(*variant)
    video = light.generate("a red ball", frames=9)
    assert video.shape == (1, 3, 9, 8, 12) and video.dtype == torch.float32
    sessions = [
        light.session("a red ball", params=SamplingParams(accelerate=how)).engine
        for how in ("exact", "off")
    ]
    codes = [torch.stack([session.draw() for _ in range(4)]) for session in sessions]
    assert (codes[0] == codes[1]).float().mean() > 0.5  # the same up to rounding


def test_what_a_variant_cannot_be_or_do(generator, tmp_path):
    light = copy.deepcopy(generator)
    with pytest.raises(ValueError, match="dtype must be one of float32, bfloat16; got 'float16'"):
        light.lighten("float16")
    with pytest.raises(ValueError, match="quantize must be int8"):
        lighten(light.decoder, quantize="int4")
    with pytest.raises(ValueError, match="a quantized model cannot be saved"):
        light.lighten(quantize="int8").save_pretrained(tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_command_line_makes_variants(tmp_path, capsys):
    out = str(tmp_path / "ball.mp4")
    words = ["sample", "a red ball rolls to the left", "--frames", "1", "--seed", "0", "-o", out]
    assert main([*words, "--dtype", "bfloat16", "--quantize", "int8"]) == 0
    assert (tmp_path / "ball.mp4").is_file()
    assert main([*words, "--quantize", "int4"]) == 2
    assert "--quantize must be none or int8; got int4" in capsys.readouterr().err


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("variant", [("float32", None), *VARIANTS])
def test_variants_sample_on_a_gpu(generator, variant):
    light = copy.deepcopy(generator).lighten(*variant).to("cuda")
    exact, off = (
        light.generate("a red ball", 9, params=SamplingParams(accelerate=how))
        for how in ("exact", "off")
    )
    assert exact.is_cuda and exact.shape == (1, 3, 9, 8, 12)
    if variant == ("float32", None):
        torch.testing.assert_close(exact, off, atol=1e-3, rtol=0)
