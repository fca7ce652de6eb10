"""What disturbs the past in training: only what it says, only in the past, the same with any
number of processes."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from kinetoscope.generator.model.config import DecoderConfig
from kinetoscope.generator.training.flaws import (
    ContextFlaws,
    disturb,
    nearby_codes,
    own_codes,
    uniform,
)
from torch import Tensor

LEVELS = (4, 3, 2)
CPU = torch.device("cpu")


def codes() -> Tensor:
    return torch.randint(0, 24, (64, 6, 3, 4), generator=torch.Generator().manual_seed(0))


def no_guess(past: Tensor) -> Tensor:
    raise AssertionError("the model was asked")


def flaw(
    levels: tuple[int, ...] = LEVELS, guess: Any = no_guess, seed: int = 1, **settings: Any
) -> tuple[Tensor, Tensor]:
    shares = {"clips": 1.0, "random": 0.0, "nearby": 0.0} | settings
    return disturb(
        codes(),
        ContextFlaws(**shares),
        DecoderConfig(24, 8, levels),
        uniform(seed, 0, 1, CPU),
        guess,
    )


def digits(index: Tensor) -> Tensor:
    return torch.stack([index % 4, index // 4 % 3, index // 12], -1)


def test_neighbours_are_one_level_off_in_one_dimension() -> None:
    near = nearby_codes(codes(), LEVELS, uniform(0, 0, 1, CPU))
    assert ((digits(near) - digits(codes())).abs().sum(-1) == 1).all()
    assert near.min() >= 0 and near.max() < 24
    counts = [(digits(near) != digits(codes()))[..., i].float().mean() for i in range(3)]
    assert min(counts) > 0.28  # all dimensions, equally often
    up = (digits(near) > digits(codes())).any(-1)[digits(codes())[..., 0] == 1].float().mean()
    assert 0.3 < up < 0.7


def test_only_the_past_is_disturbed_and_as_much_as_asked() -> None:
    past, hidden = flaw(random=0.2, nearby=0.3)
    different = past != codes()
    assert not different[:, -1].any() and not hidden.any()
    frames = different.flatten(2).any(2)
    assert frames[:, 0].all()  # the first frame is always past
    assert (frames.long().diff(dim=1) <= 0).all()  # no clean frame before a disturbed one
    # 1 to 5 frames, which is drawn for each clip
    assert torch.bincount(frames.sum(1)).count_nonzero() == 5
    share = different[:, 0].float().mean()
    assert 0.4 < share < 0.56  # of the random ones 1 in 24 is the same


@pytest.mark.parametrize("clips", [0.0, 0.5])
def test_only_some_clips_are_disturbed(clips: float) -> None:
    past, _ = flaw(clips=clips, random=0.9)
    share = (past != codes()).flatten(1).any(1).float().mean()
    assert abs(share - clips) < 0.2 and (share > 0) == (clips > 0)


def test_frames_are_hidden_as_a_whole() -> None:
    past, hidden = flaw(frames=1.0)
    assert torch.equal(past, codes())
    assert hidden[:, 0].all() and not hidden[:, -1].any() and hidden.dtype == torch.bool


def test_own_guesses_follow_from_what_the_model_predicts() -> None:
    def sure(past: Tensor) -> Tensor:
        """Predicts the code after the one that is there."""
        return 50.0 * torch.nn.functional.one_hot((past.flatten(2) + 1) % 24, 24).float()

    past, _ = flaw(guess=sure, own=1.0)
    assert torch.equal(past[:, 0], (codes()[:, 0] + 1) % 24)
    past, _ = flaw(guess=sure, own=1.0, own_rounds=3)
    assert torch.equal(past[:, 0], (codes()[:, 0] + 3) % 24)
    logits = torch.log(torch.tensor([0.1, 0.0, 0.6, 0.3])).expand(100, 10, 12, 4)
    share = torch.bincount(own_codes(logits, uniform(0, 0, 1, CPU)).flatten(), minlength=4) / 12000
    torch.testing.assert_close(share, torch.tensor([0.1, 0.0, 0.6, 0.3]), atol=0.03, rtol=0)


def test_a_disturbed_code_stays_in_its_codebook() -> None:
    config = DecoderConfig(48, 8, (*LEVELS, 2), grid=(3, 4), codebooks=2)
    flaws = ContextFlaws(clips=1.0, random=0.5, nearby=0.5)
    true = torch.stack([codes(), codes().flip(0)], dim=-1)
    past, _ = disturb(true, flaws, config, uniform(1, 0, 1, CPU), no_guess)
    assert (past != true).any((0, 1, 2, 3)).all() and past.max() < 24
    flaws = ContextFlaws(clips=1.0, random=0.0, nearby=1.0)
    past, _ = disturb(true, flaws, config, uniform(1, 0, 1, CPU), no_guess)
    assert ((digits(past) - digits(true)).abs().sum(-1) <= 1).all()


@pytest.mark.parametrize("settings", [{"random": 0.3, "nearby": 0.3}, {"frames": 0.5}])
def test_two_processes_draw_what_one_would(settings: dict[str, float]) -> None:
    def part(rank: int, ranks: int) -> tuple[Tensor, Tensor]:
        own = codes().chunk(ranks)[rank]
        flaws = ContextFlaws(clips=0.5, **{"random": 0.0, "nearby": 0.0} | settings)
        return disturb(
            own, flaws, DecoderConfig(24, 8, LEVELS), uniform(3, rank, ranks, CPU), no_guess
        )

    for whole, *halves in zip(part(0, 1), part(0, 2), part(1, 2)):
        assert torch.equal(whole, torch.cat(halves))


@pytest.mark.parametrize(
    "settings", [{"clips": 2}, {"frames": -0.1}, {"random": 0.7, "nearby": 0.7}, {"own_rounds": 0}]
)
def test_impossible_shares_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"flaws\."):
        ContextFlaws(**settings)
    with pytest.raises(ValueError, match="need an FSQ tokenizer"):
        flaw(levels=(), nearby=0.1)


def test_targets_of_a_disturbed_clip_stay_true(fresh: Callable[..., Any]) -> None:
    module = fresh(flaws=ContextFlaws(clips=1.0, random=1.0, nearby=0.0))
    seen: list[Tensor] = []

    def always_zero(past: Tensor, *_: Any, read: Callable[[Tensor, Tensor], Any], **__: Any) -> Any:
        seen.append(past)
        return read(torch.tensor([50.0] + [0.0] * 15).expand(4, 3, 4, 16), torch.eye(16))

    module.model.forward = always_zero
    states, mask = module.text.encode(["a red ball"] * 4)
    still = torch.zeros(4, 3, 2, 2, dtype=torch.long)
    loss = module.training_step(
        {"codes": still, "objects": still.bool(), "text": states, "text_mask": mask}, 0
    )
    assert seen[0].any() and loss < 1e-6
