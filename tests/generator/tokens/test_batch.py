"""Batches: every clip once per round, and the same batch for a step whatever happened before."""

from dataclasses import replace
from itertools import islice

import pytest
import torch
from kinetoscope.generator.tokens.batch import Stage, TokenBatches
from kinetoscope.generator.tokens.cache import TokenSet

CLIPS = 7
STAGES = [Stage(3, 1, 4), Stage(2, 2, 3), Stage(1, 3, 2)]


@pytest.fixture(scope="module")
def tokens() -> TokenSet:
    """Codes that say which clip they are of."""
    codes = torch.arange(CLIPS, dtype=torch.int16).view(-1, 1, 1, 1).expand(-1, 3, 2, 2)
    lengths = torch.ones(CLIPS, dtype=torch.int64)
    return TokenSet(
        codes,
        torch.zeros(CLIPS, 3, 2, 2, dtype=torch.bool),
        torch.zeros(CLIPS, 1, 4).half(),
        lengths,
    )


def clips(batches: TokenBatches, count: int) -> list[list[int]]:
    return [batch["codes"][:, 0, 0, 0].tolist() for batch in islice(batches, count)]


def test_stages_follow_one_another_and_the_last_has_no_end(tokens: TokenSet) -> None:
    shapes = [tuple(batch["codes"].shape[:2]) for batch in islice(TokenBatches(tokens, STAGES), 9)]
    assert shapes == [(4, 1)] * 3 + [(3, 2)] * 2 + [(2, 3)] * 4


@pytest.mark.parametrize("start", range(9))
def test_a_resumed_run_sees_what_it_would_have_seen(tokens: TokenSet, start: int) -> None:
    whole = clips(TokenBatches(tokens, STAGES, seed=3), 12)
    assert clips(TokenBatches(tokens, STAGES, seed=3, start=start), 12 - start) == whole[start:]


def test_every_clip_comes_once_in_a_round_and_each_round_has_its_order(tokens: TokenSet) -> None:
    row = [clip for batch in clips(TokenBatches(tokens, STAGES), 30) for clip in batch]
    rounds = [row[begin : begin + CLIPS] for begin in range(0, len(row) - CLIPS, CLIPS)]
    assert len(rounds) > 8
    assert all(sorted(order) == list(range(CLIPS)) for order in rounds)
    assert len({tuple(order) for order in rounds}) > 6
    assert row != [
        clip for batch in clips(TokenBatches(tokens, STAGES, seed=1), 30) for clip in batch
    ]


def test_a_batch_may_be_larger_than_the_set(tokens: TokenSet) -> None:
    (batch,) = clips(TokenBatches(tokens, [Stage(1, 1, 3 * CLIPS)]), 1)
    assert sorted(batch) == sorted(list(range(CLIPS)) * 3)


PICTURES = [Stage(4, 2, 3, pictures=5), Stage(1, 3, 2, pictures=1, pictures_every=3)]


def test_every_second_or_third_batch_may_be_of_pictures(tokens: TokenSet) -> None:
    batches = islice(TokenBatches(tokens, PICTURES), 10)
    shapes = [tuple(batch["codes"].shape[:2]) for batch in batches]
    assert shapes == [(3, 2), (5, 1)] * 2 + [(2, 3), (2, 3), (1, 1)] * 2


@pytest.mark.parametrize("start", range(8))
def test_a_resumed_run_with_pictures_sees_what_it_would_have_seen(
    tokens: TokenSet, start: int
) -> None:
    whole = clips(TokenBatches(tokens, PICTURES, seed=3), 12)
    assert clips(TokenBatches(tokens, PICTURES, seed=3, start=start), 12 - start) == whole[start:]


def test_clips_and_pictures_each_come_once_in_a_round(tokens: TokenSet) -> None:
    stages = [Stage(1, 3, 2, pictures=3)]
    rows = clips(TokenBatches(tokens, stages), 28)
    for kind in (rows[::2], rows[1::2]):
        row = [clip for batch in kind for clip in batch]
        assert all(
            sorted(row[begin : begin + CLIPS]) == list(range(CLIPS))
            for begin in range(0, len(row) - CLIPS + 1, CLIPS)
        )


def test_pictures_may_come_from_a_set_of_their_own(tokens: TokenSet) -> None:
    others = replace(tokens, codes=tokens.codes[:, :1] + 100)
    stages = [Stage(1, 3, 2, pictures=4)]
    rows = clips(TokenBatches(tokens, stages, pictures=others), 6)
    assert all(max(row) < CLIPS for row in rows[::2])
    assert all(min(row) >= 100 for row in rows[1::2])


def test_stages_that_cannot_be_are_refused(tokens: TokenSet) -> None:
    with pytest.raises(ValueError, match="asks for 4 latent frames; the clips have 3"):
        TokenBatches(tokens, [Stage(1, 4, 1)])
    with pytest.raises(ValueError, match="at least one stage"):
        TokenBatches(tokens, [])
    with pytest.raises(ValueError, match="a stage's batch_size must be at least 1; got 0"):
        Stage(1, 1, 0)
    with pytest.raises(ValueError, match="a stage's pictures must be at least 0; got -1"):
        Stage(1, 1, 1, pictures=-1)
    with pytest.raises(ValueError, match="a stage's pictures_every must be at least 1; got 0"):
        Stage(1, 1, 1, pictures_every=0)
