"""Small sets of videos, and small random networks in the places of those that papers use."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from kinetoscope.data.video import write_video
from torch import Tensor, nn


class SmallI3D(nn.Module):
    """Random weights; called as the I3D file of papers is."""

    def __init__(self, features: int = 6) -> None:
        super().__init__()
        draw = torch.Generator().manual_seed(0)
        self.register_buffer("matrix", torch.randn(3 * 4 * 7 * 7, features, generator=draw))

    def forward(
        self,
        x: Tensor,
        rescale: bool = False,
        resize: bool = False,
        return_features: bool = False,
    ) -> Tensor:
        if rescale or resize or not return_features:
            raise ValueError("not called as the reference calls it")
        small = nn.functional.adaptive_avg_pool3d(x, [4, 7, 7])
        return torch.tanh(small.flatten(1) @ self.matrix)


class SmallInception(nn.Module):
    """Random weights; whole numbers in, features of pictures out."""

    def __init__(self) -> None:
        super().__init__()
        draw = torch.Generator().manual_seed(1)
        self.register_buffer("matrix", torch.randn(3 * 4 * 4, 5, generator=draw))

    def forward(self, img: Tensor, return_features: bool = False) -> Tensor:
        small = nn.functional.adaptive_avg_pool2d(img.float() / 255, [4, 4])
        return small.flatten(1) @ self.matrix


@pytest.fixture(scope="session")
def i3d(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("networks") / "i3d_small.pt"
    torch.jit.script(SmallI3D()).save(path)
    return str(path)


@pytest.fixture(scope="session")
def inception(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("networks") / "inception_small.pt"
    torch.jit.script(SmallInception()).save(path)
    return str(path)


def save_words(folder: Path) -> int:
    """A tokenizer of seven words; returns their number."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from transformers import PreTrainedTokenizerFast

    words = ["[PAD]", "[END]", "[UNK]", "a", "red", "blue", "ball"]
    model = Tokenizer(WordLevel({word: i for i, word in enumerate(words)}, unk_token="[UNK]"))
    model.pre_tokenizer = Whitespace()
    PreTrainedTokenizerFast(
        tokenizer_object=model, pad_token="[PAD]", unk_token="[UNK]", eos_token="[END]"
    ).save_pretrained(folder)
    return len(words)


@pytest.fixture(scope="session")
def clip_model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A CLIP of one layer that knows a few words."""
    from transformers import CLIPConfig, CLIPModel

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("clip")
    small = dict(hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8)
    text = dict(small, vocab_size=save_words(folder), max_position_embeddings=6, eos_token_id=1)
    vision = dict(small, image_size=16, patch_size=8)
    CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=4)).save_pretrained(
        folder
    )
    return str(folder)


@pytest.fixture(scope="session")
def siglip_model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A SigLIP of one layer that knows a few words."""
    from transformers import SiglipConfig, SiglipModel

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("siglip")
    small = dict(hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8)
    text = dict(small, vocab_size=save_words(folder), max_position_embeddings=6)
    vision = dict(small, image_size=16, patch_size=8)
    SiglipModel(SiglipConfig(text_config=text, vision_config=vision)).save_pretrained(folder)
    return str(folder)


def picture(seed: int, frames: int, height: int = 20, width: int = 24) -> Tensor:
    """uint8 `[3, F, Y, X]`: a soft pattern of its own that drifts."""
    draw = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, 5, 6, generator=draw)
    wide = nn.functional.interpolate(coarse, (height, width * 2), mode="bilinear")[0]
    moved = [wide[:, :, step : step + width] for step in range(frames)]
    return (torch.stack(moved, 1) * 255).to(torch.uint8)


@pytest.fixture(scope="session")
def draw_picture() -> Callable[..., Tensor]:
    """`picture`, for tests that write sets of their own."""
    return picture


@pytest.fixture(scope="session")
def make_set() -> Callable[..., Path]:
    """Writes `count` videos of `frames` frames into a folder, each another pattern."""

    def make(folder: Path, count: int = 12, frames: int = 12, first: int = 0) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        for number in range(count):
            video = picture(first + number, frames)
            write_video(folder / f"{number:03d}.mp4", video, fps=8)
        return folder

    return make


@pytest.fixture(scope="session")
def sets(tmp_path_factory: pytest.TempPathFactory, make_set: Callable[..., Path]) -> Path:
    """A folder with `real` and `made`, twelve videos each."""
    root = tmp_path_factory.mktemp("sets")
    make_set(root / "real", first=0)
    make_set(root / "made", first=100)
    return root
