"""Pictures of the stage: what a pixel shows is what is there, in every style and size."""

from dataclasses import replace

import pytest
import torch
from kinetoscope.data.worlds.stage.clips import HELD_OUT_SEED, StageClips, stage_batch
from kinetoscope.data.worlds.stage.controls import NEAR, depth_picture, edges, region_picture
from kinetoscope.data.worlds.stage.drawing.params import frame_tables
from kinetoscope.data.worlds.stage.drawing.render import (
    BACKDROP,
    BACKDROP_REGIONS,
    FAR,
    Truth,
    render,
)
from kinetoscope.data.worlds.stage.drawing.shapes import (
    CAPSULE_HALF,
    CAPSULE_RADIUS,
    CONE_HALF,
    CONE_RADIUS,
    CUBE_HALF,
    CYLINDER_HALF,
    CYLINDER_RADIUS,
    HITS,
    NEVER,
    RING_RADIUS,
    RING_TUBE,
)
from kinetoscope.data.worlds.stage.motion.camera import project
from kinetoscope.data.worlds.stage.sample import sample_scenes
from kinetoscope.data.worlds.stage.scene import (
    MATERIALS,
    PLACES,
    SHAPES,
    STYLES,
    WEATHERS,
    Scenes,
    StageConfig,
)
from torch import Tensor

PLAIN = StageConfig(styles=("shaded",), weathers=("clear",), moving_camera=0.0, then=0.0)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def drawn() -> tuple[Scenes, Tensor, Truth]:
    config = StageConfig(max_objects=3, weathers=("clear",), moving_camera=0.5)
    scenes = sample_scenes(range(10), 5, config)
    return scenes, *render(scenes, 64)


def signed_distance(shape: str, p: Tensor) -> Tensor:
    """Distance from the surface of a shape at points [..., 3] (a bound of it outside a cone)."""
    x, y, z = p.unbind(-1)
    flat = (x * x + z * z).sqrt()
    if shape == "ball":
        return p.norm(dim=-1) - 1
    if shape == "cube":
        return p.abs().amax(-1) - CUBE_HALF
    if shape == "cylinder":
        return torch.maximum(flat - CYLINDER_RADIUS, y.abs() - CYLINDER_HALF)
    if shape == "cone":
        slant = CONE_RADIUS / (2 * CONE_HALF)
        side = (flat - slant * (CONE_HALF - y)) / (1 + slant**2) ** 0.5
        return torch.maximum(side, -CONE_HALF - y)
    if shape == "ring":
        return ((flat - RING_RADIUS) ** 2 + y * y).sqrt() - RING_TUBE
    above = y - y.clamp(-CAPSULE_HALF, CAPSULE_HALF)
    return (flat**2 + above**2).sqrt() - CAPSULE_RADIUS


@pytest.mark.parametrize("index", range(len(SHAPES)))
def test_rays_meet_shapes_where_a_fine_march_does(index: int) -> None:
    generator = torch.Generator().manual_seed(index)
    o = torch.randn(3000, 3, generator=generator)
    o = 4 * o / o.norm(dim=-1, keepdim=True)
    aim = 1.2 * torch.randn(3000, 3, generator=generator)
    d = (aim - o) / (aim - o).norm(dim=-1, keepdim=True)
    t, *normal, _ = HITS[index](o.unbind(-1), d.unbind(-1))
    normal = torch.stack(normal, -1)
    steps = torch.linspace(1.5, 7, 1200)
    march = signed_distance(SHAPES[index], o[:, None] + steps[:, None] * d[:, None])
    inside = (march < 0).any(1)
    first = steps[(march < 0).int().argmax(1)]
    hit = (t < NEVER) & (t > 0)
    clear = march.amin(1).abs() > 0.012  # rays that graze the surface may go either way
    assert torch.equal(hit[clear], inside[clear])
    both = hit & inside
    assert both.sum() > 300
    apart = (t - first)[both & clear].abs() > 0.03  # a ray may graze one side of the ring
    assert apart.float().mean() < 0.01
    at = o + t[:, None] * d
    assert signed_distance(SHAPES[index], at[both]).abs().max() < 0.02
    assert (normal[both].norm(dim=-1) - 1).abs().max() < 0.05
    assert ((normal * d).sum(-1)[both] < 0.05).all()
    outside = signed_distance(SHAPES[index], at[both] + 0.05 * normal[both])
    assert outside.min() > 0.0


def test_regions_lie_where_the_objects_are(drawn: tuple[Scenes, Tensor, Truth]) -> None:
    scenes, _, truth = drawn
    x, y, depth = project(scenes.position, scenes.eye, scenes.view, scenes.lens)
    rows, columns = (1 - y) * 32, (x + 1) * 32
    found = 0
    for clip, frame, slot in scenes.present[:, None].expand(-1, 5, -1).nonzero().tolist():
        mask = truth.regions[clip, frame] == slot + 1
        if mask.sum() < 30 or not 0.2 < (x[clip, frame, slot] + 1) / 2 < 0.8:
            continue
        place = mask.nonzero().float().mean(0) + 0.5
        size = 32 * scenes.radius[clip, slot] / (depth * scenes.lens[..., None])[clip, frame, slot]
        off = (place[0] - rows[clip, frame, slot]).hypot(place[1] - columns[clip, frame, slot])
        assert off < 0.8 * size
        near = truth.depth[clip, frame][mask].min()
        centre = (scenes.position - scenes.eye[:, :, None]).norm(dim=-1)[clip, frame, slot]
        assert centre - 1.4 * scenes.radius[clip, slot] < near < centre
        found += 1
    assert found > 30


def test_the_nearest_object_is_the_one_seen() -> None:
    scenes = sample_scenes(range(12), 1, replace(PLAIN, min_objects=2, max_objects=3))
    _, truth = render(scenes, 48)
    alone = []
    for slot in range(3):
        one = replace(scenes, count=torch.ones_like(scenes.count))
        fields = ("shape", "size", "lying", "material", "colour", "rgb")
        values = {name: getattr(scenes, name)[:, slot : slot + 1] for name in fields}
        for name in ("position", "rotation"):
            values[name] = getattr(scenes, name)[:, :, slot : slot + 1]
        one = replace(one, **values)
        _, only = render(one, 48)
        there = (only.regions == 1) & (scenes.count > slot)[:, None, None, None]
        alone.append(torch.where(there, only.depth, FAR))
    depth = torch.stack(alone)
    nearest = depth.amin(0)
    seen = torch.where(nearest < FAR, depth.argmin(0) + 1, 0)
    objects = torch.where(truth.regions < BACKDROP, truth.regions, 0)
    assert torch.equal(objects.long(), seen)
    assert torch.equal(truth.depth[objects > 0], nearest[objects > 0])
    assert ((depth < FAR).sum(0) > 1).any()


def test_ground_depth_is_that_of_the_plane(drawn: tuple[Scenes, Tensor, Truth]) -> None:
    scenes, _, truth = drawn
    place = (torch.arange(64) + 0.5) / 32 - 1
    for clip in range(10):
        lens, pitch = scenes.lens[clip, 0], scenes.view[clip, 0, 1]
        up = -place[:, None] * lens * pitch.cos() + pitch.sin()
        length = (1 + (place[:, None] * lens) ** 2 + (place * lens) ** 2).sqrt()
        wanted = scenes.eye[clip, 0, 1] / -up.clamp(max=-1e-4) * length
        ground = truth.regions[clip, 0] == BACKDROP + BACKDROP_REGIONS.index("ground")
        near = ground & (wanted < 30)
        error = (truth.depth[clip, 0] / wanted - 1)[near].abs()
        assert near.sum() > 200 and error.max() < 1e-3


def test_rooms_have_walls_and_the_open_has_a_sky(drawn: tuple[Scenes, Tensor, Truth]) -> None:
    scenes, _, truth = drawn
    sky = (truth.regions == BACKDROP).flatten(1).any(1)
    wall = (truth.regions == BACKDROP + BACKDROP_REGIONS.index("back wall")).flatten(1)
    room = scenes.place == PLACES.index("room")
    assert torch.equal(sky, ~room)
    assert (wall.float().mean(1)[room] > 0.1).all()


def test_a_size_shows_the_same_as_another() -> None:
    scenes = sample_scenes(range(6), 1, replace(PLAIN, max_objects=2))
    small, coarse = render(scenes, 64)
    large, fine = render(scenes, 192, samples=1)
    shrunk = large.float().unflatten(-1, (64, 3)).unflatten(-3, (64, 3)).mean((-1, -3))
    assert (shrunk - small.float()).abs().mean() < 3
    same = fine.regions[..., 1::3, 1::3] == coarse.regions
    assert same.float().mean() > 0.97


def test_styles_share_regions_and_differ_in_pixels() -> None:
    scenes = sample_scenes(range(3), 2, replace(PLAIN, max_objects=2))
    drawn = [
        render(replace(scenes, style=torch.full_like(scenes.style, index)), 64)
        for index in range(len(STYLES))
    ]
    for video, truth in drawn[1:]:
        assert torch.equal(truth.regions, drawn[0][1].regions)
        assert torch.equal(truth.depth, drawn[0][1].depth)
        assert (video.float() - drawn[0][0].float()).abs().mean() > 2


def test_what_does_not_move_keeps_its_pixels() -> None:
    for style in STYLES:
        config = replace(PLAIN, styles=(style,), moving_objects=0.0, max_objects=2)
        video, _ = render(sample_scenes(range(3), 4, config), 48)
        assert torch.equal(video, video[:, :, :1].expand_as(video))


def test_frames_that_repeat_are_drawn_once_and_shown_all() -> None:
    config = replace(PLAIN, max_objects=1, motions=("fall",), moving_objects=1.0, grounds=("sand",))
    scenes = sample_scenes(range(3), 33, config)
    video, truth = render(scenes, 32)
    for frame in (0, 3, 11, 32):
        one = {
            name: getattr(scenes, name)[:, frame : frame + 1]
            for name in ("position", "velocity", "rotation", "eye", "view", "lens")
        }
        alone, only = render(replace(scenes, **one), 32)
        assert torch.equal(alone[:, :, 0], video[:, :, frame])
        assert torch.equal(only.regions[:, 0], truth.regions[:, frame])
    assert torch.equal(video[:, :, 31], video[:, :, 32])


def test_rain_and_snow_repeat_with_the_latent_frames() -> None:
    for weather in ("rain", "snow"):
        config = replace(PLAIN, weathers=(weather,), moving_objects=0.0, places=("open",))
        scenes = sample_scenes(range(3), 13, config)
        video, _ = render(scenes, 64)
        assert torch.equal(video[:, :, 1:5], video[:, :, 5:9])
        changes = (video[:, :, 1] != video[:, :, 2]).any(1).float().mean()
        assert 0.005 < changes < 0.35
        dry = replace(scenes, weather=torch.full_like(scenes.weather, WEATHERS.index("clear")))
        assert (dry.weather == 0).all()


def test_what_is_hidden_comes_back() -> None:
    config = replace(
        PLAIN,
        min_objects=2,
        max_objects=2,
        motions=("orbit",),
        moving_objects=1.0,
        speeds=("fast",),
        sizes=("small", "large"),
    )
    scenes = sample_scenes(range(30), 33, config)
    scenes = scenes[(scenes.target >= 0).any(1)]
    _, truth = render(scenes, 16)
    returned = 0
    for clip, slot in (scenes.target >= 0).nonzero().tolist():
        shown = (truth.regions[clip] == slot + 1).flatten(1).sum(1).float()
        hidden = (shown < 0.25 * shown.max()).nonzero()[:, 0]
        if len(hidden) and (shown[: hidden[0]] > 0.7 * shown.max()).any():
            returned += int((shown[int(hidden[-1]) :] > 0.7 * shown.max()).any())
    assert returned >= 3


def test_shadows_darken_the_ground_and_glow_lights_it() -> None:
    config = replace(PLAIN, max_objects=1, moving_objects=0.0, times=("night",), grounds=("sand",))
    scenes = sample_scenes(range(8), 1, config)
    brightness = []
    for material in ("matte", "glowing"):
        index = MATERIALS.index(material)
        video, truth = render(replace(scenes, material=torch.full_like(scenes.material, index)), 64)
        ground = truth.regions == BACKDROP + 1
        brightness.append((video.float().mean(1) * ground).sum() / ground.sum())
    assert brightness[1] > brightness[0] + 2
    matte = torch.zeros_like(scenes.material)
    day = replace(scenes, time=torch.zeros_like(scenes.time), material=matte)
    absent = replace(day, count=torch.zeros_like(day.count))
    with_object, truth = render(day, 64)
    without, _ = render(absent, 64)
    ground = (truth.regions == BACKDROP + 1)[:, None].expand_as(with_object)
    darker = (without.float() - with_object.float())[ground]
    assert darker.max() > 30 and (darker < -3).float().mean() < 0.02


def test_numbers_are_finite() -> None:
    for name, table in frame_tables(
        sample_scenes(range(30), 2, StageConfig(max_objects=4))
    ).items():
        assert table.isfinite().all(), name


def test_controls_agree_with_the_truth(drawn: tuple[Scenes, Tensor, Truth]) -> None:
    _, video, truth = drawn
    lines, near, colours = edges(truth), depth_picture(truth), region_picture(truth)
    assert lines.shape == near.shape == (10, 1, 5, 64, 64) and colours.shape == video.shape
    inner = truth.regions[:, :, 1:, 1:] == truth.regions[:, :, :-1, :-1]
    share = lines.float().mean() / 255
    assert 0.02 < share < 0.4 and inner.any()
    sky = truth.regions == BACKDROP
    assert not near[:, 0][sky].any()
    middle = near[:, 0].float() / 255
    wanted = (NEAR / truth.depth).clamp(max=1)
    assert ((wanted - middle)[truth.depth < FAR].abs() < 0.003).all()
    assert (colours[:, :, 0].flatten(2).unique(dim=2).shape[2]) > 4


def test_batches_are_the_seeds_and_can_be_resumed() -> None:
    data = StageClips(batches=2, batch_size=2, frames=2, size=32, config=PLAIN)
    batches = list(data)
    assert [b["video"].shape for b in batches] == [(2, 3, 2, 32, 32)] * 2
    assert batches[0]["foreground"].dtype == torch.bool and batches[0]["foreground"].any()
    assert all(len(text) > 10 for b in batches for text in b["caption"])
    rest = list(StageClips(1, 2, 2, size=32, config=PLAIN, start_batch=1))
    assert torch.equal(rest[0]["video"], batches[1]["video"])
    alone = stage_batch(range(3, 4), 2, 32, PLAIN)
    assert (alone["video"].int() - batches[1]["video"][1:].int()).abs().max() <= 1
    assert HELD_OUT_SEED > 10**8
    with pytest.raises(ValueError, match="at least 1; got 0"):
        StageClips(0, 1, 1)


def test_crops_are_windows_of_the_render() -> None:
    whole = stage_batch(range(3), 2, 64, PLAIN)
    cut = stage_batch(range(3), 2, 64, PLAIN, crop=24)
    assert cut["video"].shape == (3, 3, 2, 24, 24) and cut["foreground"].any()
    for clip in range(3):
        windows = whole["video"][clip].unfold(2, 24, 1).unfold(3, 24, 1)
        same = (windows == cut["video"][clip][:, :, None, None]).flatten(4).all(4).all(0).all(0)
        assert same.any()
    with pytest.raises(ValueError, match="crop must be from 1 to the size, 64; got 65"):
        stage_batch(range(1), 1, 64, crop=65)


@pytest.mark.slow
def test_compiled_equals_eager() -> None:
    scenes = sample_scenes(range(6), 3, StageConfig(max_objects=3))
    eager, truth = render(scenes, 64)
    fused, fused_truth = render(scenes, 64, compiled=True)
    difference = (eager.int() - fused.int()).abs()
    assert (difference > 2).float().mean() < 1e-3
    assert (truth.regions != fused_truth.regions).float().mean() < 1e-3
    video, _ = render(scenes[:1], 64, compiled=True)
    assert (video.int() - fused[:1].int()).abs().max() <= 1
