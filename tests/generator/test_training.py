"""Training of the generator on tiny parts: it learns, exports, resumes exactly, and its YAML files run end to end."""

import copy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import kinetoscope.configs
import lightning.pytorch as pl
import pytest
import torch
import torch.nn.functional as F
from kinetoscope.data.captions import CAMERA_WORDS, COLOUR_WORDS, MOTION_WORDS, SHAPE_WORDS, SIZE_WORDS, TIME_WORDS
from kinetoscope.data.physics import PhysicsConfig
from kinetoscope.data.physics_dataset import physics_batch
from kinetoscope.data.sources import PhysicsSource
from kinetoscope.data.video import read_clip, read_metadata
from kinetoscope.data.video_writer import write_video
from kinetoscope.generator import TextEncoder, VideoGenerator
from kinetoscope.generator.cli import main
from kinetoscope.generator.module import DecoderSize, GeneratorModule, TokenDataModule, TokenLoss
from kinetoscope.generator.token_data import Stage
from kinetoscope.tokenizer import QuantizerConfig, StackConfig, TokenizerConfig, VideoTokenizer
from kinetoscope.tokenizer.module import TokenizerModule
from kinetoscope.tokenizer.optimizer import MuonAdamW
from kinetoscope.tokenizer.training_cli import run
from torch import Tensor, nn

CONFIGS = Path(kinetoscope.configs.__path__[0])
SIZE = DecoderSize(dim=32, layers=1, heads=2, kv_heads=1, window=2, max_distance=2)
WORLD = PhysicsConfig(max_objects=1)
QUIET = ["--trainer.enable_progress_bar=false", "--trainer.enable_model_summary=false", "--trainer.accelerator=cpu"]


@pytest.fixture(autouse=True)
def no_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lightning CLI warns about arguments of the test runner."""
    monkeypatch.setattr("sys.argv", ["kinetoscope.generator"])


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Folders of a tokenizer (8 pixels and 4 frames to a code) and of a text encoder that knows all caption words."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    torch.manual_seed(0)
    root = tmp_path_factory.mktemp("parts")
    stack = StackConfig(width=16, depth=1, kernel=3, spatial=(0,), temporal=(0,))
    quantizer = QuantizerConfig("FSQ", {"levels": [4, 4]})
    sizes = TokenizerConfig(encoder=stack, decoder=stack, refine_channels=0, quantizer=quantizer)
    tokenizer = VideoTokenizer(sizes)
    clips = physics_batch(range(4), 5, 16, WORLD)["video"].float() / 127.5 - 1
    tokenizer.fit_whitening([clips])
    tokenizer.quantizer.project.weight.data.mul_(3)
    tokenizer.save_pretrained(root / "tokenizer")
    tables = (CAMERA_WORDS, COLOUR_WORDS, MOTION_WORDS, SHAPE_WORDS, SIZE_WORDS, TIME_WORDS)
    spoken = {word for table in tables for words in table.values() for phrase in words for word in phrase.split()}
    words = ["[PAD]", "[UNK]", "a", "an", "and", ",", "while", "rolls", "slides", *sorted(spoken)]
    model = Tokenizer(WordLevel({word: index for index, word in enumerate(dict.fromkeys(words))}, unk_token="[UNK]"))
    model.pre_tokenizer = Whitespace()
    wrapped = PreTrainedTokenizerFast(tokenizer_object=model, pad_token="[PAD]", unk_token="[UNK]")
    bert = dict(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16)
    encoder = BertModel(BertConfig(vocab_size=len(words), max_position_embeddings=64, **bert))
    TextEncoder(encoder, wrapped).save_pretrained(root / "text")
    return {"tokenizer": str(root / "tokenizer"), "text": str(root / "text")}


Fresh = Callable[..., GeneratorModule]


@pytest.fixture
def fresh(parts: dict[str, str]) -> Fresh:
    def make(**settings: Any) -> GeneratorModule:
        torch.manual_seed(0)
        values = {"size": SIZE, "grid": (2, 2), "lr": 1e-2, "muon_lr": 1e-2, "warmup_steps": 1, "ema_decay": 0.5}
        return GeneratorModule(**parts, **values | {"samples_every": 0} | settings)

    return make


def data(folder: Path, stages: list[Stage], count: int = 8) -> TokenDataModule:
    train, validation = (PhysicsSource(count, 9, 16, WORLD, validation=v) for v in (False, True))
    return TokenDataModule(train, validation, stages, str(folder / "tokens"))


class Losses(pl.Callback):
    """Remembers the loss of every step, and stops after some of them."""

    def __init__(self, stop: int = 10**6) -> None:
        self.stop, self.losses = stop, list[float]()

    def on_train_batch_end(self, trainer: pl.Trainer, module: Any, outputs: Any, *_: Any) -> None:
        self.losses.append(float(outputs["loss"]))
        trainer.should_stop = trainer.global_step >= self.stop


def trainer(folder: Path, steps: int, stop: int = 10**6, **options: Any) -> tuple[pl.Trainer, list[float]]:
    losses = Losses(stop)
    made = pl.Trainer(
        max_steps=steps,
        max_epochs=-1,
        default_root_dir=folder,
        logger=pl.loggers.CSVLogger(folder),
        callbacks=[losses, pl.callbacks.ModelCheckpoint(every_n_train_steps=2, save_last=True)],
        log_every_n_steps=1,
        accelerator="cpu",
        enable_progress_bar=False,
        enable_model_summary=False,
        gradient_clip_val=1.0,
        **options,
    )
    return made, losses.losses


# ---- the optimizer ----


class Mixture(nn.Module):
    """Linear layers, one of them frozen and two that share a weight, a table, a kernel and vectors."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.kernel = nn.Embedding(50, 8), nn.Parameter(torch.randn(3, 8))
        self.one, self.two, self.frozen = nn.Linear(8, 8), nn.Linear(8, 8, bias=False), nn.Linear(8, 8)
        self.norm = nn.RMSNorm(8)
        self.two.weight = self.one.weight
        self.frozen.requires_grad_(False)

    def forward(self, index: Tensor) -> Tensor:
        x = self.one(self.norm(self.table(index) * self.kernel.sum(0)))
        return self.frozen(self.two(x).tanh()).square().mean()


@pytest.mark.parametrize("muon_lr", [0.0, 1e-2])
def test_every_trained_parameter_has_exactly_one_rule(muon_lr: float) -> None:
    torch.manual_seed(0)
    model = Mixture()
    optimizer = MuonAdamW(model, 1e-3, muon_lr, 0.1)
    groups = [{id(p) for p in group["params"]} for group in optimizer.param_groups]
    given = [p for group in groups for p in group]
    assert sorted(given) == sorted(id(p) for p in model.parameters() if p.requires_grad)
    decayed = {p for group, ids in zip(optimizer.param_groups, groups) if group["weight_decay"] for p in ids}
    assert decayed == {id(p) for p in (model.table.weight, model.kernel, model.one.weight)}
    rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    assert rates[id(model.one.weight)] == (muon_lr or 1e-3)
    assert rates[id(model.table.weight)] == rates[id(model.one.bias)] == rates[id(model.kernel)] == 1e-3


def test_muon_steps_are_of_equal_size_in_all_directions() -> None:
    torch.manual_seed(0)
    model = Mixture()
    before = model.one.weight.detach().clone()
    optimizer = MuonAdamW(model, 1e-3, 1e-2, 0.0)
    model(torch.arange(50)).backward()
    optimizer.step()
    sizes = torch.linalg.svdvals(before - model.one.weight.detach())
    assert sizes[0] / sizes[-1] < 3 and sizes[0] > 0


@pytest.mark.parametrize("muon_lr", [0.0, 1e-2])
def test_saved_state_gives_the_same_next_step(muon_lr: float) -> None:
    def step(model: Mixture, optimizer: MuonAdamW) -> None:
        optimizer.zero_grad()
        model(torch.arange(50)).backward()
        optimizer.step()

    torch.manual_seed(0)
    model = Mixture()
    optimizer = MuonAdamW(model, 1e-3, muon_lr, 0.1)
    for _ in range(3):
        step(model, optimizer)
    twin = Mixture()
    twin.load_state_dict(model.state_dict())
    restored = MuonAdamW(twin, 7.0, muon_lr and 7.0, 0.0)
    restored.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for _ in range(2):
        step(model, optimizer)
        step(twin, restored)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), twin.parameters()))


# ---- the module ----


def test_training_learns_and_exports_a_generator(fresh: Fresh, tmp_path: Path) -> None:
    module = fresh(samples_every=20)
    codec, encoder = module.tokenizer.id, module.text.id
    fit, losses = trainer(tmp_path, 40, val_check_interval=20)
    fit.fit(module, data(tmp_path, [Stage(20, 1, 8), Stage(20, 3, 4)]))
    assert len(losses) == 40
    assert sum(losses[-4:]) < 0.9 * sum(losses[20:24])
    header = (Path(fit.log_dir or "") / "metrics.csv").read_text().splitlines()[0].split(",")
    assert {"train/bits_per_token", "val/bits_per_token", "val/caption_bits_per_clip"} <= set(header)
    assert len(list((Path(fit.log_dir or "") / "samples").glob("*.png"))) == 2
    exported = VideoGenerator.from_pretrained(module.export_folder)
    video = exported.generate("a red ball rolls to the left", frames=6)
    assert video.shape == (1, 3, 6, 16, 16) and video.abs().max() <= 1
    assert (exported.tokenizer.id, exported.text.id) == (codec, encoder)  # averaging must not touch frozen parts
    for mine, saved in zip(module.model.parameters(), exported.decoder.parameters(), strict=True):
        torch.testing.assert_close(mine, saved, atol=2e-3, rtol=2e-3)


@pytest.mark.parametrize("muon_lr", [0.0, 1e-2])
def test_a_stopped_run_goes_on_where_it_was(fresh: Fresh, tmp_path: Path, muon_lr: float) -> None:
    """Stopped in the second stage and resumed, a run has the losses and weights of one that was never stopped."""
    stages = [Stage(3, 1, 4), Stage(3, 3, 3), Stage(3, 2, 4)]
    whole, resumed = fresh(muon_lr=muon_lr), fresh(muon_lr=muon_lr)
    fit, losses = trainer(tmp_path, 8)
    fit.fit(whole, data(tmp_path, stages))
    fit, first_losses = trainer(tmp_path, 8, stop=4)
    fit.fit(fresh(muon_lr=muon_lr), data(tmp_path, stages))
    assert len(first_losses) == 4
    last = Path(fit.log_dir or "") / "checkpoints" / "last.ckpt"
    fit, later_losses = trainer(tmp_path, 8)
    fit.fit(resumed, data(tmp_path, stages), ckpt_path=last, weights_only=False)
    assert first_losses + later_losses == losses
    assert all(torch.equal(a, b) for a, b in zip(whole.model.parameters(), resumed.model.parameters(), strict=True))


@pytest.mark.parametrize("loss", [TokenLoss(0, 0), TokenLoss(2, 0), TokenLoss(0, 3), TokenLoss(1, 1)], ids=str)
def test_tokens_count_as_documented(fresh: Fresh, loss: TokenLoss) -> None:
    module = fresh(loss=loss, caption_dropout=0, hidden_clips=0)
    nn.init.normal_(module.model.head.full, std=0.3)
    draw = torch.Generator().manual_seed(0)
    codes = torch.randint(0, 3, (2, 3, 2, 2), generator=draw)
    objects = torch.rand(2, 3, 2, 2, generator=draw) < 0.3
    states, mask = module.text.encode(["a red ball", "a blue cube rolls left"])
    with torch.no_grad():
        logits = module.model(codes, states, mask)
        batch = {"codes": codes, "objects": objects, "text": states, "text_mask": mask}
        result = float(module.training_step(batch, 0))
    total = weights = 0.0
    for b, t, h, w in torch.cartesian_prod(*(torch.arange(n) for n in codes.shape)).tolist():
        changed = t == 0 or int(codes[b, t, h, w]) != int(codes[b, t - 1, h, w])
        weight = 1 + loss.changed * changed + loss.objects * float(objects[b, t, h, w])
        total += weight * float(F.cross_entropy(logits[b, t, 2 * h + w], codes[b, t, h, w]))
        weights += weight
    assert result == pytest.approx(total / weights, rel=1e-3)


@pytest.mark.parametrize(("dropped", "hidden"), [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_dropped_captions_are_not_read_and_some_codes_are_hidden(fresh: Fresh, dropped: float, hidden: float) -> None:
    module = fresh(caption_dropout=dropped, hidden_clips=hidden)
    for parameter in module.model.parameters():
        nn.init.normal_(parameter, std=0.3)
    states, mask = module.text.encode(["a red ball"] * 4)
    states.requires_grad_()
    codes = torch.randint(0, 16, (4, 2, 2, 2))
    nothing = torch.zeros_like(codes, dtype=torch.bool)
    module.training_step({"codes": codes, "objects": nothing, "text": states, "text_mask": mask}, 0).backward()
    assert states.grad is not None and module.model.hidden_code.grad is not None
    assert bool(states.grad.any()) != bool(dropped)
    assert bool(module.model.hidden_code.grad.any()) == bool(hidden)


def test_a_run_starts_from_an_exported_generator(fresh: Fresh, tmp_path: Path) -> None:
    fresh().generator().save_pretrained(tmp_path / "old")
    module = GeneratorModule("nowhere", "nowhere", init_from=str(tmp_path / "old"))
    old = VideoGenerator.from_pretrained(tmp_path / "old")
    assert module.model.config == old.decoder.config and module.model.training
    assert all(torch.equal(a, b) for a, b in zip(module.model.parameters(), old.decoder.parameters(), strict=True))
    assert not any(p.requires_grad for part in (module.tokenizer, module.text) for p in part.parameters())


def test_a_missing_caption_encoder_is_fitted_once(
    parts: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Path] = []

    def fit(folder: Path) -> None:
        made.append(folder)
        TextEncoder.from_pretrained(parts["text"]).save_pretrained(folder)

    monkeypatch.setattr("kinetoscope.generator.text_fit.fit_text_encoder", fit)
    for _ in range(2):
        GeneratorModule(parts["tokenizer"], str(tmp_path / "new" / "text"), fit_text=True, size=SIZE, grid=(2, 2))
    assert made == [tmp_path / "new" / "text"]


def test_mistakes_are_named(fresh: Fresh, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"hidden_clips is a share, from 0 to 1; got 1\.5"):
        fresh(hidden_clips=1.5)
    with pytest.raises(ValueError, match=r"set trainer\.max_steps"):
        trainer(tmp_path, -1)[0].fit(fresh(), data(tmp_path, [Stage(1, 1, 2)]))
    with pytest.raises(ValueError, match="asks for 4 latent frames; the clips have 3"):
        trainer(tmp_path, 2)[0].fit(fresh(), data(tmp_path, [Stage(1, 4, 2)]))
    with pytest.raises(ValueError, match=r"the decoder takes 3; shorten it, or set model\.size\.max_text to"):
        short = DecoderSize(**vars(SIZE) | {"max_text": 3})
        trainer(tmp_path, 2)[0].fit(fresh(size=short), data(tmp_path, [Stage(1, 1, 2)]))


# ---- the command lines ----


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    """Four small MP4 files with a text file beside each."""
    root = tmp_path / "videos"
    root.mkdir()
    batch = physics_batch(range(4), 9, 16, WORLD)
    for index, (video, caption) in enumerate(zip(batch["video"], batch["caption"])):
        write_video(root / f"{index}.mp4", video, fps=12)
        (root / f"{index}.txt").write_text(caption + "\n")
    return root


def yaml(package: str, name: str) -> list[str]:
    return ["fit", "--config", str(CONFIGS / package / f"{name}.yaml"), *QUIET]


def test_a_folder_of_videos_becomes_a_model_that_samples(
    videos: Path, parts: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both command lines, then `kinetoscope sample`."""
    small = ["--data.root", str(videos), "--data.size", "16", "--data.frames", "5", "--trainer.max_steps", "2"]
    runs, tokenizer, model = tmp_path / "runs", tmp_path / "tokenizer", tmp_path / "generator"
    own = ["--model.export_dir", str(tokenizer), "--model.whitening_batches", "1", "--data.batch_size", "2"]
    run(TokenizerModule, [*yaml("tokenizer", "folder"), *small, *own, f"--trainer.default_root_dir={runs}"])
    assert VideoTokenizer.from_pretrained(tokenizer).whitening.fitted
    stages = '[{"steps": 1, "latents": 1, "batch_size": 2}, {"steps": 1, "latents": 2, "batch_size": 2}]'
    own = [f"--model.tokenizer={tokenizer}", f"--model.text={parts['text']}", f"--model.export_dir={model}"]
    own += ["--model.grid=[2,2]", "--model.size.dim=32", "--model.size.layers=1", f"--data.cache_dir={tmp_path / 'c'}"]
    own += [f"--data.stages={stages}", "--data.rounds=1", "--trainer.val_check_interval=1"]
    run(GeneratorModule, [*yaml("generator", "folder"), *small, *own, f"--trainer.default_root_dir={runs}"])
    clip = tmp_path / "clip.mp4"
    arguments = ["sample", "a red ball rolls left", "--frames", "6", "--seed", "3"]
    assert main([*arguments, "--model", str(model), "--out", str(clip), "--scale", "1"]) == 0, capsys.readouterr().err
    assert read_clip(clip).video.shape == (3, 6, 16, 16)
    assert "a red ball rolls left" in read_metadata(clip).values()


@pytest.mark.parametrize("config", sorted((CONFIGS / "tokenizer").glob("physics*.yaml")), ids=lambda path: path.stem)
def test_the_tokenizer_of_the_shipped_model_takes_a_step(config: Path, parts: dict[str, str], tmp_path: Path) -> None:
    small = ["--data.size=16", "--data.frames=5", "--data.batch_size=2", "--data.compiled=false"]
    small += ["--trainer.max_steps=1", "--trainer.limit_val_batches=1", "--model.whitening_batches=1"]
    small += [f"--model.init_from={parts['tokenizer']}"] * ("init_from" in config.read_text())
    out = ["--model.export_dir", str(tmp_path / "out"), "--trainer.default_root_dir", str(tmp_path)]
    run(TokenizerModule, [*yaml("tokenizer", config.stem), *small, *out])
    assert VideoTokenizer.from_pretrained(tmp_path / "out").whitening.fitted


def test_the_generator_of_the_shipped_model_takes_a_step(parts: dict[str, str], tmp_path: Path) -> None:
    settings = ("count=2", "frames=5", "size=16")
    sources = [f"--data.init_args.{name}.init_args.{value}" for name in ("train", "validation") for value in settings]
    small = [*sources, "--data.init_args.train.init_args.compiled=false", "--model.grid=[2,2]", "--trainer.max_steps=1"]
    small += ['--data.init_args.stages=[{"steps": 1, "latents": 2, "batch_size": 2}]', "--model.samples_every=1"]
    small += [f"--data.init_args.cache_dir={tmp_path / 'tokens'}", f"--trainer.default_root_dir={tmp_path}"]
    own = [*(f"--model.{name}={folder}" for name, folder in parts.items()), f"--model.export_dir={tmp_path / 'g'}"]
    run(GeneratorModule, [*yaml("generator", "physics-64"), *small, *own])
    assert VideoGenerator.from_pretrained(tmp_path / "g").decoder.config.layers == 8


@pytest.mark.slow
@pytest.mark.parametrize("package", ["tokenizer", "generator"])
def test_both_packages_run_as_commands(package: str) -> None:
    command = [sys.executable, "-m", f"kinetoscope.{package}", *yaml(package, "folder"), "--data.root=clips"]
    printed = subprocess.run([*command, "--print_config"], capture_output=True, text=True, check=True)
    assert "root: clips" in printed.stdout


@pytest.mark.parametrize("config", sorted((CONFIGS / "generator").glob("*.yaml")), ids=lambda path: path.stem)
def test_overrides_reach_every_yaml(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    changes = ["--model.lr", "0.125", "--trainer.max_steps", "77", "--model.init_from", "physics-64"]
    with pytest.raises(SystemExit) as left:
        run(GeneratorModule, ["fit", "--config", str(config), *changes, "--print_config"])
    printed = capsys.readouterr()
    assert left.value.code == 0, printed.err
    assert "lr: 0.125" in printed.out and "max_steps: 77" in printed.out and "init_from: physics-64" in printed.out


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--model.hidden_clips", "2"], "hidden_clips is a share"),
        (["--model.tokenizer", "nowhere"], "unknown model 'nowhere'"),
        (["--data.root", "nowhere"], "nowhere"),
        (["--data.root", "."], "holds no videos"),
        (["--data.stages", '[{"steps": 0, "latents": 1, "batch_size": 1}]'], "steps must be at least 1; got 0"),
    ],
)
def test_mistakes_on_the_command_line_end_in_one_line(
    arguments: list[str],
    problem: str,
    parts: dict[str, str],
    videos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    base = [*yaml("generator", "folder"), "--data.root", str(videos), "--data.frames=5", "--data.size=16"]
    base += [f"--model.{name}={folder}" for name, folder in parts.items()]
    with pytest.raises(SystemExit) as left:
        run(GeneratorModule, [*base, *arguments])
    lines = capsys.readouterr().err.strip().splitlines()
    assert left.value.code == 2
    assert lines[-1].startswith("error: ") and problem in lines[-1]
