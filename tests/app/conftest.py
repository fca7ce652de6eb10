"""Models of random weights."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from kinetoscope.generator import Decoder, VideoGenerator
from kinetoscope.generator.conditions import CONDITIONS
from kinetoscope.tokenizer import QuantizerConfig, StackConfig, TokenizerConfig, VideoTokenizer
from torch import nn

from .mood import Mood


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two tokenizers of random weights: `one` has one codebook, `three` has three."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("models")
    stack = StackConfig(width=8, depth=1, spatial=(), temporal=())
    for name, codebooks in (("one", 1), ("three", 3)):
        torch.manual_seed(codebooks)
        quantizer = QuantizerConfig("FSQ", {"levels": [4, 4], "num_codebooks": codebooks})
        config = TokenizerConfig(
            encoder=stack, decoder=stack, refine_channels=0, quantizer=quantizer
        )
        tokenizer = VideoTokenizer(config)
        tokenizer.fit_whitening([2 * torch.rand(2, 3, 5, 16, 16) - 1])
        tokenizer.save_pretrained(folder / name)
    return folder


@pytest.fixture
def moody(generator: VideoGenerator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a small model that takes a mood."""
    monkeypatch.setitem(CONDITIONS, "mood", Mood())
    torch.manual_seed(3)
    decoder = Decoder(replace(generator.decoder.config, conditions=(("mood", 2),)))
    for parameter in decoder.parameters():  # a fresh decoder does not read its conditions yet
        nn.init.normal_(parameter, std=0.4)
    folder = tmp_path / "moody"
    VideoGenerator(decoder, generator.tokenizer, generator.text).save_pretrained(folder)
    return folder
