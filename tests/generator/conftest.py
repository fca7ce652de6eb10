"""Debug models: small enough for the whole public interface, in seconds and without weights."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from kinetoscope.generator import Decoder, DecoderConfig, TextEncoder, VideoGenerator
from kinetoscope.tokenizer import QuantizerConfig, StackConfig, TokenizerConfig, VideoTokenizer
from torch import nn

MakeDecoder = Callable[..., Decoder]
LEVELS = (4, 3)
WORDS = ("a", "red", "blue", "ball", "cube", "rolls", "falls", "slowly")


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture
def make_decoder() -> MakeDecoder:
    """A float64 decoder whose every part has an effect; sizes can be overridden."""

    def make(**overrides: Any) -> Decoder:
        torch.manual_seed(0)
        sizes: dict[str, Any] = dict(
            vocab_size=12, levels=LEVELS, grid=(2, 3), text_dim=10, dim=32, layers=2, heads=4, kv_heads=2
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
    words = Tokenizer(WordLevel({word: i for i, word in enumerate(["[PAD]", "[UNK]", *WORDS])}, unk_token="[UNK]"))
    words.pre_tokenizer = Whitespace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, pad_token="[PAD]", unk_token="[UNK]")
    sizes: dict[str, Any] = dict(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16)
    return TextEncoder(BertModel(BertConfig(vocab_size=len(WORDS) + 2, max_position_embeddings=20, **sizes)), tokenizer)


@pytest.fixture(scope="session")
def generator(text_encoder: TextEncoder) -> VideoGenerator:
    torch.manual_seed(2)
    stack = StackConfig(width=16, depth=1, kernel=3, spatial=(0,), temporal=(0,))
    quantizer = QuantizerConfig("FSQ", {"levels": list(LEVELS)})
    tokenizer = VideoTokenizer(TokenizerConfig(patch=4, encoder=stack, decoder=stack, quantizer=quantizer))
    sizes: dict[str, Any] = dict(
        vocab_size=12, levels=LEVELS, grid=(2, 3), text_dim=16, dim=32, layers=2, heads=4, kv_heads=2
    )
    decoder = Decoder(DecoderConfig(**sizes, window=3, max_distance=4, max_text=6))
    for block in decoder.blocks:
        nn.init.normal_(block.out.weight, std=0.3)
        nn.init.normal_(block.down.weight, std=0.3)
    nn.init.normal_(decoder.head.full, std=0.3)
    return VideoGenerator(decoder, tokenizer, text_encoder).eval()
