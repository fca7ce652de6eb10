"""Chunks against the whole: the same codes and pixels for every way of cutting a video."""

import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kinetoscope.tokenizer import VideoTokenizer, frame_count, latent_count

shared_model = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
plans = st.lists(st.integers(1, 7), min_size=1, max_size=6)
sides = st.integers(1, 12)


@shared_model
@given(plan=plans, height=sides, width=sides)
def test_streamed_codes_are_those_of_the_whole_clip(
    tiny: VideoTokenizer, plan: list[int], height: int, width: int
) -> None:
    video = 2 * torch.rand(2, 3, sum(plan), height, width, generator=torch.Generator().manual_seed(sum(plan))) - 1
    streamed = torch.cat(list(tiny.stream_encode(video.split(plan, dim=2))), dim=1)
    assert torch.equal(streamed, tiny.encode(video).indices)


@shared_model
@given(plan=plans, height=sides, width=sides)
def test_streamed_pixels_are_those_of_the_whole_clip(
    tiny: VideoTokenizer, plan: list[int], height: int, width: int
) -> None:
    video = 2 * torch.rand(1, 3, frame_count(sum(plan), 3), height, width) - 1
    codes = tiny.encode(video)
    chunks = list(tiny.stream_decode(codes.indices.split(plan, dim=1), height, width))
    assert [chunk.shape[2] for chunk in chunks] == [3 * n - (2 if i == 0 else 0) for i, n in enumerate(plan)]
    torch.testing.assert_close(torch.cat(chunks, dim=2), tiny.decode(codes), atol=1e-5, rtol=0)


def test_a_latent_comes_out_with_its_last_frame(tiny: VideoTokenizer, clip: torch.Tensor) -> None:
    state: dict[str, torch.Tensor] = {}
    for frame in range(clip.shape[2]):
        indices, state = tiny.encode_step(clip[:, :, frame : frame + 1], state)
        complete = frame_count(latent_count(frame + 1, 3), 3) == frame + 1
        assert indices.shape[1] == int(complete)


def test_the_state_is_a_value(tiny: VideoTokenizer, clip: torch.Tensor) -> None:
    """Two continuations of one state do not disturb each other, and a state stays as small as it was."""
    first, state = tiny.encode_step(clip[:, :, :5], {})
    kept = {key: value.clone() for key, value in state.items()}
    once, later = tiny.encode_step(clip[:, :, 5:], state)
    tiny.encode_step(torch.zeros_like(clip), state)
    again, _ = tiny.encode_step(clip[:, :, 5:], state)
    assert torch.equal(once, again)
    assert kept.keys() == state.keys() and all(torch.equal(kept[key], state[key]) for key in kept)
    size = sum(value.numel() for key, value in state.items() if key != "frames")
    assert sum(value.untyped_storage().nbytes() for key, value in later.items() if key != "frames") == 4 * size
    assert first.shape[1] == 2


def test_an_empty_stream_gives_nothing(tiny: VideoTokenizer) -> None:
    assert list(tiny.stream_encode([])) == []
    assert list(tiny.stream_decode([])) == []
