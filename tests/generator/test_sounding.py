"""Videos with sound, from Python: whole, streamed, in sessions, files and batches."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from kinetoscope.generator import VideoBatch, VideoGenerator
from kinetoscope.tokenizer import VideoCodes
from torch import Tensor, nn

PROMPTS = ["a red ball", "a blue cube"]


def joined(chunks: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    return torch.cat([c[0] for c in chunks], dim=2), torch.cat([c[1] for c in chunks], dim=1)


def equal(a: Any, b: Any) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def chunks_of(session: Any, count: int) -> list[tuple[Tensor, Tensor]]:
    return [next(session) for _ in range(count)]


def test_a_video_comes_with_as_much_sound(sounding: VideoGenerator) -> None:
    video, sound = sounding.generate(PROMPTS, 8, sound=True)
    assert video.shape == (2, 3, 8, 8, 12)
    assert sound.shape == (2, 8 * 2000) and sound.dtype == torch.float32
    assert sound.abs().amax() <= 1 and sound.std() > 0.01
    assert not torch.equal(sound[0], sound[1])
    assert sounding.sound_rate == 24_000


def test_videos_of_several_lengths_have_sound_of_theirs(sounding: VideoGenerator) -> None:
    videos, sounds = sounding.generate(PROMPTS, [3, 9], sound=True)
    assert [v.shape[1] for v in videos] == [3, 9]
    assert [len(s) for s in sounds] == [3 * 2000, 9 * 2000]
    whole = sounding.generate(PROMPTS, 9, sound=True)
    assert torch.equal(videos[1], whole[0][1]) and torch.equal(sounds[1], whole[1][1])


def test_a_stream_gives_pairs_of_chunks(sounding: VideoGenerator) -> None:
    stream = sounding.stream(PROMPTS[0], sound=True)
    chunks = [next(stream) for _ in range(3)]
    assert [c[0].shape[2] for c in chunks] == [1, 4, 4]
    assert [c[1].shape[1] for c in chunks] == [2000, 8000, 8000]
    assert equal(joined(chunks), sounding.generate(PROMPTS[0], 9, sound=True))


def test_without_sound_a_video_is_that_of_the_same_model_without(
    sounding: VideoGenerator, generator: VideoGenerator
) -> None:
    silent = sounding.generate(PROMPTS[0], 13)
    assert isinstance(silent, Tensor)
    assert torch.equal(silent, generator.generate(PROMPTS[0], 13))
    assert not torch.equal(silent, sounding.generate(PROMPTS[0], 13, sound=True)[0])


def test_frames_taken_back_and_forks_have_the_same_sound(sounding: VideoGenerator) -> None:
    session = sounding.session(PROMPTS, sound=True, undo=2)
    chunks_of(session, 4)
    fork = session.fork([0])
    later = chunks_of(session, 3)
    session.rewind(2)
    assert equal(joined(chunks_of(session, 2)), joined(later[1:]))
    seeds = session.seeds
    one = fork.fork([3])
    one.keep([1])
    alone = sounding.session(PROMPTS[1], 1, sound=True)
    chunks_of(alone, 4)
    alone.rewind(0, seed=3)
    assert seeds == (0, 1)
    assert equal(joined(chunks_of(one, 2)), joined(chunks_of(alone, 2)))


def test_a_session_with_sound_is_saved_and_goes_on(
    sounding: VideoGenerator, tmp_path: Path
) -> None:
    session = sounding.session(PROMPTS, sound=True)
    chunks_of(session, 5)
    session.save(tmp_path / "s.safetensors")
    later = chunks_of(sounding.load_session(tmp_path / "s.safetensors"), 3)
    assert equal(joined(later), joined(chunks_of(session, 3)))


@pytest.mark.parametrize("window", ["keep", "recompute", "flush"])
def test_another_prompt_hears_what_was_drawn(sounding: VideoGenerator, window: Any) -> None:
    session = sounding.session(PROMPTS[0], sound=True)
    chunks_of(session, 3)
    session.set_prompt(PROMPTS[1], window)
    pixels, samples = next(session)
    assert pixels.shape[2] == 4 and samples.shape == (1, 8000)
    kept = len(session.engine.past)
    assert len(session.engine.sounds) == kept


def test_videos_begin_with_the_sound_that_is_given(sounding: VideoGenerator) -> None:
    drawn = sounding.session(PROMPTS[0], sound=True)
    first = chunks_of(drawn, 2)
    grid = sounding.decoder.config.grid
    pictures = torch.stack([codes.unflatten(1, grid) for codes in drawn.engine.past], dim=1)
    heard = torch.stack([codes.flatten(1) for codes in drawn.engine.sounds], dim=1)
    codes = VideoCodes(pictures, 5, 8, 12, 12.0, sounding.tokenizer.id)
    sound = sounding.sound.encode(torch.zeros(1, 10_000))
    with_sound = dataclasses.replace(codes, sound=dataclasses.replace(sound, indices=heard))
    again = sounding.session(PROMPTS[0], init=with_sound, sound=True)
    assert equal(joined(chunks_of(again, 2)), joined(first))
    assert equal(next(again), next(drawn))
    silent = dataclasses.replace(codes, sound=sound)
    other = sounding.session(PROMPTS[0], init=silent, sound=True)
    assert not torch.equal(joined(chunks_of(other, 2))[1], joined(first)[1])
    foley = sounding.session(PROMPTS[0], init=codes, sound=True)
    assert equal(joined(chunks_of(foley, 2)), joined(first))
    stranger = dataclasses.replace(codes, sound=dataclasses.replace(sound, tokenizer="other"))
    with pytest.raises(ValueError, match="is of sound tokenizer other, and this model reads"):
        sounding.session(PROMPTS[0], init=stranger, sound=True)


def test_videos_with_and_without_sound_are_drawn_together(sounding: VideoGenerator) -> None:
    batch = VideoBatch(sounding)
    sessions = [
        batch.session(PROMPTS[0], 3, sound=True),
        batch.session(PROMPTS[1], 4),
        batch.session(PROMPTS, 5, sound=True),
    ]
    drawn: dict[int, list[Any]] = {id(session): [] for session in sessions}
    for session, chunk in batch:
        drawn[id(session)].append(chunk)
        if len(drawn[id(session)]) == 6:
            batch.leave(session)
    for session, seed, prompts, sound in (
        (sessions[0], 3, PROMPTS[0], True),
        (sessions[1], 4, PROMPTS[1], False),
        (sessions[2], 5, PROMPTS, True),
    ):
        alone = sounding.session(prompts, seed, sound=sound)
        for chunk in drawn[id(session)]:
            assert equal(chunk, next(alone)) if sound else torch.equal(chunk, next(alone))


# ---- files, and mistakes ----


def test_a_model_with_sound_is_saved_and_loaded(sounding: VideoGenerator, tmp_path: Path) -> None:
    sounding.save_pretrained(tmp_path, half=False)
    loaded = VideoGenerator.from_pretrained(tmp_path)
    assert loaded.id == sounding.id and loaded.sound.id == sounding.sound.id
    whole = sounding.generate(PROMPTS[0], 9, sound=True)
    assert equal(loaded.generate(PROMPTS[0], 9, sound=True), whole)
    lighter = VideoGenerator.from_pretrained(tmp_path, "bfloat16", "int8")
    assert lighter.generate(PROMPTS[0], 5, sound=True)[1].isfinite().all()


def test_the_sound_tokenizer_beside_a_model_must_be_its_own(
    sounding: VideoGenerator, tmp_path: Path
) -> None:
    sounding.save_pretrained(tmp_path, half=False)
    other = type(sounding.sound)(sounding.sound.config)
    other.save_pretrained(tmp_path / "sound")
    with pytest.raises(ValueError, match="learned the codes of sound tokenizer"):
        VideoGenerator.from_pretrained(tmp_path)


def test_mistakes_are_named(sounding: VideoGenerator, generator: VideoGenerator) -> None:
    with pytest.raises(ValueError, match="this model draws no sound; leave sound out"):
        generator.generate(PROMPTS[0], 5, sound=True)
    parts = generator.tokenizer, generator.text
    with pytest.raises(ValueError, match="made for 4 codes of sound, but these parts have 0"):
        VideoGenerator(sounding.decoder, *parts)
    with pytest.raises(ValueError, match="made for 0 codes of sound, but these parts have 4"):
        VideoGenerator(generator.decoder, *parts, sounding.sound)


def test_a_fresh_decoder_with_sound_draws_pictures_as_one_without(
    sounding: VideoGenerator, generator: VideoGenerator
) -> None:
    assert "sound" not in generator.decoder.config.to_dict()
    kept = {k for k in sounding.decoder.state_dict() if not k.startswith("sound.")}
    assert kept == set(generator.decoder.state_dict())
    assert isinstance(sounding.decoder.sound, nn.Module)
