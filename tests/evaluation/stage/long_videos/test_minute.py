"""Features of a minute's beginning and end, beside those of renders."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from kinetoscope.data.worlds.stage.captions import Attributes, Thing
from kinetoscope.data.worlds.stage.judge.pixels import PixelJudge
from kinetoscope.evaluation.stage.asked import Asked, OfScenes
from kinetoscope.evaluation.stage.long_videos import minute
from kinetoscope.evaluation.stage.long_videos.features import distance, frame_features
from kinetoscope.evaluation.stage.long_videos.minute import Minute, summary
from kinetoscope.evaluation.stage.obedience import CEILING, GENERATED, Obedience
from kinetoscope.evaluation.stage.rows import Progress


def test_distance_is_that_of_gaussians() -> None:
    draw = torch.Generator().manual_seed(0)
    one = torch.randn(4000, 3, generator=draw)
    assert distance(one, one) == pytest.approx(0, abs=1e-6)
    assert distance(one, one + torch.tensor([2.0, 0.0, 0.0])) == pytest.approx(4, abs=1e-3)
    assert distance(one, 3 * one) == pytest.approx(3 * 4, rel=0.1)


def test_features_are_of_every_fourth_frame_and_of_what_it_shows() -> None:
    torch.manual_seed(0)
    judge = PixelJudge().eval()
    video = torch.zeros(1, 3, 33, 64, 64, dtype=torch.uint8)
    video[:, :, 4] = 200
    video[:, :, 5:8] = 90
    features = frame_features(judge, video)
    assert features.shape == (9, 96)
    assert torch.equal(features[0], features[2])
    assert not torch.allclose(features[0], features[1])


def test_the_end_of_a_minute_is_farther_from_renders_where_it_is_worse(
    grey: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(minute, "SECONDS", (0, 1))
    monkeypatch.setattr(minute, "ENDS", {"start": 0, "end": 1})
    monkeypatch.setattr(minute, "READ_FRAMES", 9)
    torch.manual_seed(0)
    network = PixelJudge().eval()
    reading = SimpleNamespace(things=())
    judge: Any = SimpleNamespace(
        frame=network.frame, config=network.config, read=lambda video: [reading]
    )

    class Fading(grey):  # type: ignore[misc]
        """Darker and darker."""

        def generate(self, captions: Any, frames: int, seeds: Any, params: Any) -> Any:
            video = super().generate(captions, 24, seeds, params)
            video += 0.1 * torch.randn(video.shape, generator=torch.Generator().manual_seed(1))
            return video - torch.arange(24)[:, None, None] / 24

    scenes = OfScenes(minute.CONFIG, 0, 24)

    def asked(numbers: Any) -> Asked:
        said = Attributes((Thing(0, 0, 0, -1, -1),))
        return Asked(["a ball"] * len(numbers), [said] * len(numbers), scenes(numbers).scenes)

    progress = Progress({})
    Minute(Obedience(judge, Fading(), asked, size=16))(progress, range(3))
    assert progress.votes[GENERATED].keys() == {"after 0 s", "after 1 s"}
    assert len(progress.numbers[GENERATED]["start 0"]) == 3 * 3
    assert progress.numbers.keys() == {GENERATED, CEILING}
    lines = summary(progress.numbers)
    start, end, ratio = lines.values()
    assert ratio == pytest.approx(end / start) and start > 0
    same = summary({GENERATED: progress.numbers[CEILING], CEILING: progress.numbers[CEILING]})
    assert list(same.values())[:2] == pytest.approx([0, 0], abs=1e-3)
    assert summary({}) == {}
