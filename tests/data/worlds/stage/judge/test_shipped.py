"""The judge of pictures that ships reads what renders show."""

import pytest
from kinetoscope.data.worlds.stage.judge.fit import held_out
from kinetoscope.data.worlds.stage.judge.pixels import PixelJudge, calibrate
from kinetoscope.data.worlds.stage.scene import StageConfig


@pytest.mark.slow
def test_it_reads_clips_that_it_never_saw() -> None:
    """A floor under what its card says of 128 clips: whoever reads nothing is far below."""
    clips = held_out(16, StageConfig(max_objects=1))
    found = calibrate(PixelJudge.from_pretrained(), clips)
    for name in ("ground", "time", "weather", "style", "place"):
        assert found[name] > 0.9, name
    for name in ("colour", "shape", "material"):
        assert found[name] > 0.7, name
    assert found["count"] > 0.8
