"""Loggers of services get all that a run says, by one line of a config: both are asked for real,
without a network, where they are installed."""

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

Fit = Callable[..., Path]
NUMBERS = {"train/loss", "train/lr", "train/tokens_per_s", "train/memory_gb"}
NUMBERS |= {"val/bits_per_token", "val/fvd"}


@pytest.fixture(autouse=True)
def somewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["kinetoscope.generator"])


def check_folder(run: Path) -> None:
    """Config, checkpoints and numbers lie where they lie with any logger."""
    (version,) = run.glob("lightning_logs/version_*")
    assert {"config.yaml", "metrics.csv"} <= {path.name for path in version.iterdir()}
    assert not list(run.parent.glob("*.yaml"))


@pytest.mark.slow
def test_weights_and_biases(
    ucf: Path, fit: Fit, fvd: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wandb = pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    run = fit("ucf101", ucf, *fvd, "--trainer.logger=WandbLogger", frames=9)
    wandb.teardown()  # waits until all is written
    numbers: dict[str, list[str]] = {}
    settings: dict[str, str] = {}
    (kept,) = tmp_path.glob("wandb/offline-run-*/*.wandb")
    for record in wandb_records(kept):
        for item in record.history.item:
            numbers.setdefault(item_name(item), []).append(item.value_json)
        settings |= {item_name(item): item.value_json for item in record.config.update}
    assert set(numbers) >= NUMBERS
    assert all(float(value) > 0 for value in numbers["train/loss"])
    assert settings["config/data.init_args.wanted.template"] == '"a video of {label}"'
    assert settings["commit"] == '"none"'
    media = kept.parent / "files/media"
    assert list(media.glob("images/samples*.png"))
    assert Image.open(next(media.glob("videos/samples/moving*.gif"))).n_frames > 1
    check_folder(run)


def item_name(item: Any) -> str:
    return str(item.key or "/".join(item.nested_key))


def wandb_records(path: Path) -> list[Any]:
    """What an offline run has written: records in blocks of 32 kB, each piece of one behind a
    checksum, its length, and whether it is whole (1), the first (2), a middle (3) or the last."""
    from wandb.proto.wandb_internal_pb2 import Record

    data = path.read_bytes()
    records = []
    place = 7
    whole = b""
    while place + 7 <= len(data):
        left = 32768 - place % 32768
        if left < 7:
            place += left
            continue
        _, length, kind = struct.unpack("<IHB", data[place : place + 7])
        whole += data[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):
            records.append(Record.FromString(whole))
            whole = b""
    return records


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_mlflow(ucf: Path, fit: Fit, fvd: list[str], tmp_path: Path) -> None:
    tracking = pytest.importorskip("mlflow.tracking")
    pytest.importorskip("sqlalchemy")
    run = fit("ucf101", ucf, *fvd, "--trainer.logger=MLFlowLogger", frames=9)
    client = tracking.MlflowClient("sqlite:///mlflow.db")
    experiment = client.get_experiment_by_name("lightning_logs")
    (found,) = client.search_runs([experiment.experiment_id])
    assert set(found.data.metrics) >= NUMBERS
    assert found.data.params["config/data.init_args.wanted.template"] == "a video of {label}"
    assert found.data.params["commit"] == "none"
    names = {Path(file.path).suffix for file in client.list_artifacts(found.info.run_id, "samples")}
    assert names == {".png", ".gif"}
    check_folder(run)
