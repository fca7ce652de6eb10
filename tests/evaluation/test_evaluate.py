"""The tables of `evaluate`: what they are made of, with a tiny untrained model and with one that
obeys perfectly."""

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from kinetoscope.data.video import to_float
from kinetoscope.data.video.write import write_video
from kinetoscope.data.worlds.physics.captions import Attributes, attributes, sentence
from kinetoscope.data.worlds.physics.clips import HELD_OUT_SEED
from kinetoscope.data.worlds.physics.judge.judge import Judge
from kinetoscope.data.worlds.physics.render import render
from kinetoscope.data.worlds.physics.scene import (
    COLOURS,
    MOTIONS,
    SHAPES,
    PhysicsConfig,
    sample_scenes,
)
from kinetoscope.evaluation import long_clips as evaluate_drift
from kinetoscope.evaluation import prompts as module
from kinetoscope.evaluation import tokenizer as evaluate_tokenizer
from kinetoscope.evaluation.caption_bits import SWAPS, UNSEEN, extra_bits, swapped_captions
from kinetoscope.generator import SamplingParams, VideoGenerator
from kinetoscope.generator.model.decoder import Decoder, DecoderConfig
from kinetoscope.tokenizer import QuantizerConfig, StackConfig, TokenizerConfig, VideoTokenizer
from torch import Tensor

RED, BLUE = (COLOURS.index(name) for name in ("red", "blue"))
BALL, CUBE = (SHAPES.index(name) for name in ("ball", "cube"))
FALLS = MOTIONS.index("falls")
WIDTH = 8


class TinyText(torch.nn.Module):
    """A state per word, by its letters."""

    dim = WIDTH

    def encode(self, captions: Sequence[str], limit: int | None = None) -> tuple[Tensor, Tensor]:
        words = [caption.split() for caption in captions]
        longest = max(map(len, words))
        states = torch.zeros(len(captions), longest, WIDTH)
        mask = torch.zeros(len(captions), longest, dtype=torch.bool)
        for row, line in enumerate(words):
            mask[row, : len(line)] = True
            for column, word in enumerate(line):
                generator = torch.Generator().manual_seed(
                    sum(ord(c) * 31**i for i, c in enumerate(word))
                )
                states[row, column] = torch.randn(WIDTH, generator=generator)
        return states, mask


@pytest.fixture(scope="module")
def tiny() -> VideoGenerator:
    """Random weights; videos of 64 x 64 pixels, 16 codes per latent frame."""
    torch.manual_seed(0)
    stack = StackConfig(width=8, depth=1, spatial=(), temporal=())
    quantizer = QuantizerConfig("FSQ", {"levels": [4, 4]})
    sizes = TokenizerConfig(
        patch=16, encoder=stack, decoder=stack, refine_channels=0, quantizer=quantizer
    )
    decoder = Decoder(
        DecoderConfig(16, text_dim=WIDTH, grid=(4, 4), dim=16, layers=1, heads=2, kv_heads=1)
    )
    for parameter in decoder.parameters():  # a fresh decoder does not read its caption yet
        torch.nn.init.normal_(parameter, std=0.3)
    return VideoGenerator(decoder, VideoTokenizer(sizes), TinyText()).eval()


def world_as_sampler(world: PhysicsConfig) -> Any:
    """Draws the scenes that the captions were written from."""

    def sample(captions: Sequence[str], frames: int, seed: int) -> Tensor:
        seeds = range(HELD_OUT_SEED + seed, HELD_OUT_SEED + seed + len(captions))
        return render(sample_scenes(seeds, frames, world), samples=1)[0]

    return sample


@pytest.fixture(scope="module")
def judge() -> Judge:
    return Judge.from_pretrained()


def test_a_swapped_caption_differs_where_it_should() -> None:
    truth = Attributes(
        ((RED, BALL, 1, FALLS), (BLUE, CUBE, -1, 0)), camera=0, time=0, collides=False
    )
    swapped = swapped_captions(truth, seed=5)
    assert set(swapped) == set(SWAPS) - {"collision"}
    true = sentence(truth, 5)[0].split()
    for name in ("colour", "shape", "size"):
        assert sum(a != b for a, b in zip(true, swapped[name].split(), strict=True)) == 1, name
    assert (
        swapped["binding"]
        == sentence(replace(truth, objects=((BLUE, BALL, 1, FALLS), (RED, CUBE, -1, 0))), 5)[0]
    )
    crash = Attributes(((RED, BALL, 1, 2), (BLUE, CUBE, -1, 0)), camera=0, time=0, collides=True)
    assert {"motion", "count"}.isdisjoint(
        swapped_captions(crash, 5)
    ) and "collision" in swapped_captions(crash, 5)


def test_swaps_tell_a_lie_and_name_no_unseen_pair() -> None:
    seeds = range(HELD_OUT_SEED, HELD_OUT_SEED + 300)
    scenes = sample_scenes(seeds, 9, PhysicsConfig(hold_out=True))
    for truth in attributes(scenes):
        for swap in SWAPS.values():
            wrong = swap(truth)
            assert wrong is None or wrong != truth
            assert wrong is None or not UNSEEN & {thing[:2] for thing in wrong.objects}
            assert wrong is None or len({thing[0] for thing in wrong.objects}) == len(wrong.objects)


def test_extra_bits_are_what_the_lie_costs() -> None:
    truth = Attributes(((RED, BALL, -1, 0),), camera=0, time=0, collides=False)

    def bits_of(captions: Sequence[str]) -> list[float]:
        return [100.0 if caption == captions[0] else 108.0 for caption in captions]

    extra = extra_bits(truth, 1, (), bits_of)
    assert set(extra.values()) == {8.0} and {"colour", "shape", "motion", "camera", "time"} == set(
        extra
    )


@torch.inference_mode()
def test_clip_bits_do_not_depend_on_the_batch(tiny: VideoGenerator) -> None:
    codes = torch.randint(16, (3, 4, 4))
    captions = ["a red ball", "a blue cube slides to the left, at night"]
    together = module.clip_bits(tiny, codes, captions)
    alone = [module.clip_bits(tiny, codes, [caption])[0] for caption in captions]
    assert together == pytest.approx(alone, rel=1e-5)
    assert together[0] != pytest.approx(together[1], rel=1e-4)
    assert together[0] > 0.5 * 3 * 16  # no model knows random codes


def test_a_generator_that_obeys_gets_full_marks_and_another_does_not(judge: Judge) -> None:
    world = PhysicsConfig(hold_out=True)
    first = HELD_OUT_SEED + 123
    table = module.obedience_table(world_as_sampler(world), judge, world, first, 6, 13)
    assert (
        min(table[name] for name in ("objects", "count", "time")) == 1.0 and table["all"] >= 0.8
    ), table
    table = module.obedience_table(
        world_as_sampler(PhysicsConfig(only_held_out=True)), judge, world, first, 6, 13
    )
    assert table["objects"] <= 0.2 and table["all"] == 0.0, table


def test_every_table_is_made_and_written(
    tiny: VideoGenerator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Any
) -> None:
    monkeypatch.setattr(module, "tokenizer_alone", lambda name: False)
    monkeypatch.setattr(module.VideoGenerator, "from_pretrained", lambda name: tiny)
    monkeypatch.setattr(evaluate_drift, "REFERENCE_FRAMES", 12)
    file = tmp_path / "numbers.json"
    report = module.evaluate(
        "physics-64", prompts=3, frames=9, long_prompts=2, long_frames=11, json=str(file)
    )
    assert json.loads(file.read_text())["tables"] == report
    assert report["same seed, same video"] == {
        "called twice": 1.0,
        "in a batch": 1.0,
        "as a stream": 1.0,
    }
    for title in (
        "prompt obeyed, any motions",
        "judge on renders",
        "judge on renders, any motions",
    ):
        assert set(report[title]) == set(report["prompt obeyed"])
    assert report["prompt obeyed"]["all"] == 0.0
    assert report["long clips"].keys() == report["renders as long"].keys()
    assert len(report["bits per token by age of the past"]) == 5
    assert report["tokenizer"]["bits per pixel"] == pytest.approx(4 * 3 * 16 / (9 * 64 * 64))
    printed = capsys.readouterr().out
    assert (
        "PSNR dB" in printed
        and "(target 36)" in printed
        and "extra bits with a word swapped" in printed
    )


def test_drift_can_be_measured_alone(tiny: VideoGenerator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "tokenizer_alone", lambda name: name == "tokenizer")
    monkeypatch.setattr(module.VideoGenerator, "from_pretrained", lambda name: tiny)
    monkeypatch.setattr(evaluate_drift, "REFERENCE_FRAMES", 2)
    report = module.evaluate("model", long_prompts=2, long_frames=9, drift=True)
    assert list(report) == [
        "long clips",
        "renders as long",
        "bits per token by age of the past",
        "run",
    ]
    with pytest.raises(ValueError, match="long_prompts must be at least 2"):
        module.evaluate("model", long_prompts=0, drift=True)
    with pytest.raises(ValueError, match="'tokenizer' is a tokenizer, which does not drift"):
        module.evaluate("tokenizer", drift=True)


def test_long_clips_of_the_world_itself_score_like_renders(
    judge: Judge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluate_drift, "REFERENCE_FRAMES", 12)
    tables = evaluate_drift.long_tables(
        world_as_sampler(PhysicsConfig(hold_out=True)), judge, 1, 3, 40
    )
    own = tables["long clips"]
    real = tables["renders as long"]
    assert (
        own["named objects at frame 33"]
        == own["named objects at frame 40"]
        == 1.0
        == real["named objects at frame 40"]
    )
    assert own["clips with objects nobody named"] == 0.0
    assert own["distance at frame 40"] == pytest.approx(real["distance at frame 40"], rel=0.3)


def test_a_world_that_fades_is_found_out(judge: Judge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluate_drift, "REFERENCE_FRAMES", 12)
    world = world_as_sampler(PhysicsConfig(hold_out=True))

    def fading(captions: Sequence[str], frames: int, seed: int) -> Tensor:
        left = torch.linspace(1, 0, frames)[:, None, None]
        return (world(captions, frames, seed) * left + 128 * (1 - left)).to(torch.uint8)

    tables = evaluate_drift.long_tables(fading, judge, 1, 3, 40)
    own = tables["long clips"]
    real = tables["renders as long"]
    assert own["named objects at frame 40"] == 0.0
    for name in ("distance at frame 40", "last 16 frames from first 16"):
        assert own[name] > 2 * real[name], name


@torch.inference_mode()
def test_bits_by_age_are_those_of_held_out_clips(
    tiny: VideoGenerator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluate_tokenizer, "BATCH", 2)  # the mean is over clips, not over batches
    table = evaluate_drift.bits_table(tiny, SamplingParams(), 5, 3)
    assert list(table) == [f"{age} latent frames of its own" for age in (0, 1, 2, 4, 8)]
    bits = []
    for batch in evaluate_tokenizer.held_out_batches(
        evaluate_drift.PAST_SEED + 5, 3, 33, evaluate_drift.SEEN
    ):
        codes = tiny.tokenizer.encode(to_float(batch["video"])).indices
        logits = tiny.decoder(codes, *tiny.text.encode(batch["caption"]))[:, -1]
        nats = torch.nn.functional.cross_entropy(
            logits.flatten(0, 1), codes[:, -1].flatten(), reduction="none"
        )
        bits.append(nats.view(len(codes), -1).mean(1) / math.log(2))
    assert table["0 latent frames of its own"] == pytest.approx(
        float(torch.cat(bits).mean()), rel=1e-4
    )


def test_a_tokenizer_alone_gets_its_own_tables(
    tiny: VideoGenerator, tmp_path: Path, capsys: Any
) -> None:
    (tmp_path / "clips").mkdir()
    clip = torch.randint(256, (3, 12, 40, 48), dtype=torch.uint8)
    write_video(tmp_path / "clips" / "noise.mp4", clip, fps=10)
    tiny.tokenizer.save_pretrained(tmp_path / "model" / "tokenizer")
    for folder in ("model", "model/tokenizer"):
        report = module.evaluate(
            str(tmp_path / folder), 3, 9, size=32, real_clips=str(tmp_path / "clips")
        )
        steady = "seams and flicker"
        assert list(report) == [
            "tokenizer",
            f"tokenizer, {steady}",
            "real clips",
            f"real clips, {steady}",
            "run",
        ]
    assert report["tokenizer"]["bits per pixel"] == pytest.approx(4 * 3 * 4 / (9 * 32 * 32))
    assert report["real clips"]["clips"] == 1
    assert report["real clips"].keys() - report["tokenizer"].keys() == {"clips"}
    assert report[f"tokenizer, {steady}"]["seam between streamed chunks"] == pytest.approx(
        1, abs=1e-4
    )
    assert "(target" not in capsys.readouterr().out  # only shipped models have targets


def test_real_clips_of_some_sources_only(tiny: VideoGenerator, tmp_path: Path) -> None:
    for name in ("kept/a", "kept/b", "held out/c"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write_video(
            tmp_path / f"{name}.mp4", torch.randint(256, (3, 9, 32, 32), dtype=torch.uint8), fps=10
        )
    tables = evaluate_tokenizer.real_tables(
        tiny.tokenizer, str(tmp_path), 9, 32, "held out/*, */b.mp4"
    )
    assert tables["real clips"]["clips"] == 2


def test_a_model_without_either_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds no tokenizer"):
        module.evaluate(str(tmp_path))


def test_every_rate_has_a_table() -> None:
    torch.manual_seed(0)
    stack = StackConfig(width=8, depth=1, spatial=(), temporal=())
    quantizer = QuantizerConfig("ResidualFSQ", {"levels": [4, 4], "num_quantizers": 3})
    tokenizer = VideoTokenizer(
        TokenizerConfig(patch=16, encoder=stack, decoder=stack, quantizer=quantizer)
    ).eval()
    quality = evaluate_tokenizer.Quality(tokenizer)
    quality.add(2 * torch.rand(1, 3, 9, 32, 32) - 1)
    tables = quality.tables("t")
    bits = [
        tables[title]["bits per pixel"]
        for title in ("t, 1 of 3 codebooks", "t, 2 of 3 codebooks", "t")
    ]
    assert bits == pytest.approx([4 * 4 * 3 / (9 * 32 * 32) * rate for rate in (1, 2, 3)])
    assert "code perplexity, codebook 3" in tables["t"]


def test_mistakes_are_named_before_anything_is_loaded(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="prompts=1"):
        module.evaluate(prompts=1)
    with pytest.raises(ValueError, match="frames=4"):
        module.evaluate(frames=4)
    with pytest.raises(ValueError, match="does not exist"):
        module.evaluate(json=str(tmp_path / "nowhere" / "numbers.json"))
