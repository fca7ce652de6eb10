"""Training through the command line: it runs, exports, goes on, and mixes real sound in."""

from pathlib import Path

import pytest
import torch
from kinetoscope.data.ledger.content import content_sha256
from kinetoscope.data.ledger.rows import RENDERED, read_ledger
from kinetoscope.data.ledger.struck_out import strike_out
from kinetoscope.data.video.sound import read_sound
from kinetoscope.tokenizer.sound import SoundTokenizer
from kinetoscope.tokenizer.sound.training.data_module import SoundDataModule
from kinetoscope.tokenizer.sound.training.module import SoundTokenizerModule
from kinetoscope.training.cli import run

SIZES = [
    "--model.tokenizer.width=8",
    "--model.tokenizer.wide=8",
    "--model.tokenizer.encoder=[[1],[1]]",
    "--model.tokenizer.decoder=[[1],[1]]",
    "--model.warmup_steps=1",
]
CONFIG = Path(__file__).parents[4] / "configs/tokenizer/sound-24k.yaml"


def fit(folder: Path, *more: str) -> None:
    run(
        SoundTokenizerModule,
        [
            "fit",
            f"--config={CONFIG}",
            *SIZES,
            f"--trainer.default_root_dir={folder}",
            f"--model.export_dir={folder / 'sound'}",
            "--trainer.logger=false",
            "--trainer.enable_progress_bar=false",
            "--trainer.max_steps=2",
            "--trainer.val_check_interval=2",
            "--trainer.num_sanity_val_steps=0",
            "--trainer.callbacks=[]",
            "--data.frames=5",
            "--data.batch_size=2",
            "--data.pool=4",
            "--data.validation=2",
            "--data.real_per_batch=1",
            *more,
        ],
    )


def test_the_shipped_recipe_trains_and_exports(tmp_path: Path) -> None:
    fit(tmp_path)
    tokenizer = SoundTokenizer.from_pretrained(tmp_path / "sound")
    codes = tokenizer.encode(torch.zeros(1, 2000))
    assert codes.indices.shape == (1, 1, 16)
    (row,) = read_ledger(tmp_path / "sound" / "training_data.csv")
    assert row.source == RENDERED


def test_a_folder_without_sound_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    (tmp_path / "clips").mkdir()
    with pytest.raises(SystemExit):
        fit(tmp_path, f"--data.real_root={tmp_path / 'clips'}")
    assert "has no file with" in capsys.readouterr().err


def test_real_sounds_are_mixed_in_and_held_out(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", 0.2 * torch.randn(4 * 24_000))
    write_wav(tmp_path / "b.wav", 0.1 * torch.randn(4 * 24_000))
    struck_out = content_sha256(tmp_path / "b.wav")
    strike_out(tmp_path, [struck_out])
    root = str(tmp_path)
    module = SoundDataModule(batch_size=2, frames=5, pool=2, real_root=root, real_per_batch=1)
    module.setup()
    batch = next(iter(module.train_dataloader()))["sound"]
    assert batch.shape == (2, 10_000) and batch.dtype == torch.int16
    held_out = read_sound(tmp_path / "a.wav")[-10_000:]
    assert torch.equal(module._held_out[0], (held_out * 32767).round().short())
    assert [len(wave) for wave in module._real] == [4 * 24_000 - 10_000]
    named = {row.sha256: row.clips for row in module.ledger if row.source != RENDERED}
    assert named == {content_sha256(tmp_path / "a.wav"): 1, struck_out: 0}


def write_wav(path: Path, wave: torch.Tensor) -> None:
    import wave as wav

    with wav.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(24_000)
        file.writeframes((wave.clamp(-1, 1) * 32767).short().numpy().tobytes())
