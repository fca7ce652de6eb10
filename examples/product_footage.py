"""Renders footage of one thing, to try docs/product_clip.md without a camera.

    python examples/product_footage.py footage

The thing is a traffic cone, a shape that the shipped model has never seen, on the floor that it
knows. `footage/clips` gets 24 clips to learn from and `footage/held-out` 12 others, each with a
sentence beside it; `footage/another` gets 12 clips of a ball of the same colour in the same place.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import torch
from kinetoscope.data.video import VideoWriter
from kinetoscope.data.worlds.physics.render import render as render_room
from kinetoscope.data.worlds.physics.scene import PhysicsConfig
from kinetoscope.data.worlds.physics.scene import sample_scenes as sample_rooms
from kinetoscope.data.worlds.stage.drawing.render import BACKDROP, render
from kinetoscope.data.worlds.stage.sample import sample_scenes
from kinetoscope.data.worlds.stage.scene import StageConfig

SIZE = 64
FRAMES = 33
FPS = 12.0
SENTENCE = {"cone": "a traffic cone slides to the {}", "ball": "an orange ball rolls to the {}"}
MOTION = {"cone": "slide", "ball": "roll"}
COLOUR = (0.88, 0.28, 0.05)


def empty_room() -> torch.Tensor:
    """A frame [3, Y, X] of the model's world by day, with nothing in it."""
    still = PhysicsConfig(max_objects=1, moving_camera=0.0)
    seed = 0
    while (scenes := sample_rooms(range(seed, seed + 1), 1, still)).time.item() != 0:
        seed += 1
    far_away = torch.full_like(scenes.position, -1000.0)
    return render_room(replace(scenes, position=far_away), SIZE)[0][0, :, 0]


def film(thing: str, folder: Path, count: int, first_seed: int) -> None:
    """So many clips, each with its sentence in a text file beside it."""
    config = StageConfig(
        max_objects=1,
        shapes=(thing,),
        materials=("matte",),
        sizes=("large",),
        motions=(MOTION[thing],),
        speeds=("normal",),
        grounds=("checker",),
        times=("day",),
        weathers=("clear",),
        styles=("shaded",),
        places=("open",),
        moving_objects=1.0,
        moving_camera=0.0,
        then=0.0,
        fps=FPS,
    )
    room = empty_room()
    folder.mkdir(parents=True, exist_ok=True)
    seed = first_seed
    done = 0
    while done < count:
        scenes = sample_scenes(range(seed, seed + 1), FRAMES, config)
        seed += 1
        direction = ("none", "left", "right", "toward", "away")[int(scenes.direction[0, 0, 0])]
        if direction not in ("left", "right"):
            continue
        colour = torch.tensor(COLOUR).expand_as(scenes.rgb)
        video, truth = render(replace(scenes, rgb=colour), SIZE)
        is_thing = (truth.regions < BACKDROP)[:, None]
        video = torch.where(is_thing, video, room[:, None])
        path = folder / f"{done:02}.mp4"
        with VideoWriter(path, FPS) as writer:
            writer.write(video[0].contiguous())
        text = SENTENCE[thing].format(direction)
        path.with_suffix(".txt").write_text(f"{text}\n", encoding="utf-8")
        done += 1


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="where the three folders of clips go")
    folder = parser.parse_args().folder
    film("cone", folder / "clips", 24, 0)
    film("cone", folder / "held-out", 12, 1_000_000)
    film("ball", folder / "another", 12, 2_000_000)


if __name__ == "__main__":
    main()
