"""The recipe of the small text encoder: an ordinary Hugging Face folder that reads captions and
careless prompts."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from kinetoscope.generator.conditions.text_encoder import TextEncoder
from kinetoscope.generator.training.caption_encoder import (
    COURSES,
    TextReader,
    evaluate_text_encoder,
    fit_text_encoder,
)
from safetensors.torch import load_file
from transformers import AutoModel, AutoTokenizer

TINY = {"hidden": 32, "layers": 1, "batch_size": 4, "test_captions": 4}
SHIPPED = Path(__file__).parents[3] / "pretrained" / "physics-64" / "text"


@pytest.fixture(scope="module", autouse=True)
def few_captions():
    """Words are counted in fewer captions than the courses read."""
    with pytest.MonkeyPatch.context() as patch:
        for world, read in (("physics", 1000), ("stage", 300)):
            patch.setitem(COURSES, world, replace(COURSES[world], read=read))
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("text") / "encoder"
    fit_text_encoder(out, steps=2, **TINY)
    return out


def test_folder_loads_as_any_hugging_face_encoder_in_single_precision(folder):
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    model = AutoModel.from_pretrained(folder, local_files_only=True)
    batch = tokenizer(
        ["a red ball", "a red ball and a blue cube, at night"], padding=True, return_tensors="pt"
    )
    states = model(
        input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]
    ).last_hidden_state
    assert states.shape == (2, batch["input_ids"].shape[1], 32)
    assert states.dtype == torch.float32
    assert {x.dtype for x in load_file(folder / "model.safetensors").values()} == {torch.float16}
    assert not list(folder.parent.glob(".text-*"))


def test_tokenizer_lowers_case_keeps_commas_and_reads_any_word(folder):
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    assert tokenizer.tokenize("A RED ball, rolling") == ["a", "red", "ball", ",", "rolling"]
    for word in ("zyzzyva", "Qoph7", "naïve", "q"):
        assert tokenizer.unk_token not in tokenizer.tokenize(word)
    ids = tokenizer("red ball")["input_ids"]
    assert (ids[0], ids[-1]) == (tokenizer.cls_token_id, tokenizer.sep_token_id)


def test_an_encoder_of_the_stage_says_so_and_reads_long_sentences(tmp_path):
    scores = fit_text_encoder(tmp_path / "stage", "stage", steps=1, **TINY)
    assert {"material", "camera speed", "touches"} <= set(scores)
    encoder = TextEncoder.from_pretrained(tmp_path / "stage")
    assert (encoder.world, encoder.max_tokens) == ("stage", 128)
    with pytest.raises(ValueError, match="world must be one of physics, stage; got 'moon'"):
        fit_text_encoder(tmp_path / "moon", "moon", steps=1, **TINY)


def test_same_seed_gives_the_same_encoder(folder, tmp_path):
    fit_text_encoder(tmp_path / "again", steps=2, **TINY)
    fit_text_encoder(tmp_path / "other", steps=2, seed=1, **TINY)
    first, again, other = (
        load_file(f / "model.safetensors") for f in (folder, tmp_path / "again", tmp_path / "other")
    )
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_padding_does_not_change_what_is_read(folder):
    reader = TextReader(folder)
    alone = reader(["red ball"])[0]
    beside = reader(
        ["red ball", "a large green cube comes closer, the camera pans left, at night"]
    )[0]
    assert torch.equal(alone[0], beside[0])


def test_a_short_training_learns_what_words_mean(folder, tmp_path):
    sizes = {"hidden": 64, "layers": 2, "batch_size": 24, "test_captions": 64}
    scores = fit_text_encoder(tmp_path / "short", steps=60, learning_rate=1e-2, **sizes)
    untrained = evaluate_text_encoder(folder, captions=64)
    assert scores["words"] > max(0.5, untrained["words"] + 0.2)
    assert scores["all"] > untrained["all"]


@pytest.mark.parametrize("name", ["steps", "threads", "batch_size", "layers"])
def test_numbers_below_one_are_refused(tmp_path, name):
    with pytest.raises(ValueError, match=f"{name} must be at least 1; got 0"):
        fit_text_encoder(tmp_path / "out", **{name: 0})


def test_places_where_no_folder_can_be_are_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="file is a file"):
        fit_text_encoder(tmp_path / "file")
    with pytest.raises(ValueError, match="nowhere is not a folder"):
        fit_text_encoder(tmp_path / "nowhere" / "out")


@pytest.mark.skipif(not (SHIPPED / "config.json").is_file(), reason="no shipped text encoder yet")
@pytest.mark.parametrize(
    ("prompt", "same", "others"),
    [
        (
            "RED BALL",
            "a red ball stays still",
            "a blue ball stays still; a red cube stays still; a red ball falls",
        ),
        (
            "Red ball rolling to the left.",
            "a red ball rolls left",
            "a red ball rolls right; a pink ball rolls left; a red can rolls left; a red ball "
            "rolls left, at night",
        ),
        (
            "A red ball and a blue cube, at night",
            "a red ball stays still and a blue cube stays still, at night",
            "a blue ball stays still and a red cube stays still, at night; a red ball stays still, "
            "at night; "
            "a red ball stays still and a blue cube stays still",
        ),
        (
            "the green cylinder moves toward the camera, camera orbits right",
            "a green cylinder comes closer, the camera orbits right",
            "a green cylinder moves away, the camera orbits right; a green cylinder comes closer, "
            "the camera moves in",
        ),
        (
            "blue box slides right yellow sphere falls",
            "a blue cube moves right and a yellow ball falls down",
            "a yellow cube moves right and a blue ball falls down; a blue cube falls and a yellow "
            "ball goes right",
        ),
        (
            "there is an orange cube falling as the camera zooms in",
            "an orange cube falls down, the camera moves in",
            "an orange ball falls down, the camera moves in; an orange cube moves away, the camera "
            "moves in",
        ),
    ],
)
def test_shipped_encoder_takes_plain_prompts_for_what_they_mean(prompt, same, others):
    encoder = TextEncoder.from_pretrained(SHIPPED)
    states, _ = encoder.encode([prompt, same, *others.split("; ")])
    likeness = torch.cosine_similarity(states[:1, 0], states[1:, 0], dim=-1)
    assert likeness[0] > likeness[1:].max()
