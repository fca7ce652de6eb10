"""Tables of a tokenizer on the stage: one for each style and weather, on clips kept on the disk."""

from pathlib import Path

import pytest
import torch
from kinetoscope.data.worlds.stage.scene import StageConfig
from kinetoscope.evaluation.stage_tokenizer import stage_tables
from kinetoscope.tokenizer import StackConfig, TokenizerConfig, VideoTokenizer

WORLD = StageConfig(styles=("shaded", "flat"), weathers=("clear", "snow"))


@pytest.fixture(scope="module")
def tokenizer() -> VideoTokenizer:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    stack = StackConfig(width=8, depth=1, kernel=3, spatial=(0,), temporal=(0,))
    return VideoTokenizer(TokenizerConfig(encoder=stack, decoder=stack)).eval()


def test_there_is_a_row_for_each_style_and_weather(
    tokenizer: VideoTokenizer, tmp_path: Path
) -> None:
    tables = stage_tables(tokenizer, str(tmp_path), clips=2, frames=5, size=32, config=WORLD)
    assert list(tables) == ["shaded", "flat", "snow", "all", "codes"]
    quality = [tables[kind]["PSNR dB"] for kind in ("shaded", "flat", "snow")]
    assert tables["all"]["PSNR dB"] == pytest.approx(sum(quality) / 3)
    assert tables["codes"]["codes used"] >= 1
    assert len(list(tmp_path.glob("*/*.safetensors"))) == 3
    again = stage_tables(tokenizer, str(tmp_path), clips=2, frames=5, size=32, config=WORLD)
    assert again == tables


def test_no_clips_are_refused(tokenizer: VideoTokenizer, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="clips must be at least 1; got 0"):
        stage_tables(tokenizer, str(tmp_path), clips=0)
