"""Recorded actions reach the latent frame that they lead to, and no earlier one."""

from pathlib import Path

import pytest
import torch
from kinetoscope.generator.conditions import CONDITIONS, Canvas
from kinetoscope.generator.conditions.action_vector import per_latent

VECTOR = CONDITIONS["action_vector"]
NUMBER = CONDITIONS["actions"]


def test_a_latent_frame_gets_the_actions_before_each_of_its_frames() -> None:
    # frame 0 is the first latent frame; frames 1, 2 and 3, 4 are the next ones
    actions = torch.tensor([[[0.0, 10], [1, 11], [2, 12], [3, 13], [4, 14]]])
    features = VECTOR.recorded(actions, 2, 4)
    assert features is not None
    assert features.values[0].tolist() == [[0, 0, 0, 0], [0, 10, 1, 11], [2, 12, 3, 13]]
    assert features.given[0].tolist() == [False, True, True]
    with pytest.raises(ValueError, match=r"2 numbers make 4 in 2 frames, and the model takes 7"):
        VECTOR.recorded(actions, 2, 7)


def test_keys_are_numbers_of_their_own_latent_frame() -> None:
    keys = torch.tensor([[[2.0], [0], [1], [3], [0]]])
    features = NUMBER.recorded(keys, 2, 4)
    assert features is not None
    assert features.values[0].tolist() == [0, 2, 1]
    assert features.given[0].tolist() == [False, True, True]
    with pytest.raises(ValueError, match="actions of this model are 0 to 2; got up to 3"):
        NUMBER.recorded(keys, 2, 3)
    with pytest.raises(ValueError, match="use the condition action_vector=2"):
        NUMBER.recorded(keys + 0.5, 2, 4)
    assert CONDITIONS["regions"].recorded(keys, 2, 4) is None


def test_a_single_frame_has_no_action() -> None:
    for condition, size in ((VECTOR, 6), (NUMBER, 2)):
        features = condition.recorded(torch.ones(2, 1, 3 if size == 6 else 1), 2, size)
        assert features is not None
        assert features.given.tolist() == [[False], [False]]


def test_a_file_of_actions_is_read_for_sampling(tmp_path: Path) -> None:
    (tmp_path / "arm.csv").write_text("0,1\n2,3\n4,5\n6,7\n8,9\n")
    value = VECTOR.parse(str(tmp_path / "arm.csv"), Canvas(8, 8, 12.0, 5, 2))
    expected = per_latent(torch.arange(10.0).view(1, 5, 2), 2)[0]
    assert torch.equal(value, expected)
    with pytest.raises(ValueError, match=r"none.csv not found"):
        VECTOR.parse(str(tmp_path / "none.csv"), Canvas(8, 8, 12.0, 5, 2))
