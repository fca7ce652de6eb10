"""The session against a sampler without a cache, token for token, and against sessions that went
another way."""

import dataclasses

import pytest
import torch
from kinetoscope.generator import Decoder, SamplingEngine, SamplingParams
from kinetoscope.generator.sampling.filters import sample
from kinetoscope.generator.sampling.guidance import guide
from kinetoscope.generator.sampling.noise import gumbel_noise
from torch import Tensor

FRAMES = 8
SEEDS = [5, 6]
PLAIN = SamplingParams(guidance=1)
GUIDED = SamplingParams(guidance=3.0, temperature=0.7)


@pytest.fixture
def text() -> tuple[Tensor, Tensor]:
    torch.manual_seed(6)
    return torch.randn(2, 3, 10, dtype=torch.float64), torch.tensor(
        [[True] * 3, [True, True, False]]
    )


@torch.inference_mode()
def naive(
    decoder: Decoder,
    text: Tensor,
    mask: Tensor,
    params: SamplingParams,
    begin: Tensor | None = None,
) -> Tensor:
    """Runs the whole sequence again for every token, and once more for guidance."""
    codes = torch.zeros(len(text), FRAMES, 2, 3, dtype=torch.long)
    given = 0 if begin is None else begin.shape[1]
    if begin is not None:
        codes[:, :given] = begin.unflatten(-1, (2, 3))
    for t in range(given, FRAMES):
        noise = gumbel_noise(SEEDS, t, 6, 12)
        for cell in range(6):
            past = codes[:, : t + 1]
            logits = decoder(past, text, mask, window=params.window)[:, t, cell]
            if params.guided(t):
                logits = guide(
                    logits, decoder(past, window=params.window)[:, t, cell], params.guidance
                )
            codes[:, t, cell // 3, cell % 3] = sample(logits, params, noise[:, cell])
    return codes.flatten(2)


def draw(session: SamplingEngine, frames: int) -> Tensor:
    return torch.stack([session.draw() for _ in range(frames)], dim=1)


@pytest.mark.parametrize("accelerate", ["off", "exact"])
@pytest.mark.parametrize(
    "params",
    [
        PLAIN,
        GUIDED,
        SamplingParams(guidance=0, top_k=5, top_p=0.9, window=2),
        SamplingParams(guidance=3.0, guidance_frames=3),
        SamplingParams(guidance=2.0, temperature=0),
    ],
    ids=["plain", "guided", "filtered", "guided at first", "likeliest"],
)
def test_equals_the_sampler_without_a_cache(make_decoder, text, params, accelerate):
    decoder = make_decoder()
    session = SamplingEngine(
        decoder, *text, SEEDS, dataclasses.replace(params, accelerate=accelerate)
    )
    codes = draw(session, FRAMES)
    assert torch.equal(codes, naive(decoder, *text, params))
    assert len(codes.unique()) > 4
    assert session.forwards == 7 * FRAMES if accelerate == "off" else session.forwards < 7 * FRAMES


def test_goes_on_from_given_frames(make_decoder, text):
    decoder = make_decoder()
    begin = torch.randint(12, (2, 3, 6))
    session = SamplingEngine(decoder, *text, SEEDS)
    for codes in begin.unbind(1):
        session.feed(codes)
    assert torch.equal(
        draw(session, FRAMES - 3), naive(decoder, *text, SamplingParams(), begin)[:, 3:]
    )


def test_a_row_depends_on_its_own_seed_and_prompt_only(make_decoder, text):
    decoder = make_decoder()
    (states, mask) = text
    codes = draw(SamplingEngine(decoder, states, mask, SEEDS), FRAMES)
    alone = draw(SamplingEngine(decoder, states[1:, :2], mask[1:, :2], SEEDS[1:]), FRAMES)
    assert torch.equal(codes[1:], alone)
    assert not torch.equal(
        alone, draw(SamplingEngine(decoder, states[1:, :2], mask[1:, :2], [7]), FRAMES)
    )


def test_rows_without_a_prompt_run_as_long_as_there_is_guidance(make_decoder, text):
    decoder = make_decoder()
    assert SamplingEngine(decoder, *text, SEEDS, PLAIN).ring.rows == 2
    session = SamplingEngine(decoder, *text, SEEDS, SamplingParams(guidance=2.0, guidance_frames=2))
    rows = []
    for _ in range(4):
        session.draw()
        rows.append(session.ring.rows)
    assert rows == [4, 4, 2, 2]


# ---- another prompt, another shot ----


def test_keeps_the_window_under_another_prompt(make_decoder, text):
    decoder = make_decoder()
    (states, mask) = text
    codes = {}
    for window in (None, "keep", "recompute", "flush"):
        session = SamplingEngine(decoder, states, mask, SEEDS, PLAIN)
        begin = draw(session, 5)
        if window:
            session.set_text(states.flip(0), mask.flip(0), window)
        codes[window] = draw(session, 3)
    assert torch.equal(begin, draw(SamplingEngine(decoder, states, mask, SEEDS, PLAIN), 5))
    pairs = [(x, y) for x in codes for y in codes if x != y]
    assert not any(torch.equal(codes[x], codes[y]) for x, y in pairs)


def test_the_old_prompt_put_back_changes_nothing(make_decoder, text):
    decoder = make_decoder()
    (states, mask) = text
    session = SamplingEngine(decoder, states, mask, SEEDS, GUIDED)
    first = draw(session, 5)
    session.set_text(states[:, :1], mask[:, :1])
    session.set_text(states, mask)
    expected = draw(SamplingEngine(decoder, states, mask, SEEDS, GUIDED), FRAMES)
    assert torch.equal(torch.cat([first, draw(session, 3)], dim=1), expected)


@pytest.mark.parametrize("frames", [2, 7])
def test_recomputes_the_window_under_another_prompt(make_decoder, text, frames):
    """As if sinks and window had been given under the new prompt from the start."""
    decoder = make_decoder()
    (states, mask) = text
    session = SamplingEngine(decoder, states, mask, SEEDS, GUIDED)
    codes = draw(session, frames)
    session.set_text(states.flip(0), mask.flip(0), window="recompute")
    other = SamplingEngine(decoder, states.flip(0), mask.flip(0), SEEDS, GUIDED)
    for frame in [codes[:, 0], *codes[:, max(1, frames - 3) :].unbind(1)]:
        other.feed(frame)
    other.frames = session.frames  # the noise goes on
    assert torch.equal(draw(session, 5), draw(other, 5))


@pytest.mark.parametrize("with_prompt", [False, True])
def test_a_cut_keeps_the_sinks_alone(make_decoder, text, with_prompt):
    decoder = make_decoder()
    (states, mask) = text
    session = SamplingEngine(decoder, states, mask, SEEDS, GUIDED)
    codes = draw(session, 7)
    if with_prompt:
        session.set_text(states, mask, window="flush")
    else:
        session.cut()
    other = SamplingEngine(decoder, states, mask, SEEDS, GUIDED)
    other.feed(codes[:, 0])
    other.frames = session.frames
    assert torch.equal(draw(session, 6), draw(other, 6))


def test_no_way_back_across_a_cut(make_decoder, text):
    session = SamplingEngine(make_decoder(), *text, SEEDS)
    draw(session, 3)
    session.cut()
    draw(session, 2)
    session.rewind(2)
    with pytest.raises(ValueError, match="take back 0 to 0 latent frames here; got 1"):
        session.rewind(1)


def test_an_unknown_window_is_refused(make_decoder, text):
    session = SamplingEngine(make_decoder(), *text, SEEDS)
    with pytest.raises(
        ValueError, match="window must be one of keep, flush, recompute; got 'drop'"
    ):
        session.set_text(*text, window="drop")


# ---- going back, and other rows ----


@pytest.mark.parametrize(("frames", "back"), [(4, 4), (7, 1), (7, 2)])
def test_takes_frames_back_and_draws_them_again_or_anew(make_decoder, text, frames, back):
    decoder = make_decoder()
    session = SamplingEngine(decoder, *text, SEEDS, GUIDED, undo=2)
    codes = draw(session, frames)
    session.rewind(back)
    assert torch.equal(draw(session, back), codes[:, frames - back :])
    session.rewind(back)
    session.seeds = [8, 9]
    assert not torch.equal(draw(session, back), codes[:, frames - back :])
    session.rewind(back)
    session.seeds = SEEDS
    expected = draw(SamplingEngine(decoder, *text, SEEDS, GUIDED), FRAMES + 3)
    assert torch.equal(draw(session, FRAMES + 3 - frames + back), expected[:, frames - back :])


def test_what_has_left_the_window_cannot_be_taken_back(make_decoder, text):
    session = SamplingEngine(make_decoder(), *text, SEEDS)
    draw(session, 7)
    with pytest.raises(
        ValueError, match=r"take back 0 to 1 latent frames here; got 2.*larger undo"
    ):
        session.rewind(2)


def test_frames_under_guidance_cannot_be_taken_back_once_it_has_ended(make_decoder, text):
    session = SamplingEngine(make_decoder(), *text, SEEDS, SamplingParams(guidance_frames=2))
    draw(session, 4)
    with pytest.raises(
        ValueError, match="guidance has ended, so rewind can take back 0 to 2 latent frames; got 3"
    ):
        session.rewind(3)
    session.rewind(2)


@pytest.mark.parametrize("params", [PLAIN, GUIDED], ids=["plain", "guided"])
def test_selected_videos_go_on_as_they_would_have(make_decoder, text, params):
    decoder = make_decoder()
    (states, mask) = text
    session = SamplingEngine(decoder, states, mask, SEEDS, params)
    begin = draw(session, 5)
    chosen = session.select([1, 0, 1], seeds=[6, 5, 99])
    expected = draw(session, 3)
    several = draw(chosen, 3)
    assert torch.equal(several[:2], expected[[1, 0]])
    other = SamplingEngine(decoder, states[1:], mask[1:], [99], params)
    for frame in begin[1:].unbind(1):
        other.feed(frame)
    assert torch.equal(several[2:], draw(other, 3))


@pytest.mark.parametrize("frames", [0, 2, 7])
def test_goes_on_from_its_state_bit_for_bit(make_decoder, text, frames):
    decoder = make_decoder()
    (states, mask) = text
    session = SamplingEngine(decoder, states, mask, SEEDS, GUIDED)
    for _ in range(frames):
        session.draw()
    state = {name: tensor.clone() for name, tensor in session.state().items()}
    expected = draw(session, 4)
    again = SamplingEngine(decoder, states[:, :1], mask[:, :1], SEEDS, GUIDED)
    again.load_state(state)
    assert torch.equal(draw(again, 4), expected)
    assert all(
        torch.equal(x, y)
        for x, y in zip(again.state().values(), session.state().values(), strict=True)
    )
