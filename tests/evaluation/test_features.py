"""Networks by file, folder and dotted path, and the metrics that need one: with random weights."""

from pathlib import Path

import pytest
import torch
from kinetoscope.evaluation.clips.feature_store import rows_of
from kinetoscope.evaluation.features import Network, open_network
from kinetoscope.evaluation.metrics import METRICS, Batch
from kinetoscope.evaluation.metrics.mel import log_mel, mel_filters
from kinetoscope.evaluation.protocols import Protocol
from torch import Tensor, nn

PROTOCOL = Protocol(frames=4)


def clips(count: int = 2, frames: int = 4, size: int = 20, seed: int = 0) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, 3, frames, size, size), generator=draw, dtype=torch.uint8)


@pytest.fixture
def importable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "my_networks.py").write_text(
        "import torch\n\n\nclass Mean(torch.nn.Module):\n"
        "    def forward(self, video):\n        return video.float().flatten(2).mean(2)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    return "my_networks:Mean"


def test_a_dotted_path_is_called_with_what_the_protocol_says(importable: str) -> None:
    network = open_network(importable, "clips")
    metric = METRICS["fvd"](PROTOCOL, network)
    white = torch.full((1, 3, 4, 8, 8), 255, dtype=torch.uint8)
    assert metric.rows(Batch(white)).tolist() == [[1.0, 1.0, 1.0]]
    half = METRICS["fvd"](Protocol(frames=4, value_range=(-0.5, 0.5)), network)
    assert half.rows(Batch(white)).tolist() == [[0.5, 0.5, 0.5]]
    assert metric.key != half.key


def test_a_network_that_returns_something_else_is_named(importable: str) -> None:
    network = Network("odd", "0", "clips", lambda video: video.flatten(1, 2))
    with pytest.raises(ValueError, match="'odd' must return one row of features for each clip"):
        METRICS["fvd"](PROTOCOL, network).rows(Batch(clips()))


@pytest.fixture(scope="session")
def videomae(tmp_path_factory: pytest.TempPathFactory) -> str:
    from transformers import VideoMAEConfig, VideoMAEModel

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("videomae")
    sizes = dict(hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8)
    config = VideoMAEConfig(image_size=16, patch_size=8, num_frames=4, **sizes)
    VideoMAEModel(config).save_pretrained(folder)
    return str(folder)


def test_a_hugging_face_video_model_by_folder(videomae: str) -> None:
    network = open_network(videomae, "clips")
    rows = METRICS["fvd"](PROTOCOL, network).rows(Batch(clips()))
    assert rows.shape == (2, 8)
    alone = METRICS["fvd"](PROTOCOL, network).rows(Batch(clips()[1:]))
    assert torch.allclose(rows[1:], alone, atol=1e-5)
    with pytest.raises(ValueError, match=r"sees clips of 4 frames; got 3 \(--frames\)"):
        network.call(clips(frames=3))
    with pytest.raises(ValueError, match=r"\(videomae\) sees clips, and this metric needs"):
        open_network(videomae, "pictures")


def test_the_clip_score_is_the_cosine_that_the_model_gives(clip_model: str) -> None:
    from transformers import CLIPModel

    metric = METRICS["clip_score"](PROTOCOL, open_network(clip_model, "pictures"))
    video = clips(2, frames=3)
    rows = metric.rows(Batch(video, captions=("a red ball", "a blue ball")))
    assert rows.shape == (2, 3)
    model = CLIPModel.from_pretrained(clip_model).eval()
    ids = torch.tensor([[3, 4, 6], [3, 5, 6]])
    pixels = metric.network  # the network prepares pixels itself
    assert pixels is not None and pixels.own_pixels
    seen = pixels.call(video.transpose(1, 2).flatten(0, 1)).unflatten(0, (2, 3))
    said = model.get_text_features(input_ids=ids, attention_mask=torch.ones_like(ids))
    said = said if isinstance(said, Tensor) else said.pooler_output
    wanted = 100 * nn.functional.cosine_similarity(seen, said[:, None], dim=-1)
    assert torch.allclose(rows, wanted.detach(), atol=1e-3)
    with pytest.raises(ValueError, match="1 of 2 generated clips have no caption"):
        metric.rows(Batch(video, captions=("a red ball", "")))


@pytest.mark.parametrize("family", ["clip_model", "siglip_model"])
def test_a_caption_is_read_alike_beside_a_longer_one(
    family: str, request: pytest.FixtureRequest
) -> None:
    network = open_network(request.getfixturevalue(family), "pictures")
    metric = METRICS["clip_score"](PROTOCOL, network)
    video = clips(2, frames=3)
    together = metric.rows(Batch(video, captions=("ball", "a red ball a blue")))
    alone = metric.rows(Batch(video[:1], captions=("ball",)))
    assert torch.allclose(together[:1], alone, rtol=1e-4, atol=1e-3)


def test_lpips_is_the_sum_over_levels_of_the_users_network(tmp_path: Path) -> None:
    from kinetoscope.evaluation.videos.networks import open_for
    from kinetoscope.tokenizer.training.perceptual import PerceptualLoss
    from safetensors.torch import save_file

    torch.manual_seed(0)
    weights = {"0.weight": torch.randn(4, 3, 3, 3), "0.bias": torch.zeros(4)}
    weights |= {"3.weight": torch.randn(4, 4, 3, 3), "3.bias": torch.zeros(4)}
    save_file(weights, tmp_path / "vgg.safetensors")
    metric = METRICS["lpips"](PROTOCOL, open_for(str(tmp_path / "vgg.safetensors"), "pairs", "cpu"))
    a, b = clips(2, seed=1), clips(2, seed=2)
    rows = metric.rows(Batch(a, b))
    assert rows.shape == (2, 4)
    loss = PerceptualLoss(weights)
    one = loss(a[:1, :, :1].float() / 127.5 - 1, b[:1, :, :1].float() / 127.5 - 1)
    assert float(rows[0, 0]) == pytest.approx(2 * float(one), rel=1e-4)
    assert float(metric.rows(Batch(a, a)).abs().max()) == 0


def test_ssim_and_ms_ssim_are_those_of_torchmetrics() -> None:
    from torchmetrics.functional.image import structural_similarity_index_measure as theirs

    coarse = torch.rand(2, 3, 1, 24, 24, generator=torch.Generator().manual_seed(0))
    smooth = nn.functional.interpolate(coarse, (1, 176, 176), mode="trilinear")
    a = (smooth * 255).to(torch.uint8)
    noise = torch.randn(a.shape, generator=torch.Generator().manual_seed(1))
    b = (a.float() + 20 * noise).clamp(0, 255).to(torch.uint8)
    ours = METRICS["ssim"](PROTOCOL).rows(Batch(a, b))
    # theirs reflects pixels at the borders, ours (as the paper) looks at whole windows alone
    pictures = [video[:, :, 0].float() / 255 for video in (a, b)]
    _, full = theirs(*pictures, data_range=1.0, reduction="none", return_full_image=True)
    wanted = full[..., 5:-5, 5:-5].flatten(1).mean(1)
    assert torch.allclose(ours.flatten(), wanted, atol=1e-4)
    scales = METRICS["ms_ssim"](PROTOCOL)
    assert scales.rows(Batch(a, a)).flatten().tolist() == pytest.approx([1, 1], abs=1e-5)
    assert float(scales.rows(Batch(a, b)).max()) < 0.99


def test_motion_and_flicker_of_known_clips() -> None:
    steady = torch.arange(0, 40, 10, dtype=torch.uint8).view(1, 1, 4, 1, 1).expand(1, 3, 4, 2, 2)
    jumping = torch.tensor([0, 20, 0, 20], dtype=torch.uint8).view(1, 1, 4, 1, 1)
    jumping = jumping.expand(1, 3, 4, 2, 2)
    for name, steady_value, jumping_value in (("motion", 10, 20), ("flicker", 0, 20)):
        metric = METRICS[name](PROTOCOL)
        assert float(metric.rows(Batch(steady))) == steady_value
        assert float(metric.rows(Batch(jumping))) == jumping_value


def test_a_tone_lies_in_its_mel_band_and_distances_of_sound() -> None:
    time = torch.arange(16_000) / 16_000
    low, high = (torch.sin(2 * torch.pi * f * time) for f in (440.0, 4000.0))
    assert mel_filters().shape == (64, 257)
    assert log_mel(high).mean(1).argmax() > log_mel(low).mean(1).argmax()
    mel = METRICS["mel"](PROTOCOL)
    both = Batch(clips(2), clips(2), sounds=(low, high), reference_sounds=(low, low))
    rows = mel.rows(both)
    assert float(rows[0]) == 0 < float(rows[1])
    network = Network("ear", "0", "sounds", lambda sound: sound[:, :4].square())
    fad = METRICS["fad"](PROTOCOL, network)
    assert fad.rows(both).shape == (2, 4)
    same = rows_of(torch.rand(9, 4, generator=torch.Generator().manual_seed(0)))
    assert fad.value({"reference": same, "generated": same}) == pytest.approx(0, abs=1e-9)
    with pytest.raises(ValueError, match="1 of 2 clips have no sound"):
        fad.rows(Batch(clips(2), sounds=(low, torch.zeros(0))))
