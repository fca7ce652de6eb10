"""The generator as a user meets it, on a debug model: random pictures, real behaviour."""

import itertools
import json
import subprocess
import sys
from typing import Any

import pytest
import torch
from kinetoscope.generator import Decoder, DecoderConfig, SamplingParams, VideoGenerator
from kinetoscope.tokenizer import VideoCodes
from safetensors.torch import load_file

PROMPTS = ["a red ball rolls", "a blue cube falls slowly"]


def test_generate_gives_what_was_asked_for(generator):
    video = generator.generate(PROMPTS, frames=7)
    assert video.shape == (2, 3, 7, 8, 12)
    assert video.dtype == torch.float32 and video.abs().max() <= 1
    assert not video.is_inference()
    assert generator.generate("a ball", frames=1).shape == (1, 3, 1, 8, 12)


def test_the_same_seed_gives_the_same_video_however_it_is_called(generator):
    video = generator.generate("a red ball", frames=15, seed=3)
    assert torch.equal(generator.generate(["a red ball"], frames=15, seed=3), video)
    chunks = list(itertools.islice(generator.stream("a red ball", seed=3), 5))
    assert [chunk.shape[2] for chunk in chunks] == [1, 4, 4, 4, 4]
    assert torch.equal(torch.cat(chunks, dim=2)[:, :, :15], video)
    assert not torch.equal(generator.generate("a red ball", frames=15, seed=4), video)


def test_every_prompt_of_a_batch_gives_what_it_gives_alone(generator):
    both = generator.generate(PROMPTS, frames=9, seed=10)
    torch.testing.assert_close(
        both[1:], generator.generate(PROMPTS[1], frames=9, seed=11), atol=1e-5, rtol=0
    )


def test_clips_may_be_far_longer_than_in_training(generator):
    assert generator.generate("a ball", frames=100).shape[2] == 100  # training saw 17


def test_a_negative_sentence_leads_away(generator):
    video = generator.generate("a red ball", frames=9, negative="a blue cube falls slowly")
    assert not torch.equal(video, generator.generate("a red ball", frames=9))
    two = generator.generate(PROMPTS, frames=9, seed=10, negative=PROMPTS)
    alone = generator.generate(PROMPTS[1], frames=9, seed=11, negative=PROMPTS[1])
    torch.testing.assert_close(two[1:], alone, atol=1e-5, rtol=0)
    with pytest.raises(ValueError, match=r"negative must be one sentence or one per video \(1\)"):
        generator.generate("a ball", frames=5, negative=PROMPTS)


def test_progress_is_told_of_every_frame_once(generator):
    told: list[int] = []
    generator.generate("a ball", frames=7, progress=told.append)
    assert told == [1, 4, 2]


@pytest.mark.parametrize("code", [-1, 12, 99_999])
def test_init_with_a_code_of_no_table_is_refused(generator, code):
    codes = generator.tokenizer.encode(torch.zeros(1, 3, 5, 8, 12))
    codes.indices[0, 1, 0, 0] = code
    with pytest.raises(ValueError, match=f"codes run from 0 to 11; got {code}"):
        generator.generate("a ball", frames=9, init=codes)


@pytest.mark.parametrize("frames", [1, 5])
def test_init_is_how_the_video_begins(generator, frames):
    init = 2 * torch.rand(1, 3, frames, 8, 12, generator=torch.Generator().manual_seed(0)) - 1
    video = generator.generate(PROMPTS, frames=9, init=init)
    codes = generator.tokenizer.encode(init)
    shown = generator.tokenizer.decode(codes).expand(2, -1, -1, -1, -1)
    torch.testing.assert_close(video[:, :, :frames], shown, atol=1e-5, rtol=0)
    assert torch.equal(generator.generate(PROMPTS, frames=9, init=codes), video)


def test_what_cannot_be_done_is_refused_before_anything_is_sampled(generator):
    picture = torch.zeros(1, 3, 1, 8, 12)
    cases: list[tuple[dict[str, Any], str]] = [
        (dict(prompt="a ball", frames=0), "frames must be at least 1; got 0"),
        (dict(prompt=""), "prompt 1 of 1 is empty"),
        (dict(prompt=[]), "at least one sentence"),
        (dict(prompt="a ball " * 4), "has 8 tokens; the model takes 6"),
        (dict(prompt="a ball", seed=-1), "seed must be 0 or more; got -1"),
        (
            dict(prompt="a ball", params=SamplingParams(window=9)),
            "window must be 1 to 4 latent frames",
        ),
        (
            dict(prompt="a ball", init=torch.zeros(1, 3, 1, 8, 8)),
            "init must be 8 x 12 pixels; got 8 x 8",
        ),
        (
            dict(prompt="a ball", init=torch.zeros(1, 3, 7, 8, 12)),
            r"1 \+ a multiple of 4 frames; got 7: give 5 or 9",
        ),
        (
            dict(prompt="a ball", init=picture.expand(2, -1, -1, -1, -1)),
            r"one per prompt \(1\); got 2",
        ),
        (
            dict(prompt="a ball", init=torch.zeros(1, 3, 5, 8, 12), frames=5),
            "frames must be at least 6; got 5",
        ),
    ]
    for arguments, message in cases:
        with pytest.raises(ValueError, match=message):
            generator.generate(**arguments)


def test_codes_of_another_tokenizer_are_refused(generator):
    codes = VideoCodes(torch.zeros(1, 1, 2, 3, dtype=torch.long), 1, 8, 12, tokenizer="somebody")
    with pytest.raises(ValueError, match="codes are of tokenizer somebody"):
        generator.stream("a ball", init=codes)


def test_saves_and_loads(generator, tmp_path):
    generator.save_pretrained(tmp_path)
    loaded = VideoGenerator.from_pretrained(tmp_path)
    assert loaded.decoder.config == generator.decoder.config
    again = tmp_path / "again"
    loaded.save_pretrained(again)  # half precision loses nothing twice
    twice = VideoGenerator.from_pretrained(again)
    arguments: dict[str, Any] = dict(prompt="a red ball", frames=9, seed=1)
    assert torch.equal(twice.generate(**arguments), loaded.generate(**arguments))
    assert twice.id == loaded.id


def test_the_same_codes_are_drawn_at_other_sizes(generator, tmp_path):
    generator.save_pretrained(tmp_path / "model")
    small = VideoGenerator.from_pretrained(tmp_path / "model", size=8)
    assert small.size == (8, 12)
    large = VideoGenerator.from_pretrained(tmp_path / "model", size=16)
    video = large.generate("a ball", frames=5, seed=1)
    assert large.size == (16, 24) and video.shape == (1, 3, 5, 16, 24)
    averages = torch.nn.functional.avg_pool3d(video, (1, 2, 2))
    drawn = small.generate("a ball", frames=5, seed=1)
    assert (averages - drawn).abs().mean() < 0.05 * drawn.std() + 0.01
    # a trained one beside the model's own takes the place of what would be copied
    enlarged = large.tokenizer
    torch.nn.init.zeros_(enlarged.out.weight)
    enlarged.save_pretrained(tmp_path / "model" / f"tokenizer-{enlarged.config.patch}")
    grey = VideoGenerator.from_pretrained(tmp_path / "model", size=16)
    assert grey.generate("a ball", frames=5, seed=1).std() < video.std()
    enlarged.sharing_codes("").save_pretrained(
        tmp_path / "model" / f"tokenizer-{enlarged.config.patch}"
    )
    for size, said in ((16, "has codes of"), (12, "must be 1, 2, 3"), (9, "multiple of 2")):
        with pytest.raises(ValueError, match=said):
            VideoGenerator.from_pretrained(tmp_path / "model", size=size)


def test_tables_of_codes_take_a_byte_per_number(generator, tmp_path):
    generator.save_pretrained(tmp_path)
    stored = load_file(tmp_path / "model.safetensors")
    loaded = VideoGenerator.from_pretrained(tmp_path).decoder.state_dict()
    for name in ("codes.full", "head.full"):
        table = generator.decoder.state_dict()[name]
        assert stored[name].dtype == torch.int8
        error = (loaded[name] - table).abs().amax(1) / table.abs().amax(1)
        assert error.max() < 0.6 / 127  # half a step, and the rounding of the scale


def test_a_model_can_be_saved_in_full(generator, tmp_path):
    generator.save_pretrained(tmp_path, half=False)
    loaded = VideoGenerator.from_pretrained(tmp_path).decoder.state_dict()
    assert all(
        torch.equal(tensor, loaded[name]) for name, tensor in generator.decoder.state_dict().items()
    )


def test_folders_that_do_not_fit_are_refused(generator, tmp_path):
    generator.save_pretrained(tmp_path)
    config = tmp_path / "config.json"
    values = json.loads(config.read_text())
    for change, message in (
        ({"dim": 64}, r"does not fit .*config.json"),
        ({"colour": 1}, "colour.* is not a field"),
        ({"tokenizer": "somebody"}, "learned the codes of tokenizer somebody"),
    ):
        config.write_text(json.dumps(values | change))
        with pytest.raises(ValueError, match=message):
            VideoGenerator.from_pretrained(tmp_path)


def test_pickles_and_unknown_names_are_refused(tmp_path):
    pickle = tmp_path / "model.ckpt"
    pickle.write_bytes(b"\x80")
    with pytest.raises(ValueError, match="is a pickle"):
        VideoGenerator.from_pretrained(pickle)
    with pytest.raises(ValueError, match="unknown model 'nothing'; shipped models"):
        VideoGenerator.from_pretrained("nothing")


def test_parts_that_do_not_fit_are_refused(generator):
    sizes: dict[str, Any] = dict(text_dim=16, grid=(2, 3), dim=32, layers=1)
    with pytest.raises(ValueError, match="made for 13 codes, but these parts have 12"):
        VideoGenerator(
            Decoder(DecoderConfig(vocab_size=13, **sizes)), generator.tokenizer, generator.text
        )
    with pytest.raises(ValueError, match="made for 2 frames per latent, but these parts have 4"):
        config = DecoderConfig(vocab_size=12, frames_per_latent=2, **sizes)
        VideoGenerator(Decoder(config), generator.tokenizer, generator.text)
    with pytest.raises(
        ValueError, match="codebooks must be 1 to 1, as many as the tokenizer has; got 2"
    ):
        config = DecoderConfig(
            vocab_size=24, codebooks=2, text_dim=16, grid=(2, 6), dim=32, layers=1
        )
        VideoGenerator(Decoder(config), generator.tokenizer, generator.text)


def test_importing_the_package_imports_no_heavy_library():
    code = (
        "import sys, kinetoscope.generator; "
        "print(*{'torch', 'transformers', 'lightning'} & set(sys.modules))"
    )
    assert (
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout.split()
        == []
    )
