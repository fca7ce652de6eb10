"""`evaluate generator`: numbers that follow from the model, samples that stay, a run that goes
on."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from kinetoscope.app.cli.main import main
from kinetoscope.data.video import read_clip, to_float, to_uint8
from kinetoscope.evaluation.generator import samples as sampling_module
from kinetoscope.evaluation.generator.kept import write_exactly
from kinetoscope.evaluation.generator.measure import (
    GeneratorSettings,
    evaluate_generator,
    format_generator,
)
from kinetoscope.evaluation.generator.samples import Sampling
from kinetoscope.evaluation.protocols import Protocol
from kinetoscope.generator import VideoGenerator
from torch.nn import functional

PROTOCOL = Protocol(frames=9, network_size=32)
SETTINGS = {"guidance": 1.5, "temperature": 1.0, "min_p": 0.0}
Evaluate = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def model(generator: VideoGenerator, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    generator.save_pretrained(folder, half=False)
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, make_set: Callable[..., Path]) -> Path:
    """Four videos of two classes."""
    root = tmp_path_factory.mktemp("data")
    for label, first in (("ball", 0), ("cube", 50)):
        make_set(root / label, count=2, frames=9, first=first)
    return root


@pytest.fixture
def run(model: Path, data: Path, tmp_path: Path) -> Evaluate:
    def go(out: str = "out", **changes: Any) -> dict[str, Any]:
        settings = {
            "data": str(data),
            "model": str(model),
            "out": str(tmp_path / out),
            "protocol": PROTOCOL,
            "sampling": Sampling(9, settings=SETTINGS),
            "halves": 0,
            "cache": str(tmp_path / "kept"),
            "device": "cpu",
        }
        return evaluate_generator(GeneratorSettings(**settings | changes))

    return go


def test_bits_are_those_of_the_decoder(run: Evaluate, model: Path, data: Path) -> None:
    row = run()["generator"]
    generator = VideoGenerator.from_pretrained(model)
    H, W = generator.size
    bits = []
    other = []
    for path in sorted(data.glob("*/*.mp4")):
        # 20 x 24 pixels are scaled to cover 8 x 12, and the middle is kept
        video = read_clip(path).video[:, :9].transpose(0, 1).float()
        small = functional.interpolate(video, (10, 12), mode="bilinear")[:, :, 1:9]
        pixels = small.round().to(torch.uint8).transpose(0, 1)[None]
        codes = generator.tokenizer.encode(to_float(pixels)).indices[..., :W]
        for caption, kept in ((path.parent.name, bits), ("ball cube", other)):
            said = caption if kept is bits else {"ball": "cube", "cube": "ball"}[path.parent.name]
            text, mask = generator.text.encode([said], 6)
            with torch.inference_mode():
                logits = generator.decoder(codes, text, mask)
            nats = functional.cross_entropy(logits.flatten(0, 2), codes.flatten(), reduction="sum")
            kept.append(float(nats) / np.log(2))
    tokens = 4 * codes.numel()
    assert row["bits per token"] == pytest.approx(sum(bits) / tokens, rel=1e-4)
    assert row["bits per pixel"] == pytest.approx(sum(bits) / (4 * 9 * H * W), rel=1e-4)
    extra = row["extra bits per clip, another clip's caption"]
    assert extra == pytest.approx((sum(other) - sum(bits)) / 4, rel=1e-3, abs=1e-4)
    assert "extra bits per clip, without caption" in row


def test_nothing_depends_on_the_batch_and_samples_are_kept_exactly(
    run: Evaluate, tmp_path: Path, i3d: str, model: Path
) -> None:
    networks = {"video": i3d}
    one = run("one", batch=1, networks=networks, sampling=Sampling(18, settings=SETTINGS))
    four = run("four", batch=4, networks=networks, sampling=Sampling(18, settings=SETTINGS))
    for name in ("bits per token", "extra bits per clip, another clip's caption"):
        assert one["generator"][name] == pytest.approx(four["generator"][name], rel=1e-4)
    assert one["fvd"] == pytest.approx(four["fvd"], rel=1e-4)
    files = sorted((tmp_path / "one/samples").glob("*.mkv"))
    assert len(files) == 4
    for path in files:
        assert torch.equal(
            read_clip(path).video, read_clip(tmp_path / "four/samples" / path.name).video
        )
    # a sample is what the model gives for this caption and seed
    generator = VideoGenerator.from_pretrained(model)
    alone = to_uint8(generator.generate("cube", 18, 2, generator.params(**SETTINGS)))[0]
    assert torch.equal(read_clip(files[2]).video, alone)
    lengths = one["distance over the length"]
    assert list(lengths) == ["frames 1 to 9", "frames 10 to 18"]
    assert lengths["frames 1 to 9"] == pytest.approx(one["fvd"], rel=1e-5)
    assert (tmp_path / "one/sheet.png").stat().st_size > 1000
    assert "bits per token" in format_generator(one)


def test_predictions_go_on_from_given_frames(run: Evaluate, tmp_path: Path) -> None:
    # five frames are two latent frames of this model
    result = run(sampling=Sampling(9, 5, 3, settings=SETTINGS))
    row = result["predictions"]
    assert row["psnr, best of 3"] > row["psnr"]
    assert row["ssim, best of 3"] >= row["ssim"]
    assert result["conditions"]["given frames"] == 5
    assert len(list((tmp_path / "out/samples").glob("*.mkv"))) == 12
    first = read_clip(sorted((tmp_path / "out/samples").glob("*.mkv"))[0]).video
    second = read_clip(sorted((tmp_path / "out/samples").glob("*.mkv"))[1]).video
    assert torch.equal(first[:, :5], second[:, :5])
    assert not torch.equal(first[:, 5:], second[:, 5:])


def test_a_killed_run_goes_on_and_another_plan_is_refused(
    run: Evaluate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run("whole")
    write = sampling_module.write_exactly
    count = 0

    def dying(path: Path, *rest: Any) -> None:
        nonlocal count
        if path.parent.name == "samples":
            count += 1
            if count == 3:
                raise KeyboardInterrupt
        write(path, *rest)

    monkeypatch.setattr(sampling_module, "write_exactly", dying)
    with pytest.raises(KeyboardInterrupt):
        run(batch=2)
    monkeypatch.setattr(sampling_module, "write_exactly", write)
    rest = run(batch=2)
    assert rest["speed"]["videos"] == 2
    assert rest["motion"] == whole["motion"]
    for path in (tmp_path / "whole/samples").glob("*.mkv"):
        assert torch.equal(
            read_clip(path).video, read_clip(tmp_path / "out/samples" / path.name).video
        )
    assert run()["speed"] == {}
    with pytest.raises(ValueError, match=r"made with another sampling; name another folder"):
        run(sampling=Sampling(9, seed=1, settings=SETTINGS))


def test_mistakes_name_the_way_out(run: Evaluate) -> None:
    for sampling, reason in (
        (Sampling(9, 9), r"context must be from 0 to below the 9 frames"),
        (Sampling(8), r"length must be at least the 9 frames of a clip; got 8"),
        (Sampling(9, samples=0), r"samples must be at least 1; got 0"),
    ):
        with pytest.raises(ValueError, match=reason):
            run(sampling=sampling)


def test_the_command_writes_numbers_at_the_top(
    model: Path,
    data: Path,
    here: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (here / "nearest.py").write_text(
        "from pathlib import Path\n"
        "def copies(folder):\n    return {'samples': len(list(Path(folder).glob('*.mkv')))}\n"
    )
    monkeypatch.syspath_prepend(here)
    words = ["evaluate", "generator", str(data), str(model), "out", "--frames", "9", "--clips", "2"]
    words += ["--template", "a {label}", "--cache", "kept", "--halves", "0", "--temperature", "0.9"]
    words += ["--memorisation", "nearest:copies", "--json", "out.json"]
    assert main(words) == 0
    found = json.loads((here / "out.json").read_text())
    assert found["motion"] == found["videos"]["motion"]
    assert found["memorisation"] == {"samples": 2}
    said = capsys.readouterr()
    assert "folders of 2 classes: 4 videos" in said.err
    assert "2 clips, 2 with captions" in said.out
    table = (here / "out/samples/metadata.csv").read_text()
    assert ",a ball" in table
    assert main(["evaluate", "compare", "out.json", "out.json"]) == 0
    assert "nothing differs but the run" in capsys.readouterr().out


@pytest.mark.parametrize("height, width", [(8, 12), (17, 33)])
def test_kept_videos_lose_nothing(tmp_path: Path, height: int, width: int) -> None:
    video = torch.randint(0, 256, (3, 5, height, width), dtype=torch.uint8)
    write_exactly(tmp_path / "a.mkv", video, 12.5)
    back = read_clip(tmp_path / "a.mkv")
    assert torch.equal(back.video, video)
    assert back.fps == pytest.approx(12.5)
