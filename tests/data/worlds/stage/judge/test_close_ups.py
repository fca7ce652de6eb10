"""Close-ups show the object and nothing else, whatever its size and place."""

import pytest
import torch
from kinetoscope.data.worlds.stage.drawing.render import render
from kinetoscope.data.worlds.stage.judge.close_ups import (
    AROUND,
    LEAST,
    LOOK_HEADS,
    CloseUpNet,
    close_ups,
    squares,
)
from kinetoscope.data.worlds.stage.judge.fit_close_ups import fit_close_ups, seen_objects
from kinetoscope.data.worlds.stage.judge.fit_frames import Rows, rendered_frames
from kinetoscope.data.worlds.stage.judge.targets import object_maps
from kinetoscope.data.worlds.stage.sample import sample_scenes
from kinetoscope.data.worlds.stage.scene import StageConfig


def test_a_square_is_cut_out_as_it_is() -> None:
    picture = torch.rand(2, 3, 32, 32) * 2 - 1
    middle = torch.tensor([[0.5, 0.5], [0.25, 0.75]])
    cut = close_ups(picture, torch.tensor([0, 1]), middle, torch.tensor([1.0, 0.5]), 32)
    assert cut.shape == (2, 3, 32, 32)
    assert (cut[0] - picture[0]).abs().mean() < 0.3  # four points of each pixel blur it a little
    small = torch.nn.functional.avg_pool2d(cut[1], 2)
    wanted = picture[1, :, 16:, :16]
    torch.testing.assert_close(small.mean((1, 2)), wanted.mean((1, 2)), atol=0.02, rtol=0)


def test_outside_of_the_picture_the_edge_goes_on() -> None:
    picture = torch.zeros(1, 3, 16, 16)
    picture[..., 0] = 1.0
    cut = close_ups(picture, torch.tensor([0]), torch.tensor([[0.0, 0.5]]), torch.tensor([0.5]), 8)
    torch.testing.assert_close(cut[..., :4], torch.ones(1, 3, 8, 4))
    assert (cut[..., 6:] == 0).all()  # points lie between pixels, so the edge blurs into one


def test_squares_are_larger_than_boxes_and_never_tiny() -> None:
    box = torch.tensor([[0.5, 0.5, 0.3, 0.7, 0.4, 0.6], [0.1, 0.1, 0.1, 0.11, 0.1, 0.11]])
    middle, side = squares(box)
    torch.testing.assert_close(middle, torch.tensor([[0.5, 0.5], [0.105, 0.105]]))
    torch.testing.assert_close(side, torch.tensor([AROUND * 0.4, LEAST]))


def test_boxes_of_true_objects_are_theirs() -> None:
    scenes = sample_scenes(range(3), 2, StageConfig(min_objects=2, max_objects=2))
    truth = render(scenes, 64)[1]
    slot = object_maps(scenes, truth)["slot"]
    frame, own, box = seen_objects(slot)
    assert len(frame) > 4
    for m, s, (_, _, left, right, top, bottom) in zip(frame, own, box):
        down, across = (slot[m] == s).nonzero().unbind(1)
        found = torch.tensor([across.min(), across.max(), down.min(), down.max()])
        torch.testing.assert_close(torch.stack([left, right, top, bottom]), (found + 0.5) / 32)


def test_words_of_an_object_do_not_depend_on_the_others() -> None:
    torch.manual_seed(0)
    net = CloseUpNet((8, 8, 16)).eval()
    pictures = torch.rand(3, 3, 64, 64) * 2 - 1
    box = torch.rand(5, 1) * 0.5 + torch.tensor([[0.1, 0.1, 0.0, 0.2, 0.0, 0.2]])
    frame = torch.tensor([0, 0, 1, 2, 2])
    with torch.inference_mode():
        whole = net.read(pictures, frame, box, 16)
        alone = net.read(pictures, frame[3:4], box[3:4], 16)
    for name, size in LOOK_HEADS.items():
        assert whole[name].shape == (5, size)
        torch.testing.assert_close(whole[name].exp().sum(1), torch.ones(5))
        torch.testing.assert_close(whole[name][3:4], alone[name], atol=1e-4, rtol=1e-4)


@pytest.fixture(scope="module")
def frames() -> Rows:
    """Frames of one seldom varied world, after a "tokenizer" that darkens."""

    def darker(video: torch.Tensor) -> torch.Tensor:
        return video // 2

    (rows,) = rendered_frames(8, first_seed=3, through=darker)
    return rows


def test_frames_that_went_through_a_tokenizer_keep_their_truth(frames: Rows) -> None:
    assert frames["pictures"].shape == (24, 3, 128, 128)
    assert frames["pictures"].max() < 128
    assert all(len(value) == 24 for value in frames.values())
    # every second frame of the run of five: a clip's words are those of all its frames
    assert (frames["shape"].view(8, 3, -1) == frames["shape"].view(8, 3, -1)[:, :1]).all()


def test_a_few_steps_learn_a_few_objects(frames: Rows, caplog: pytest.LogCaptureFixture) -> None:
    torch.manual_seed(0)
    net = CloseUpNet((16, 16, 32))
    with caplog.at_level("INFO"):
        fit_close_ups(net, 16, frames, steps=40, batch=16, rate=1e-2)
    first, last = (sum(float(x) for x in r.message.split()[3::2]) for r in caplog.records[:2])
    assert last < first
