"""The frame ring against the whole sequence, long past the window."""

import pytest
import torch
from kinetoscope.generator import Decoder, FrameRing
from kinetoscope.generator.model import rope
from torch import Tensor


def begin(decoder: Decoder, text: Tensor, mask: Tensor, **options) -> FrameRing:
    """A ring that holds the prefix."""
    prefix, prefix_mask = decoder.embed_prefix(len(text), text, mask)
    ring = FrameRing(decoder.config, len(text), dtype=prefix.dtype, **options)
    decoder.step(prefix, ring.set_prefix(prefix_mask))
    return ring


def add_frame(decoder: Decoder, ring: FrameRing, codes: Tensor, split: list[int]) -> Tensor:
    """Logits of a frame [B, 2, 3], a few tokens at a time."""
    ring.begin_frame()
    tokens = decoder.embed_frames(codes[:, None].flatten(2))[:, 0]
    places = torch.arange(7).expand(len(codes), -1).split(split, dim=1)
    parts = zip(tokens.split(split, dim=1), places, strict=True)
    states = torch.cat([decoder.step(part, ring.extend(place)) for part, place in parts], dim=1)
    return states[:, :-1] @ decoder.head().T


def streamed(
    decoder: Decoder, codes: Tensor, text: Tensor, mask: Tensor, splits: list[list[int]], **options
) -> Tensor:
    """Logits of given codes, the frames split up in turn as told."""
    ring = begin(decoder, text, mask, **options)
    frames = codes.unbind(1)
    return torch.stack(
        [add_frame(decoder, ring, x, splits[t % len(splits)]) for t, x in enumerate(frames)], dim=1
    )


@pytest.fixture
def clip() -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(4)
    mask = torch.tensor([[True] * 4, [True, True, False, False]])
    return torch.randint(12, (2, 30, 2, 3)), torch.randn(2, 4, 10, dtype=torch.float64), mask


ONE_BY_ONE = [1] * 7
WHOLE = [7]
MIXED = [3, 1, 3]


@pytest.mark.parametrize("backend", ["sdpa", "matmul"])
@pytest.mark.parametrize("sinks", [0, 1, 2])
@torch.inference_mode()
def test_stream_equals_whole_at_ten_windows(make_decoder, clip, sinks, backend):
    decoder = make_decoder(sinks=sinks)
    (codes, text, mask) = clip
    logits = streamed(decoder, codes, text, mask, [ONE_BY_ONE, WHOLE, MIXED], backend=backend)
    torch.testing.assert_close(logits, decoder(codes, text, mask), atol=1e-9, rtol=0)


@torch.inference_mode()
def test_stream_equals_whole_in_float32(make_decoder, clip):
    decoder = make_decoder().float()
    (codes, text, mask) = clip
    logits = streamed(decoder, codes, text.float(), mask, splits=[ONE_BY_ONE])
    torch.testing.assert_close(logits, decoder(codes, text.float(), mask), atol=1e-4, rtol=0)


@pytest.mark.parametrize("window", [1, 2, 4])
@torch.inference_mode()
def test_stream_equals_whole_with_another_window(make_decoder, clip, window):
    decoder = make_decoder()
    (codes, text, mask) = clip
    logits = streamed(decoder, codes, text, mask, [MIXED], window=window)
    torch.testing.assert_close(logits, decoder(codes, text, mask, window=window), atol=1e-9, rtol=0)
    assert (logits - decoder(codes, text, mask)).abs().max() > 1e-3


@torch.inference_mode()
def test_anchors_must_be_rotated_anew(make_decoder, clip):
    """The clamp matters: a decoder that was trained on longer clips gives other logits from
    `max_distance` on."""
    near = make_decoder(max_distance=4)(*clip)
    far = make_decoder(max_distance=29)(*clip)
    assert torch.equal(near[:, :5], far[:, :5])
    assert (near[:, 5:] - far[:, 5:]).abs().amax((0, 2, 3)).min() > 1e-3


@torch.inference_mode()
def test_rows_stand_at_places_of_their_own_and_wrong_guesses_do_no_harm(make_decoder, clip):
    """Each row runs three tokens at a time from its own place on, among them wrong ones that it
    runs again."""
    decoder = make_decoder()
    (codes, text, mask) = clip
    expected = decoder(codes, text, mask)
    ring = begin(decoder, text, mask)
    rows = torch.arange(2)[:, None]
    for t in range(12):
        ring.begin_frame()
        right = decoder.embed_frames(codes[:, t : t + 1].flatten(2))[:, 0]
        tokens = torch.cat([right, torch.zeros_like(right[:, :1])], dim=1)  # the last is nowhere
        logits = torch.zeros(2, 8, 12, dtype=torch.float64)
        done = torch.tensor([0, 0])
        while (done < 7).any():
            place = (done[:, None] + torch.arange(3)).clamp(max=7)
            guess = tokens[rows, place]
            guess[0, 2:] = 9.0  # row 0 goes on by two right tokens a time, row 1 by one
            guess[1, 1:] = -9.0
            logits[rows, place] = decoder.step(guess, ring.extend(place)) @ decoder.head().T
            done = (done + torch.tensor([2, 1])).clamp(max=7)
        torch.testing.assert_close(logits[:, :6], expected[:, t], atol=1e-9, rtol=0)


@torch.inference_mode()
def test_nothing_grows(make_decoder, clip):
    decoder = make_decoder()
    (codes, text, mask) = clip
    ring = begin(decoder, text, mask)

    def storage() -> list[tuple[int, int]]:
        return [
            (tensor.data_ptr(), tensor.numel())
            for tensor in (ring.kv, ring.bare_keys, ring.hidden_B1P)
        ]

    before = storage()
    for t in range(30):
        add_frame(decoder, ring, codes[:, t], WHOLE)
        assert sum(frame.numel() for frame in ring.pushed_out) <= 2 * 2 * 2 * 2 * 7 * 8  # one frame
    assert storage() == before


@pytest.mark.slow
@torch.inference_mode()
def test_thousands_of_frames_at_constant_memory_and_equal_to_the_last_few(make_decoder):
    """Frame 3,000 equals what the masked forward gives for the frames that it can see."""
    import resource

    decoder = make_decoder(layers=1)
    text = torch.randn(1, 3, 10, dtype=torch.float64)
    torch.manual_seed(5)
    codes = torch.randint(12, (1, 3000, 2, 3))
    mask = torch.ones(1, 3, dtype=torch.bool)
    ring = begin(decoder, text, mask)
    peaks = []
    for t in range(3000):
        logits = add_frame(decoder, ring, codes[:, t], WHOLE)
        if t in (300, 2999):
            peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    # kilobytes; the codes of a frame alone would come to more if they were kept
    assert peaks[1] - peaks[0] < 2000
    # in one layer a frame sees the sinks and its window only, so a short clip with the same end has
    # the same logits
    end = decoder(torch.cat([codes[:, :1], codes[:, -9:]], dim=1), text, mask)
    torch.testing.assert_close(logits, end[:, -1], atol=1e-9, rtol=0)


# ---- going back, other rows, other prefixes ----


@torch.inference_mode()
def test_rewinds_to_what_it_was_across_the_window_limit(make_decoder, clip):
    decoder = make_decoder()
    (codes, text, mask) = clip
    ring = begin(decoder, text, mask, undo=3)
    logits = [add_frame(decoder, ring, codes[:, t], WHOLE) for t in range(9)]
    assert ring.reach == 3
    ring.rewind(3)
    add_frame(decoder, ring, (codes[:, 6] + 1) % 12, WHOLE)
    ring.rewind(1)
    for t in range(6, 9):
        assert torch.equal(add_frame(decoder, ring, codes[:, t], WHOLE), logits[t])
    with pytest.raises(
        ValueError, match=r"take back 0 to 3 latent frames here; got 4.*larger undo"
    ):
        ring.rewind(4)


@torch.inference_mode()
def test_rewinds_to_the_start_before_the_window_is_full(make_decoder, clip):
    decoder = make_decoder()
    (codes, text, mask) = clip
    ring = begin(decoder, text, mask)
    logits = [add_frame(decoder, ring, codes[:, t], WHOLE) for t in range(4)]
    ring.rewind(4)
    assert all(
        torch.equal(add_frame(decoder, ring, codes[:, t], WHOLE), logits[t]) for t in range(4)
    )


@torch.inference_mode()
def test_a_flushed_ring_goes_on_behind_the_sinks(make_decoder, clip):
    decoder = make_decoder()
    (codes, text, mask) = clip
    ring = begin(decoder, text, mask)
    for t in range(9):
        add_frame(decoder, ring, codes[:, t], WHOLE)
    ring.flush()
    assert ring.reach == 0
    shot = torch.cat([codes[:, :1], codes[:, 20:28]], dim=1)
    logits = torch.stack(
        [add_frame(decoder, ring, codes[:, t], MIXED) for t in range(20, 28)], dim=1
    )
    torch.testing.assert_close(logits, decoder(shot, text, mask)[:, 1:], atol=1e-9, rtol=0)


@torch.inference_mode()
def test_selected_rows_go_on_alone(make_decoder, clip):
    decoder = make_decoder()
    (codes, text, mask) = clip
    ring = begin(decoder, text, mask)
    for t in range(6):
        add_frame(decoder, ring, codes[:, t], WHOLE)
    rows = torch.tensor([1, 1, 0])
    chosen = ring.select(rows)
    logits = torch.stack(
        [add_frame(decoder, chosen, codes[rows, t], WHOLE) for t in range(6, 12)], dim=1
    )
    expected = decoder(codes[:, :12], text, mask)[:, 6:]
    torch.testing.assert_close(logits, expected[rows], atol=1e-9, rtol=0)
    torch.testing.assert_close(
        add_frame(decoder, ring, codes[:, 6], WHOLE), expected[:, 0], atol=1e-9, rtol=0
    )


@pytest.mark.parametrize("length", [2, 4, 6])
@torch.inference_mode()
def test_another_prefix_leaves_the_frames_where_they_are(make_decoder, clip, length):
    """There and back again: with the old prefix in its place, all is as if it had never been
    away."""
    decoder = make_decoder()
    (codes, text, mask) = clip
    ring = begin(decoder, text, mask)
    for t in range(6):
        add_frame(decoder, ring, codes[:, t], WHOLE)
    other, other_mask = decoder.embed_prefix(
        2, torch.randn(2, length, 10, dtype=torch.float64), None
    )
    decoder.step(other, ring.set_prefix(other_mask))
    changed = add_frame(decoder, ring, codes[:, 6], WHOLE)
    ring.rewind(1)
    prefix, prefix_mask = decoder.embed_prefix(2, text, mask)
    decoder.step(prefix, ring.set_prefix(prefix_mask))
    expected = decoder(codes[:, :7], text, mask)[:, 6]
    assert (changed - expected).abs().max() > 1e-3
    torch.testing.assert_close(
        add_frame(decoder, ring, codes[:, 6], WHOLE), expected, atol=1e-9, rtol=0
    )


def test_a_window_beyond_training_is_refused(make_decoder):
    with pytest.raises(ValueError, match=r"window must be 1 to 4 latent frames.*got 5"):
        FrameRing(make_decoder().config, 1, window=5)
    with pytest.raises(ValueError, match="got 0"):
        FrameRing(make_decoder().config, 1, window=0)
    with pytest.raises(ValueError, match="undo must be at least 1 latent frame; got 0"):
        FrameRing(make_decoder().config, 1, undo=0)


def test_rotations_are_as_exact_late_as_early():
    speeds = rope.rotation_speeds(16, base=100.0)
    early, late = (
        rope.rotation(
            rope.frame_positions(torch.tensor([t, t + 3]), torch.zeros(2, 2)), speeds, torch.float64
        )
        for t in (0, 1_000_000)
    )
    turn_early = early[2] * early[0].conj()
    turn_late = late[2] * late[0].conj()
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
