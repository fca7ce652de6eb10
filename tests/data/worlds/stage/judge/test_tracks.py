"""From maps to objects, and from objects to courses on the stage."""

import torch
from kinetoscope.data.worlds.stage.captions.picture import places
from kinetoscope.data.worlds.stage.drawing.render import render
from kinetoscope.data.worlds.stage.judge.detect import CLASSES, Found, find_objects
from kinetoscope.data.worlds.stage.judge.network import PIXEL_HEADS, PixelJudgeConfig
from kinetoscope.data.worlds.stage.judge.targets import object_maps, pose_of, turned
from kinetoscope.data.worlds.stage.judge.tracks import link, make_tracks, to_stage
from kinetoscope.data.worlds.stage.sample import sample_scenes
from kinetoscope.data.worlds.stage.scene import StageConfig

MOVING = StageConfig(max_objects=3, moving_camera=1.0)


def maps_of(centres: list[tuple[int, int]], size: int = 32) -> dict[str, torch.Tensor]:
    """Perfect maps of one frame with square objects of 5 x 5 places."""
    maps = {name: torch.zeros(1, n, size, size) for name, n in PIXEL_HEADS.items()}
    maps["object"] -= 5
    maps["centre"] -= 5
    line = (torch.arange(size) + 0.5) / size
    for shape, (y, x) in enumerate(centres):
        box = (0, slice(y - 2, y + 3), slice(x - 2, x + 3))
        maps["object"][0, 0][box[1:]] = 5
        maps["centre"][0, 0, y, x] = 5
        maps["offset"][0, 0][box[1:]] = (line[x] - line)[box[2]]
        maps["offset"][0, 1][box[1:]] = (line[y] - line)[box[1], None]
        maps["shape"][0, shape][box[1:]] = 9
    return maps


def test_two_squares_are_two_objects_with_looks_of_their_own() -> None:
    (found,) = find_objects(maps_of([(8, 8), (20, 11)]), PixelJudgeConfig())
    assert found.pixels.tolist() == [25, 25]
    order = found.box[:, 1].argsort()
    shapes = found.chances["shape"].argmax(-1)[order]
    assert shapes.tolist() == [0, 1]
    middles = found.box[order, :2] * 32
    torch.testing.assert_close(middles, torch.tensor([[8.5, 8.5], [11.5, 20.5]]))


def test_an_empty_picture_has_no_objects() -> None:
    (found,) = find_objects(maps_of([]), PixelJudgeConfig())
    assert len(found) == 0


def found_at(objects: list[tuple[float, float, int]]) -> Found:
    """Objects at places (across, down) of a given shape."""
    K = len(objects)
    chances = {name: torch.zeros(K, PIXEL_HEADS[name]) for name in CLASSES}
    for k, (_, _, shape) in enumerate(objects):
        chances["shape"][k] = -9.0
        chances["shape"][k, shape] = 0.0
    box = torch.tensor([[x, y, x, x, y, y] for x, y, _ in objects]).view(K, 6)
    mask = torch.zeros(K, 32, 32, dtype=torch.bool)
    return Found(box, torch.full((K,), 20), chances, torch.zeros(K, 1), torch.zeros(K, 14), mask)


def test_objects_that_pass_each_other_keep_their_tracks() -> None:
    frames = [
        found_at([(0.2 + 0.05 * f, 0.5, 0), (0.8 - 0.05 * f, 0.5, 1)][:: 1 if f % 2 else -1])
        for f in range(13)
    ]
    rows = link(frames)
    assert len(rows) == 2
    for row in rows:
        shapes = {int(frames[f].chances["shape"][k].argmax()) for f, k in enumerate(row)}
        assert len(shapes) == 1


def test_what_is_hidden_for_a_while_is_the_same_thing_again() -> None:
    frames = [found_at([(0.2 + 0.04 * f, 0.5, 2)] if not 4 <= f < 7 else []) for f in range(12)]
    (row,) = link(frames)
    assert [k >= 0 for k in row] == [True] * 4 + [False] * 3 + [True] * 5
    tracks = make_tracks(frames, torch.zeros(12, 6), min_share=0.2)
    assert len(tracks) == 1 and tracks.chances["shape"].argmax() == 2
    assert len(make_tracks(frames, torch.zeros(12, 6), min_share=0.8)) == 0


def test_places_on_the_stage_follow_from_the_picture_and_the_pose() -> None:
    scenes = sample_scenes(range(6), 17, MOVING)
    across, up, ahead = places(scenes)
    middle = torch.stack([(across + 1) / 2, (1 - up) / 2], -1)
    pose = pose_of(scenes)[:, :, None].expand(*across.shape, 6)
    there = scenes.present[:, None].expand_as(across)
    found = to_stage(middle, ahead, pose)[there]
    torch.testing.assert_close(found, scenes.position[there], atol=2e-3, rtol=0)


def test_turns_that_look_the_same_are_the_same() -> None:
    scenes = sample_scenes(range(40), 1, StageConfig(max_objects=1, materials=("matte",)))
    turn = turned(scenes)[:, 0, 0]
    assert turn.shape == (40, 14)
    ball, cube = scenes.shape[:, 0] == 0, scenes.shape[:, 0] == 1
    assert not turn[ball].any() and not turn[cube][:, :12].any()
    torch.testing.assert_close(turn[cube][:, 12:].norm(dim=-1), torch.ones(int(cube.sum())))


def test_maps_lead_every_place_to_the_middle_of_its_object() -> None:
    scenes = sample_scenes(range(4), 2, MOVING)
    truth = render(scenes, 64)[1]
    maps = object_maps(scenes, truth)
    line = (torch.arange(32) + 0.5) / 32
    vote_x = line + maps["offset"][:, 0]
    for m in range(8):
        for slot in range(3):
            mine = maps["slot"][m] == slot
            if mine.sum() >= 4:
                assert vote_x[m][mine].std() < 1e-4
                torch.testing.assert_close(maps["weight"][m][mine].sum(), torch.tensor(1.0))
