"""Captions to states."""

from importlib.resources import files
from typing import Any

import pytest
import torch
from kinetoscope.app.runs.jobs import read_prompts
from kinetoscope.generator import TextEncoder
from transformers import T5Config, T5Model


def test_padding_changes_no_state(text_encoder):
    states, mask = text_encoder.encode(["a red ball", "a blue cube falls slowly"])
    assert states.shape == (2, 5, 16) and mask.sum(1).tolist() == [3, 5]
    alone, _ = text_encoder(["a red ball"])
    torch.testing.assert_close(states[:1, :3], alone, atol=1e-5, rtol=0)


def test_stays_frozen(text_encoder):
    torch.nn.ModuleList([text_encoder]).train()
    assert not text_encoder.model.training
    assert not any(parameter.requires_grad for parameter in text_encoder.parameters())
    assert not text_encoder(["a ball"])[0].requires_grad


@pytest.mark.parametrize(
    ("captions", "message"),
    [
        ([], "at least one sentence"),
        ("a ball", "list"),
        (["a ball", "  "], "prompt 2 of 2 is empty"),
        (["a ball", "a ball " * 11], "begins 'a ball a ball .*has 22 tokens; the model takes 20"),
    ],
)
def test_captions_that_cannot_be_read_are_refused(text_encoder, captions, message):
    with pytest.raises(ValueError, match=message):
        text_encoder.encode(captions)


def test_a_lower_limit_can_be_set(text_encoder):
    assert text_encoder.encode(["a red ball"], limit=3)[0].shape[1] == 3
    with pytest.raises(ValueError, match="has 3 tokens; the model takes 2"):
        text_encoder.encode(["a red ball"], limit=2)


def test_words_that_it_never_read_are_named():
    shipped = TextEncoder.from_pretrained("physics-64")
    assert (
        shipped.unknown_words(
            ["A red ball rolls to the right.", "a crimson cube is at rest (night)"]
        )
        == []
    )
    assert shipped.unknown_words(["A dog runs in a park", "the dog is big"]) == ["dog", "park"]
    assert shipped.unknown_words(read_prompts(str(files("kinetoscope.configs") / "demo.txt"))) == []


def test_saves_and_loads_as_a_hugging_face_folder(text_encoder, tmp_path):
    text_encoder.save_pretrained(tmp_path)
    loaded = TextEncoder.from_pretrained(tmp_path)
    assert loaded.id == text_encoder.id
    assert loaded.max_tokens == 20
    states, again = (encoder(["a red cube"])[0] for encoder in (text_encoder, loaded))
    assert again.dtype == torch.float32
    torch.testing.assert_close(again, states, atol=1e-2, rtol=0)


def test_of_an_encoder_decoder_only_the_encoder_is_kept(text_encoder):
    sizes: dict[str, Any] = dict(d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=2)
    whole = T5Model(T5Config(vocab_size=len(text_encoder.tokenizer), **sizes))
    encoder = TextEncoder(whole, text_encoder.tokenizer)
    assert encoder(["a red ball"])[0].shape == (1, 3, 8)
    assert sum(p.numel() for p in encoder.parameters()) < sum(p.numel() for p in whole.parameters())


def test_a_folder_without_an_encoder_is_refused(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(ValueError, match="holds no usable Hugging Face text encoder"):
        TextEncoder.from_pretrained(tmp_path)
