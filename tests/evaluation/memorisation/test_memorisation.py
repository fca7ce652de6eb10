"""A model that knows its clips by heart is found out, and one that knows nothing is not."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from kinetoscope.app.cli.main import main
from kinetoscope.data.datasets.shards import Shards
from kinetoscope.evaluation.memorisation.membership import area, found_at, membership_curve
from kinetoscope.evaluation.memorisation.replay import (
    caption_states,
    clip_bits,
    continued,
    copied_share,
)
from kinetoscope.evaluation.memorisation.report import Settings, evaluate_memorisation
from kinetoscope.generator import SamplingParams, VideoGenerator
from kinetoscope.generator.model.codebooks import Codebooks
from kinetoscope.generator.model.decoder import Decoder
from torch import Tensor, nn

from .conftest import CLIPS, LEARNED, UNSEEN, random_codes


def test_bits_are_those_of_the_loss(generator: VideoGenerator) -> None:
    codes = random_codes(UNSEEN, 2)
    captions = ["a red ball", ""]
    text = caption_states(generator, captions)
    with torch.no_grad():
        logits = generator.decoder(codes, *text)
    for row, bits in enumerate(clip_bits(generator, codes, captions)):
        nats = nn.functional.cross_entropy(logits[row, 1:].flatten(0, 1), codes[row, 1:].flatten())
        assert bits == pytest.approx(float(nats) / math.log(2), rel=1e-4)


def test_cells_of_several_codes(generator: VideoGenerator) -> None:
    torch.manual_seed(0)
    books = Codebooks.of(generator.tokenizer, block=2)
    config = replace(
        generator.decoder.config,
        vocab_size=books.vocab_size,
        levels=books.levels(generator.decoder.config.levels),
        codebooks=books.count,
        block=books.block,
        grid=(1, 2),
    )
    several = VideoGenerator(Decoder(config), generator.tokenizer, generator.text).eval()
    codes = torch.randint(0, 12, (2, 3, 1, 2, 4))
    with torch.no_grad():
        logits = several.decoder(codes, *caption_states(several, ["", ""]))
    nats = nn.functional.cross_entropy(logits[:, 1:].flatten(0, -2), codes[:, 1:].flatten())
    measured = clip_bits(several, codes, ["", ""])
    assert sum(measured) / 2 == pytest.approx(float(nats) / math.log(2), rel=1e-4)
    drawn = continued(several, codes, ["", ""])
    assert drawn.shape == codes.shape and torch.equal(drawn[:, 0], codes[:, 0])
    assert copied_share(codes[0], codes[0]) == 1


def test_a_continuation_begins_with_what_is_given(generator: VideoGenerator) -> None:
    codes = random_codes(UNSEEN, 2)
    drawn = continued(generator, codes, ["", "a blue cube"])
    assert drawn.shape == codes.shape
    assert torch.equal(drawn[:, 0], codes[:, 0])
    warm = SamplingParams(guidance=1.0, temperature=1.0)
    assert not torch.equal(continued(generator, codes, ["", ""], warm, 1), drawn)


def test_only_what_changes_can_be_copied() -> None:
    true = torch.tensor([[[0, 1, 2]], [[0, 5, 6]], [[0, 5, 2]]])
    drawn = torch.tensor([[[0, 1, 2]], [[9, 5, 2]], [[0, 5, 2]]])
    assert copied_share(true, drawn) == pytest.approx(2 / 3)
    assert copied_share(true, true) == 1
    assert math.isnan(copied_share(true[:1].expand(3, -1, -1), drawn))


def test_the_curve_of_sets_that_are_apart_and_of_equal_ones() -> None:
    apart = membership_curve([1.0, 2.0], [3.0, 4.0])
    assert area(apart) == 1 and found_at(apart, 0.01) == 1
    equal = membership_curve([1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0, 4.0])
    assert area(equal) == pytest.approx(0.5) and found_at(equal, 0.25) == 0.25
    assert apart[0] == (0, 0) and apart[-1] == (1, 1)


@pytest.fixture(scope="module")
def saved(parrot: VideoGenerator, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("parrot")
    parrot.save_pretrained(folder, half=False)
    return folder


def test_clips_that_are_known_by_heart_are_listed(
    saved: Path,
    learned: Path,
    never_seen: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = ["evaluate", str(saved), "--memorisation", str(learned)]
    arguments += ["--unseen", str(never_seen), "--prompts", "8"]
    arguments += ["--json", str(tmp_path / "tables.json"), "--sheet", str(tmp_path / "sheet.png")]
    main(arguments)
    result = json.loads((tmp_path / "tables.json").read_text())
    tables = result["tables"]
    assert tables["training clips"]["bits per code"] < 0.2
    assert tables["training clips"]["copied share of what moves"] > 0.9
    assert tables["never-seen clips"]["bits per code"] > 1
    assert tables["membership by bits"]["area under the curve (0.5: none)"] == 1
    assert tables["given back"]["training clips"] >= CLIPS - 1
    assert len(result["given back"]) == tables["given back"]["training clips"]
    assert result["given back"][0]["nearest"] == result["given back"][0]["source"]
    assert capsys.readouterr().out.count("given back: learned-") >= CLIPS - 1
    assert (tmp_path / "sheet.png").stat().st_size > 0


def test_a_network_of_the_user_says_what_is_near(
    saved: Path, learned: Path, never_seen: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["evaluate", str(saved), "--memorisation", str(learned), "--prompts", "4"]
    arguments += ["--unseen", str(never_seen), "--json", str(tmp_path / "tables.json")]
    main([*arguments, "--network", f"{__name__}:Thumbnail"])
    result = json.loads((tmp_path / "tables.json").read_text())
    assert result["network"]["name"].endswith("Thumbnail")
    assert result["given back"][0]["nearest"] == result["given back"][0]["source"]
    by_heart = result["tables"]["training clips"]["continuation to the clip"]
    assert by_heart < 0.2 < result["tables"]["never-seen clips"]["continuation to the clip"]
    with pytest.raises(ValueError, match=r"one row of features for each picture, \[4, D\]"):
        evaluate_memorisation(
            str(saved), str(learned), Settings(str(never_seen), network=f"{__name__}:Flat")
        )
    assert main(["evaluate", str(saved), "--network", "x.pt"]) == 2
    assert "--network belong to --memorisation SHARDS" in capsys.readouterr().err


class Thumbnail(nn.Module):
    """Sees pictures uint8 [N, 3, Y, X] as 4 x 6 dots."""

    def forward(self, pictures: Tensor) -> Tensor:
        return nn.functional.adaptive_avg_pool2d(pictures.float(), (4, 6)).flatten(1)


class Flat(nn.Module):
    def forward(self, pictures: Tensor) -> Tensor:
        return pictures.float().mean()


def test_a_model_that_learned_nothing_gives_nothing_back(
    generator: VideoGenerator, learned: Path, never_seen: Path, tmp_path: Path
) -> None:
    generator.save_pretrained(tmp_path / "model", half=False)
    settings = Settings(unseen=str(never_seen))
    tables = evaluate_memorisation(str(tmp_path / "model"), str(learned), settings)
    assert 0.1 < tables["membership by bits"]["area under the curve (0.5: none)"] < 0.9
    # Each clip may be listed by chance once in nine times.
    assert tables["given back"]["training clips"] <= 3


def test_held_out_clips_are_the_never_seen_ones(saved: Path, learned: Path) -> None:
    tables = evaluate_memorisation(str(saved), str(learned), Settings(held_out=0.25))
    assert tables["training clips"]["clips"] == 6
    assert tables["never-seen clips"]["clips"] == 2


def test_mistakes_are_said(saved: Path, learned: Path) -> None:
    with pytest.raises(ValueError, match="8 videos are in both folders"):
        evaluate_memorisation(str(saved), str(learned), Settings(unseen=str(learned)))
    with pytest.raises(ValueError, match="name shards of other videos with --unseen"):
        evaluate_memorisation(str(saved), str(learned), Settings(held_out=0.0))
    with pytest.raises(ValueError, match="clips must be at least 1; got 0"):
        Settings(clips=0)
    assert len(Shards(learned)) == len(random_codes(LEARNED))
