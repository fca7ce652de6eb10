"""`evaluate tokenizer`: ours and anybody's, one table, codecs within the same bits."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from kinetoscope.app.cli.main import main
from kinetoscope.evaluation.any_tokenizer import (
    AnyTokenizer,
    evaluate_tokenizers,
    format_tokenizers,
    open_tokenizer,
)
from kinetoscope.evaluation.any_tokenizer import measure as measuring
from kinetoscope.evaluation.codecs import CODECS, Kept, fits, within_budget
from kinetoscope.evaluation.protocols import Protocol
from torch import Tensor

PROTOCOL = Protocol(frames=9, size=16, network_size=32)
EXAMPLES = Path(__file__).parents[2] / "examples"


class Rounding:
    """Codes are pixels with 16 levels: 4 bits for each of three colours."""

    codebook_size = 16

    def encode(self, video: Tensor) -> Tensor:
        return ((video + 1) * 7.5).round().long()

    def decode(self, codes: Tensor) -> Tensor:
        return codes / 7.5 - 1


class Perfect:
    """Codes that are no whole numbers have no bits."""

    def encode(self, video: Tensor) -> Tensor:
        return video.clone()

    def decode(self, codes: Tensor) -> Tensor:
        return codes


def measure(sets: Path, tmp_path: Path, *models: Any, **options: Any) -> dict[str, Any]:
    tokenizers = [AnyTokenizer(type(model).__name__, model) for model in models]
    options = {"codecs": (), "cache": str(tmp_path), "networks": {}} | options
    return evaluate_tokenizers(str(sets / "real"), tokenizers, PROTOCOL, **options)


def test_numbers_that_are_known_beforehand(sets: Path, tmp_path: Path, i3d: str) -> None:
    result = measure(sets, tmp_path, Rounding(), Perfect(), networks={"video": i3d})
    rounding, perfect = result["tokenizers"].values()
    assert perfect["psnr"] == 100
    assert perfect["rfvd"] == pytest.approx(0, abs=1e-6)
    assert perfect["motion"] == pytest.approx(result["original"]["motion"])
    assert "bits per pixel" not in perfect
    assert rounding["bits per pixel"] == 12
    assert 1 < rounding["perplexity"] <= rounding["codes used"] <= rounding["codes"] == 16
    # an even error of up to half a step of 255 / 15
    assert rounding["psnr"] == pytest.approx(10 * torch.log10(torch.tensor(12 * 15.0**2)), abs=1)
    assert rounding["rfvd"] > 0
    assert result["clips"] == 12
    table = format_tokenizers(result)
    assert "Rounding" in table and "Perfect" in table and "bits per pixel" in table


def test_rfvd_comes_with_halves_and_notes_as_the_fvd_of_two_sets_does(
    sets: Path, tmp_path: Path, i3d: str
) -> None:
    networks = {"video": i3d}
    result = measure(sets, tmp_path, Rounding(), Perfect(), networks=networks)
    kept = result["certainty"]["Rounding"]
    low, high = kept["rfvd"]["interval"]
    assert 0 < low < high
    assert kept["rfvd"]["halves"] == 50
    assert kept["rfvd"]["notes"] == []  # 12 clips, 6 features
    low, high = kept["psnr"]["interval"]
    assert low < result["tokenizers"]["Rounding"]["psnr"] < high
    # a half has the same clips on both sides, so what loses nothing is at no distance
    assert result["certainty"]["Perfect"]["rfvd"]["interval"] == pytest.approx([0, 0], abs=1e-6)
    few = Protocol(name="stylegan-v", frames=9, size=16, clips=5, network_sha256="a file")
    tokenizers = [AnyTokenizer("ours", Rounding())]
    result = evaluate_tokenizers(
        str(sets / "real"), tokenizers, few, networks, codecs=(), cache=str(tmp_path)
    )
    table = format_tokenizers(result)
    assert "note: rfvd: the covariance of the reference set is singular: 5 clips for 6" in table
    assert "note: rfvd: the network is not the file that protocol 'stylegan-v' names" in table
    assert "  halves" in table and " to " in table
    assert "protocol stylegan-v, changed: clips 5 instead of 2048" in table
    whole = measure(sets, tmp_path, Rounding(), halves=0)
    assert "halves" not in format_tokenizers(whole)


def test_a_codec_is_compared_with_the_clips_that_it_could_code(
    tmp_path: Path, i3d: str, monkeypatch: pytest.MonkeyPatch, sets: Path
) -> None:
    def perfect_for_some(_: object, target: Tensor, budget: float) -> dict[int, Kept]:
        return {place: Kept(target[place], 100, 1, 1) for place in range(1, len(target), 2)}

    monkeypatch.setattr(measuring, "code_clips", perfect_for_some)
    result = measure(sets, tmp_path, Rounding(), networks={"video": i3d}, codecs=("h264",))
    assert result["clips of"] == {"Rounding": 12, "H.264": 6}
    assert result["tokenizers"]["H.264"]["rfvd"] == pytest.approx(0, abs=1e-6)
    assert result["tokenizers"]["H.264"]["psnr"] == 100
    assert result["tokenizers"]["H.264"]["frames a second, decoding"] == pytest.approx(9)
    table = format_tokenizers(result)
    assert "note: H.264: 6 of 12 clips need more bits at its worst; left out" in table


def test_ours_is_measured_with_its_seams_and_codes(
    sets: Path, tmp_path: Path, parts: dict[str, str]
) -> None:
    ours = open_tokenizer(parts["tokenizer"])
    result = evaluate_tokenizers(
        str(sets / "real"), [ours], PROTOCOL, {}, codecs=(), cache=str(tmp_path)
    )
    row = result["tokenizers"][parts["tokenizer"]]
    assert row["codes"] == 16
    assert "seam between latent frames" in row and "seam between patches" in row
    assert row["bits per pixel"] == pytest.approx(4 * 3 * 2 * 2 / (9 * 16 * 16))
    assert row["frames a second, encoding"] > 0


def test_codecs_stay_within_the_bits(tmp_path: Path) -> None:
    draw = torch.Generator().manual_seed(0)
    coarse = torch.rand(1, 3, 8, 8, generator=draw)
    wide = torch.nn.functional.interpolate(coarse, (64, 80), mode="bilinear")[0]
    clip = torch.stack([wide[:, :, i : i + 64] for i in range(9)], 1).mul(255).to(torch.uint8)
    for codec in CODECS.values():
        assert fits(codec, clip)
        found = within_budget(codec, clip, budget=20_000)
        assert found is not None
        assert found.video.shape == clip.shape
        assert found.bits <= 20_000
        assert found.encoding > 0 and found.decoding > 0
        more = within_budget(codec, clip, budget=80_000)
        assert more is not None
        errors = [float((x.float() - clip).square().mean()) for x in (found.video, more.video)]
        assert errors[0] > errors[1]
        assert within_budget(codec, clip, budget=100) is None
    assert not fits(CODECS["av1"], clip[..., :32])
    assert not fits(CODECS["h264"], clip[..., :33])


def test_a_tokenizer_by_its_dotted_path_from_the_command_line(
    sets: Path, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "anybody.py").write_text(
        "class Half:\n    codebook_size = 2\n"
        "    def encode(self, video):\n        return (video > 0).long()\n"
        "    def decode(self, codes):\n        return codes * 1.0 - 0.5\n"
        "class Cut(Half):\n    def decode(self, codes):\n        return codes[:, :, :1] * 1.0\n"
    )
    monkeypatch.syspath_prepend(here)
    words = ["evaluate", "tokenizer", str(sets / "real"), "anybody:Half", "--size", "16"]
    words += ["--frames", "9", "--cache", "kept", "--codecs", "h264"]
    assert main([*words, "--json", "out.json"]) == 0
    row = json.loads((here / "out.json").read_text())["tokenizers"]
    assert row["anybody:Half"]["bits per pixel"] == 3
    assert row["H.264"]["bits per pixel"] <= 3
    assert "anybody:Half" in capsys.readouterr().out
    words[3] = "anybody:Cut"
    assert main(words) == 2
    assert "into [4, 3, 1, 16, 16]; choose --frames and --size" in capsys.readouterr().err
    words[3] = "json:dumps"
    assert main(words) == 2


def test_codecs_get_the_rate_of_each_tokenizer(tmp_path: Path) -> None:
    from kinetoscope.data.video import write_video

    draw = torch.Generator().manual_seed(0)
    coarse = torch.rand(1, 3, 6, 6, generator=draw)
    wide = torch.nn.functional.interpolate(coarse, (32, 48), mode="bilinear")[0]
    clip = torch.stack([wide[:, :, i : i + 32] for i in range(9)], 1).mul(255).to(torch.uint8)
    (tmp_path / "set").mkdir()
    write_video(tmp_path / "set/a.mp4", clip, fps=8)

    class Coarse(Rounding):
        """Half the levels, on every sixteenth pixel."""

        codebook_size = 4

        def encode(self, video: Tensor) -> Tensor:
            return ((video[..., ::4, ::4] + 1) * 1.5).round().long()

        def decode(self, codes: Tensor) -> Tensor:
            whole = codes.repeat_interleave(4, -1).repeat_interleave(4, -2)
            return whole / 1.5 - 1

    result = evaluate_tokenizers(
        str(tmp_path / "set"),
        [AnyTokenizer("a", Rounding()), AnyTokenizer("b", Coarse()), AnyTokenizer("c", Rounding())],
        Protocol(frames=9, size=32),
        {},
        codecs=("h264",),
        cache=str(tmp_path / "kept"),
    )
    rows = result["tokenizers"]
    assert list(rows) == ["a", "b", "c", "H.264", "H.264 as b"]
    assert rows["H.264"]["bits per pixel"] <= 12
    assert rows["H.264 as b"]["bits per pixel"] <= rows["b"]["bits per pixel"] == 6 / 16
    assert rows["H.264"]["psnr"] > rows["H.264 as b"]["psnr"]


# ---- diffusers ----

STAND_IN = """
import torch
class Posterior:
    def __init__(self, mean): self.mean = mean
    def mode(self): return self.mean
class Encoded:
    def __init__(self, mean): self.latent_dist = Posterior(mean)
class Decoded:
    def __init__(self, sample): self.sample = sample
class AutoencoderStandIn(torch.nn.Module):
    @classmethod
    def from_pretrained(cls, folder): return cls()
    def encode(self, x): return Encoded(torch.nn.functional.avg_pool3d(x, (1, 2, 2)))
    def decode(self, z): return Decoded(z.repeat_interleave(2, -1).repeat_interleave(2, -2))
"""


def run_example(name: str, sets: Path, cache: Path) -> dict[str, float]:
    result = evaluate_tokenizers(
        str(sets / "real"),
        [open_tokenizer(name)],
        Protocol(frames=9, size=16, clips=2),
        {},
        codecs=(),
        cache=str(cache),
    )
    return result["tokenizers"][name]


def test_the_example_for_diffusers_on_a_stand_in_of_its_interface(
    sets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "diffusers.py").write_text(STAND_IN)
    (tmp_path / "config.json").write_text('{"_class_name": "AutoencoderStandIn"}')
    for module in ("diffusers", "diffusers_tokenizer"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.syspath_prepend(EXAMPLES)
    monkeypatch.syspath_prepend(tmp_path)
    row = run_example(f"diffusers_tokenizer:Autoencoder={tmp_path}", sets, tmp_path / "kept")
    assert 20 < row["psnr"] < 60
    assert "bits per pixel" not in row
    with pytest.raises(ValueError, match="cannot be made of"):
        open_tokenizer(f"diffusers_tokenizer:Autoencoder={tmp_path / 'nowhere'}")
    for module in ("diffusers", "diffusers_tokenizer"):
        sys.modules.pop(module, None)


@pytest.mark.slow
def test_the_example_for_diffusers_on_a_real_one_with_random_weights(
    sets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    diffusers = pytest.importorskip("diffusers")
    torch.manual_seed(0)
    small = diffusers.AutoencoderKLWan(
        base_dim=8,
        z_dim=4,
        dim_mult=[1, 1, 1, 1],
        num_res_blocks=1,
        temperal_downsample=[False, True, True],
        latents_mean=[0.0] * 4,
        latents_std=[1.0] * 4,
    )
    small.save_pretrained(tmp_path / "wan")
    monkeypatch.syspath_prepend(EXAMPLES)
    row = run_example(f"diffusers_tokenizer:Autoencoder={tmp_path / 'wan'}", sets, tmp_path / "k")
    assert row["psnr"] > 3  # of noise, but of the right size
