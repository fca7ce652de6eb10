"""Training from shards: every process has its own clips, and a killed run goes on as if nothing
had happened."""

import csv
import errno
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import kinetoscope.configs
import lightning.pytorch as pl
import pytest
import torch
from kinetoscope.data.video import write_video
from kinetoscope.generator import TextEncoder, VideoGenerator
from kinetoscope.generator.tokens.batch import Stage, TokenBatches
from kinetoscope.generator.tokens.make_shard import ShardOptions
from kinetoscope.generator.tokens.prepare import Work, prepare
from kinetoscope.generator.tokens.shards import ShardSet, shard_tokens
from kinetoscope.generator.training.module import GeneratorModule
from kinetoscope.tokenizer import VideoTokenizer
from kinetoscope.training.checkpoints import WholeCheckpoints, newest_checkpoint
from kinetoscope.training.cli import run
from kinetoscope.training.stop_in_time import AGAIN, EVERY
from safetensors.torch import load_file
from torch import Tensor
from torch.utils.data import DataLoader

CONFIG = Path(kinetoscope.configs.__path__[0]) / "generator" / "shards.yaml"
STAGES = [Stage(3, 1, 4), Stage(4, 2, 3), Stage(1, 3, 2)]


@pytest.fixture(scope="module")
def model(generator: VideoGenerator, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    generator.save_pretrained(folder)
    return folder


Prepare = Callable[..., Path]


@pytest.fixture(scope="module")
def prepared(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Prepare:
    """Shards of twelve videos with 3 latent frames and two with 2; one of the captions has two
    wordings."""
    root = tmp_path_factory.mktemp("videos")
    draw = torch.Generator().manual_seed(0)
    rows = ["file,caption"]
    for index in range(14):
        small = torch.randint(
            0, 256, (3, 9 if index < 12 else 5, 2, 3), generator=draw, dtype=torch.uint8
        )
        video = (small[:, :1] // 2 + small // 3).repeat_interleave(4, 2).repeat_interleave(4, 3)
        write_video(root / f"{index:02d}.mp4", video, fps=10)
        rows.append(f"{index:02d}.mp4,{('a red ball', 'a blue cube falls', '')[index % 3]}")
    (root / "manifest.csv").write_text("\n".join([*rows, "00.mp4,a ball rolls slowly"]) + "\n")

    def make(**changes: Any) -> Path:
        out = tmp_path_factory.mktemp("shards")
        settings = {"size": (8, 12), "min_frames": 2, "cut": 1.0, "videos_per_shard": 4}
        work = Work(str(model), changes.pop("text", str(model)), "cpu", 1)
        prepare(
            str(root), str(out), ShardOptions(**{**settings, **changes}), work, lambda line: None
        )
        return out

    return make


@pytest.fixture(scope="module")
def shards(prepared: Prepare) -> Path:
    return prepared()


@pytest.fixture
def tokens(shards: Path, model: Path) -> ShardSet:
    return shard_tokens(*parts(shards, model), held_out=0, seed=0)[0]


def parts(folder: Path, model: Path) -> tuple[Any, VideoTokenizer, TextEncoder]:
    from kinetoscope.data.datasets.shards import Shards

    return Shards(folder), VideoTokenizer.from_pretrained(model), TextEncoder.from_pretrained(model)


# ---- clips out of shards ----


def test_a_batch_holds_the_codes_and_captions_of_its_clips(tokens: ShardSet, model: Path) -> None:
    encoder = TextEncoder.from_pretrained(model)
    assert (len(tokens), tokens.latents, tokens.longest_text) == (14, 3, 4)
    assert tokens.rows(3).tolist() == list(range(12)) and len(tokens.rows(2)) == 14
    batch = tokens.batch(torch.tensor([4, 2, 0]), latents=2)
    for row, clip in enumerate((4, 2, 0)):
        assert torch.equal(
            batch["codes"][row], torch.from_numpy(tokens.shards.codes(clip)[:2]).long()
        )
    assert batch["text_mask"].sum(1).tolist() == [4, 0, 3]
    states, _ = encoder.encode(["a red ball"])
    torch.testing.assert_close(batch["text"][2, :3], states[0], atol=2e-3, rtol=2e-3)
    other = tokens.batch(torch.tensor([0]), latents=3, turn=1)
    assert other["text_mask"].sum() == 4 and other["objects"].shape == (1, 3, 2, 3)


def test_words_alone_are_embedded_when_training_starts(
    prepared: Prepare, tokens: ShardSet, model: Path
) -> None:
    wordless, _ = shard_tokens(*parts(prepared(text=None), model), held_out=0, seed=0)
    for turn in (0, 1):
        one, other = (t.batch(torch.arange(14), 1, turn) for t in (tokens, wordless))
        assert torch.equal(one["text_mask"], other["text_mask"]) and torch.equal(
            one["codes"], other["codes"]
        )
        torch.testing.assert_close(one["text"], other["text"], atol=2e-3, rtol=2e-3)


def test_no_video_is_on_both_sides(shards: Path, model: Path) -> None:
    train, validation = shard_tokens(*parts(shards, model), held_out=0.3, seed=0)
    assert validation is not None and len(validation) == 4 and len(train) == 10
    assert not set(train.clips) & set(validation.clips)


def test_shards_that_do_not_fit_the_model_are_refused(
    prepared: Prepare, model: Path, tmp_path: Path
) -> None:
    opened, tokenizer, encoder = parts(prepared(), model)
    with torch.no_grad():
        tokenizer.embed.weight.neg_()
    with pytest.raises(
        ValueError, match=r"are codes of tokenizer .*; set model\.tokenizer, or prepare them again"
    ):
        shard_tokens(opened, tokenizer, encoder, 0, 0)
    tokenizer = VideoTokenizer.from_pretrained(model)
    next(encoder.model.parameters()).data.neg_()
    with pytest.raises(
        ValueError, match=r"hold states of caption encoder .* prepare them again with --text"
    ):
        shard_tokens(opened, tokenizer, encoder, 0, 0)
    opened.records[0]["shape"] = [3, 4, 4]
    with pytest.raises(
        ValueError,
        match=r"not of one size \(13 of \[2, 3\], 1 of \[4, 4\]\); prepare them with --size",
    ):
        shard_tokens(opened, tokenizer, encoder, 0, 0)


# ---- several processes, several workers ----


def take(
    tokens: ShardSet, count: int, stages: list[Stage] = STAGES, workers: int = 0, **options: Any
) -> list[Tensor]:
    """Rows of the first few batches."""
    seen: list[Tensor] = []

    class Spy:
        latents = tokens.latents
        longest_text = tokens.longest_text
        rows = staticmethod(tokens.rows)
        __len__ = staticmethod(lambda: len(tokens))

        @staticmethod
        def batch(rows: Tensor, latents: int, turn: int = 0) -> dict[str, Tensor]:
            return {"rows": rows}

    loader = iter(
        DataLoader(TokenBatches(Spy(), stages, **options), batch_size=None, num_workers=workers)
    )
    for _ in range(count):
        seen.append(next(loader)["rows"])
    return seen


def test_two_processes_share_the_batches_of_one(tokens: ShardSet) -> None:
    double = [Stage(stage.steps, stage.latents, 2 * stage.batch_size) for stage in STAGES]
    one = take(tokens, 20, double)
    ranks = [take(tokens, 20, rank=rank, ranks=2) for rank in (0, 1)]
    for whole, first, second in zip(one, *ranks):
        assert len(first) == len(second)
        assert torch.equal(torch.cat([first, second]), whole)
    rounds = torch.cat(ranks[0][:3] + ranks[1][:3]).tolist()  # 24 clips of 14: no clip a third time
    assert max(rounds.count(row) for row in rounds) == 2
    later = [take(tokens, 5, rank=1, ranks=2, start=6), ranks[1][6:11]]
    assert all(torch.equal(a, b) for a, b in zip(*later, strict=True))


@pytest.mark.parametrize("start", [0, 5])
def test_workers_that_read_ahead_change_nothing(tokens: ShardSet, start: int) -> None:
    plain, ahead = (take(tokens, 9, workers=workers, start=start) for workers in (0, 2))
    assert all(torch.equal(a, b) for a, b in zip(plain, ahead, strict=True))


def test_a_stage_takes_clips_that_are_long_enough(tokens: ShardSet) -> None:
    rows = torch.cat(take(tokens, 200, [Stage(1, 3, 3)]))
    assert set(rows.tolist()) == set(range(12))
    assert set(torch.cat(take(tokens, 60, [Stage(1, 2, 3)])).tolist()) == set(range(14))


# ---- checkpoints ----


class Nothing(pl.LightningModule):
    """Trains one number."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(()))

    def training_step(self, batch: Tensor, index: int) -> Tensor:
        return (self.weight * batch).square().mean()

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), 0.1)


def save_some(folder: Path, steps: int = 5) -> None:
    keep = pl.callbacks.ModelCheckpoint(
        folder, every_n_train_steps=1, monitor="step", mode="max", save_top_k=3, filename="{step}"
    )
    quiet = dict(
        enable_progress_bar=False, enable_model_summary=False, logger=False, accelerator="cpu"
    )
    trainer = pl.Trainer(max_steps=steps, callbacks=[keep], plugins=[WholeCheckpoints()], **quiet)
    trainer.fit(Nothing(), DataLoader(torch.randn(steps, 1), 1))


def test_the_newest_whole_checkpoint_is_taken(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    save_some(tmp_path / "version_0")
    found = sorted(path.name for path in (tmp_path / "version_0").iterdir())
    # the last three, and nothing half written
    assert found == ["step=3.ckpt", "step=4.ckpt", "step=5.ckpt"]
    newest = newest_checkpoint(tmp_path)
    assert newest and newest.name == "step=5.ckpt"
    newest.write_bytes(newest.read_bytes()[:-500])
    before = newest_checkpoint(tmp_path)
    assert before and before.name == "step=4.ckpt"
    assert "step=5.ckpt' is truncated or no checkpoint; taking the one before it" in caplog.text
    data = bytearray(before.read_bytes())
    data[len(data) // 2] ^= 255
    before.write_bytes(data)
    last = newest_checkpoint(tmp_path)
    assert (
        last
        and last.name == "step=3.ckpt"
        and torch.load(last, weights_only=False)["global_step"] == 3
    )
    assert newest_checkpoint(tmp_path / "version_1") is None


@pytest.mark.parametrize("where", ["fsync", "write"])
def test_a_full_disk_leaves_the_checkpoints_before(
    tmp_path: Path, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_some(tmp_path, 1)
    error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def full(*_: Any) -> None:
        try:
            raise error
        finally:
            if where == "write":
                raise RuntimeError("unexpected pos 64 vs 0")  # as PyTorch's writer says it

    monkeypatch.setattr(*((torch, "save") if where == "write" else (os, "fsync")), full)
    with pytest.raises(OSError, match="No space left") as caught:
        WholeCheckpoints().save_checkpoint({}, tmp_path / "step=2.ckpt")
    assert caught.value.filename == str(tmp_path / "step=2.ckpt")
    assert os.listdir(tmp_path) == ["step=1.ckpt"] and newest_checkpoint(tmp_path)


# ---- runs ----


def arguments(shards: Path, model: Path, out: Path, steps: int) -> list[str]:
    stages = (
        '[{"steps": 3, "latents": 1, "batch_size": 4}, {"steps": 9, "latents": 3, "batch_size": 3}]'
    )
    words = ["fit", "--config", str(CONFIG), "--data.root", str(shards), "--data.stages", stages]
    words += [
        "--data.held_out=0.2",
        "--data.workers=0",
        f"--model.tokenizer={model}",
        f"--model.text={model}",
    ]
    words += [
        "--model.grid=[2,3]",
        "--model.size.dim=32",
        "--model.size.layers=1",
        "--model.size.heads=2",
    ]
    words += [
        "--model.size.kv_heads=1",
        f"--model.export_dir={out / 'generator'}",
        "--trainer.precision=32-true",
    ]
    words += [
        f"--trainer.default_root_dir={out}",
        f"--trainer.max_steps={steps}",
        "--trainer.accelerator=cpu",
    ]
    words += [
        "--trainer.logger=lightning.pytorch.loggers.CSVLogger",
        f"--trainer.logger.save_dir={out}",
    ]
    words += [
        "--trainer.log_every_n_steps=1",
        "--trainer.val_check_interval=4",
        "--model.samples_every=0",
    ]
    words += ["--trainer.enable_progress_bar=false", "--trainer.enable_model_summary=false"]
    return [
        *words,
        "--trainer.callbacks.every_n_train_steps=2",
        "--trainer.logger.flush_logs_every_n_steps=1",
    ]


def losses(out: Path) -> dict[int, str]:
    """Step -> loss as it was logged, of all the runs in a folder; what was done twice must be
    the same both times."""
    found: dict[int, str] = {}
    for path in sorted(out.rglob("metrics.csv")):
        for row in csv.DictReader(path.open()):
            if row.get("train/loss"):
                step = int(row["step"])
                loss = row["train/loss"]
                assert found.setdefault(step, loss) == loss, f"step {step} of {path}"
    return found


SCRIPT = """
import os, signal, sys, torch
torch.set_num_threads(1)
import lightning.pytorch as pl
from kinetoscope.generator.training.module import GeneratorModule
from kinetoscope.training.cli import run

class Killed(GeneratorModule):
    def on_train_batch_end(self, *_):
        if self.global_step == int(sys.argv[1]):
            os.kill(os.getpid(), signal.SIGKILL)

Killed.__module__ = "kinetoscope.generator.training.module"
run(Killed, sys.argv[2:])
"""


@pytest.mark.slow
def test_a_killed_run_has_the_losses_of_one_that_was_not(
    shards: Path, model: Path, tmp_path: Path
) -> None:
    """It loses at most the steps since its last checkpoint, and the newest checkpoint is damaged
    on top."""
    (tmp_path / "run.py").write_text(SCRIPT)

    def fit(out: Path, kill_at: int, *more: str) -> int:
        words = [*arguments(shards, model, out, 12), *more]
        return subprocess.run(
            [sys.executable, str(tmp_path / "run.py"), str(kill_at), *words]
        ).returncode

    assert fit(tmp_path / "whole", 99) == 0
    assert fit(tmp_path / "killed", 9) == -9
    newest = newest_checkpoint(tmp_path / "killed")
    assert newest is not None and "step=8" in newest.name
    newest.write_bytes(newest.read_bytes()[:-1000])
    left = newest.with_name(".step=9.ckpt.0123abcd.part")
    left.write_bytes(b"as a kill leaves it")
    assert fit(tmp_path / "killed", 99, "--ckpt_path=last") == 0
    assert not left.exists()
    whole = losses(tmp_path / "whole")
    resumed = losses(tmp_path / "killed")
    assert len(whole) == 12 and resumed == whole
    one, other = (
        VideoGenerator.from_pretrained(tmp_path / n / "generator").decoder
        for n in ("whole", "killed")
    )
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


@pytest.mark.parametrize(
    ("accumulate", "number"),
    [(1, signal.SIGUSR1), (2, signal.SIGUSR1), (1, signal.SIGTERM)],
    ids=["one batch", "two batches", "terminated"],
)
def test_a_run_that_is_asked_to_stop_goes_on_where_it_was(
    shards: Path,
    model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    accumulate: int,
    number: signal.Signals,
) -> None:
    """As SLURM asks; with gradients of several batches it ends between two steps all the same."""
    monkeypatch.setattr("sys.argv", ["kinetoscope.generator"])
    words = [f"--trainer.accumulate_grad_batches={accumulate}", "--trainer.val_check_interval=null"]

    def fit(out: Path, *more: str) -> None:
        run(GeneratorModule, [*arguments(shards, model, out, 6), *words, *more])

    fit(tmp_path / "whole")
    step = GeneratorModule.training_step

    def asked(module: GeneratorModule, batch: Any, batch_idx: int) -> Any:
        if batch_idx == 2 * accumulate:  # the first batch of the third step
            os.kill(os.getpid(), number)
        return step(module, batch, batch_idx)

    before = signal.getsignal(signal.SIGUSR1)
    terminated = signal.getsignal(signal.SIGTERM)
    with monkeypatch.context() as patch, pytest.raises(SystemExit) as ended:
        patch.setattr(GeneratorModule, "training_step", asked)
        fit(tmp_path / "asked")
    assert ended.value.code == AGAIN
    assert signal.getsignal(signal.SIGTERM) == terminated
    newest = newest_checkpoint(tmp_path / "asked")
    assert newest is not None and newest.name == "stopped-step=3.ckpt"
    assert max(losses(tmp_path / "asked")) == 2
    fit(tmp_path / "asked", "--ckpt_path=last")
    assert len(losses(tmp_path / "whole")) == 6 and losses(tmp_path / "asked") == losses(
        tmp_path / "whole"
    )
    # the average of the weights, too, of which the last step before the stop is a part
    one, other = (
        load_file(tmp_path / n / "generator/model.safetensors") for n in ("whole", "asked")
    )
    assert all(torch.equal(one[name], other[name]) for name in one)
    signal.signal(signal.SIGUSR1, before)


# Plays SLURM on one machine: as many tasks as are asked for, told who they are. The first time it
# asks one of them to stop, once it has taken some steps.
SRUN = """#!{python}
import os, signal, subprocess, sys, time
from pathlib import Path
out, tasks = Path({out!r}), int(os.environ["SLURM_NTASKS"])
running = [
    subprocess.Popen(
        sys.argv[1:], env=os.environ | {{"SLURM_PROCID": str(rank), "SLURM_LOCALID": str(rank)}}
    )
    for rank in range(tasks)
]
first = not list(out.glob("stopped-*"))
while first and not any(path.read_text().count("\\n") > 5 for path in out.rglob("metrics.csv")):
    time.sleep(0.1)
if first:
    running[-1].send_signal(signal.SIGUSR1)
sys.exit(max(task.wait() for task in running))
"""


@pytest.mark.slow
def test_a_job_of_two_tasks_is_queued_again_before_its_time_is_up(
    shards: Path, model: Path, tmp_path: Path
) -> None:
    """`examples/slurm.sh` under stand-ins for srun and scontrol."""
    out = tmp_path / "run"
    bin = tmp_path / "bin"
    for folder in (out, bin, tmp_path / "configs" / "generator"):
        folder.mkdir(parents=True)
    shutil.copy(CONFIG, tmp_path / "configs" / "generator" / "mine.yaml")
    for name, text in (
        ("srun", SRUN.format(python=sys.executable, out=str(out))),
        ("scontrol", f'#!/bin/sh\necho "$@" >> {tmp_path}/queue\n'),
        ("python", f'#!/bin/sh\nexec {sys.executable} "$@"\n'),
    ):
        (bin / name).write_text(text)
        (bin / name).chmod(0o755)
    words = arguments(shards, model, out, 60)
    words = [
        word
        for word in words[words.index("--data.root") + 2 :]
        if not word.startswith("--trainer.val_check")
    ]
    words += ["--trainer.strategy=ddp", "--trainer.val_check_interval=null", "--data.held_out=0"]
    slurm = {
        "JOB_ID": "4711",
        "JOB_NAME": "kinetoscope",
        "NNODES": "1",
        "NODEID": "0",
        "NODELIST": "127.0.0.1",
    }
    slurm |= {"NTASKS": "2", "NTASKS_PER_NODE": "2"}
    path = f"{bin}{os.pathsep}{os.environ['PATH']}"
    environment = (
        os.environ | {f"SLURM_{name}": value for name, value in slurm.items()} | {"PATH": path}
    )
    script = Path(__file__).parents[3] / "examples" / "slurm.sh"

    def job() -> None:
        command = ["bash", str(script), "mine", str(shards), *words]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=200
        )
        assert done.returncode == 0, done.stderr[-3000:]

    job()
    assert (tmp_path / "queue").read_text() == "requeue 4711\n"
    stopped = [int(path.stem.split("=")[1]) for path in out.glob("stopped-step=*.ckpt")]
    assert len(stopped) == 1 and stopped[0] % EVERY == 0 and max(losses(out)) == stopped[0] - 1 < 59
    job()
    assert (tmp_path / "queue").read_text() == "requeue 4711\n"  # it has ended
    assert sorted(losses(out)) == list(range(60))


def test_training_from_shards_by_its_config(
    shards: Path,
    model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("sys.argv", ["kinetoscope.generator"])
    words = arguments(shards, model, tmp_path, 4)
    # nothing there yet: from the beginning
    run(GeneratorModule, [*words, "--ckpt_path=last", "--data.workers=1"])
    assert sorted(losses(tmp_path)) == [0, 1, 2, 3]
    assert VideoGenerator.from_pretrained(tmp_path / "generator").decoder.config.grid == (2, 3)
    checkpoint = newest_checkpoint(tmp_path)
    assert checkpoint is not None
    checkpoint.write_bytes(b"PK")
    for mistake, message in (
        (f"--ckpt_path={checkpoint}", "--ckpt_path last takes the newest one that is whole"),
        (
            f"--data.root={tmp_path}",
            "holds no shards (manifest.json is missing); make them with kinetoscope prepare",
        ),
    ):
        with pytest.raises(SystemExit):
            run(GeneratorModule, [*words, mistake])
        assert message in capsys.readouterr().err.splitlines()[-1]
