"""Stepping into videos while they grow, on a debug model: pixels, prompts and files."""

import itertools
import os
import resource
from typing import Any

import pytest
import torch
from kinetoscope.generator import SamplingParams, VideoGenerator, VideoSession
from torch import Tensor

PROMPTS = ["a red ball rolls", "a blue cube falls"]


def take(session: VideoSession, latents: int) -> Tensor:
    return torch.cat(list(itertools.islice(session, latents)), dim=2)


@pytest.fixture
def start(generator):
    def make(**options: Any) -> VideoSession:
        return generator.session(PROMPTS, **({"seed": 4} | options))

    return make


def test_goes_on_after_every_loop_that_was_left(generator, start):
    session = start()
    parts = []
    assert session.frames == 0
    for chunk in session:
        parts.append(chunk)
        if session.frames == 9:
            break
    parts.append(take(session, 1))
    assert torch.equal(torch.cat(parts, dim=2), generator.generate(PROMPTS, frames=13, seed=4))


def test_rewinds_pixels_too(start):
    session = start(undo=3)
    video = take(session, 8)
    session.rewind(3)
    assert session.frames == 17
    assert torch.equal(take(session, 3), video[:, :, 17:])
    session.rewind(2, seed=40)
    assert session.seeds == (40, 41)
    anew = take(session, 2)
    assert not torch.equal(anew, video[:, :, 21:])
    session.rewind(2, seed=4)
    assert torch.equal(take(session, 2), video[:, :, 21:])


def test_rewinds_to_the_first_frame(start):
    session = start()
    video = take(session, 3)
    session.rewind(3)
    assert session.frames == 0 and torch.equal(take(session, 3), video)


def test_forks_share_the_past(start):
    session = start()
    take(session, 3)
    fork = session.fork([4, 90])
    assert fork.seeds == (4, 90, 4, 90) and fork.prompts == [PROMPTS[0]] * 2 + [PROMPTS[1]] * 2
    forked = take(fork, 3)
    video = take(session, 3)
    assert torch.equal(forked[0], video[0]) and not torch.equal(forked[1], video[0])
    other = start(seed=[4, 90])
    assert torch.equal(take(other, 6)[0, :, 9:], forked[0])


def test_videos_leave_early(generator, start):
    session = start()
    take(session, 2)
    session.keep([1])
    assert session.prompts == PROMPTS[1:] and session.seeds == (5,)
    alone = generator.generate(PROMPTS[1], frames=13, seed=5)
    torch.testing.assert_close(take(session, 2), alone[:, :, 5:13], atol=1e-5, rtol=0)
    short, long = generator.generate(PROMPTS, frames=[3, 13], seed=4)
    assert short.shape == (3, 3, 8, 12) and long.shape == (3, 13, 8, 12)
    torch.testing.assert_close(long, alone[0], atol=1e-5, rtol=0)


def test_another_prompt_and_a_cut_change_what_follows(start):
    def after(change: Any) -> Tensor:
        session = start()
        take(session, 4)
        change(session)
        return take(session, 2)

    quiet = after(lambda session: None)
    assert torch.equal(after(lambda session: session.set_prompt(PROMPTS)), quiet)
    changes: list[Any] = [lambda session: session.cut()]
    changes += [
        lambda session, w=w: session.set_prompt("a ball", window=w)
        for w in ("keep", "recompute", "flush")
    ]
    results = [quiet, *map(after, changes)]
    assert not any(torch.equal(x, y) for x, y in itertools.combinations(results, 2))


@pytest.mark.parametrize("latents", [0, 1, 6])
def test_a_saved_session_goes_on_bit_for_bit(generator, start, tmp_path, latents):
    params = SamplingParams(guidance=3.0, guidance_frames=5, top_k=9)
    session = start(params=params, init=torch.zeros(1, 3, 5, 8, 12), undo=2)
    take(session, latents) if latents else None
    session.save(tmp_path / "session.safetensors")
    loaded = generator.load_session(tmp_path / "session.safetensors")
    assert (
        loaded.frames == session.frames
        and loaded.seeds == session.seeds
        and loaded.prompts == PROMPTS
    )
    assert torch.equal(take(loaded, 4), take(session, 4))
    loaded.rewind(2)
    session.rewind(2)
    assert torch.equal(take(loaded, 3), take(session, 3))


def test_a_full_disk_leaves_the_session_before(generator, start, tmp_path):
    """No file may grow further: the system refuses it as a full disk does."""
    path = tmp_path / "session.safetensors"
    session = start()
    take(session, 2)
    session.save(path)
    before = path.read_bytes()
    take(session, 1)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(OSError, match="File too large") as caught:
            session.save(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.filename == str(path)
    assert os.listdir(tmp_path) == [path.name] and path.read_bytes() == before
    session.save(path)  # there is room again
    assert torch.equal(take(generator.load_session(path), 2), take(session, 2))


def test_sessions_of_other_models_and_other_files_are_refused(generator, start, tmp_path):
    path = tmp_path / "session.safetensors"
    start().save(path)
    other = VideoGenerator(generator.decoder, generator.tokenizer, generator.text)
    weights = generator.decoder.frame_start.detach().clone()
    with torch.no_grad():
        generator.decoder.frame_start.add_(1)
        with pytest.raises(
            ValueError, match=r"is a session of model \w{12}, and this one is \w{12}"
        ):
            other.load_session(path)
        generator.decoder.frame_start.copy_(weights)
    generator.tokenizer.encode(torch.zeros(1, 3, 1, 8, 12)).save(tmp_path / "codes.safetensors")
    (tmp_path / "text.safetensors").write_text("hello")
    for name, message in (
        ("codes", "holds no session of this format"),
        ("text", "not a readable safetensors"),
        ("no", "does not exist"),
    ):
        with pytest.raises(ValueError, match=message):
            generator.load_session(tmp_path / f"{name}.safetensors")
    with pytest.raises(ValueError, match=r"must end in .safetensors"):
        start().save(tmp_path / "session.pt")


def test_mistakes_name_the_number_and_the_way_out(generator, start):
    session = start()
    take(session, 7)
    cases: list[tuple[Any, str]] = [
        (lambda: session.rewind(2), r"take back 0 to 1 latent frames here; got 2.*larger undo"),
        (lambda: session.set_prompt(["a ball"] * 3), r"one per video \(2\); got 3"),
        (lambda: session.set_prompt(""), "is empty"),
        (lambda: session.keep([2]), r"numbers from 0 to 1; got \[2\]"),
        (lambda: session.keep([]), r"numbers from 0 to 1; got \[\]"),
        (lambda: start(seed=[1]), r"seed must be one number or one per prompt \(2\); got 1"),
        (lambda: start(undo=0), "undo must be at least 1"),
        (
            lambda: generator.generate(PROMPTS, frames=[5]),
            r"frames must be one number or one per prompt \(2\); got 1",
        ),
    ]
    for act, message in cases:
        with pytest.raises(ValueError, match=message):
            act()
