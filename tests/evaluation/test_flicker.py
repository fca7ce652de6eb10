"""Seams and flicker: each measure finds the fault that it is named after, and nothing where
there is none."""

import math

import pytest
import torch
from kinetoscope.evaluation.flicker import Ratio, Steadiness, border_places, error_jumps
from kinetoscope.tokenizer import VideoTokenizer
from torch import Tensor

K = 4
P = 8
F = 1 + 4 * K
SIDE = 4 * P


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def target() -> Tensor:
    return 0.2 * noise(2, 3, F, SIDE, SIDE)


def measured(video: Tensor, target: Tensor) -> dict[str, float]:
    steadiness = Steadiness(K, P)
    steadiness.update(video, target)
    return steadiness.table()


def test_borders_are_where_groups_begin() -> None:
    # the first latent frame is frame 0, the next one frames 1 to 4
    assert (border_places(10, K, first=1).nonzero().flatten() + 1).tolist() == [1, 5, 9]
    assert (border_places(24, P, first=0).nonzero().flatten() + 1).tolist() == [8, 16]


def test_an_error_that_ignores_the_grid_has_no_seam(target: Tensor) -> None:
    table = measured(target + 0.1 * noise(2, 3, F, SIDE, SIDE, seed=1), target)
    assert table["seam between latent frames"] == pytest.approx(1, abs=0.02)
    assert table["seam between patches"] == pytest.approx(1, abs=0.02)


def test_an_offset_per_latent_frame_is_a_seam_in_time_alone(target: Tensor) -> None:
    video = target + 0.01 * noise(2, 3, F, SIDE, SIDE, seed=1)
    video += (
        0.1 * noise(2, 1, 1 + (F - 1) // K, 1, 1, seed=2).repeat_interleave(K, dim=2)[:, :, K - 1 :]
    )
    table = measured(video, target)
    assert table["seam between latent frames"] > 4
    assert table["seam between patches"] == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("axis", [3, 4])
def test_an_offset_per_patch_is_a_seam_in_space_alone(target: Tensor, axis: int) -> None:
    video = target + 0.01 * noise(2, 3, F, SIDE, SIDE, seed=1)
    shape = [2, 1, 1, 1, 1]
    shape[axis] = SIDE // P
    video += 0.1 * noise(*shape, seed=2).repeat_interleave(P, dim=axis)
    table = measured(video, target)
    assert table["seam between patches"] > 3
    assert table["seam between latent frames"] == pytest.approx(1, abs=0.02)


def test_flicker_is_counted_in_still_cells_and_everywhere(target: Tensor) -> None:
    target[..., : 2 * P] = target[:, :, :1, :, : 2 * P]  # the left half stands still
    table = measured(target, target)
    assert table["flicker, of the video's own change"] == 1
    assert table["flicker of still cells, of 255"] == table["the video's own change there"] == 0
    video = target.clone()
    video[:, :, 1::2] += 2 / 255  # one grey level up and down
    table = measured(video, target)
    assert table["flicker of still cells, of 255"] == pytest.approx(1, rel=1e-4)
    assert table["the video's own change there"] == 0
    assert table["flicker, of the video's own change"] > 1


def test_moving_cells_do_not_count_as_still(target: Tensor) -> None:
    table = measured(target + 0.1 * noise(2, 3, F, SIDE, SIDE, seed=1), target)
    assert math.isnan(table["flicker of still cells, of 255"])


@pytest.mark.parametrize("size", [(1, 9, 9), (3, 4, 20), (7, 16, 5)])
def test_any_size_is_taken(size: tuple[int, int, int]) -> None:
    target = 0.2 * noise(1, 3, *size)
    table = measured(target + 0.1 * noise(1, 3, *size, seed=1), target)
    assert table.keys() == Steadiness(K, P).table().keys()


def test_clips_add_up(target: Tensor) -> None:
    video = target + 0.1 * noise(2, 3, F, SIDE, SIDE, seed=1)
    one_by_one = Steadiness(K, P)
    for row in range(2):
        one_by_one.update(video[row : row + 1], target[row : row + 1])
    numbers = measured(video, target)
    assert one_by_one.table() == pytest.approx(numbers, rel=1e-6, nan_ok=True)


def chunk_seam(streamed: Tensor, whole: Tensor, target: Tensor, lengths: list[int]) -> float:
    steadiness = Steadiness(K, P)
    steadiness.update_chunks(streamed, whole, target, lengths)
    return steadiness.table()["seam between streamed chunks"]


def test_chunks_that_drift_apart_have_seams(target: Tensor) -> None:
    whole = target + 0.01 * noise(2, 3, F, SIDE, SIDE, seed=1)
    lengths = [5, 8, 4]
    assert chunk_seam(whole, whole, target, lengths) == 1
    drift = torch.tensor([0.0, 0.1, 0.2]).repeat_interleave(torch.tensor(lengths))
    assert chunk_seam(whole + drift.view(1, 1, F, 1, 1), whole, target, lengths) > 4


def test_a_stream_of_ours_has_none(tiny: VideoTokenizer) -> None:
    target = (0.5 * noise(2, 3, 16, 8, 8)).clamp(-1, 1)
    codes = tiny.encode(target)
    chunks = list(tiny.stream_decode(codes.indices.split(2, dim=1)))
    lengths = [chunk.shape[2] for chunk in chunks]
    assert chunk_seam(
        torch.cat(chunks, dim=2), tiny.decode(codes), target, lengths
    ) == pytest.approx(1, abs=1e-4)


def test_a_ratio_of_nothing_is_not_a_number() -> None:
    ratio = Ratio()
    assert math.isnan(ratio.value)
    ratio.add(torch.ones(3), torch.zeros(3))
    assert math.isnan(ratio.value) and ratio.means == (1, 0)
    ratio.add(torch.ones(3), torch.ones(1))
    assert ratio.value == 4


def test_only_differences_of_errors_count(target: Tensor) -> None:
    assert error_jumps(target + 0.5, target, axis=2).max() < 1e-6
