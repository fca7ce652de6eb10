"""The frame ring against the whole sequence, long past the window."""

import pytest
import torch
from kinetoscope.generator import Decoder, FrameRing, rope
from torch import Tensor


def streamed(decoder: Decoder, codes: Tensor, text: Tensor, mask: Tensor, splits: list[list[int]], **options) -> Tensor:
    """Logits of given codes, a few tokens at a time, the frames split up in turn as told."""
    prefix, prefix_mask = decoder.embed_prefix(len(codes), text, mask)
    ring = FrameRing(decoder.config, prefix_mask, dtype=prefix.dtype, **options)
    decoder.step(prefix, ring.extend(prefix.shape[1]))
    logits = []
    for t in range(codes.shape[1]):
        ring.begin_frame()
        tokens = decoder.embed_frames(codes[:, t : t + 1].flatten(2))[:, 0]
        parts = tokens.split(splits[t % len(splits)], dim=1)
        states = torch.cat([decoder.step(part, ring.extend(part.shape[1])) for part in parts], dim=1)
        logits.append(states[:, :-1] @ decoder.head().T)
    return torch.stack(logits, dim=1)


@pytest.fixture
def clip() -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(4)
    mask = torch.tensor([[True] * 4, [True, True, False, False]])
    return torch.randint(12, (2, 30, 2, 3)), torch.randn(2, 4, 10, dtype=torch.float64), mask


ONE_BY_ONE, WHOLE, MIXED = [1] * 7, [7], [3, 1, 3]


@pytest.mark.parametrize("backend", ["sdpa", "matmul"])
@pytest.mark.parametrize("sinks", [0, 1, 2])
@torch.inference_mode()
def test_stream_equals_whole_at_ten_windows(make_decoder, clip, sinks, backend):
    decoder, (codes, text, mask) = make_decoder(sinks=sinks), clip
    logits = streamed(decoder, codes, text, mask, [ONE_BY_ONE, WHOLE, MIXED], backend=backend)
    torch.testing.assert_close(logits, decoder(codes, text, mask), atol=1e-9, rtol=0)


@torch.inference_mode()
def test_stream_equals_whole_in_float32(make_decoder, clip):
    decoder, (codes, text, mask) = make_decoder().float(), clip
    logits = streamed(decoder, codes, text.float(), mask, splits=[ONE_BY_ONE])
    torch.testing.assert_close(logits, decoder(codes, text.float(), mask), atol=1e-4, rtol=0)


@pytest.mark.parametrize("window", [1, 2, 4])
@torch.inference_mode()
def test_stream_equals_whole_with_another_window(make_decoder, clip, window):
    decoder, (codes, text, mask) = make_decoder(), clip
    logits = streamed(decoder, codes, text, mask, [MIXED], window=window)
    torch.testing.assert_close(logits, decoder(codes, text, mask, window=window), atol=1e-9, rtol=0)
    assert (logits - decoder(codes, text, mask)).abs().max() > 1e-3


@torch.inference_mode()
def test_anchors_must_be_rotated_anew(make_decoder, clip):
    """The clamp matters: a decoder that was trained on longer clips gives other logits from `max_distance` on."""
    near, far = make_decoder(max_distance=4)(*clip), make_decoder(max_distance=29)(*clip)
    assert torch.equal(near[:, :5], far[:, :5])
    assert (near[:, 5:] - far[:, 5:]).abs().amax((0, 2, 3)).min() > 1e-3


@torch.inference_mode()
def test_nothing_grows(make_decoder, clip):
    decoder, (codes, text, mask) = make_decoder(), clip
    prefix, prefix_mask = decoder.embed_prefix(2, text, mask)
    ring = FrameRing(decoder.config, prefix_mask, dtype=torch.float64)
    decoder.step(prefix, ring.extend(4))

    def storage() -> list[tuple[int, int]]:
        tensors = (
            value for value in vars(ring).values() if isinstance(value, Tensor) and value is not ring.rotation_LR
        )
        return [(tensor.data_ptr(), tensor.numel()) for tensor in tensors]

    before = storage()
    for t in range(30):
        ring.begin_frame()
        decoder.step(decoder.embed_frames(codes[:, t : t + 1].flatten(2))[:, 0], ring.extend(7))
    assert storage() == before


def test_a_window_beyond_training_is_refused(make_decoder):
    with pytest.raises(ValueError, match=r"window must be 1 to 4 latent frames.*got 5"):
        FrameRing(make_decoder().config, torch.ones(1, 1, dtype=torch.bool), window=5)
    with pytest.raises(ValueError, match="got 0"):
        FrameRing(make_decoder().config, torch.ones(1, 1, dtype=torch.bool), window=0)


def test_rotations_are_as_exact_late_as_early():
    speeds = rope.rotation_speeds(16, base=100.0)
    early, late = (
        rope.rotation(rope.frame_positions(torch.tensor([t, t + 3]), 1, 1), speeds, torch.float64)
        for t in (0, 1_000_000)
    )
    turn_early, turn_late = early[2] * early[0].conj(), late[2] * late[0].conj()
    torch.testing.assert_close(turn_late, turn_early, atol=1e-9, rtol=0)


def test_every_axis_turns_its_own_channels():
    speeds = rope.rotation_speeds(12, base=100.0)
    assert ((speeds > 0).sum(0) == 1).all()
    assert (speeds > 0).sum(1).tolist() == [2, 2, 2]
    x = torch.randn(1, 2, 12, dtype=torch.float64)
    turned = rope.rotate(x, rope.rotation(torch.tensor([[5, 0, 0]]), speeds, torch.float64))
    moved = (turned - x).abs().amax((0, 1)).view(-1, 2).amax(1) > 1e-9
    assert moved.tolist() == (speeds[0] > 0).tolist()
    torch.testing.assert_close(turned.norm(dim=-1), x.norm(dim=-1))
