"""The stage's sound is where the impacts are, as loud and as bright as they are hard, and else
silence."""

import itertools
from dataclasses import replace

import pytest
import torch
from kinetoscope.data.worlds.stage.sample import sample_scenes
from kinetoscope.data.worlds.stage.scene import (
    GROUNDS,
    MATERIALS,
    PLACES,
    SHAPES,
    WEATHERS,
    Scenes,
    StageConfig,
)
from kinetoscope.data.worlds.stage.sound import GROUND, RATE, SAMPLES, impacts, sound
from kinetoscope.data.worlds.stage.sound.made_up import made_up_scenes
from torch import Tensor

FRAMES = 14
N = 2
TO_GROUND, TO_WALL = N, N + 1


@pytest.fixture(scope="module")
def silent() -> Scenes:
    """Two objects that do nothing, in a room."""
    torch.set_num_threads(1)
    config = StageConfig(min_objects=2, moving_objects=0, moving_camera=0, places=("room",))
    scenes = sample_scenes([5], FRAMES, config)
    return replace(
        scenes,
        ground=torch.tensor([GROUNDS.index("checker")]),
        size=torch.tensor([[1, 1]]),
        impact=torch.zeros_like(scenes.impact),
        velocity=torch.zeros_like(scenes.velocity),
    )


def strike(
    scenes: Scenes,
    frame: int,
    moment: float,
    speed: float,
    slot: int = 0,
    other: int = TO_GROUND,
    material: str = "matte",
    size: int = 1,
) -> Scenes:
    """One more impact."""
    impact, when = scenes.impact.clone(), scenes.moment.clone()
    impact[:, frame, slot, other] = speed
    when[:, frame, slot, other] = moment
    materials, sizes = scenes.material.clone(), scenes.size.clone()
    materials[:, slot] = MATERIALS.index(material)
    sizes[:, slot] = size
    return replace(scenes, impact=impact, moment=when, material=materials, size=sizes)


def centroid(wave: Tensor) -> float:
    """Mean frequency in Hz, weighted by energy."""
    power = torch.fft.rfft(wave).abs() ** 2
    return float((power * torch.fft.rfftfreq(len(wave), 1 / RATE)).sum() / power.sum())


def length(wave: Tensor) -> float:
    """Seconds until 95 % of the energy has been heard, from the beginning of the sound."""
    wave = wave[int(wave.ne(0).nonzero()[0]) :]
    energy = (wave**2).cumsum(0) / (wave**2).sum()
    return float((energy < 0.95).sum()) / RATE


def test_where_nothing_sounds_it_is_silent(silent: Scenes) -> None:
    assert sound(silent).eq(0).all()
    assert sound(silent).shape == (1, FRAMES * SAMPLES)
    struck = sound(strike(silent, 5, 0.02, 1.0))[0]
    begin = int(5 * SAMPLES + 0.02 * RATE)
    assert struck[:begin].eq(0).all() and struck[begin + 12_000 :].eq(0).all()


@pytest.mark.parametrize("material", MATERIALS)
@pytest.mark.parametrize("moment", [0.0, 0.0208, 0.08])
def test_a_sound_begins_within_a_millisecond_of_its_impact(
    silent: Scenes, material: str, moment: float
) -> None:
    for speed in (0.3, 3.0):
        wave = sound(strike(silent, 6, moment, speed, material=material))[0]
        first = int((wave.abs() > 0.02 * wave.abs().max()).nonzero()[0])
        assert abs(first - (6 * SAMPLES + moment * RATE)) <= RATE / 1000


def test_materials_sound_different(silent: Scenes) -> None:
    waves = {name: sound(strike(silent, 1, 0, 2.0, material=name))[0] for name in MATERIALS}
    pitch = {name: centroid(wave) for name, wave in waves.items()}
    lasting = {name: length(wave) for name, wave in waves.items()}
    assert pitch["striped"] < pitch["matte"] < pitch["shiny"] < pitch["glowing"]
    assert lasting["shiny"] > 1.5 * lasting["glowing"] > 3 * lasting["matte"]


@pytest.mark.parametrize("material", MATERIALS)
def test_a_harder_impact_is_louder_and_brighter(silent: Scenes, material: str) -> None:
    waves = [sound(strike(silent, 1, 0, v, material=material))[0] for v in (0.4, 0.8, 1.6, 3.2)]
    energy = [float((wave**2).sum()) for wave in waves]
    assert all(more > 1.5 * less for less, more in itertools.pairwise(energy))
    assert centroid(waves[3]) > 1.1 * centroid(waves[0])


@pytest.mark.parametrize("material", MATERIALS)
def test_a_smaller_thing_sounds_higher(silent: Scenes, material: str) -> None:
    pitches = []
    for size in range(3):
        wave = sound(strike(silent, 1, 0, 1.0, other=TO_WALL, material=material, size=size))[0]
        spectrum = torch.fft.rfft(wave).abs()
        pitches.append(int(spectrum[200:].argmax()) + 200)
    assert pitches[0] > 1.2 * pitches[1] > 1.4 * pitches[2]


def test_a_soft_ground_muffles(silent: Scenes) -> None:
    struck = strike(silent, 1, 0, 2.0, material="shiny")
    energy = {}
    for index, name in enumerate(GROUNDS):
        wave = sound(replace(struck, ground=torch.tensor([index])))[0]
        energy[name] = float((wave**2).sum())
    assert max(energy["grass"], energy["sand"]) < 0.5 * min(energy["checker"], energy["ice"])


def test_both_sound_when_two_things_meet(silent: Scenes) -> None:
    one = strike(silent, 4, 0.01, 1.5, slot=0, other=1, material="shiny")
    both = strike(one, 4, 0.01, 1.5, slot=1, other=0, material="glowing")
    table = impacts(both)
    assert table.slot.tolist() == [0, 1] and table.other.tolist() == [1, 0]
    assert table.sample.tolist() == [4 * SAMPLES + 240] * 2
    other = strike(silent, 4, 0.01, 1.5, slot=1, other=0, material="glowing")
    assert torch.allclose(sound(both), sound(one) + sound(other), atol=1e-5)


def test_faint_touches_make_no_noise(silent: Scenes) -> None:
    assert sound(strike(silent, 4, 0, 0.05)).eq(0).all()
    assert impacts(strike(silent, 4, 0, 0.5)).other.tolist() == [GROUND]


def moving(scenes: Scenes, speed: float, shape: str, frames: tuple[int, int] = (3, 9)) -> Scenes:
    """The first object moves along the ground in some frames."""
    velocity = scenes.velocity.clone()
    velocity[:, frames[0] : frames[1], 0, 0] = speed
    shapes = scenes.shape.clone()
    shapes[:, 0] = SHAPES.index(shape)
    lying = torch.zeros_like(scenes.lying)
    return replace(scenes, velocity=velocity, shape=shapes, lying=lying)


@pytest.mark.parametrize("shape", ["ball", "cube"])
def test_rolling_and_sliding_sound_while_they_last(silent: Scenes, shape: str) -> None:
    waves = [sound(moving(silent, speed, shape))[0] for speed in (0.5, 1.0, 2.0)]
    for wave in waves:
        assert wave[: 3 * SAMPLES].eq(0).all() and wave[10 * SAMPLES :].eq(0).all()
        assert wave[4 * SAMPLES : 8 * SAMPLES].abs().mean() > 1e-3
    energy = [float((wave**2).mean()) for wave in waves]
    assert energy[0] < energy[1] < energy[2]
    assert centroid(waves[2]) > centroid(waves[0])


def test_what_flies_makes_no_noise(silent: Scenes) -> None:
    flying = moving(silent, 2.0, "ball")
    flying = replace(flying, resting=torch.zeros_like(flying.resting))
    assert sound(flying).eq(0).all()


def test_weather_is_heard_outside_only(silent: Scenes) -> None:
    for name, heard in (("clear", 0), ("rain", 1), ("snow", 0), ("fog", 1)):
        for place, outside in (("open", 1), ("room", 0)):
            wave = sound(
                replace(
                    silent,
                    weather=torch.tensor([WEATHERS.index(name)]),
                    place=torch.tensor([PLACES.index(place)]),
                )
            )
            assert bool(wave.ne(0).any()) == bool(heard and outside)


def test_sampled_clips_neither_clip_nor_change() -> None:
    seeds = range(12)
    config = StageConfig(max_objects=4, moving_objects=1.0, weathers=("rain", "fog", "clear"))
    scenes = sample_scenes(seeds, 24, config)
    wave = sound(scenes)
    assert wave.isfinite().all() and wave.abs().max() < 1
    assert torch.equal(wave, sound(scenes))
    alone = sample_scenes([7], 24, config)
    assert torch.allclose(sound(alone)[0], wave[7], atol=1e-6)
    longer = sound(sample_scenes(seeds, 33, config))
    assert torch.allclose(longer[:, : 24 * SAMPLES], wave, atol=1e-6)
    assert not torch.equal(wave[0], wave[1])


def test_onsets_of_a_bounce_are_those_of_its_course() -> None:
    """Heard against the state: where the wave jumps up, the ball has just touched the ground."""
    config = StageConfig(
        max_objects=1, motions=("bounce",), moving_objects=1.0, shapes=("ball",), places=("room",)
    )
    scenes = sample_scenes(range(4), 30, config)
    for row, wave in enumerate(sound(scenes)):
        quiet = torch.cat([torch.zeros(240), wave])[: len(wave)].abs()
        recent = torch.nn.functional.max_pool1d(quiet[None], 241, 1, 120)[0]
        jumps = (wave.abs() > 0.02 + 3 * recent).nonzero()[:, 0]
        frame = int(jumps[0]) // SAMPLES
        assert scenes.velocity[row, frame - 1, 0, 1] < -0.5
        assert scenes.impact[row, frame, 0, -2] > 0


def test_made_up_scenes_are_rich_and_follow_from_their_seeds() -> None:
    scenes = made_up_scenes(range(40), 25)
    waves = sound(scenes)
    assert torch.allclose(sound(made_up_scenes([7], 25))[0], waves[7], atol=1e-6)
    table = impacts(scenes)
    for words, count in ((table.material, 4), (table.size, 3), (table.ground, 5)):
        assert len(words.unique()) == count
    assert 1 < len(table) / 40 < 8
    with pytest.raises(ValueError, match="got 0 and 5"):
        made_up_scenes([], 5)
