"""The steps of a stream as single graphs: compiled and exported against eager."""

from pathlib import Path

import pytest
import torch
from kinetoscope.tokenizer import QuantizerConfig, StackConfig, TokenizerConfig, VideoTokenizer
from kinetoscope.tokenizer.export import DecodeStep, EncodeStep
from torch import Tensor, nn

State = dict[str, Tensor]
Call = tuple[nn.Module, list[tuple[Tensor, State]]]


@pytest.fixture(params=["encode", "decode"])
def calls(request: pytest.FixtureRequest, tiny: VideoTokenizer, clip: Tensor) -> Call:
    """A step and the three inputs that a stream gives it: at the beginning and twice later."""
    indices = tiny.encode(clip).indices
    encode = EncodeStep(tiny)
    decode = DecodeStep(tiny)
    step, parts = {
        "encode": (encode, clip.split([1, 3, 3, 3], dim=2)[:3]),
        "decode": (decode, indices.split(1, dim=1)[:3]),
    }[request.param]
    inputs = []
    state = State()
    for part in parts:
        inputs.append((part, state))
        _, state = step(part, state)
    return step, inputs


def assert_same(given: tuple[Tensor, State], expected: tuple[Tensor, State]) -> None:
    """Codes are equal; pixels and states are those of other kernels."""
    torch.testing.assert_close(given[0], expected[0], atol=1e-5, rtol=0)
    assert given[1].keys() == expected[1].keys()
    for key, value in expected[1].items():
        torch.testing.assert_close(given[1][key], value, atol=1e-4, rtol=1e-4)


def test_a_step_is_one_graph_at_the_beginning_and_one_later(calls: Call) -> None:
    step, inputs = calls
    torch._dynamo.reset()
    graphs = []

    def count(graph: torch.fx.GraphModule, example: list[Tensor]) -> torch.fx.GraphModule:
        graphs.append(graph)
        return graph

    compiled = torch.compile(step, fullgraph=True, backend=count)
    for part, state in inputs:
        assert_same(compiled(part, state), step(part, state))
    assert len(graphs) == 2


@pytest.mark.slow
def test_inductor_computes_what_eager_does(calls: Call) -> None:
    step, inputs = calls
    torch._dynamo.reset()
    compiled = torch.compile(step, fullgraph=True)
    for part, state in inputs:
        assert_same(compiled(part, state), step(part, state))


def test_an_exported_step_is_saved_and_takes_any_batch(calls: Call, tmp_path: Path) -> None:
    step, inputs = calls
    part, state = inputs[1]
    batch = torch.export.Dim("batch", min=1, max=64)
    program = torch.export.export(
        step, (part, state), dynamic_shapes=({0: batch}, {key: {0: batch} for key in state})
    )
    torch.export.save(program, tmp_path / "step.pt2")
    loaded = torch.export.load(tmp_path / "step.pt2").module()
    for index in ([0, 1], [1], [0, 1, 1]):
        chosen = part[index], {key: value[index] for key, value in state.items()}
        assert_same(loaded(*chosen), step(*chosen))
    assert_same(loaded(*inputs[2]), step(*inputs[2]))


def test_the_first_step_is_a_program_of_its_own(calls: Call) -> None:
    step, inputs = calls
    assert_same(torch.export.export(step, inputs[0]).module()(*inputs[0]), step(*inputs[0]))


@pytest.mark.slow
def test_an_exported_decoder_takes_any_number_of_latents(tiny: VideoTokenizer) -> None:
    indices = torch.randint(60, (1, 8, 4, 5))
    _, state = tiny.decode_step(indices[:, :1], {})
    latents = torch.export.Dim("latents", min=1, max=64)
    still: dict[str, dict[int, None]] = {key: {} for key in state}
    program = torch.export.export(
        DecodeStep(tiny), (indices[:, :3], state), dynamic_shapes=({1: latents}, still)
    )
    for count in (1, 2, 7):
        assert_same(
            program.module()(indices[:, :count], state), tiny.decode_step(indices[:, :count], state)
        )


@pytest.mark.slow
@pytest.mark.parametrize(
    "quantizer",
    [
        QuantizerConfig("LFQ", {"codebook_size": 16}),
        QuantizerConfig("FSQ", {"levels": [5, 4], "num_codebooks": 2}),
        QuantizerConfig("ResidualFSQ", {"levels": [5, 5, 5], "num_quantizers": 3}),
    ],
    ids=lambda quantizer: f"{quantizer.name}-{quantizer.rates}",
)
def test_other_quantizers_are_one_graph_too(quantizer: QuantizerConfig, clip: Tensor) -> None:
    torch.manual_seed(0)
    torch._dynamo.reset()
    small = StackConfig(16, 1, 2, 3, (0,), (0,))
    config = TokenizerConfig(
        patch=4, frames_per_latent=3, encoder=small, decoder=small, quantizer=quantizer
    )
    tokenizer = VideoTokenizer(config).eval()
    indices, state = torch.compile(tokenizer.encode_step, fullgraph=True, backend="eager")(clip, {})
    assert_same((indices, state), tokenizer.encode_step(clip, {}))
    pixels, state = torch.compile(tokenizer.decode_step, fullgraph=True, backend="eager")(
        indices, {}
    )
    assert_same((pixels, state), tokenizer.decode_step(indices, {}))
