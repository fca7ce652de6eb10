"""Debug models: small enough for the whole public interface, in seconds and without weights."""

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from kinetoscope.data.video import formats, write_video
from kinetoscope.data.worlds.physics.captions import (
    CAMERA_WORDS,
    COLOUR_WORDS,
    MOTION_WORDS,
    SHAPE_WORDS,
    SIZE_WORDS,
    TIME_WORDS,
)
from kinetoscope.data.worlds.physics.clips import physics_batch
from kinetoscope.data.worlds.physics.scene import PhysicsConfig
from kinetoscope.generator import Decoder, DecoderConfig, TextEncoder, VideoGenerator
from kinetoscope.generator.model.sound_config import SoundConfig
from kinetoscope.generator.tokens.batch import Stage
from kinetoscope.tokenizer import QuantizerConfig, StackConfig, TokenizerConfig, VideoTokenizer
from kinetoscope.tokenizer.sound import SoundTokenizer, SoundTokenizerConfig
from torch import nn

MakeDecoder = Callable[..., Decoder]
LEVELS = (4, 3)
WORLD = PhysicsConfig(max_objects=1)
WORDS = ("a", "red", "blue", "ball", "cube", "rolls", "falls", "slowly")


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def no_settings_of_the_user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keys that tests make do not lie among those of whoever runs them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("settings")))
        yield


@pytest.fixture(scope="session", autouse=True)
def quick_encoder() -> Iterator[None]:
    """H.264 in a quick way, at the same quality in more bytes: most of the time that writing a
    video takes is the search for a smaller file. Tests of written pixels take `usual_encoder`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(formats.BRIEF, "preset", "superfast")
        yield


@pytest.fixture
def usual_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    """H.264 as it is written for people."""
    monkeypatch.delitem(formats.BRIEF, "preset")


# ---- the command line ----


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture(scope="session")
def write_clip() -> Callable[..., Path]:
    """Writes nine frames of drifting colours, 16 x 24 pixels at 12 frames a second; another
    `shift`, other colours."""

    def write(path: Path, shift: int = 0) -> Path:
        f, y, x = torch.meshgrid(torch.arange(9), torch.arange(16), torch.arange(24), indexing="ij")
        path.parent.mkdir(parents=True, exist_ok=True)
        write_video(path, torch.stack([x * 8 + f, y * 12 + shift, f * 20]).to(torch.uint8), fps=12)
        return path

    return write


@pytest.fixture
def clip(tmp_path: Path, write_clip: Callable[..., Path]) -> Path:
    return write_clip(tmp_path / "films/clip.mp4")


# ---- models ----


@pytest.fixture
def make_decoder() -> MakeDecoder:
    """A float64 decoder whose every part has an effect; sizes can be overridden."""

    def make(**overrides: Any) -> Decoder:
        torch.manual_seed(0)
        sizes: dict[str, Any] = dict(
            vocab_size=12,
            levels=LEVELS,
            grid=(2, 3),
            text_dim=10,
            dim=32,
            layers=2,
            heads=4,
            kv_heads=2,
        )
        sizes |= dict(window=3, max_distance=4) | overrides
        decoder = Decoder(DecoderConfig(**sizes)).double()
        for block in decoder.blocks:
            nn.init.normal_(block.out.weight, std=0.3)
            nn.init.normal_(block.down.weight, std=0.3)
            nn.init.normal_(block.sharpness, mean=0.5, std=0.2)
        nn.init.normal_(decoder.head.full, std=0.3)
        return decoder

    return make


@pytest.fixture(scope="session")
def text_encoder() -> TextEncoder:
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    torch.manual_seed(1)
    words = Tokenizer(
        WordLevel({word: i for i, word in enumerate(["[PAD]", "[UNK]", *WORDS])}, unk_token="[UNK]")
    )
    words.pre_tokenizer = Whitespace()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="[PAD]", unk_token="[UNK]"
    )
    sizes: dict[str, Any] = dict(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
    )
    return TextEncoder(
        BertModel(BertConfig(vocab_size=len(WORDS) + 2, max_position_embeddings=20, **sizes)),
        tokenizer,
    )


@pytest.fixture(scope="session")
def generator(text_encoder: TextEncoder) -> VideoGenerator:
    torch.manual_seed(2)
    stack = StackConfig(width=16, depth=1, kernel=3, spatial=(0,), temporal=(0,))
    quantizer = QuantizerConfig("FSQ", {"levels": list(LEVELS)})
    tokenizer = VideoTokenizer(
        TokenizerConfig(patch=4, encoder=stack, decoder=stack, quantizer=quantizer)
    )
    sizes: dict[str, Any] = dict(
        vocab_size=12,
        levels=LEVELS,
        grid=(2, 3),
        text_dim=16,
        dim=32,
        layers=2,
        heads=4,
        kv_heads=2,
    )
    decoder = Decoder(DecoderConfig(**sizes, window=3, max_distance=4, max_text=6))
    for block in decoder.blocks:
        nn.init.normal_(block.out.weight, std=0.3)
        nn.init.normal_(block.down.weight, std=0.3)
    nn.init.normal_(decoder.head.full, std=0.3)
    return VideoGenerator(decoder, tokenizer, text_encoder).eval()


@pytest.fixture(scope="session")
def sound_tokenizer() -> SoundTokenizer:
    """Four codes a latent, and a twelfth of a second a frame; loud enough that differences
    show."""
    torch.manual_seed(4)
    config = SoundTokenizerConfig(
        codes_per_latent=4,
        code_bits=4,
        window=1000,
        hop=500,
        bands=8,
        block=4,
        components=2,
    )
    tokenizer = SoundTokenizer(config)
    tokenizer.codes.predict[-1] = 4.0
    return tokenizer.eval()


@pytest.fixture(scope="session")
def sounding(generator: VideoGenerator, sound_tokenizer: SoundTokenizer) -> VideoGenerator:
    """The debug generator with a decoder that draws sound, two codes a token."""
    torch.manual_seed(5)
    sizes = SoundConfig.of(sound_tokenizer, tokens=2)
    decoder = Decoder(dataclasses.replace(generator.decoder.config, sound=sizes))
    decoder.load_state_dict(generator.decoder.state_dict(), strict=False)
    nn.init.normal_(decoder.sound.head.full, std=0.3)
    for block in decoder.sound.depth.blocks:
        nn.init.normal_(block.down.weight, std=0.3)
    parts = generator.tokenizer, generator.text, sound_tokenizer
    return VideoGenerator(decoder, *parts).eval()


@pytest.fixture(scope="session")
def tiny_config() -> TokenizerConfig:
    return TokenizerConfig(
        patch=4,
        frames_per_latent=3,
        encoder=StackConfig(width=16, depth=3, kernel=3, spatial=(1,), temporal=(0, 2)),
        decoder=StackConfig(width=16, depth=3, kernel=5, spatial=(0, 2), temporal=(1, 2)),
        refine_channels=4,
        quantizer=QuantizerConfig("FSQ", {"levels": [5, 4, 3]}),
    )


@pytest.fixture
def tiny(tiny_config: TokenizerConfig) -> VideoTokenizer:
    """Random weights, and no layer left at zero: a layer that is off would hide its mistakes."""
    torch.manual_seed(0)
    tokenizer = VideoTokenizer(tiny_config)
    with torch.no_grad():
        for parameter in tokenizer.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        tokenizer.quantizer.project.weight.mul_(3)
    tokenizer.fit_whitening([2 * torch.rand(2, 3, 7, 16, 16) - 1])
    return tokenizer.eval()


# ---- training ----


@pytest.fixture(scope="session")
def parts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Folders of a tokenizer (8 pixels and 4 frames to a code) and of a text encoder that knows
    all caption words."""
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
    spoken = {
        word
        for table in tables
        for words in table.values()
        for phrase in words
        for word in phrase.split()
    }
    words = ["[PAD]", "[UNK]", "a", "an", "and", ",", "while", "rolls", "slides", *sorted(spoken)]
    model = Tokenizer(
        WordLevel(
            {word: index for index, word in enumerate(dict.fromkeys(words))}, unk_token="[UNK]"
        )
    )
    model.pre_tokenizer = Whitespace()
    wrapped = PreTrainedTokenizerFast(tokenizer_object=model, pad_token="[PAD]", unk_token="[UNK]")
    bert = dict(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16)
    encoder = BertModel(BertConfig(vocab_size=len(words), max_position_embeddings=64, **bert))
    TextEncoder(encoder, wrapped).save_pretrained(root / "text")
    return {"tokenizer": str(root / "tokenizer"), "text": str(root / "text")}


@pytest.fixture
def fresh(parts: dict[str, str]) -> Callable[..., Any]:
    """Makes a `GeneratorModule` of these parts, with its weights; settings can be overridden."""
    from kinetoscope.generator.training.module import DecoderSize, GeneratorModule

    size = DecoderSize(dim=32, layers=1, heads=2, kv_heads=1, window=2, max_distance=2)

    def make(**settings: Any) -> Any:
        torch.manual_seed(0)
        values = {
            "size": size,
            "grid": (2, 2),
            "lr": 1e-2,
            "muon_lr": 1e-2,
            "warmup_steps": 1,
            "ema_decay": 0.5,
        }
        module = GeneratorModule(**parts, **values | {"samples_every": 0} | settings)
        module.configure_model()
        return module

    return make


@pytest.fixture
def make_data() -> Callable[..., Any]:
    """Makes a `TokenDataModule` of rendered clips of 9 frames of 16 x 16 pixels."""
    from kinetoscope.data.datasets.source import PhysicsSource
    from kinetoscope.generator.training.module import TokenDataModule

    def make(folder: Path, stages: list[Stage], count: int = 8) -> Any:
        train, validation = (
            PhysicsSource(count, 9, 16, WORLD, validation=v) for v in (False, True)
        )
        return TokenDataModule(train, validation, stages, str(folder / "tokens"))

    return make


@pytest.fixture
def make_trainer() -> Callable[..., Any]:
    """Makes a quiet `Trainer` that checkpoints every other step, and the list that the losses of
    its steps go to."""
    import lightning.pytorch as pl

    class Losses(pl.Callback):
        def __init__(self, stop: int) -> None:
            self.stop = stop
            self.losses = list[float]()

        def on_train_batch_end(
            self, trainer: pl.Trainer, module: Any, outputs: Any, *_: Any
        ) -> None:
            self.losses.append(float(outputs["loss"]))
            trainer.should_stop = trainer.global_step >= self.stop

    def make(
        folder: Path, steps: int, stop: int = 10**6, **options: Any
    ) -> tuple[pl.Trainer, list[float]]:
        losses = Losses(stop)
        settings: dict[str, Any] = dict(
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
        )
        return pl.Trainer(**settings | options), losses.losses

    return make
