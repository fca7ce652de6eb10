"""Every metric gives the same number whatever the batch, the threads and the order of files."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from kinetoscope.data.video.write import VideoWriter
from kinetoscope.evaluation.metrics import METRICS
from kinetoscope.evaluation.protocols import Protocol
from kinetoscope.evaluation.videos import Settings, evaluate_sets
from torch import Tensor, nn

CLIPS = 7
FRAMES = 4
RATE = 24_000
FPS = 8
# MS-SSIM needs 176 pixels
PROTOCOL = Protocol(frames=FRAMES, size=176, network_size=32)


class Classifier(nn.Module):
    """Chances of six classes."""

    def __init__(self) -> None:
        super().__init__()
        draw = torch.Generator().manual_seed(2)
        self.register_buffer("matrix", torch.randn(3 * 4 * 7 * 7, 6, generator=draw) / 255)

    def forward(self, x: Tensor) -> Tensor:
        small = nn.functional.adaptive_avg_pool3d(x.float(), [4, 7, 7])
        return torch.softmax(small.flatten(1) @ self.matrix, 1)


class Distance(nn.Module):
    """Of two pictures, as LPIPS is called."""

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return (a - b).square().mean([1, 2, 3])


class Ear(nn.Module):
    """Three numbers for each tenth of a second."""

    def forward(self, sound: Tensor) -> Tensor:
        windows = sound.unfold(1, 1600, 1600)
        return torch.stack([windows.mean(2), windows.std(2), windows.abs().amax(2)], 2)


@pytest.fixture(scope="module")
def networks(
    tmp_path_factory: pytest.TempPathFactory, i3d: str, inception: str, clip_model: str
) -> dict[str, str]:
    root = tmp_path_factory.mktemp("small")
    found = {"video": i3d, "picture": inception, "clip": clip_model}
    for role, module in (("classifier", Classifier()), ("lpips", Distance()), ("sound", Ear())):
        path = root / f"{role}.pt"
        torch.jit.script(module).save(path)
        found[role] = str(path)
    return found


def write(path: Path, seed: int, picture: Callable[..., Tensor]) -> None:
    """A pattern of its own, a tone of its own, and a caption of two or three words."""
    draw = torch.Generator().manual_seed(seed)
    time = torch.arange(FRAMES * RATE // FPS) / RATE
    tone = 0.5 * torch.sin(2 * torch.pi * (200 + 50 * seed) * time)
    noise = 0.1 * torch.randn(len(time), generator=draw)
    with VideoWriter(path, FPS, sound_rate=RATE) as writer:
        writer.write(picture(seed, FRAMES))
        writer.write_sound(tone + noise)
    path.with_suffix(".txt").write_text(("a red ball", "blue ball")[seed % 2])


@pytest.fixture(scope="module")
def heard(tmp_path_factory: pytest.TempPathFactory, draw_picture: Callable[..., Tensor]) -> Path:
    """A folder with `real` and `made`, clips with captions and sound."""
    root = tmp_path_factory.mktemp("heard")
    for side, first in (("real", 0), ("made", 100)):
        (root / side).mkdir()
        for number in range(CLIPS):
            write(root / side / f"{number:03d}.mp4", first + number, draw_picture)
    return root


def renamed(source: Path, to: Path) -> Path:
    """The same files by names in the opposite order."""
    to.mkdir(parents=True)
    for path in source.iterdir():
        number = CLIPS - 1 - int(path.stem)
        shutil.copyfile(path, to / f"{number:03d}{path.suffix}")
    return to


@pytest.fixture
def run(heard: Path, networks: dict[str, str], tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """All metrics of the two sets, with features of its own."""

    def go(name: str, **changes: Any) -> dict[str, Any]:
        settings: dict[str, Any] = {
            "reference": str(heard / "real"),
            "generated": str(heard / "made"),
            "metrics": list(METRICS),
            "protocol": PROTOCOL,
            "networks": networks,
            "halves": 4,
            "cache": str(tmp_path / name),
        }
        result = evaluate_sets(Settings(**settings | changes))
        assert result is not None
        return result

    return go


def differences(once: dict[str, Any], again: dict[str, Any]) -> list[tuple[str, float, float]]:
    """Numbers and ends of intervals that are not the same to 1e-4 of them."""
    found = []
    for name in METRICS:
        wanted = once["metrics"][name]
        other = again["metrics"][name]
        pairs = [(wanted["value"], other["value"])]
        pairs += zip(wanted["interval"], other["interval"], strict=True)
        found += [(name, a, b) for a, b in pairs if a != pytest.approx(b, rel=1e-4)]
    return found


def test_every_metric_gives_the_same_number_in_another_order_and_one_by_one(
    run: Callable[..., dict[str, Any]], heard: Path, tmp_path: Path
) -> None:
    once = run("once", batch=8)
    again = run(
        "again",
        reference=str(renamed(heard / "real", tmp_path / "names/real")),
        generated=str(renamed(heard / "made", tmp_path / "names/made")),
        batch=1,
        workers=1,
    )
    assert differences(once, again) == []
    # nothing of this is the same because it is nothing at all
    assert [name for name in METRICS if abs(once[name]) < 1e-3] == []


@pytest.mark.slow
def test_every_metric_gives_the_same_number_for_other_threads_and_a_list(
    run: Callable[..., dict[str, Any]], heard: Path, tmp_path: Path
) -> None:
    listed = tmp_path / "listed.txt"
    files = sorted((heard / "real").glob("*.mp4"), reverse=True)
    listed.write_text("\n".join(map(str, files)) + "\n")
    once = run("once", batch=8)
    assert differences(once, run("batches", batch=3, workers=3)) == []
    assert differences(once, run("listed", reference=str(listed))) == []
