"""The session against a sampler without a cache, token for token."""

import pytest
import torch
from kinetoscope.generator import Decoder, SamplingParams, Session
from kinetoscope.generator.sampling import guide, gumbel_noise, sample
from torch import Tensor

FRAMES, SEEDS = 8, [5, 6]


@pytest.fixture
def text() -> tuple[Tensor, Tensor]:
    torch.manual_seed(6)
    return torch.randn(2, 3, 10, dtype=torch.float64), torch.tensor([[True] * 3, [True, True, False]])


@torch.inference_mode()
def naive(decoder: Decoder, text: Tensor, mask: Tensor, params: SamplingParams, begin: Tensor | None = None) -> Tensor:
    """Runs the whole sequence again for every token, and once more for guidance."""
    codes = torch.zeros(len(text), FRAMES, 2, 3, dtype=torch.long)
    given = 0 if begin is None else begin.shape[1]
    if begin is not None:
        codes[:, :given] = begin.unflatten(-1, (2, 3))
    for t in range(given, FRAMES):
        for cell in range(6):
            past = codes[:, : t + 1]
            logits = decoder(past, text, mask, window=params.window)[:, t, cell]
            if params.guidance != 1:
                logits = guide(logits, decoder(past, window=params.window)[:, t, cell], params.guidance)
            codes[:, t, cell // 3, cell % 3] = sample(logits, params, gumbel_noise(SEEDS, t, cell, 12))
    return codes.flatten(2)


def drawn(decoder: Decoder, text: Tensor, mask: Tensor, seeds: list[int], params: SamplingParams) -> Tensor:
    session = Session(decoder, text, mask, seeds, params)
    return torch.stack([session.draw() for _ in range(FRAMES)], dim=1)


@pytest.mark.parametrize(
    "params",
    [
        SamplingParams(guidance=1),
        SamplingParams(guidance=3.0, temperature=0.7),
        SamplingParams(guidance=0, top_k=5, top_p=0.9, window=2),
    ],
    ids=["plain", "guided", "filtered"],
)
def test_equals_the_sampler_without_a_cache(make_decoder, text, params):
    decoder, (states, mask) = make_decoder(), text
    codes = drawn(decoder, states, mask, SEEDS, params)
    assert torch.equal(codes, naive(decoder, states, mask, params))
    assert len(codes.unique()) > 4


def test_goes_on_from_given_frames(make_decoder, text):
    decoder, params, (states, mask) = make_decoder(), SamplingParams(), text
    begin = torch.randint(12, (2, 3, 6))
    session = Session(decoder, states, mask, SEEDS, params)
    for codes in begin.unbind(1):
        session.feed(codes)
    rest = torch.stack([session.draw() for _ in range(FRAMES - 3)], dim=1)
    assert torch.equal(rest, naive(decoder, states, mask, params, begin)[:, 3:])


def test_a_row_depends_on_its_own_seed_and_prompt_only(make_decoder, text):
    decoder, (states, mask) = make_decoder(), text
    codes = drawn(decoder, states, mask, SEEDS, SamplingParams())
    alone = drawn(decoder, states[1:, :2], mask[1:, :2], SEEDS[1:], SamplingParams())
    assert torch.equal(codes[1:], alone)
    assert not torch.equal(alone, drawn(decoder, states[1:, :2], mask[1:, :2], [7], SamplingParams()))


def test_without_guidance_no_second_row_runs(make_decoder, text):
    decoder = make_decoder()
    rows = [len(Session(decoder, *text, SEEDS, SamplingParams(guidance=g)).ring.bias_B11C) for g in (1, 2.0)]
    assert rows == [2, 4]
