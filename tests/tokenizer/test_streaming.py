"""Chunks against the whole: the same codes and pixels for every way of cutting a video."""

from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kinetoscope.tokenizer import VideoTokenizer, frame_count, latent_count
from safetensors.torch import load_file, save_file
from torch import Tensor

shared_model = settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
plans = st.lists(st.integers(1, 7), min_size=1, max_size=6)
sides = st.integers(1, 13)
batches = st.integers(1, 3)


def noise(*shape: int) -> Tensor:
    return 2 * torch.rand(*shape, generator=torch.Generator().manual_seed(sum(shape))) - 1


@shared_model
@given(plan=plans, batch=batches, height=sides, width=sides)
def test_streamed_codes_are_those_of_the_whole_clip(
    tiny: VideoTokenizer, plan: list[int], batch: int, height: int, width: int
) -> None:
    video = noise(batch, 3, sum(plan), height, width)
    streamed = torch.cat(list(tiny.stream_encode(video.split(plan, dim=2))), dim=1)
    assert torch.equal(streamed, tiny.encode(video).indices)


@shared_model
@given(plan=plans, batch=batches, height=sides, width=sides)
def test_streamed_pixels_are_those_of_the_whole_clip(
    tiny: VideoTokenizer, plan: list[int], batch: int, height: int, width: int
) -> None:
    codes = tiny.encode(noise(batch, 3, frame_count(sum(plan), 3), height, width))
    chunks = list(tiny.stream_decode(codes.indices.split(plan, dim=1), height, width))
    assert [chunk.shape[2] for chunk in chunks] == [
        3 * n - (2 if i == 0 else 0) for i, n in enumerate(plan)
    ]
    torch.testing.assert_close(torch.cat(chunks, dim=2), tiny.decode(codes), atol=1e-5, rtol=0)


def test_a_large_picture_is_worked_on_in_steps_that_do_not_show(tiny: VideoTokenizer) -> None:
    """One latent frame of this picture is more cells than a whole clip takes at once."""
    video = noise(1, 3, 7, 204, 324)
    codes = tiny.encode(video)
    whole, _ = tiny.encode_step(video, {})
    assert torch.equal(codes.indices, whole)
    pixels, _ = tiny.decode_step(codes.indices, {})
    torch.testing.assert_close(tiny.decode(codes), pixels, atol=1e-5, rtol=0)


@shared_model
@given(frames=st.integers(1, 10), cut=st.integers(1, 10))
def test_later_frames_never_change_earlier_codes(
    tiny: VideoTokenizer, frames: int, cut: int
) -> None:
    video = noise(1, 3, frames + cut, 9, 7)
    changed = video.clone()
    changed[:, :, frames:] = 1.0
    settled = 1 + (frames - 1) // 3  # latent frames whose last frame is among the first `frames`
    codes = tiny.encode(video).indices
    assert torch.equal(codes[:, :settled], tiny.encode(changed).indices[:, :settled])
    assert torch.equal(codes[:, :settled], tiny.encode(video[:, :, :frames]).indices[:, :settled])


def test_a_latent_comes_out_with_its_last_frame(tiny: VideoTokenizer, clip: Tensor) -> None:
    state: dict[str, Tensor] = {}
    for frame in range(clip.shape[2]):
        indices, state = tiny.encode_step(clip[:, :, frame : frame + 1], state)
        complete = frame_count(latent_count(frame + 1, 3), 3) == frame + 1
        assert indices.shape[1] == int(complete)


def test_pixels_come_out_with_their_latent(tiny: VideoTokenizer, clip: Tensor) -> None:
    codes = tiny.encode(clip)
    video = tiny.decode(codes)
    state = dict[str, Tensor]()
    done = 0
    for latent in range(codes.indices.shape[1]):
        pixels, state = tiny.decode_step(codes.indices[:, latent : latent + 1], state)
        assert pixels.shape[2] == (3 if latent else 1)
        shown = video[:, :, done : done + pixels.shape[2]]
        torch.testing.assert_close(pixels, shown, atol=1e-5, rtol=0)
        done += pixels.shape[2]


def test_the_state_is_a_value(tiny: VideoTokenizer, clip: Tensor) -> None:
    """Two continuations of one state do not disturb each other, and a state stays as small as it
    was."""
    first, state = tiny.encode_step(clip[:, :, :5], {})
    kept = {key: value.clone() for key, value in state.items()}
    once, later = tiny.encode_step(clip[:, :, 5:], state)
    tiny.encode_step(torch.zeros_like(clip), state)
    again, _ = tiny.encode_step(clip[:, :, 5:], state)
    assert torch.equal(once, again)
    assert kept.keys() == state.keys() and all(torch.equal(kept[key], state[key]) for key in kept)
    size = sum(value.numel() for key, value in state.items() if key != "frames")
    assert (
        sum(value.untyped_storage().nbytes() for key, value in later.items() if key != "frames")
        == 4 * size
    )
    assert first.shape[1] == 2


@shared_model
@given(plan=st.lists(st.integers(1, 7), min_size=2, max_size=5), data=st.data())
def test_a_saved_state_goes_on_bit_by_bit(
    tiny: VideoTokenizer, tmp_path: Path, plan: list[int], data: st.DataObject
) -> None:
    """Both directions: the state goes through a file between two chunks, and nobody can tell."""
    stop = data.draw(st.integers(1, len(plan) - 1))
    file = tmp_path / "state.safetensors"
    video = noise(2, 3, frame_count(sum(plan), 3), 7, 9)
    indices = tiny.encode(video).indices
    for step, parts in (
        (tiny.encode_step, video[:, :, : sum(plan)].split(plan, dim=2)),
        (tiny.decode_step, indices.split(plan, dim=1)),
    ):
        state: dict[str, Tensor] = {}
        resumed: dict[str, Tensor] = {}
        for index, part in enumerate(parts):
            if index == stop:
                save_file(resumed, file)
                resumed = load_file(file)
            expected, state = step(part, state)
            output, resumed = step(part, resumed)
            assert torch.equal(output, expected)
        assert resumed.keys() == state.keys() and all(
            torch.equal(resumed[key], state[key]) for key in state
        )


def test_streams_can_be_joined_and_parted_like_a_batch(tiny: VideoTokenizer, clip: Tensor) -> None:
    (_, one), (_, two) = (tiny.encode_step(video[None, :, :4], {}) for video in clip)
    indices, _ = tiny.encode_step(
        clip[:, :, 4:], {key: torch.cat([one[key], two[key]]) for key in one}
    )
    assert torch.equal(indices, tiny.encode(clip).indices[:, 2:])


def test_an_empty_stream_gives_nothing(tiny: VideoTokenizer) -> None:
    assert list(tiny.stream_encode([])) == []
    assert list(tiny.stream_decode([])) == []


def test_a_picture_of_another_size_is_refused_in_mid_video(tiny: VideoTokenizer) -> None:
    with pytest.raises(
        ValueError, match=r"pictures of one video must have one size; after 8 x 8 .* came 8 x 12"
    ):
        list(tiny.stream_encode([noise(1, 3, 2, 8, 8), noise(1, 3, 2, 8, 9)]))


def agreement_between_plans(device: str) -> float:
    """The share of equal codes of the shipped tokenizer in bfloat16, chunk by chunk against the
    whole clip."""
    tokenizer = VideoTokenizer.from_pretrained("physics-64").to(device)
    coarse = torch.rand(2, 3, 9, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1
    video = torch.nn.functional.interpolate(coarse, size=(33, 64, 64), mode="trilinear").to(device)
    with torch.autocast(device, torch.bfloat16):
        whole = tokenizer.encode(video).indices
        plans = ([1] * 33, [5, 1, 20, 7], [1] + [4] * 8)
        streamed = [
            torch.cat(list(tokenizer.stream_encode(video.split(plan, dim=2))), dim=1)
            for plan in plans
        ]
    return torch.stack([codes == whole for codes in streamed]).double().mean().item()


def test_bfloat16_changes_hardly_a_code_between_plans() -> None:
    assert agreement_between_plans("cpu") >= 0.9999


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_bfloat16_on_a_gpu_changes_hardly_a_code_between_plans() -> None:
    assert agreement_between_plans("cuda") >= 0.9999


@pytest.mark.parametrize("code", [-1, 60, 99_999])
def test_a_code_of_no_table_is_refused(tiny: VideoTokenizer, clip: Tensor, code: int) -> None:
    indices = tiny.encode(clip).indices
    indices[0, 1, 0, 0] = code
    with pytest.raises(ValueError, match=f"codes run from 0 to .*; got {code}"):
        list(tiny.stream_decode(indices.split(1, dim=1)))
