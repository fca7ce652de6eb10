"""Sampling functions on values that can be checked by hand."""

import math

import pytest
import torch
from kinetoscope.generator import SamplingParams
from kinetoscope.generator.sampling.filters import keep_min_p, keep_top_k, keep_top_p, sample
from kinetoscope.generator.sampling.guidance import guide
from kinetoscope.generator.sampling.noise import (
    FrameNoise,
    gumbel,
    gumbel_bits,
    gumbel_noise,
    uniform_noise,
)

LOGITS = torch.tensor([[0.1, 0.4, 0.2, 0.3]]).log()
INF = math.inf


def kept(logits: torch.Tensor) -> list[int]:
    return (logits[0] > -INF).nonzero().flatten().tolist()


def test_guidance_goes_from_without_to_with_and_beyond():
    with_prompt = torch.tensor([[1.0, 3.0]])
    without = torch.tensor([[2.0, 1.0]])
    assert guide(with_prompt, without, 0.0).tolist() == [[2.0, 1.0]]
    assert guide(with_prompt, without, 1.0).tolist() == [[1.0, 3.0]]
    assert guide(with_prompt, without, 3.0).tolist() == [[-1.0, 7.0]]


@pytest.mark.parametrize(
    ("k", "codes"), [(1, [1]), (2, [1, 3]), (4, [0, 1, 2, 3]), (9, [0, 1, 2, 3])]
)
def test_top_k(k, codes):
    assert kept(keep_top_k(LOGITS, k)) == codes


@pytest.mark.parametrize(
    ("p", "codes"),
    [(0.01, [1]), (0.39, [1]), (0.6, [1, 3]), (0.75, [1, 2, 3]), (0.95, [0, 1, 2, 3])],
)
def test_top_p_keeps_the_smallest_set_that_reaches_p(p, codes):
    assert kept(keep_top_p(LOGITS, p)) == codes


@pytest.mark.parametrize(
    ("p", "codes"), [(1, [1]), (0.7, [1, 3]), (0.4, [1, 2, 3]), (0.2, [0, 1, 2, 3])]
)
def test_min_p_keeps_what_is_not_far_less_likely_than_the_likeliest(p, codes):
    assert kept(keep_min_p(LOGITS, p)) == codes


def test_filters_treat_rows_alone():
    logits = torch.stack([LOGITS[0], LOGITS[0].flip(0)])
    assert (keep_top_k(logits, 1) > -INF).tolist() == [
        [False, True, False, False],
        [False, False, True, False],
    ]
    assert (keep_top_p(logits, 0.3) > -INF).tolist() == [
        [False, True, False, False],
        [False, False, True, False],
    ]
    assert (keep_min_p(logits, 0.9) > -INF).tolist() == [
        [False, True, False, False],
        [False, False, True, False],
    ]


def draws(params: SamplingParams, count: int = 4000) -> torch.Tensor:
    """Shares of the four codes in many draws."""
    noise = gumbel_noise(range(count), frame=3, cells=1, vocab_size=4)[:, 0]
    return sample(LOGITS.expand(count, -1), params, noise).bincount(minlength=4) / count


def test_draws_follow_the_softmax():
    torch.testing.assert_close(
        draws(SamplingParams(temperature=1.0, min_p=0)), LOGITS.exp()[0], atol=0.03, rtol=0
    )


def test_temperature_sharpens():
    expected = (LOGITS * 2).softmax(-1)[0]
    torch.testing.assert_close(
        draws(SamplingParams(temperature=0.5, min_p=0)), expected, atol=0.03, rtol=0
    )
    assert draws(SamplingParams(temperature=0)).tolist() == [0, 1, 0, 0]


def test_filtered_codes_are_never_drawn():
    shares = draws(SamplingParams(top_k=3, top_p=0.6))  # of the three left, 3/9 + 4/9 reach 0.6
    torch.testing.assert_close(shares, torch.tensor([0, 4 / 7, 0, 3 / 7]), atol=0.03, rtol=0)
    shares = draws(SamplingParams(temperature=1.0, min_p=0.4))
    torch.testing.assert_close(shares, torch.tensor([0, 4 / 9, 2 / 9, 3 / 9]), atol=0.03, rtol=0)


def test_noise_depends_on_seed_and_place_only():
    noise = gumbel_noise([7, 8, 2**63], frame=2, cells=10, vocab_size=50)
    assert noise.shape == (3, 10, 50)
    assert torch.equal(gumbel_noise([8], 2, 4, 50)[0], noise[1, :4])
    others = [noise[1, 8], gumbel_noise([8], 3, 10, 50)[0, 9], noise[0, 9], noise[2, 9]]
    assert all((other - noise[1, 9]).abs().min() > 0 for other in others)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("spread", [0.0, 1.0, 8.0])
@pytest.mark.parametrize(
    "params",
    [SamplingParams(), SamplingParams(temperature=0.5, min_p=1.0), SamplingParams(min_p=1e-9)],
)
def test_a_frame_is_drawn_block_by_block_as_it_is_drawn_whole(params, spread, dtype):
    cells = torch.tensor([[3, 0, 4], [1, 1, 2]])
    rows = torch.tensor([[0], [1]])
    dice = torch.manual_seed(0)
    bits = gumbel_bits([4, 5], 0, 5, 384)
    bits[1, 1] = 0  # all of the same noise: with logits that are alike the first code comes out
    logits = (spread * torch.randn(2, 3, 384, generator=dice)).to(dtype)
    logits[:, 2, 130:140] += 9
    noise = FrameNoise(bits, params, torch.device("cpu"))
    assert noise.few
    drawn = noise.draw(logits, rows, cells)
    assert torch.equal(drawn, sample(logits, params, gumbel(bits)[rows, cells]))
    assert spread or drawn[1, 0] == 0
    for other in (
        SamplingParams(min_p=0.0),
        SamplingParams(top_k=3),
        SamplingParams(top_p=0.5),
        SamplingParams(temperature=0),
    ):
        whole = FrameNoise(bits, other, torch.device("cpu"))
        assert not whole.few
        assert torch.equal(
            whole.draw(logits, rows, cells), sample(logits, other, gumbel(bits)[rows, cells])
        )


def test_uniform_noise_depends_on_seed_and_frame_and_stays_below_one():
    noise = uniform_noise([7, 8], frame=2, cells=500)
    assert noise.shape == (2, 2, 500) and noise.min() >= 0 and noise.max() < 1
    assert torch.equal(uniform_noise([8], 2, 500)[0], noise[1])
    assert (
        len(
            {
                round(float(x), 5)
                for x in (noise[0, 0, 0], noise[0, 1, 0], uniform_noise([7], 3, 1)[0, 0, 0])
            }
        )
        == 3
    )


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("temperature", -0.1, "temperature must be 0 .* got -0.1"),
        ("temperature", math.nan, "temperature"),
        ("top_k", -1, "top_k must be 0 .* got -1"),
        ("top_p", 0.0, "top_p must be above 0 .* got 0.0"),
        ("top_p", 1.1, "top_p"),
        ("min_p", 1.1, "min_p must be 0 .* got 1.1"),
        ("guidance", -1.0, "guidance must be 0 or more .* got -1.0"),
        ("guidance", math.inf, "guidance"),
        ("guidance_frames", -1, "guidance_frames must be 0 or more; got -1"),
        ("window", 0, "window must be at least 1; got 0"),
        ("accelerate", "fast", "accelerate must be one of exact, distribution, off; got 'fast'"),
    ],
)
def test_values_out_of_range_are_refused(name, value, message):
    with pytest.raises(ValueError, match=message):
        SamplingParams(**{name: value})
