"""The decoder against an independent dense implementation, and who sees whom, proven by
gradients."""

import math

import pytest
import torch
from kinetoscope.generator import Decoder, DecoderConfig
from kinetoscope.generator.conditions import Features
from kinetoscope.generator.model import rope
from kinetoscope.generator.model.layers import CodeTable, RMSNorm, rms_norm
from torch import Tensor
from vector_quantize_pytorch import FSQ

B = 2  # batch, text length, text width, cells
S = 4
E = 10
G = 6


def inputs(frames: int) -> tuple[Tensor, Tensor, Tensor]:
    """Codes, text states and a mask with padding."""
    torch.manual_seed(3)
    mask = torch.tensor([[True] * S, [True, True, False, False]])
    return torch.randint(12, (B, frames, 2, 3)), torch.randn(B, S, E, dtype=torch.float64), mask


def sees(config: DecoderConfig, query: tuple[int, int], key: tuple[int, int]) -> bool:
    """The rule in words, for (frame, place in it); the prefix is frame -1, a header is at place
    0."""
    if key[0] < 0:
        return True
    recent = key[0] < config.sinks or query[0] - key[0] < config.window
    return key <= query and recent


def dense_logits(decoder: Decoder, codes: Tensor, text: Tensor, text_mask: Tensor) -> Tensor:
    """Every query against every key in one big matrix, for the prefix and sinks at a clamped
    distance."""
    config = decoder.config
    T = codes.shape[1]
    prefix, prefix_mask = decoder.embed_prefix(len(codes), text, text_mask)
    x = torch.cat([prefix, decoder.embed_frames(codes.flatten(2)).flatten(1, 2)], dim=1)
    places = [(-1, j) for j in range(S)] + [(t, i) for t in range(T) for i in range(1 + G)]
    visible = torch.tensor([[sees(config, q, k) for k in places] for q in places])
    visible = (
        visible
        & torch.cat([prefix_mask, torch.ones(len(codes), T * (1 + G)).bool()], dim=1)[:, None, None]
    )
    positions = torch.cat(
        [rope.prefix_positions(S), rope.frame_positions(torch.arange(T), decoder.order.places_L2)]
    )
    clamped = positions.clone()
    clamped[:, 0].clamp_(max=config.max_distance)
    speeds = rope.rotation_speeds(config.head_size, config.rope_base)
    there, near = (rope.rotation(p, speeds, torch.float64) for p in (positions, clamped))
    anchor = torch.tensor([t < config.sinks for t, _ in places])

    def attention(layer: int, qk: Tensor, v: Tensor, sharpness: Tensor) -> Tensor:
        q = qk[:, :, : config.heads]
        k = qk[:, :, config.heads :].repeat_interleave(config.heads // config.kv_heads, 2)
        k = rope.rotate(k, there)
        v = v.repeat_interleave(config.heads // config.kv_heads, 2)
        far_scores, near_scores = (
            torch.einsum("blnk,bcnk->bnlc", rope.rotate(q, rotation), k) * sharpness[:, None]
            for rotation in (there, near)
        )
        scores = torch.where(anchor, near_scores, far_scores).masked_fill(~visible, -math.inf)
        return torch.einsum("bnlc,bcnk->blnk", scores.softmax(-1), v).flatten(2)

    states = decoder.step(x, attention)[:, S:].unflatten(1, (T, -1))
    return states[:, :, :-1] @ decoder.head().T


@pytest.mark.parametrize("backend", ["sdpa", "matmul"])
@pytest.mark.parametrize("sinks", [0, 1, 2])
def test_equals_dense_attention_far_beyond_the_window(make_decoder, sinks, backend):
    decoder = make_decoder(sinks=sinks)
    codes, text, mask = inputs(frames=14)
    logits = decoder(codes, text, mask, backend=backend)
    assert logits.shape == (B, 14, G, 12)
    torch.testing.assert_close(logits, dense_logits(decoder, codes, text, mask), atol=1e-10, rtol=0)


def seen_by_gradient(decoder: Decoder, frames: int, frame: int, cell: int) -> Tensor:
    """Which inputs of the blocks [P + frames * L] the logits of one cell depend on."""
    caught: list[Tensor] = []

    def catch(block: torch.nn.Module, arguments: tuple[Tensor, ...]) -> None:
        arguments[0].retain_grad()
        caught.append(arguments[0])

    handle = decoder.blocks[0].register_forward_pre_hook(catch)
    codes, text, _ = inputs(frames)
    decoder(codes, text)[0, frame, cell].sum().backward()
    handle.remove()
    assert caught[0].grad is not None
    return caught[0].grad[0].abs().sum(-1) > 0


@pytest.mark.parametrize("sinks", [0, 1, 2])
@pytest.mark.parametrize(("frame", "cell"), [(0, 0), (1, 3), (5, 0), (8, 5)])
def test_one_layer_sees_exactly_prefix_sinks_and_window(make_decoder, sinks, frame, cell):
    decoder = make_decoder(layers=1, sinks=sinks)
    found = seen_by_gradient(decoder, 9, frame, cell)
    expected = [True] * S + [
        sees(decoder.config, (frame, cell), (t, i)) for t in range(9) for i in range(1 + G)
    ]
    assert found.tolist() == expected


def test_no_layer_sees_the_future(make_decoder):
    found = seen_by_gradient(make_decoder(layers=3), 6, 3, 2)
    last = S + 3 * (1 + G) + 2
    assert found[: last + 1].any() and not found[last + 1 :].any()


def test_padding_of_the_prefix_changes_nothing(make_decoder):
    decoder = make_decoder()
    codes, text, mask = inputs(frames=6)
    short = decoder(codes[1:], text[1:, :2], mask[1:, :2])
    torch.testing.assert_close(decoder(codes, text, mask)[1:], short, atol=1e-12, rtol=0)


def test_a_row_without_text_is_unconditional(make_decoder):
    decoder = make_decoder()
    codes, text, mask = inputs(frames=3)
    mask[0] = False
    logits = decoder(codes, text, mask)
    torch.testing.assert_close(logits[:1], decoder(codes[:1]), atol=1e-12, rtol=0)
    assert (logits[1] - decoder(codes[1:])[0]).abs().max() > 1e-3


def test_corrupted_codes_are_hidden_from_the_input(make_decoder):
    decoder = make_decoder()
    codes, text, mask = inputs(frames=3)
    corrupt = torch.zeros_like(codes, dtype=torch.bool)
    corrupt[:, 1, 0, 1] = True
    other = torch.where(corrupt, (codes + 1) % 12, codes)
    hidden = decoder(codes, text, mask, corrupt_mask=corrupt)
    assert torch.equal(hidden, decoder(other, text, mask, corrupt_mask=corrupt))
    assert not torch.equal(hidden, decoder(codes, text, mask))


def numbers(values: Tensor) -> Features:
    """Features of a condition whose values are numbers, -1 for nothing."""
    return Features(values.clamp(min=0), values >= 0)


def test_an_action_speaks_from_its_frame_on(make_decoder):
    decoder = make_decoder(conditions={"actions": 3})
    codes, text, mask = inputs(frames=4)
    quiet = decoder(codes, text, mask)
    actions = torch.full((B, 4), -1)
    assert torch.equal(decoder(codes, text, mask, given={"actions": numbers(actions)}), quiet)
    actions[:, 2] = 1
    spoken = decoder(codes, text, mask, given={"actions": numbers(actions)})
    difference = (spoken - quiet).abs().amax((0, 3))
    assert difference[:2].max() == 0 and difference[2, 0] > 0


def test_a_dense_condition_speaks_from_the_step_that_predicts_its_cell(make_decoder):
    decoder = make_decoder(conditions={"regions": 5})
    codes, text, mask = inputs(frames=3)
    quiet = decoder(codes, text, mask)
    grid = torch.full_like(codes, -1)
    assert torch.equal(decoder(codes, text, mask, given={"regions": numbers(grid)}), quiet)
    grid[:, 1, 1, 0] = 4  # cell 3 of frame 1
    spoken = decoder(codes, text, mask, given={"regions": numbers(grid)})
    difference = (spoken - quiet).abs().amax((0, 3)).flatten()
    assert difference[: G + 3].max() == 0 and difference[G + 3] > 0


def test_closed_ports_and_foreign_grids_are_refused(make_decoder):
    decoder = make_decoder(conditions={"regions": 5})
    codes, _, _ = inputs(frames=2)
    with pytest.raises(ValueError, match="takes no 'actions'; it takes regions"):
        decoder(codes, given={"actions": numbers(torch.zeros(B, 2, dtype=torch.long))})
    with pytest.raises(ValueError, match=r"codes must be \[B, T, 2, 3\]"):
        decoder(codes.transpose(2, 3))
    with pytest.raises(ValueError, match="window must be 1 to 4"):
        decoder(codes, window=5)
    with pytest.raises(ValueError, match=r"unknown attention backend 'fast'.*sdpa"):
        decoder(codes, backend="fast")
    with pytest.raises(ValueError, match="'flex' needs a CUDA device"):
        decoder(codes, backend="flex")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"levels": (4, 4)}, "make 16 codes, not vocab_size=12"),
        ({"heads": 3}, "multiple of heads=3"),
        ({"kv_heads": 3}, "multiple of kv_heads=3"),
        ({"window": 5}, "window must be 1 to 4"),
        ({"layers": 0}, "layers must be at least 1; got 0"),
        ({"grid": (8,)}, "grid must be two numbers"),
        ({"sinks": -1}, "must not be negative"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(make_decoder, change, message):
    with pytest.raises(ValueError, match=message):
        make_decoder(**change)


def test_hidden_states_give_the_logits(make_decoder):
    decoder = make_decoder()
    codes, text, mask = inputs(frames=2)
    states = decoder(codes, text, mask, return_hidden=True)
    assert torch.equal(states @ decoder.head().T, decoder(codes, text, mask))


def test_code_table_reads_the_digits_of_fsq():
    """Codes that share a level share a vector: per-level tables set to the levels give FSQ's own
    code vectors."""
    levels = (5, 4, 3)
    table = CodeTable(60, levels, dim=3, std=1.0)
    with torch.no_grad():
        table.full.zero_()
        table.by_level.zero_()
        row = 0
        for d, size in enumerate(levels):
            table.by_level[row : row + size, d] = torch.arange(size) - size // 2
            row += size
    fsq = FSQ(list(levels))
    vectors = fsq.indices_to_codes(torch.arange(60)[None])[0] * torch.tensor(levels).div(
        2, rounding_mode="floor"
    )
    torch.testing.assert_close(table(), vectors)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@torch.no_grad()
def test_rms_norm_of_drawing_is_that_of_pytorch(dtype):
    x = torch.randn(3, 5, 16).to(dtype)
    x[0, 0] = 0
    tolerance = {torch.float32: 1e-6, torch.float64: 1e-12, torch.bfloat16: 2e-2}[dtype]
    wanted = torch.nn.functional.rms_norm(x, (16,), eps=1e-6)
    torch.testing.assert_close(rms_norm(x), wanted, atol=tolerance, rtol=0)


def test_rms_norm_gradient():
    x = torch.randn(3, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(RMSNorm.apply, x)


@pytest.mark.filterwarnings("ignore:Dynamo detected a call to a `functools.lru_cache`")
@pytest.mark.parametrize("wavefront", [0, 2])
def test_compiles_as_one_graph(make_decoder, wavefront):
    decoder = make_decoder(wavefront=wavefront)
    codes = torch.randint(12, (2, 6, 2, 3))
    text = torch.randn(2, 3, 10, dtype=torch.float64)
    compiled = torch.compile(decoder, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(codes, text), decoder(codes, text))
    compiled(codes, text).sum().backward()
    assert decoder.frame_start.grad is not None


def test_trains_in_bfloat16(make_decoder):
    decoder = make_decoder().float()
    codes, text, mask = inputs(frames=5)
    optimizer = torch.optim.AdamW(decoder.parameters(), lr=1e-2)
    losses = []
    for _ in range(20):
        with torch.autocast("cpu", torch.bfloat16):
            logits = decoder(codes, text.float(), mask, backend="matmul")
        losses.append(
            torch.nn.functional.cross_entropy(logits.flatten(0, 2).float(), codes.flatten())
        )
        losses[-1].backward()
        optimizer.step()
        optimizer.zero_grad()
    assert logits.dtype == torch.bfloat16
    assert losses[-1] < 0.5 * losses[0]
