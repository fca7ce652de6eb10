"""Videos that are made together are those that each makes alone."""

import dataclasses
from typing import Any

import pytest
import torch
from kinetoscope.generator import Decoder, SamplingParams, VideoBatch, VideoGenerator, VideoSession
from torch import Tensor, nn

PROMPTS = ["a red ball rolls", "a blue cube falls slowly", "a cube"]


def grow(batch: VideoBatch, lengths: dict[VideoSession, int]) -> dict[VideoSession, Tensor]:
    """Videos of so many frames; each leaves when it is long enough."""
    chunks: dict[VideoSession, list[Tensor]] = {session: [] for session in lengths}
    for session, chunk in batch:
        chunks[session].append(chunk)
        if session.frames >= lengths[session]:
            batch.leave(session)
    return {
        session: torch.cat(parts, dim=2)[:, :, : lengths[session]]
        for session, parts in chunks.items()
    }


def test_each_video_is_the_one_that_it_is_alone(generator: VideoGenerator) -> None:
    batch = VideoBatch(generator)
    settings = [(21, SamplingParams()), (9, SamplingParams(guidance=1)), (33, SamplingParams())]
    lengths = {
        batch.session(prompt, 4, params): frames
        for prompt, (frames, params) in zip(PROMPTS, settings)
    }
    for video, prompt, (frames, params) in zip(grow(batch, lengths).values(), PROMPTS, settings):
        torch.testing.assert_close(video, generator.generate(prompt, frames, 4, params))


def test_going_on_from_given_frames(generator: VideoGenerator) -> None:
    init = torch.rand(1, 3, 5, 8, 12) * 2 - 1
    batch = VideoBatch(generator)
    lengths = {batch.session(PROMPTS[0], 1, init=init): 17, batch.session(PROMPTS[1], 2): 13}
    (going_on, other) = grow(batch, lengths).values()
    alone = generator.generate(PROMPTS[0], 17, 1, init=init)
    torch.testing.assert_close(going_on, alone)
    torch.testing.assert_close(other, generator.generate(PROMPTS[1], 13, 2))


@pytest.fixture
def full(sounding: VideoGenerator) -> VideoGenerator:
    """The debug generator with sound, actions and maps of regions, each of which has an effect."""
    torch.manual_seed(6)
    conditions = (("actions", 3), ("regions", 4))
    decoder = Decoder(dataclasses.replace(sounding.decoder.config, conditions=conditions))
    decoder.load_state_dict(sounding.decoder.state_dict(), strict=False)
    for port in decoder.ports.values():
        nn.init.normal_(port.weight)
    return VideoGenerator(decoder, sounding.tokenizer, sounding.text, sounding.sound).eval()


def test_videos_with_every_port_filled_come_and_go(full: VideoGenerator) -> None:
    """In float32, to the bit: other sentences, negative ones, actions, maps, pictures, sound and
    guidance, and each begins between two latent frames of those that are there."""
    assert next(full.decoder.parameters()).dtype == torch.float32
    torch.manual_seed(0)
    pictures = torch.rand(1, 3, 5, 8, 12) * 2 - 1
    maps = torch.randint(0, 4, (6, 2, 3))
    stern = SamplingParams(guidance=3.0, weights={"actions": 2.0, "regions": 1.5})
    brief = SamplingParams(guidance=2.0, guidance_frames=2, temperature=0.7)
    asked: list[tuple[int, dict[str, Any]]] = [
        (6, dict(params=stern, negative=PROMPTS[1], actions=[0, 2, 1], regions=maps, sound=True)),
        (4, dict(params=SamplingParams(guidance=1), init=pictures)),
        (5, dict(params=brief, negative=PROMPTS[0], regions=maps[3:], sound=True)),
        (7, dict(params=SamplingParams(window=4), actions=1, init=pictures[:, :, :1])),
    ]
    batch = VideoBatch(full)
    drawn: dict[VideoSession, list[Any]] = {}
    lengths: dict[VideoSession, int] = {}
    most = 0
    while len(drawn) < len(asked) or batch.sessions:
        if len(drawn) < len(asked) and sum(map(len, drawn.values())) >= 2 * len(drawn):
            (length, options) = asked[len(drawn)]
            session = batch.session(PROMPTS[len(drawn) % 3], len(drawn), **options)
            drawn[session] = []
            lengths[session] = length
            most = max(most, len(batch.sessions))
        for session, chunk in batch.step():
            drawn[session].append(chunk)
            if len(drawn[session]) == lengths[session]:
                batch.leave(session)
    assert most > 2
    for number, (chunks, (_, options)) in enumerate(zip(drawn.values(), asked)):
        alone = full.session(PROMPTS[number % 3], number, **options)
        for chunk in chunks:
            (found, expected) = (
                each if isinstance(each, tuple) else (each,) for each in (chunk, next(alone))
            )
            assert all(torch.equal(mine, theirs) for mine, theirs in zip(found, expected))
    first = next(iter(drawn.values()))
    for name in ("negative", "actions", "regions"):
        less = {key: value for key, value in asked[0][1].items() if key != name}
        less["params"] = SamplingParams(guidance=3.0)
        other = full.session(PROMPTS[0], 0, **less)
        assert any(not torch.equal(pair[0], next(other)[0]) for pair in first), name


def test_a_sentence_changes_in_mid_video(generator: VideoGenerator) -> None:
    batch = VideoBatch(generator)
    session = batch.session(PROMPTS[0], 5)
    batch.session(PROMPTS[1], 6)
    chunks: list[Tensor] = []
    while len(chunks) < 6:
        who, chunk = next(batch)
        if who is not session:
            continue
        chunks.append(chunk)
        if len(chunks) == 3:
            assert batch.is_between_frames(session)
            session.set_prompt(PROMPTS[1])
    expected = generator.session(PROMPTS[0], 5)
    alone = [next(expected) for _ in range(3)]
    expected.set_prompt(PROMPTS[1])
    alone += [next(expected) for _ in range(3)]
    torch.testing.assert_close(torch.cat(chunks, dim=2), torch.cat(alone, dim=2))


def test_a_session_that_left_goes_on_alone_and_comes_back(generator, tmp_path) -> None:
    batch = VideoBatch(generator)
    session = batch.session(PROMPTS[0], 5)
    chunks = [next(batch)[1] for _ in range(2)]
    batch.leave(session)
    with pytest.raises(StopIteration):
        next(batch)
    session.save(tmp_path / "session.safetensors")
    chunks.append(next(session))
    batch.join(session)
    chunks.append(next(batch)[1])
    expected = generator.generate(PROMPTS[0], 13, 5)
    torch.testing.assert_close(torch.cat(chunks, dim=2), expected)


def test_mistakes_are_told(generator: VideoGenerator) -> None:
    batch = VideoBatch(generator)
    with pytest.raises(ValueError, match=r"made elsewhere; make it with batch.session\(\)"):
        batch.join(generator.session(PROMPTS[0]))
    session = batch.session(PROMPTS[0])
    with pytest.raises(ValueError, match="in the batch already"):
        batch.join(session)
    batch.leave(session)
    with pytest.raises(ValueError, match="not in the batch"):
        batch.leave(session)
