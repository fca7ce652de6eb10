"""Distances between sets of features, beside implementations that share no line with ours."""

from pathlib import Path

import numpy as np
import pytest
import torch
from kinetoscope.evaluation.clips import feature_store
from kinetoscope.evaluation.clips.feature_store import Rows, rows_of
from kinetoscope.evaluation.distances.frechet import distance_of_rows, moments, rank_notes
from kinetoscope.evaluation.distances.polynomial import kernel_mmd, subset_mmd
from kinetoscope.evaluation.metrics.inception_score import inception_score
from torch import Tensor, nn


def features(count: int, width: int, seed: int, shift: float = 0.0) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    mixing = torch.randn(width, width, generator=draw)
    return torch.randn(count, width, generator=draw) @ mixing / width**0.5 + shift


def slow_frechet(a: np.ndarray, b: np.ndarray, ddof: int) -> float:
    """By the eigenvalues of the product of the covariances, which need not be symmetric."""
    cov_a, cov_b = np.cov(a, rowvar=False, ddof=ddof), np.cov(b, rowvar=False, ddof=ddof)
    root = np.sqrt(np.linalg.eigvals(cov_a @ cov_b).astype(complex)).real.sum()
    return float(((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(cov_a + cov_b) - 2 * root)


@pytest.mark.parametrize(("covariance", "ddof"), [("unbiased", 1), ("biased", 0)])
def test_frechet_is_the_formula(covariance: str, ddof: int) -> None:
    a, b = features(60, 8, 0), features(50, 8, 1, shift=0.3)
    slow = slow_frechet(a.double().numpy(), b.double().numpy(), ddof)
    assert distance_of_rows(rows_of(a), rows_of(b), covariance) == pytest.approx(slow, rel=1e-9)


def test_frechet_is_scipys() -> None:
    linalg = pytest.importorskip("scipy.linalg")
    a, b = features(60, 8, 0).double(), features(50, 8, 1).double()
    cov = [torch.cov(x.T).numpy() for x in (a, b)]
    root = np.trace(linalg.sqrtm(cov[0] @ cov[1]).real)
    slow = float((a.mean(0) - b.mean(0)).square().sum()) + np.trace(sum(cov)) - 2 * root
    assert distance_of_rows(rows_of(a), rows_of(b), "unbiased") == pytest.approx(slow, rel=1e-6)


class Flatten(nn.Module):
    """The "network" of torchmetrics: a fixed random projection of tiny pictures."""

    num_features = 8

    def __init__(self) -> None:
        super().__init__()
        draw = torch.Generator().manual_seed(0)
        self.register_buffer("matrix", torch.randn(3 * 4 * 4, 8, generator=draw))

    def forward(self, x: Tensor) -> Tensor:
        return x.to(self.matrix.dtype).flatten(1) @ self.matrix / 255


def test_frechet_and_kernel_distance_are_those_of_torchmetrics() -> None:
    from torchmetrics.image.fid import FrechetInceptionDistance
    from torchmetrics.image.kid import KernelInceptionDistance

    draw = torch.Generator().manual_seed(3)
    a = torch.randint(0, 256, (40, 3, 4, 4), generator=draw, dtype=torch.uint8)
    b = torch.randint(0, 200, (40, 3, 4, 4), generator=draw, dtype=torch.uint8)
    network = Flatten()
    fid = FrechetInceptionDistance(
        feature=network, input_img_size=(3, 4, 4), antialias=False
    ).set_dtype(torch.float64)
    kid = KernelInceptionDistance(feature=network, subsets=1, subset_size=40)
    for metric in (fid, kid):
        metric.update(a, real=True)
        metric.update(b, real=False)
    rows_a, rows_b = rows_of(network(a)), rows_of(network(b))
    assert distance_of_rows(rows_a, rows_b, "unbiased") == pytest.approx(
        float(fid.compute()), rel=1e-4
    )
    # one subset of all rows is the estimate over all pairs
    theirs = float(kid.compute()[0])
    assert subset_mmd(rows_a, rows_b, 1, 40, seed=0)[0] == pytest.approx(theirs, rel=1e-4)
    assert kernel_mmd(rows_a.all(), rows_b.all()) == pytest.approx(theirs, rel=1e-4)


def test_kernel_distance_is_the_sum_over_pairs() -> None:
    a, b = features(7, 3, 0).double(), features(5, 3, 1).double()

    def kernel(x: Tensor, y: Tensor) -> float:
        return float((x @ y / 3 + 1) ** 3)

    within_a = [kernel(a[i], a[j]) for i in range(7) for j in range(7) if i != j]
    within_b = [kernel(b[i], b[j]) for i in range(5) for j in range(5) if i != j]
    across = [kernel(x, y) for x in a for y in b]
    slow = sum(within_a) / 42 + sum(within_b) / 20 - 2 * sum(across) / 35
    assert kernel_mmd(a, b) == pytest.approx(slow, rel=1e-12)


def test_distances_of_equal_sets_are_nothing_and_order_does_not_count() -> None:
    a = features(30, 4, 0)
    assert distance_of_rows(rows_of(a), rows_of(a), "unbiased") == pytest.approx(0, abs=1e-9)
    b = features(30, 4, 1)
    mixed = rows_of(b).take(torch.randperm(30).numpy())
    straight = distance_of_rows(rows_of(a), rows_of(b), "unbiased")
    assert distance_of_rows(rows_of(a), mixed, "unbiased") == pytest.approx(straight, rel=1e-9)


def test_far_from_zero_no_digits_are_lost() -> None:
    a, b = features(500, 4, 0), features(500, 4, 1)
    near = distance_of_rows(rows_of(a), rows_of(b), "unbiased")
    far = distance_of_rows(rows_of(a + 1000), rows_of(b + 1000), "unbiased")
    assert far == pytest.approx(near, rel=1e-2)  # of float32 rows; single sums would give nonsense


def test_moments_in_blocks_are_those_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = rows_of(features(40, 4, 0).view(10, 4, 4))
    mean, cov, count = moments(rows, "unbiased")
    monkeypatch.setattr("kinetoscope.evaluation.clips.feature_store.BLOCK_BYTES", 200)
    assert len(list(rows.blocks())) == 10
    again = moments(rows, "unbiased")
    assert count == again[2] == 40
    assert torch.allclose(mean, again[0], rtol=1e-12)
    assert torch.allclose(cov, again[1], rtol=1e-12)
    assert torch.allclose(cov, torch.cov(rows.all().reshape(-1, 4).T), rtol=1e-12)


def test_too_few_clips_are_said() -> None:
    few, many = rows_of(features(8, 8, 0)), rows_of(features(9, 8, 0))
    notes = rank_notes(few, many, "clips")
    assert "the reference set is singular: 8 clips for 8 features" in notes[0]
    assert "sets differ in size (8 and 9 clips)" in notes[1]
    assert rank_notes(many, many, "clips") == []
    with pytest.raises(ValueError, match="at least 2 rows of features; got 1"):
        moments(few.take([0]), "unbiased")


def test_inception_score_of_known_answers() -> None:
    sure = torch.eye(4, dtype=torch.float64).repeat(5, 1)
    assert inception_score(rows_of(sure), splits=5)[0] == pytest.approx(4)
    unsure = torch.full((20, 4), 0.25, dtype=torch.float64)
    assert inception_score(rows_of(unsure), splits=2) == pytest.approx((1, 0))


def test_rows_take_a_choice_of_a_choice() -> None:
    rows: Rows = rows_of(torch.arange(12.0).view(6, 2))
    assert rows.take([5, 3, 1]).take([2, 0]).all().tolist() == [[2, 3], [10, 11]]


def test_streams_over_blocks_give_what_all_rows_at_once_give(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows on the disk, a few at a time, and no look at all of them together."""
    a, b = features(50, 3, 0).view(50, 3), features(40, 3, 1).view(40, 3)
    chances = torch.softmax(a, 1)
    at_once = kernel_mmd(a.double(), b.double())
    frames_a, frames_b = rows_of(a.view(10, 5, 3)), rows_of(b.view(8, 5, 3))
    subsets = subset_mmd(frames_a, frames_b, 3, 20, seed=0)
    score = inception_score(rows_of(chances), 5)
    monkeypatch.setattr(feature_store, "BLOCK_BYTES", 7 * 3 * 8)  # seven rows
    monkeypatch.delattr(Rows, "all")
    assert len(list(rows_of(a).blocks())) == 8
    assert kernel_mmd(rows_of(a), rows_of(b)) == pytest.approx(at_once, rel=1e-6)
    assert inception_score(rows_of(chances), 5) == pytest.approx(score, rel=1e-12)
    assert subset_mmd(frames_a, frames_b, 3, 20, seed=0) == subsets
    # a subset of all is the estimate over all frames of all clips
    whole = subset_mmd(frames_a, frames_b, 1, 50, seed=0)[0]
    some = kernel_mmd(a.double(), frames_b.flat(torch.arange(40)))
    assert whole != some  # 40 of the 50 frames of the first
    assert frames_a.flat(torch.tensor([7, 0])).tolist() == a.double()[[7, 0]].tolist()
