"""Videos that are drawn together, come and go, against the same videos drawn alone."""

import dataclasses
from typing import Any

import pytest
import torch
from kinetoscope.generator import Decoder, SamplingEngine, SamplingParams
from kinetoscope.generator.conditions import Features
from kinetoscope.generator.sampling.continuous import ContinuousBatch
from kinetoscope.generator.sampling.quantize import SamplingWeights
from torch import Tensor, nn

PLAIN = SamplingParams(guidance=1)
GUIDED = SamplingParams(guidance=3.0, temperature=0.7)
# one video each: how it is drawn, tokens of its prompt, frames
VIDEOS = [
    (GUIDED, 3, 9),
    (PLAIN, 1, 4),
    (SamplingParams(guidance=2.0, guidance_frames=2), 4, 8),
    (SamplingParams(guidance=0, top_k=5, top_p=0.9, window=2), 2, 6),
    (SamplingParams(guidance=1.5, temperature=0, accelerate="off"), 5, 3),
]


class Maker:
    """Makes engines of one decoder, with weights in common."""

    def __init__(self, decoder: Decoder) -> None:
        self.decoder = decoder
        self.weights = SamplingWeights(decoder)

    def engine(self, number: int, params: SamplingParams, tokens: int, **options: Any):
        torch.manual_seed(number)
        text = torch.randn(1, tokens, 10).to(self.decoder.no_text.dtype)
        mask = torch.ones(1, tokens, dtype=torch.bool)
        options = {"weights": self.weights} | options
        return SamplingEngine(self.decoder, text, mask, [40 + number], params, **options)


@pytest.fixture
def maker(make_decoder) -> Maker:
    return Maker(make_decoder())


def alone(engine: SamplingEngine, frames: int) -> Tensor:
    return torch.stack([engine.draw() for _ in range(frames)], dim=1)


def together(
    batch: ContinuousBatch, joining: list[tuple[int, SamplingEngine, int]]
) -> list[Tensor]:
    """Codes of engines that join the batch in the round that is named, and leave it after so many
    frames."""
    codes: dict[SamplingEngine, list[Tensor]] = {engine: [] for _, engine, _ in joining}
    lengths = {engine: frames for _, engine, frames in joining}
    waiting = sorted(joining, key=lambda each: each[0])
    turn = 0
    while waiting or batch.engines:
        while waiting and waiting[0][0] <= turn:
            batch.join(waiting.pop(0)[1])
        for engine, codes_BG in batch.step():
            codes[engine].append(codes_BG)
            if len(codes[engine]) == lengths[engine]:
                batch.leave(engine)
        turn += 1
    return [torch.stack(codes[engine], dim=1) for _, engine, _ in joining]


@pytest.mark.parametrize(
    ("dtype", "apart", "sinks", "codebooks"),
    [
        (torch.float64, 0, 0, 1),
        (torch.float32, 7, 0, 1),
        (torch.float64, 7, 1, 1),
        (torch.float32, 0, 1, 1),
        (torch.float64, 0, 1, 3),
        (torch.float32, 7, 1, 3),
    ],
)
def test_codes_are_those_of_each_video_alone(make_decoder, dtype, apart, sinks, codebooks):
    """Other prompts, lengths, guidance and windows, long past the window."""
    levels = (2, 2, 3) if codebooks > 1 else (4, 3)
    decoder = make_decoder(sinks=sinks, codebooks=codebooks, levels=levels)
    if decoder.depth is not None:
        for block in decoder.depth.blocks:
            nn.init.normal_(block.down.weight, std=0.3)
    maker = Maker(decoder.to(dtype))
    joining = [
        (turn * apart, maker.engine(turn, params, tokens), frames)
        for turn, (params, tokens, frames) in enumerate(VIDEOS)
    ]
    batch = ContinuousBatch()
    drawn = together(batch, joining)
    forwards = 0
    for number, (params, tokens, frames) in enumerate(VIDEOS):
        engine = maker.engine(number, params, tokens)
        assert torch.equal(drawn[number], alone(engine, frames))
        forwards += engine.forwards
    assert len(torch.cat([codes.flatten() for codes in drawn]).unique()) >= 4
    assert batch.forwards < forwards


def test_a_wavefront_is_drawn_together_too(make_decoder):
    maker = Maker(make_decoder(wavefront=1))
    joining = [(0, maker.engine(0, GUIDED, 2), 5), (3, maker.engine(1, PLAIN, 3), 5)]
    drawn = together(ContinuousBatch(), joining)
    assert torch.equal(drawn[0], alone(maker.engine(0, GUIDED, 2), 5))
    assert torch.equal(drawn[1], alone(maker.engine(1, PLAIN, 3), 5))


def test_nobody_waits_for_the_frame_of_another(maker):
    slow = maker.engine(0, dataclasses.replace(PLAIN, accelerate="off"), 2)
    quick = maker.engine(1, PLAIN, 2)
    batch = ContinuousBatch()
    batch.join(slow)
    batch.join(quick)
    while slow.frames < 4:
        batch.step()
    assert quick.frames > 4


def test_every_video_follows_its_own_conditions(make_decoder):
    decoder = make_decoder(conditions=(("actions", 3), ("regions", 4)))
    for port in decoder.ports.values():
        torch.nn.init.normal_(port.weight)
    maker = Maker(decoder.double())

    def engine(number: int) -> SamplingEngine:
        actions = torch.tensor([[number, 2, 0, 1]])
        maps = torch.full((1, 1, 2, 3), number)
        given = {
            "actions": Features(actions, actions >= 0),
            "regions": Features(maps, maps >= 0),
        }
        return maker.engine(number, SamplingParams(weights={"actions": 2.0}), 2, given=given)

    drawn = together(ContinuousBatch(), [(0, engine(0), 6), (2, engine(1), 6)])
    for number, codes in enumerate(drawn):
        assert torch.equal(codes, alone(engine(number), 6))


def test_prompt_and_conditions_change_between_frames(maker):
    """As the engine alone takes another prompt, which may be longer."""
    other = torch.randn(1, 6, 10, dtype=torch.float64)
    mask = torch.ones(1, 6, dtype=torch.bool)
    engine = maker.engine(0, GUIDED, 2)
    batch = ContinuousBatch()
    batch.join(maker.engine(1, PLAIN, 3))
    batch.join(engine)
    codes: list[Tensor] = []
    while len(codes) < 7:
        codes += [drawn for each, drawn in batch.step() if each is engine]
        if len(codes) == 4 and batch.is_between_frames(engine):
            engine.set_text(other, mask, "recompute")
    expected = maker.engine(0, GUIDED, 2)
    begin = alone(expected, 4)
    expected.set_text(other, mask, "recompute")
    assert torch.equal(torch.stack(codes, dim=1), torch.cat([begin, alone(expected, 3)], dim=1))


@pytest.mark.parametrize("frames", [1, 5])
def test_leaving_in_the_middle_of_a_frame_loses_nothing(maker, frames):
    engine = maker.engine(0, GUIDED, 2)
    batch = ContinuousBatch()
    batch.join(engine)
    batch.join(maker.engine(1, PLAIN, 4))
    while engine.frames < frames:
        batch.step()
    batch.step()
    assert not batch.is_between_frames(engine)
    batch.leave(engine)
    for _ in range(8):  # what the others write is no longer seen
        batch.step()
    rest = alone(engine, 4)
    expected = alone(maker.engine(0, GUIDED, 2), frames + 4)
    assert torch.equal(rest, expected[:, frames:])


def test_several_videos_may_share_an_engine(maker):
    text = torch.randn(2, 3, 10, dtype=torch.float64)
    mask = torch.tensor([[True] * 3, [True, True, False]])

    def engine() -> SamplingEngine:
        return SamplingEngine(maker.decoder, text, mask, [5, 6], GUIDED, weights=maker.weights)

    drawn = together(ContinuousBatch(), [(0, engine(), 5), (4, maker.engine(0, PLAIN, 1), 5)])
    assert torch.equal(drawn[0], alone(engine(), 5))


def test_guesses_by_chance_have_room_for_others(maker):
    """They depend on the rows, so all that can be told is that every code is one."""
    params = SamplingParams(accelerate="distribution")
    joining = [(turn, maker.engine(turn, params, 2), 6) for turn in range(3)]
    for codes in together(ContinuousBatch(), joining):
        assert codes.shape == (1, 6, 6) and codes.min() >= 0 and codes.max() < 12


def test_mistakes_are_told(maker, make_decoder):
    batch = ContinuousBatch()
    engine = maker.engine(0, PLAIN, 2)
    with pytest.raises(ValueError, match="this engine is not in the batch"):
        batch.leave(engine)
    batch.join(engine)
    with pytest.raises(ValueError, match="in the batch already"):
        batch.join(engine)
    with pytest.raises(ValueError, match="engines of one batch need the same weights"):
        batch.join(Maker(make_decoder()).engine(1, PLAIN, 2))
    batch.leave(engine)
    assert batch.step() == []
