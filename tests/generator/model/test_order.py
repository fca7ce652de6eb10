"""Other orders than raster: what runs when, who sees whom, and drawing against the masked
forward."""

import dataclasses
import math

import pytest
import torch
from kinetoscope.generator import Decoder, FrameRing, SamplingEngine, SamplingParams, VideoGenerator
from kinetoscope.generator.conditions import Features
from kinetoscope.generator.model.order import decode_order
from kinetoscope.generator.sampling.filters import sample
from kinetoscope.generator.sampling.noise import gumbel_noise
from kinetoscope.generator.tokens.batch import Stage
from kinetoscope.generator.training.lora import LoraSize
from torch import Tensor
from torch.nn import functional

CPU = torch.device("cpu")


def test_a_wavefront_runs_rows_behind_each_other():
    order = decode_order((3, 4), 2, CPU)
    step = order.step_X[:-1]
    assert step.view(3, 5).tolist() == [[0, 1, 2, 3, 4], [2, 3, 4, 5, 6], [4, 5, 6, 7, 8]]
    assert torch.equal(order.unseen_LL, step > step[:, None])
    assert order.steps == 9 and order.tokens_SW[:3].tolist() == [
        [0, 15, 15],
        [1, 15, 15],
        [2, 5, 15],
    ]
    assert order.tokens_SW[9].tolist() == [15, 15, 15]
    assert order.predicted_X.view(2, 8).tolist() == [
        [0, 1, 2, 3, 12, 4, 5, 6],
        [7, 12, 8, 9, 10, 11, 12, 12],
    ]


def test_rows_far_apart_run_without_a_pause():
    order = decode_order((2, 2), 9, CPU)
    assert order.tokens_SW.tolist() == [[0], [1], [2], [3], [4], [5], [6]]


def test_raster_runs_one_token_at_a_time():
    order = decode_order((2, 3), 0, CPU)
    assert order.tokens_SW.tolist() == [[i] for i in range(8)]
    assert order.predicted_X.tolist() == [0, 1, 2, 3, 4, 5, 6, 6]
    assert torch.equal(order.unseen_LL, torch.ones(7, 7).triu(1).bool())


@pytest.mark.parametrize("wavefront", [1, 2, 5])
def test_a_prediction_sees_exactly_what_has_been_drawn_before_its_step(make_decoder, wavefront):
    """By changing one code at a time, in its own frame and in the next."""
    decoder = make_decoder(wavefront=wavefront, grid=(3, 4))
    codes = torch.randint(12, (1, 2, 3, 4), generator=torch.Generator().manual_seed(0))
    logits = decoder(codes)
    when = [divmod(cell, 4)[1] + wavefront * (cell // 4) for cell in range(12)]
    for changed in range(12):
        other = codes.clone()
        other[0, 0].view(-1)[changed] = (other[0, 0].view(-1)[changed] + 1) % 12
        moved = (decoder(other) - logits)[0].abs().amax(-1) > 1e-9
        assert moved[0].tolist() == [when[changed] < when[cell] for cell in range(12)]
        assert moved[1].all()


@pytest.mark.parametrize("sinks", [0, 1])
@pytest.mark.parametrize("wavefront", [1, 2])
@torch.inference_mode()
def test_steps_with_a_cache_equal_the_masked_forward(make_decoder, wavefront, sinks):
    decoder = make_decoder(wavefront=wavefront, sinks=sinks)
    torch.manual_seed(4)
    codes = torch.randint(12, (2, 12, 2, 3))
    text = torch.randn(2, 4, 10, dtype=torch.float64)
    prefix, mask = decoder.embed_prefix(2, text, None)
    ring = FrameRing(decoder.config, 2, dtype=prefix.dtype)
    order = decoder.order
    decoder.step(prefix, ring.set_prefix(mask))
    expected = decoder(codes, text)
    for t in range(12):
        ring.begin_frame()
        tokens = decoder.embed_frames(codes[:, t : t + 1].flatten(2))[:, 0]
        for step in range(order.steps):
            places = (order.step_X == step).nonzero()[:, 0]
            states = decoder.step(tokens[:, places], ring.extend(places.expand(2, -1)))
            predicting = order.predicted_X[places] < 6
            logits = states[:, predicting] @ decoder.head().T
            cells = order.predicted_X[places][predicting]
            torch.testing.assert_close(logits, expected[:, t, cells], atol=1e-9, rtol=0)


@torch.inference_mode()
def naive(decoder: Decoder, text: Tensor, params: SamplingParams, frames: int) -> Tensor:
    """Every step runs the whole masked sequence again."""
    codes = torch.zeros(2, frames, 2, 3, dtype=torch.long)
    for t in range(frames):
        noise = gumbel_noise([3, 4], t, 6, 12)
        for places in decoder.order.tokens_SW:
            cells = decoder.order.predicted_X[places]
            cells = cells[cells < 6]
            with_text = decoder(codes[:, : t + 1], text)[:, t, cells]
            without = decoder(codes[:, : t + 1])[:, t, cells]
            logits = torch.lerp(without, with_text, params.guidance)
            codes[:, t].flatten(1)[:, cells] = sample(logits, params, noise[:, cells])
    return codes.flatten(2)


def test_a_session_draws_in_the_order_of_its_decoder(make_decoder):
    decoder = make_decoder(wavefront=1)
    text = torch.randn(2, 3, 10, dtype=torch.float64)
    params = SamplingParams(guidance=2.0, top_k=8)
    mask = torch.ones(2, 3, dtype=torch.bool)
    session = SamplingEngine(decoder, text, mask, [3, 4], params)
    drawn = torch.stack([session.draw() for _ in range(6)], dim=1)
    assert torch.equal(drawn, naive(decoder, text, params, 6))
    again = SamplingEngine(decoder, text, mask, [3, 4], params)
    again.feed(drawn[:, 0])
    assert torch.equal(again.draw(), drawn[:, 1])
    off = SamplingEngine(decoder, text, mask, [3, 4], dataclasses.replace(params, accelerate="off"))
    assert torch.equal(torch.stack([off.draw() for _ in range(6)], dim=1), drawn)
    # of 6 codes each: 4 steps and the one that reads the last code
    assert session.forwards < off.forwards == 6 * 5


def test_a_dense_condition_speaks_from_the_token_that_predicts_its_cell(make_decoder):
    decoder = make_decoder(wavefront=1, conditions={"regions": 5})
    codes = torch.zeros(1, 1, 2, 3, dtype=torch.long)
    grid = torch.full((1, 1, 2, 3), -1)
    quiet = decoder(codes)
    grid[0, 0, 1, 0] = 2  # drawn in step 1, as is cell 1
    given = {"regions": Features(grid.clamp(min=0), grid >= 0)}
    changed = (decoder(codes, given=given) - quiet)[0, 0].abs().amax(-1) > 1e-9
    assert changed.tolist() == [False, True, True, True, True, True]


def test_trains(make_decoder):
    decoder = make_decoder(wavefront=1).float()
    codes = torch.randint(12, (2, 4, 2, 3))
    optimizer = torch.optim.AdamW(decoder.parameters(), lr=1e-2)
    losses = []
    for _ in range(15):
        losses.append(
            torch.nn.functional.cross_entropy(decoder(codes).flatten(0, 2), codes.flatten())
        )
        optimizer.zero_grad()
        losses[-1].backward()
        optimizer.step()
    assert losses[-1] < 0.6 * losses[0]


@torch.inference_mode()
def test_a_raster_model_already_knows_a_wavefront():
    """Bits of frames that the shipped model draws in raster order. Row starts that it cannot
    read would cost 5 more."""
    physics = VideoGenerator.from_pretrained("physics-64")
    prompt = "a large red ball rolls to the right"
    session = physics.session(prompt, params=SamplingParams(guidance=1.0, temperature=1.0)).engine
    codes = torch.stack([session.draw() for _ in range(2)], dim=1)
    text, mask = physics.encode_text([prompt])
    bits = {}
    config = physics.decoder.config
    for lag in (0, 2):
        physics.decoder.config = dataclasses.replace(config, wavefront=lag)
        logits = physics.decoder(codes.unflatten(-1, config.grid), text, mask)
        bits[lag] = float(
            functional.cross_entropy(logits.flatten(0, 2), codes.flatten())
        ) / math.log(2)
    assert bits[2] < bits[0] + 0.3


def test_a_run_changes_the_order_of_the_model_that_it_starts_from(
    fresh, make_trainer, make_data, tmp_path
):
    from kinetoscope.generator.training.module import GeneratorModule

    fresh().generator().save_pretrained(tmp_path / "raster")
    module = GeneratorModule(
        init_from=str(tmp_path / "raster"), wavefront=1, export_dir=str(tmp_path / "wavefront")
    )
    make_trainer(tmp_path, 2)[0].fit(module, make_data(tmp_path, [Stage(2, 3, 4)]))
    exported = VideoGenerator.from_pretrained(tmp_path / "wavefront")
    assert exported.decoder.config.wavefront == 1
    sessions = [
        exported.session("a ball", params=SamplingParams(accelerate=how)).engine
        for how in ("exact", "off")
    ]
    assert torch.equal(*(torch.stack([session.draw() for _ in range(3)]) for session in sessions))
    kept = GeneratorModule(init_from=str(tmp_path / "wavefront"))
    assert kept.config.wavefront == 1
    with pytest.raises(ValueError, match="leave wavefront out"):
        GeneratorModule(init_from=str(tmp_path / "raster"), wavefront=1, lora=LoraSize(rank=2))
