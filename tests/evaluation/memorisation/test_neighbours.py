"""The nearest training clip is the one that a video was made of."""

from pathlib import Path

import pytest
import torch
from kinetoscope.data.datasets.shards import Shards
from kinetoscope.data.video import to_uint8, write_video
from kinetoscope.evaluation.memorisation.neighbours import (
    Neighbours,
    TrainingClips,
    best_place,
)
from kinetoscope.generator import VideoGenerator
from kinetoscope.tokenizer import VideoTokenizer

from .conftest import CLIPS, LEARNED, MakeShards, random_codes


@pytest.fixture
def neighbours(learned: Path, generator: VideoGenerator) -> Neighbours:
    return Neighbours(Shards(learned), generator.tokenizer)


def test_a_clip_is_nearest_to_itself(neighbours: Neighbours) -> None:
    codes = random_codes(LEARNED)
    for number in range(CLIPS):
        first, second = neighbours.nearest(codes[number], 2)
        assert first.source == f"learned-{number}.mp4"
        assert first.distance < 1e-3 < second.distance
        assert first.licence == "MIT"


def test_a_few_changed_codes_do_not_hide_it(neighbours: Neighbours) -> None:
    codes = random_codes(LEARNED)[3].clone()
    codes[2, 0, :2] = (codes[2, 0, :2] + 5) % 12
    first, second = neighbours.nearest(codes, 2)
    assert first.source == "learned-3.mp4"
    assert first.distance < second.distance / 2


def test_a_part_is_found_where_it_lies(neighbours: Neighbours) -> None:
    part = random_codes(LEARNED)[5][2:]
    found = neighbours.nearest(part)[0]
    assert found.source == "learned-5.mp4"
    # Latent frame 2 begins with frame 5 of a video of 8 frames a second.
    assert found.start == pytest.approx(5 / 8)


def test_clips_that_share_nothing_are_about_one_apart(neighbours: Neighbours) -> None:
    distances = neighbours.between_videos()
    assert len(distances) == CLIPS
    assert 0.2 < sum(distances) / CLIPS < 1.2


def test_the_best_place_is_the_one_that_a_loop_finds() -> None:
    draw = torch.Generator().manual_seed(0)
    short, long = torch.randn(3, 5, generator=draw), torch.randn(8, 5, generator=draw)
    slow = [float((long[at : at + 3] - short).square().mean()) / 2 for at in range(6)]
    distance, place = best_place(short, long)
    assert distance == pytest.approx(min(slow)) and place == slow.index(min(slow))
    assert best_place(long, short) == (pytest.approx(min(slow)), 0)


def test_a_file_is_looked_up(
    tmp_path: Path, make_shards: MakeShards, generator: VideoGenerator
) -> None:
    """Fields of colours that change; their codes are in the shards, one of them in a file."""
    tokenizer = generator.tokenizer
    draw = torch.Generator().manual_seed(0)
    fields = torch.rand(CLIPS, 3, 4, 2, 3, generator=draw) * 2 - 1
    videos = torch.nn.functional.interpolate(fields, (13, 8, 12))
    codes = tokenizer.encode(videos).indices
    folder = make_shards(codes, "fields")
    write_video(tmp_path / "video.mkv", to_uint8(videos[6]), fps=8, crf=0)
    found = TrainingClips(folder, tokenizer).nearest(tmp_path / "video.mkv", 2)
    assert found.neighbours[0].source == "fields-6.mp4"
    assert found.neighbours[0].distance < found.neighbours[1].distance
    assert found.asked == CLIPS and found.least <= found.usual


def test_codes_of_another_tokenizer_are_refused(learned: Path, tiny: VideoTokenizer) -> None:
    with pytest.raises(ValueError, match="are codes of tokenizer debug"):
        Neighbours(Shards(learned), tiny)
