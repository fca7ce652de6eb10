"""Draft and verify: the codes of the sequential sampler, or others of exactly its distribution."""

import dataclasses
import itertools
import math

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kinetoscope.generator import Decoder, SamplingEngine, SamplingParams, VideoGenerator
from kinetoscope.generator.model.order import decode_order
from kinetoscope.generator.sampling import drafts
from kinetoscope.generator.sampling.drafts import FrameDraft, SpeculativeDraft, draft_steps
from kinetoscope.generator.sampling.noise import FrameNoise, gumbel_bits, uniform_noise
from torch import Tensor

CPU = torch.device("cpu")
# of a normal deviate: one in 30,000 right samplers would fail, and the seeds are fixed
QUANTILE = 4.0


@pytest.fixture(scope="module")
def physics() -> VideoGenerator:
    return VideoGenerator.from_pretrained("physics-64")


def deviation(counts: Tensor, probability: Tensor) -> float:
    """Chi-square of counts as a normal deviate (Wilson and Hilferty); outcomes expected below 5
    times are pooled."""
    expected = probability.double() * counts.sum()
    rare = expected < 5
    counts = torch.cat([counts[~rare], counts[rare].sum()[None]]).double()
    expected = torch.cat([expected[~rare], expected[rare].sum()[None]]).clamp(min=1e-9)
    freedom = int((expected >= 1).sum()) - 1
    chi_square = float(((counts - expected) ** 2 / expected)[expected >= 1].sum())
    return ((chi_square / freedom) ** (1 / 3) - 1 + 2 / (9 * freedom)) / math.sqrt(
        2 / (9 * freedom)
    )


# ---- exact ----


@pytest.mark.parametrize("wavefront", [0, 2])
def test_what_predicts_no_code_is_not_read(wavefront):
    order = decode_order((2, 3), wavefront, CPU)
    noise = FrameNoise(gumbel_bits([0], 0, 6, 8), SamplingParams(), CPU)
    draft = FrameDraft(
        order, torch.zeros(1, 6, dtype=torch.long), 8, noise, SamplingParams(), order.steps
    )
    place_BT = draft.next_places()
    asked = draft.asked(place_BT)
    assert asked == place_BT.shape[1] - 1
    assert (order.predicted_X[place_BT[:, asked:]] == draft.cells).all()
    assert draft.asked(place_BT[:, -1:]) == 0
    draft.step_B.fill_(order.steps - 1)
    draft.verify(draft.next_places()[:, :0], pytest.fail)
    assert draft.complete


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    seeds=st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=4),
    tokens=st.integers(2, 40),
    sinks=st.integers(0, 2),
    wavefront=st.integers(0, 2),
    params=st.builds(
        SamplingParams,
        temperature=st.sampled_from([0.0, 0.3, 1.0]),
        top_k=st.sampled_from([0, 4]),
        top_p=st.sampled_from([0.8, 1.0]),
        min_p=st.sampled_from([0.0, 0.2]),
        guidance=st.sampled_from([0.0, 1.0, 2.5]),
        guidance_frames=st.sampled_from([None, 2]),
        window=st.sampled_from([None, 1, 2]),
    ),
)
def test_exact_gives_the_codes_of_the_sequential_sampler(
    make_decoder, monkeypatch, seeds, tokens, sinks, wavefront, params
):
    monkeypatch.setitem(drafts.TOKENS_AT_ONCE, "cpu", tokens)
    monkeypatch.setattr(drafts, "SHORTEST", 1)
    decoder = make_decoder(sinks=sinks, wavefront=wavefront)
    text = torch.randn(len(seeds), 3, 10, dtype=torch.float64)
    mask = torch.ones(len(seeds), 3, dtype=torch.bool)
    exact = SamplingEngine(decoder, text, mask, seeds, params)
    off = SamplingEngine(decoder, text, mask, seeds, dataclasses.replace(params, accelerate="off"))
    for _ in range(7):  # the window is full after at most 5
        assert torch.equal(exact.draw(), off.draw())
    assert exact.forwards <= off.forwards


@pytest.mark.parametrize("frames", [1, pytest.param(9, marks=pytest.mark.slow)])
def test_exact_on_the_shipped_model(physics, frames):
    codes = {}
    forwards = {}
    for accelerate in ("exact", "off"):
        params = SamplingParams(accelerate=accelerate)
        session = physics.session(
            "a large red ball rolls to the right", seed=3, params=params
        ).engine
        codes[accelerate] = torch.stack([session.draw() for _ in range(frames)])
        forwards[accelerate] = session.forwards
    assert torch.equal(codes["exact"], codes["off"])
    assert forwards["off"] == 65 * frames and forwards["exact"] < forwards["off"] / 4


def test_drafts_are_as_long_as_a_forward_is_cheap():
    params = SamplingParams()
    order = decode_order((8, 8), 0, CPU)
    assert [draft_steps(params, rows, order, "cpu") for rows in (1, 2, 4, 100)] == [40, 20, 10, 8]
    assert draft_steps(params, 2, decode_order((2, 3), 0, CPU), "cpu") == 7
    assert draft_steps(params, 1, order, "cuda") == 65
    assert draft_steps(SamplingParams(accelerate="off"), 1, order, "cuda") == 1
    assert draft_steps(params, 2, decode_order((8, 8), 2, CPU), "cpu") == 6  # of three tokens or so


def test_forwards_are_no_longer_than_what_is_left_of_a_frame(make_decoder):
    params = SamplingParams()
    noise = torch.zeros(2, 6, 3, dtype=torch.int32)
    order = decode_order((2, 3), 0, CPU)
    guess = torch.zeros(2, 6).long()
    draft = FrameDraft(order, guess, 3, FrameNoise(noise, params, CPU), params, 5)
    draft.step_B = torch.tensor([6, 4])
    assert draft.next_places().tolist() == [[6, 7, 7], [4, 5, 6]]


# ---- equal in distribution ----


@torch.inference_mode()
def frame_probabilities(decoder: Decoder, begin: Tensor, vocab: int) -> Tensor:
    """Of every possible next frame after the frame `begin`, by running them all."""
    frames = torch.tensor(list(itertools.product(range(vocab), repeat=len(begin))))
    codes = torch.stack([begin.expand(len(frames), -1), frames], dim=1).unflatten(
        -1, decoder.config.grid
    )
    logp = decoder(codes)[:, 1].log_softmax(-1)
    return logp.gather(-1, frames[..., None])[..., 0].sum(-1).exp()


@pytest.mark.parametrize("accelerate", ["off", "exact", "distribution"])
@pytest.mark.parametrize(
    ("tokens", "grid", "wavefront"), [(2, (1, 3), 0), (4, (1, 3), 0), (4, (2, 2), 1)]
)
def test_frames_of_a_toy_model_have_their_probabilities(
    make_decoder, monkeypatch, accelerate, tokens, grid, wavefront
):
    """Thousands of videos that share their first frame, against all possible second frames."""
    count = 4000
    cells = grid[0] * grid[1]
    vocab = 3
    monkeypatch.setitem(drafts.TOKENS_AT_ONCE, "cpu", tokens * count)
    monkeypatch.setattr(drafts, "SHORTEST", 1)
    decoder = make_decoder(vocab_size=vocab, levels=(), grid=grid, wavefront=wavefront, dim=16)
    begin = torch.tensor([1, 1, 0, 2])[:cells]
    params = SamplingParams(temperature=1.0, min_p=0.0, guidance=1.0, accelerate=accelerate)
    nothing = (
        torch.zeros(count, 1, 10, dtype=torch.float64),
        torch.zeros(count, 1, dtype=torch.bool),
    )
    session = SamplingEngine(decoder, *nothing, range(count), params)
    session.feed(begin.expand(count, -1))
    drawn = (
        (session.draw() * vocab ** torch.arange(cells - 1, -1, -1))
        .sum(1)
        .bincount(minlength=vocab**cells)
    )
    probability = frame_probabilities(decoder, begin, vocab)
    assert deviation(drawn, probability) < QUANTILE
    assert deviation(drawn, probability.roll(1)) > 10


@torch.inference_mode()
def test_recorded_logits_have_their_probabilities_whatever_was_guessed(physics):
    """Real logits of one cell: guessed from those of another context, then decided; the draws
    follow the last ones."""
    count = 10000
    torch.manual_seed(0)
    states = physics.decoder(torch.randint(4096, (1, 1, 8, 8)), return_hidden=True)[0, 0]
    logits = (states @ physics.decoder.head().T) / 2
    places = logits.softmax(-1).amax(-1).argsort()[20:22]  # two cells, neither sure nor clueless
    codes = logits[places].sum(0).topk(24).indices
    before, after = logits[places][:, codes]
    params = SamplingParams(temperature=1.0, min_p=0.0)
    draft = SpeculativeDraft(
        decode_order((1, 3), 0, CPU),
        torch.zeros(count, 3, dtype=torch.long),
        24,
        FrameNoise(gumbel_bits(range(count), 1, 3, 24), params, CPU),
        params,
        3,
        uniform_noise(range(count), 1, 3),
    )

    def read(*cells):
        return lambda drawn: torch.stack(cells).expand(count, -1, -1)

    # cell 0 is 7, which nobody has guessed
    wrong = torch.full((24,), -math.inf).index_fill(0, torch.tensor(7), 0.0)
    draft.verify(draft.next_places(), read(wrong, before, before))
    guessed = draft.codes_BG[:, 1].clone()
    place = draft.next_places()
    draft.verify(place, read(after, after, after))
    decided = draft.codes_BG[:, 1]
    assert (place[:, 0] == 1).all() and (draft.codes_BG[:, 0] == 7).all()
    p = after.softmax(-1)
    q = before.softmax(-1)
    assert deviation(guessed.bincount(minlength=24), q) < QUANTILE
    assert deviation(decided.bincount(minlength=24), p) < QUANTILE
    assert deviation(decided.bincount(minlength=24), q) > 10
    kept = (guessed == decided).double().mean()
    # the most there can be
    torch.testing.assert_close(kept, torch.minimum(p, q).sum().double(), atol=0.02, rtol=0)


def test_a_row_goes_on_while_its_guesses_hold():
    sure = torch.full((1, 3, 4), -20.0).scatter(-1, torch.tensor([[[1], [2], [3]]]), 20.0)
    order = decode_order((1, 3), 0, CPU)
    params = SamplingParams()
    noise = torch.zeros(1, 3, 4, dtype=torch.int32)
    for guess, done in (([1, 2, 3], 3), ([1, 2, 0], 3), ([1, 0, 3], 2), ([0, 2, 3], 1)):
        for make in (FrameDraft, SpeculativeDraft):
            extra = (torch.full((1, 2, 3), 0.5),) if make is SpeculativeDraft else ()
            draft = make(
                order, torch.tensor([guess]), 4, FrameNoise(noise, params, CPU), params, 3, *extra
            )
            draft.verify(draft.next_places(), lambda drawn: sure)
            assert draft.step_B.tolist() == [done] and draft.codes_BG.tolist() == [[1, 2, 3]]
            while not draft.complete:
                place = draft.next_places()
                logits = sure[:, place[0].clamp(max=2)]
                draft.verify(place, lambda drawn, logits=logits: logits)
            needed = draft.rounds_B.tolist()
            # as on a GPU, which is not asked after every round
            draft.verify(torch.tensor([[4, 4, 4]]), lambda drawn: sure)
            assert draft.rounds_B.tolist() == needed and draft.codes_BG.tolist() == [[1, 2, 3]]
