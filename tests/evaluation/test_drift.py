"""What roll-outs cost with age, on models whose answer is known."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from kinetoscope.evaluation.drift import bits_by_age, frame_drift
from kinetoscope.evaluation.frame_distance import frechet
from kinetoscope.generator import Decoder, SamplingParams
from torch import Tensor, nn

Make = Callable[..., Decoder]
PLAIN = SamplingParams(guidance=1.0, temperature=1.0, min_p=0.0)


def clips(frames: int = 6) -> tuple[Tensor, Tensor, Tensor]:
    draw = torch.Generator().manual_seed(0)
    codes = torch.randint(0, 12, (3, frames, 2, 3), generator=draw)
    return (
        codes,
        torch.randn(3, 4, 10, generator=draw, dtype=torch.float64),
        torch.ones(3, 4, dtype=torch.bool),
    )


def test_age_nought_is_teacher_forcing(make_decoder: Make) -> None:
    decoder = make_decoder()
    (codes, text, mask) = clips()
    with torch.no_grad():
        logits = decoder(codes, text, mask)[:, -1].flatten(0, 1)
    wanted = float(nn.functional.cross_entropy(logits, codes[:, -1].flatten())) / math.log(2)
    assert bits_by_age(decoder, codes, text, mask, [0], PLAIN) == pytest.approx(
        {0: wanted}, rel=1e-5
    )


def test_a_model_that_knows_nothing_does_not_drift(make_decoder: Make) -> None:
    decoder = make_decoder()
    decoder.head.full.data.zero_()
    decoder.head.by_level.data.zero_()
    bits = bits_by_age(decoder, *clips(), [0, 2, 5], PLAIN)
    assert bits == pytest.approx(dict.fromkeys((0, 2, 5), math.log2(12)), rel=1e-5)


def test_own_frames_stand_in_for_real_ones(make_decoder: Make) -> None:
    """Drawn at temperature 0, twice the same; a clip that is such a roll-out costs the same at
    every age."""
    decoder = make_decoder()
    (codes, text, mask) = clips()
    greedy = SamplingParams(guidance=1.0, temperature=0.0)
    bits = bits_by_age(decoder, codes, text, mask, [0, 1, 4], greedy)
    assert len({round(value, 4) for value in bits.values()}) == 3
    own = codes.clone()
    for t in range(1, 5):
        for cell in range(6):
            with torch.no_grad():
                own.flatten(2)[:, t, cell] = decoder(own, text, mask)[:, t, cell].argmax(-1)
    values = bits_by_age(decoder, own, text, mask, [0, 1, 4], greedy)
    assert values[1] == pytest.approx(values[0], rel=1e-5) and values[4] == pytest.approx(
        values[0], rel=1e-5
    )


def test_videos_that_change_are_told_from_those_that_do_not() -> None:
    draw = torch.Generator().manual_seed(0)
    still = torch.randint(0, 256, (8, 3, 1, 2, 2), generator=draw, dtype=torch.uint8).repeat(
        1, 1, 40, 1, 1
    )

    def features(frames: Tensor) -> Tensor:
        assert frames.shape == (8 * 16, 3, 1, 2, 2)
        return frames.flatten(1).float() / 255

    fading = (still * torch.linspace(1, 0.2, 40)[:, None, None]).to(torch.uint8)
    assert frame_drift(still, features) < 1e-3 < 0.1 < frame_drift(fading, features)
    ends = [
        video.transpose(1, 2).flatten(0, 1).flatten(1) / 255
        for video in (fading[:, :, :16], fading[:, :, -16:])
    ]
    assert frame_drift(fading, features) == pytest.approx(frechet(*ends), rel=1e-4)


@pytest.mark.parametrize("ages", [[], [-1], [6]])
def test_impossible_ages_are_named(make_decoder: Callable[..., Any], ages: list[int]) -> None:
    with pytest.raises(ValueError, match="ages must be 0 to 5 latent frames"):
        bits_by_age(make_decoder(), *clips(), ages)
    with pytest.raises(ValueError, match="at least 32 frames; got 31"):
        frame_drift(torch.zeros(2, 3, 31, 2, 2), lambda frames: frames)
