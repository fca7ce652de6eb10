"""Captions to states."""

import json
import math
import os
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import torch
from kinetoscope.app.runs.jobs import read_prompts
from kinetoscope.generator import TextEncoder
from safetensors.torch import load_file, save_file
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


@pytest.mark.parametrize(
    ("sentence", "unknown"),
    [
        ("红色的球向左滚动，很快", ["红色的球向左滚动", "很快"]),
        ("a red ball 球", ["球"]),
        ("красный шар", ["красный", "шар"]),
        ("लाल गेंद", ["लाल", "गेंद"]),
        ("공이 굴러간다", ["공이", "굴러간다"]),
        ("ein Würfel für 3", ["ein", "würfel", "für"]),
        ("a red ball 🐱!", ["🐱"]),
        ("A RED BALL, ROLLS… to the “right” – 3 times", ["times"]),
    ],
)
def test_unknown_words_are_named_in_any_script(sentence: str, unknown: list[str]) -> None:
    shipped = TextEncoder.from_pretrained("physics-64")
    assert shipped.unknown_words([sentence, sentence]) == unknown


def test_chinese_that_an_encoder_knows_is_not_named(text_encoder: TextEncoder) -> None:
    """Each sign is a word there, so signs one by one are no sign of not knowing."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    pieces = {"[PAD]": 0, "[UNK]": 1} | {sign: i for i, sign in enumerate("红球滚动▁", 2)}
    known = Tokenizer(models.WordLevel(pieces, unk_token="[UNK]"))
    known.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=known, pad_token="[PAD]", unk_token="[UNK]"
    )
    encoder = TextEncoder(text_encoder.model, tokenizer)
    assert encoder.unknown_words(["红球滚动"]) == []
    assert encoder.unknown_words(["红猫"]) == ["红猫"]


def test_thousands_of_sentences_are_checked_without_reading_them(text_encoder) -> None:
    text_encoder.check(["a red ball"] * 3000, limit=3)
    text_encoder.check([])
    for wrong, said in (("a red ball rolls", "has 4 tokens; the model takes 3"), (" ", "is empty")):
        with pytest.raises(ValueError, match=said):
            text_encoder.check(["a red ball"] * 2999 + [wrong], limit=3)
    for use in (text_encoder.check, text_encoder.encode):
        with pytest.raises(ValueError, match=r"prompt 2 of 2 holds bytes that are no UTF-8"):
            use(["a ball", os.fsdecode(b"a \xff ball")])
        with pytest.raises(ValueError, match="prompt 1 of 1 must be text; got int"):
            use([3])


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
    with pytest.raises(ValueError, match="is not a readable safetensors file"):
        TextEncoder.from_pretrained(tmp_path)


BROKEN: list[tuple[str, Callable[[dict[str, Any]], Any]]] = [
    ("a list", lambda config: [config]),
    ("no kind", lambda config: config.pop("model_type")),
    ("another kind", lambda config: config.update(model_type="no-such-model")),
    ("width as text", lambda config: config.update(hidden_size="wide")),
    ("no width", lambda config: config.update(hidden_size=0)),
    ("huge width", lambda config: config.update(hidden_size=2**40)),
    ("another width", lambda config: config.update(hidden_size=24)),
    ("heads that do not divide", lambda config: config.update(num_attention_heads=3)),
    ("more layers", lambda config: config.update(num_hidden_layers=2)),
    ("endless layers", lambda config: config.update(num_hidden_layers=10**9)),
    ("negative layers", lambda config: config.update(num_hidden_layers=-1)),
    ("huge vocabulary", lambda config: config.update(vocab_size=2**50)),
    ("negative heads", lambda config: config.update(num_attention_heads=-1)),
    ("no dropout", lambda config: config.update(hidden_dropout_prob=float("nan"))),
    ("unknown activation", lambda config: config.update(hidden_act="no-such")),
]


@pytest.mark.parametrize(("what", "change"), BROKEN, ids=[what for what, _ in BROKEN])
def test_configs_of_another_kind_are_refused_in_one_line(
    text_encoder: TextEncoder, tmp_path: Path, what: str, change: Callable[[dict[str, Any]], Any]
) -> None:
    text_encoder.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    new = change(config)
    (tmp_path / "config.json").write_text(json.dumps(new if isinstance(new, list) else config))
    with pytest.raises(ValueError) as refused:
        TextEncoder.from_pretrained(tmp_path)
    assert str(tmp_path) in str(refused.value) and "\n" not in str(refused.value)


def test_a_tokenizer_of_another_encoder_is_noticed(
    text_encoder: TextEncoder, tmp_path: Path
) -> None:
    """When it gives a token that the encoder does not have, not before: some have spare ones."""
    text_encoder.save_pretrained(tmp_path)
    told = json.loads((tmp_path / "tokenizer.json").read_text())
    told["model"]["vocab"]["slowly"] = 10
    (tmp_path / "tokenizer.json").write_text(json.dumps(told))
    encoder = TextEncoder.from_pretrained(tmp_path)
    assert encoder.encode(["a red ball"])[0].shape[1] == 3
    with pytest.raises(ValueError, match="gives token 10, and the text encoder knows 10: its"):
        encoder.encode(["a ball rolls slowly"])


@pytest.mark.parametrize("damage", ["missing", "another shape", "no number"])
def test_weights_that_do_not_fit_are_not_made_up(
    text_encoder: TextEncoder, tmp_path: Path, damage: str
) -> None:
    text_encoder.save_pretrained(tmp_path, half=False)
    path = tmp_path / "model.safetensors"
    tensors = load_file(path)
    name = "embeddings.word_embeddings.weight"
    if damage == "missing":
        del tensors[name]
    elif damage == "another shape":
        tensors[name] = tensors[name][:-1].clone()
    else:
        tensors[name][0, 0] = math.nan
    save_file(tensors, path, {"format": "pt"})
    with pytest.raises(ValueError, match=r"model\.safetensors|holds no usable"):
        TextEncoder.from_pretrained(tmp_path)


def test_remarks_on_the_stage_say_what_it_knows_instead() -> None:
    encoder = TextEncoder.from_pretrained("physics-64")
    assert [line.split(": ")[1] for line in encoder.remarks(["a dog", "a qwxz"])] == ["dog, qwxz"]
    encoder.world = "stage"
    animals, other = encoder.remarks(["a dog and a qwxz", "a cat"])
    assert animals.startswith("'dog' and 'cat' are not known here: no animals are known; it knows")
    assert other.endswith("may not know them: qwxz")
    assert encoder.remarks(["a red ball"]) == []
