"""Renders footage of one thing, to try docs/product_clip.md without a camera.

    python examples/product_footage.py footage

The thing is an orange ring with stripes, which the shipped model has never seen. `footage/clips`
gets 24 clips to learn from and `footage/held-out` 12 others, each with a sentence beside it;
`footage/another` gets 12 clips of another thing, a teal cone, on the same stage.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import torch
from kinetoscope.data.video import VideoWriter
from kinetoscope.data.worlds.stage.drawing.render import render
from kinetoscope.data.worlds.stage.sample import sample_scenes
from kinetoscope.data.worlds.stage.scene import StageConfig

SIZE = 64
FRAMES = 33
FPS = 12.0
SENTENCE = {"ring": "a striped ring rolls to the {}", "cone": "a striped cone slides to the {}"}
COLOUR = {"ring": (0.95, 0.45, 0.05), "cone": (0.1, 0.6, 0.6)}


def film(thing: str, folder: Path, count: int, first_seed: int) -> None:
    """So many clips, each with its sentence in a text file beside it."""
    config = StageConfig(
        max_objects=1,
        shapes=(thing,),
        materials=("striped",),
        sizes=("large",),
        motions=("roll" if thing == "ring" else "slide",),
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
    folder.mkdir(parents=True, exist_ok=True)
    seed = first_seed
    done = 0
    while done < count:
        scenes = sample_scenes(range(seed, seed + 1), FRAMES, config)
        seed += 1
        direction = ("none", "left", "right", "toward", "away")[int(scenes.direction[0, 0, 0])]
        if direction not in ("left", "right"):
            continue
        colour = torch.tensor(COLOUR[thing]).expand_as(scenes.rgb)
        video, _ = render(replace(scenes, rgb=colour), SIZE)
        path = folder / f"{done:02}.mp4"
        with VideoWriter(path, FPS) as writer:
            writer.write(video[0])
        text = SENTENCE[thing].format(direction)
        path.with_suffix(".txt").write_text(f"{text}\n", encoding="utf-8")
        done += 1


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="where the three folders of clips go")
    folder = parser.parse_args().folder
    film("ring", folder / "clips", 24, 0)
    film("ring", folder / "held-out", 12, 1_000_000)
    film("cone", folder / "another", 12, 2_000_000)


if __name__ == "__main__":
    main()
