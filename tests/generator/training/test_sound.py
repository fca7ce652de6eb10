"""Learning the sound of videos: from their own tracks through caches and shards to a model that
draws it."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from kinetoscope.data.datasets.source import FolderSource, PhysicsSource, StageSource
from kinetoscope.data.video.write import VideoWriter
from kinetoscope.data.worlds.stage.sample import sample_scenes
from kinetoscope.data.worlds.stage.sound import sound as sound_of_scenes
from kinetoscope.generator import SamplingParams, VideoGenerator
from kinetoscope.generator.tokens.batch import Stage
from kinetoscope.generator.tokens.cache import build_tokens
from kinetoscope.generator.tokens.data_modules import FolderTokens, ShardTokens, with_sound
from kinetoscope.generator.tokens.make_shard import ShardOptions
from kinetoscope.generator.tokens.prepare import Work, prepare
from kinetoscope.generator.training.batch_parts import audible, sound_in
from kinetoscope.generator.training.lora import LoraSize
from kinetoscope.generator.training.module import DecoderSize
from kinetoscope.generator.training.nats import Clips, nats_of
from kinetoscope.generator.training.token_weights import TokenLoss
from kinetoscope.tokenizer.sound import SoundTokenizer
from kinetoscope.tokenizer.sound.__main__ import levels_of
from kinetoscope.tokenizer.sound.training.solve import solve
from torch import Tensor

RATE = 24_000
FRAMES = 9
COLOURS = ("red", "green", "blue", "yellow", "cyan", "purple", "orange", "pink")


def pixels_of(number: int) -> Tensor:
    """A square that moves, in a colour of its own."""
    colour = torch.tensor([60 + 20 * number, 255 - 30 * number, 40 * (number % 4)])
    video = torch.zeros(3, FRAMES, 16, 16)
    for frame in range(FRAMES):
        video[:, frame, 4 : 4 + 8, frame // 2 : frame // 2 + 8] = colour[:, None, None]
    return video.to(torch.uint8)


def sound_of(number: int) -> Tensor:
    """A tone of its own that swells."""
    time = torch.arange(FRAMES * 2000) / RATE
    tone = torch.sin(2 * math.pi * 200 * 1.4**number * time)
    return 0.6 * tone * (2 * math.pi * (1 + number) * time).sin().abs()


def write(path: Path, number: int, sound: bool = True) -> None:
    with VideoWriter(path, 12, crf=0, sound_rate=RATE if sound else None) as writer:
        writer.write(pixels_of(number))
        if sound:
            writer.write_sound(sound_of(number))
    path.with_suffix(".txt").write_text(f"a {COLOURS[number]} cube rolls")


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four videos; the last one is silent."""
    folder = tmp_path_factory.mktemp("films")
    for number in range(4):
        write(folder / f"{number}.mp4", number, sound=number < 3)
    return folder


@pytest.fixture(scope="module")
def hearing(tmp_path_factory: pytest.TempPathFactory, sound_tokenizer: SoundTokenizer) -> str:
    folder = tmp_path_factory.mktemp("hearing")
    sound_tokenizer.save_pretrained(folder, half=False)
    return str(folder)


def codes_of(tokenizer: SoundTokenizer, batch: dict[str, Any]) -> Tensor:
    return tokenizer.encode(batch["sound"]).indices


# ---- data ----


def test_clips_bring_the_sound_of_their_frames(films: Path) -> None:
    source = FolderSource(str(films), FRAMES, 16, 12.0, 1, held_out=0)
    batch = source.with_sound(RATE, 2000).clips(range(4))
    assert batch["sound"].shape == (4, FRAMES * 2000)
    by_name = sorted(zip(source.rows, batch["heard"].tolist(), batch["sound"]))
    assert [heard for _, heard, _ in by_name] == [True, True, True, False]
    for number, heard, wave in by_name:
        wanted = sound_of(number) if heard else torch.zeros(FRAMES * 2000)
        assert (wave - wanted).abs().mean() < 0.01
    assert "sound" not in source.clips(range(1))


def test_the_stage_sounds_as_its_scenes_do(hearing: str, tmp_path: Path) -> None:
    silent = StageSource(2, FRAMES, 16)
    source = with_sound(silent, SoundTokenizer.from_pretrained(hearing))
    clips = source.clips(range(2))
    scenes = sample_scenes(range(2), FRAMES, silent.world)
    assert torch.equal(clips["sound"], sound_of_scenes(scenes))
    assert clips["sound"].abs().amax() > 0.01 and "sound" not in silent.clips(range(2))
    assert torch.equal(clips["video"], silent.clips(range(2))["video"])
    assert source.key != silent.key
    with pytest.raises(ValueError, match="2000 samples a frame at 24000 samples a second, and"):
        silent.with_sound(16_000, 2000)


@pytest.mark.parametrize("fps", [None, 10.0])
def test_sound_needs_frames_of_its_length(films: Path, fps: float | None) -> None:
    source = FolderSource(str(films), 5, 16, fps, 1, held_out=0)
    with pytest.raises(ValueError, match=r"learned at 12 frames a second; set data\.fps=12"):
        source.with_sound(RATE, 2000)


def test_clips_without_sound_are_refused(hearing: str) -> None:
    with pytest.raises(ValueError, match=r"these clips have no sound; leave model\.sound out"):
        with_sound(PhysicsSource(2, 5, 16), SoundTokenizer.from_pretrained(hearing))


def test_a_cache_keeps_codes_of_sound(
    films: Path, parts: dict[str, str], hearing: str, fresh: Callable[..., Any], tmp_path: Path
) -> None:
    module = fresh(sound=True, sound_tokenizer=hearing)
    source = FolderSource(str(films), FRAMES, 16, 12.0, 1, held_out=0).with_sound(RATE, 2000)
    arguments = module.tokenizer, module.text, tmp_path, module.codebooks
    for _ in range(2):  # made, and read
        tokens = build_tokens(source, *arguments, module.sound)
        batch = tokens.batch(torch.tensor([0, 2]), 2)
        clips = source.clips(range(3))
        assert torch.equal(batch["sound"], codes_of(module.sound, clips)[[0, 2], :2])
        assert torch.equal(batch["heard"], clips["heard"][[0, 2]])
    assert "sound" not in build_tokens(source, *arguments).batch(torch.tensor([0]), 1)


def prepared(films: Path, parts: dict[str, str], hearing: str | None, out: Path) -> Path:
    work = Work(parts["tokenizer"], None, workers=1, sound=hearing)
    prepare(str(films), str(out), ShardOptions((16, 16), fps=12.0), work, lambda line: None)
    return out


def test_shards_hold_codes_of_sound(
    films: Path, parts: dict[str, str], hearing: str, fresh: Callable[..., Any], tmp_path: Path
) -> None:
    module = fresh(sound=True, sound_tokenizer=hearing)
    data = ShardTokens(str(prepared(films, parts, hearing, tmp_path / "a")), held_out=0)
    tokens, _, _ = data.load(module)
    batch = tokens.batch(torch.arange(4), 3)
    assert batch["heard"].tolist() == [True, True, True, False]
    source = FolderSource(str(films), FRAMES, 16, 12.0, 1, held_out=0).with_sound(RATE, 2000)
    clips = source.clips(range(4))
    for row, codes in zip(source.rows, codes_of(module.sound, clips)):
        if batch["heard"][row]:
            assert torch.equal(batch["sound"][row], codes)
    silent = fresh()
    assert "sound" not in data.load(silent)[0].batch(torch.arange(2), 1)


def test_shards_must_fit_the_model(
    films: Path, parts: dict[str, str], hearing: str, fresh: Callable[..., Any], tmp_path: Path
) -> None:
    module = fresh(sound=True, sound_tokenizer=hearing)
    silent = prepared(films, parts, None, tmp_path / "silent")
    with pytest.raises(ValueError, match="hold no sound; prepare them again with --sound"):
        ShardTokens(str(silent)).load(module)
    with pytest.raises(ValueError, match="were begun with another sound tokenizer, or none"):
        prepared(films, parts, hearing, tmp_path / "silent")
    SoundTokenizer(module.sound.config).save_pretrained(tmp_path / "other")
    other = prepared(films, parts, str(tmp_path / "other"), tmp_path / "others")
    with pytest.raises(ValueError, match=r"and the model's is .*; set model\.sound_tokenizer"):
        ShardTokens(str(other)).load(module)
    work = Work(parts["tokenizer"], None, workers=1, sound=hearing)
    with pytest.raises(ValueError, match="give --fps 12 with --sound"):
        prepare(str(films), str(tmp_path / "rate"), ShardOptions((16, 16)), work)


# ---- steps ----


@pytest.fixture
def batch() -> dict[str, Tensor]:
    torch.manual_seed(0)
    return {
        "codes": torch.randint(16, (4, 3, 2, 2)),
        "objects": torch.zeros(4, 3, 2, 2, dtype=torch.bool),
        "text": torch.randn(4, 5, 16),
        "text_mask": torch.ones(4, 5, dtype=torch.bool),
        "sound": torch.randint(15, (4, 3, 4)),
        "heard": torch.tensor([True, True, True, False]),
    }


def logged(module: Any, monkeypatch: pytest.MonkeyPatch, batch: dict[str, Tensor]) -> Any:
    """The loss of a step, and what it logs."""
    values: dict[str, Tensor] = {}
    monkeypatch.setattr(module, "log", lambda name, value, **_: values.update({name: value}))
    return module.training_step(batch, 0), values


def test_a_share_of_the_codes_stands_for_all_of_them(
    fresh: Callable[..., Any], hearing: str, batch: dict[str, Tensor]
) -> None:
    module = fresh(sound=True, sound_tokenizer=hearing)
    for weight in module.model.sound.head.parameters():
        torch.nn.init.normal_(weight)
    sound = sound_in(batch)
    codes = batch["codes"]
    clips = Clips(codes, codes, batch["text"], batch["text_mask"], sound=sound)
    _, heard = nats_of(module.model, clips, module.backend)
    assert heard is not None
    estimates = []
    for chance in torch.arange(0, 1, 0.005):
        picked = TokenLoss(sound_share=0.3).pick_sound(audible(sound), chance)
        _, part = nats_of(module.model, clips, module.backend, listened=picked)
        assert part is not None and part[1].shape == (14,)  # of 48
        estimates.append(part[0])
    assert torch.stack(estimates).std() > 0
    assert torch.allclose(torch.stack(estimates).mean(), heard[0], rtol=0.01)


def test_pictures_teach_no_sound(
    fresh: Callable[..., Any], hearing: str, batch: dict[str, Tensor], monkeypatch: Any
) -> None:
    module = fresh(sound=True, sound_tokenizer=hearing)
    pictures = {name: value for name, value in batch.items() if name not in ("sound", "heard")}
    loss, values = logged(module, monkeypatch, pictures)
    loss.backward()
    assert "train/sound_loss" not in values and torch.equal(loss, values["train/loss"])
    # processes that share a model wait for a gradient of every weight
    assert all(not weight.grad.any() for weight in module.model.sound.parameters())


def test_the_loss_of_sound_is_logged_apart(
    fresh: Callable[..., Any], hearing: str, batch: dict[str, Tensor], monkeypatch: Any
) -> None:
    module = fresh(sound=True, sound_tokenizer=hearing, sound_dropout=0.0)
    loss, values = logged(module, monkeypatch, batch)
    expected = values["train/loss"] + 0.25 * values["train/sound_loss"]
    assert torch.allclose(loss, expected)
    assert values["train/sound_loss"].item() == pytest.approx(math.log(15), rel=0.2)
    loss.backward()
    sound = module.model.sound
    assert all(p.grad is not None and p.grad.isfinite().all() for p in sound.parameters())


def test_clips_without_a_track_teach_no_silence(
    fresh: Callable[..., Any], hearing: str, batch: dict[str, Tensor], monkeypatch: Any
) -> None:
    module = fresh(sound=True, sound_tokenizer=hearing, sound_dropout=0.0)
    before = logged(module, monkeypatch, batch)[0]
    other = batch | {"sound": batch["sound"].clone()}
    other["sound"][3] += 1
    assert torch.equal(logged(module, monkeypatch, other)[0], before)
    other["sound"][0] = 14 - other["sound"][0]
    assert not torch.equal(logged(module, monkeypatch, other)[0], before)


def test_sound_that_is_dropped_from_all_costs_nothing(
    fresh: Callable[..., Any], hearing: str, batch: dict[str, Tensor], monkeypatch: Any
) -> None:
    """And the pictures are learned as by a model without sound."""
    module = fresh(sound=True, sound_tokenizer=hearing, sound_dropout=1.0, hidden_clips=0.0)
    values = logged(module, monkeypatch, batch)[1]
    assert values["train/sound_loss"] == 0
    silent = fresh(hidden_clips=0.0)
    weights = module.model.state_dict()
    silent.model.load_state_dict({k: v for k, v in weights.items() if "sound." not in k})
    assert torch.allclose(logged(silent, monkeypatch, batch)[1]["train/loss"], values["train/loss"])


def test_sound_is_added_to_a_model_that_has_none(
    fresh: Callable[..., Any], hearing: str, batch: dict[str, Tensor], tmp_path: Path
) -> None:
    silent = fresh()
    silent.generator().save_pretrained(tmp_path / "silent", half=False)
    module = fresh(init_from=str(tmp_path / "silent"), sound=True, sound_tokenizer=hearing)
    made = module.generator()
    assert made.sound is not None and made.decoder.config.sound.codes == 4
    before, now = silent.averaged.state_dict(), module.model.state_dict()
    assert all(torch.equal(before[name], now[name]) for name in before)
    made.save_pretrained(tmp_path / "heard", half=False)
    again = fresh(init_from=str(tmp_path / "heard"))  # goes on without learning sound
    assert again.sound is None and again.generator().sound.id == made.sound.id
    assert again.training_step(batch, 0).isfinite()
    with pytest.raises(ValueError, match="cannot teach a model sound"):
        fresh(init_from=str(tmp_path / "silent"), sound=True, lora=LoraSize(2))


# ---- a whole run ----


def folder_tokens(folder: Path, cache: Path, batch_size: int) -> FolderTokens:
    stages = [Stage(1, 3, batch_size)]
    return FolderTokens(str(folder), FRAMES, 16, 12.0, 1, stages=stages, cache_dir=str(cache))


def test_a_run_on_a_folder_makes_a_model_that_sounds(
    films: Path, hearing: str, fresh: Any, make_trainer: Any, tmp_path: Path
) -> None:
    module = fresh(sound=True, sound_tokenizer=hearing)
    trainer, losses = make_trainer(tmp_path, 2)
    trainer.fit(module, folder_tokens(films, tmp_path / "tokens", 2))
    assert len(losses) == 2 and all(math.isfinite(loss) for loss in losses)
    made = VideoGenerator.from_pretrained(module.export_folder)
    video, sound = made.generate("a red cube rolls", 5, sound=True)
    assert video.shape[2] == 5 and sound.shape == (1, 10_000)


def test_a_folder_of_silent_videos_teaches_no_sound(
    hearing: str, fresh: Any, make_trainer: Any, tmp_path: Path
) -> None:
    for number in range(2):
        write(tmp_path / "films" / f"{number}.mp4", number, sound=False)
    module = fresh(sound=True, sound_tokenizer=hearing)
    trainer, _ = make_trainer(tmp_path, 1)
    with pytest.raises(ValueError, match="none of 1 clips has a sound track; leave"):
        trainer.fit(module, folder_tokens(tmp_path / "films", tmp_path / "tokens", 1))


@pytest.mark.slow
def test_eight_clips_are_learned_by_heart(
    sound_tokenizer: SoundTokenizer, fresh: Any, tmp_path: Path, parts: dict[str, str]
) -> None:
    """Given its sentence, the likeliest sound is that of the clip, code for code in most places."""
    waves = torch.stack([sound_of(number) for number in range(8)])
    hearing = str(tmp_path / "hearing")
    tokenizer = solve(sound_tokenizer.config, levels_of(sound_tokenizer, waves))
    tokenizer.save_pretrained(hearing, half=False)
    for number in range(8):
        write(tmp_path / "films" / f"{number}.mp4", number)
    source = FolderSource(str(tmp_path / "films"), FRAMES, 16, 12.0, 1, held_out=0)
    module = fresh(
        sound=True,
        sound_tokenizer=hearing,
        size=DecoderSize(dim=64, layers=2, heads=4, kv_heads=2, window=3, max_distance=3),
        hidden_clips=0.0,
        caption_dropout=0.0,
        sound_dropout=0.1,
    )
    heard = source.with_sound(RATE, 2000)
    arguments = module.tokenizer, module.text, tmp_path / "tokens", module.codebooks
    tokens = build_tokens(heard, *arguments, module.sound)
    batch = tokens.batch(torch.arange(8), 3)
    assert len(batch["sound"].flatten(1).unique(dim=0)) == 8
    usual = batch["sound"].mode(dim=0).values
    assert (batch["sound"] == usual).float().mean() < 0.7
    optimizer = torch.optim.AdamW(module.model.parameters(), lr=3e-3)
    module.log = lambda *_, **__: None
    losses = []
    for _ in range(400):
        loss = module.training_step(batch, 0)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss))
    assert losses[-1] < 0.1 * losses[0]
    made = module.generator(module.model.eval())
    captions = heard.clips(range(8))["caption"]
    session = made.session(captions, 0, SamplingParams(guidance=1, temperature=0), sound=True)
    drawn = []
    for _ in range(3):
        next(session)
        drawn.append(session.engine.sounds[-1].flatten(1))
    agree = (torch.stack(drawn, dim=1) == batch["sound"]).float().mean()
    assert agree > 0.9
