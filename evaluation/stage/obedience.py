"""Whether clips that a generator draws show what their sentences say, by the judge.

Beside them stand, where there are such scenes, renders of the true scenes after the tokenizer, read
by the same judge: more than that no generator can reach.

Shapes: B clips, F frames, Y X pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from ...data.video import to_float, to_uint8
from ...data.video.contact_sheet import contact_sheet
from ...data.worlds.stage.captions import Attributes
from ...data.worlds.stage.drawing.render import render
from ...data.worlds.stage.judge.pixels import READ_FRAMES, PixelJudge
from ...data.worlds.stage.judge.reading import Reading, obeyed
from ...data.worlds.stage.scene import Scenes
from ...generator.pipeline import VideoGenerator
from ...generator.sampling.params import SamplingParams
from ...tokenizer import VideoTokenizer
from .asked import Asked, Questions
from .rows import Progress

GENERATED, CEILING = "generated", "ceiling"
SHOWN = 12  # clips on the sheet of failures
ORDER = (
    *("colour", "shape", "material", "size", "motion", "direction", "speed", "count"),
    *("objects", "ground", "time", "weather", "style", "place", "camera", "looks", "all"),
)


class Obedience:
    """Measures clips of sentences.

    Args:
        asked: the sentences of some numbers, what they say, and their scenes if there are any.
        size: pixels a side of the renders for the ceiling.
        seed: clip n is drawn with seed + n.
    """

    def __init__(
        self,
        judge: PixelJudge,
        generator: VideoGenerator,
        asked: Questions,
        params: SamplingParams = SamplingParams(),
        size: int = 128,
        seed: int = 0,
    ) -> None:
        self.judge = judge
        self.generator = generator
        self.asked = asked
        self.params = params
        self.size = size
        self.seed = seed
        self.failed: dict[int, Tensor] = {}  # clips that were drawn in this run

    def __call__(self, progress: Progress, numbers: range) -> None:
        """Add the votes of the clips of these numbers."""
        asked = self.asked(list(numbers))
        videos = self.videos(asked, list(numbers))
        columns = {column: self.judge.read(video) for column, video in videos.items()}
        for row, number in enumerate(numbers):
            for column, readings in columns.items():
                votes = obeyed(readings[row], asked.said[row])
                progress.add(column, votes)
                if column == GENERATED and not votes["all"][0]:
                    progress.failures.append(number)
                    if len(self.failed) < SHOWN:
                        self.failed[number] = videos[GENERATED][row]

    def shown(
        self, numbers: Sequence[int], frames: int = READ_FRAMES
    ) -> tuple[Asked, dict[str, Tensor]]:
        """The sentences of these numbers, and their `videos`."""
        asked = self.asked(list(numbers))
        return asked, self.videos(asked, list(numbers), frames)

    def videos(
        self, asked: Asked, numbers: Sequence[int], frames: int = READ_FRAMES
    ) -> dict[str, Tensor]:
        """Clips uint8 [B, 3, F, Y, X] of the sentences, and beside them the ceiling, if they are of
        known scenes: renders that went through the tokenizer."""
        videos = {GENERATED: self.drawn(asked, numbers, frames)}
        if asked.scenes is not None:
            videos[CEILING] = rendered(asked.scenes, self.size, self.generator.tokenizer)
        return videos

    def drawn(self, asked: Asked, numbers: Sequence[int], frames: int = READ_FRAMES) -> Tensor:
        """Clips uint8 [B, 3, F, Y, X] of the sentences."""
        seeds = [self.seed + number for number in numbers]
        video = self.generator.generate(asked.captions, frames, seeds, self.params)
        return to_uint8(video)

    def failures(self, progress: Progress, path: Path) -> int:
        """Write a contact sheet (PNG) of the first clips that failed, each with its sentence and
        what is wrong; returns how many it shows. Those of an earlier run are drawn again."""
        numbers = progress.failures[:SHOWN]
        if not numbers:
            return 0
        missing = [number for number in numbers if number not in self.failed]
        if missing:
            self.failed |= zip(missing, self.drawn(self.asked(missing), missing))
        asked = self.asked(numbers)
        seen = torch.stack([self.failed[number] for number in numbers])
        texts = [
            f"{text} - {missed(reading, said)}"
            for text, reading, said in zip(asked.captions, self.judge.read(seen), asked.said)
        ]
        path.parent.mkdir(parents=True, exist_ok=True)
        contact_sheet(list(seen), texts).save(path)
        return len(numbers)


def missed(reading: Reading, said: Attributes) -> str:
    """The words of a sentence that were not seen, and the reading."""
    wrong = [name for name, values in obeyed(reading, said).items() if not all(values)]
    named = ", ".join(name for name in wrong if name not in ("looks", "all"))
    return f"not {named}; read {reading}"


@torch.inference_mode()
def rendered(scenes: Scenes, size: int, tokenizer: VideoTokenizer | None) -> Tensor:
    """Renders, after the tokenizer if there is one, uint8 [B, 3, F, Y, X]."""
    video = render(scenes, size)[0]
    if tokenizer is None:
        return video
    return to_uint8(tokenizer.decode(tokenizer.encode(to_float(video))))
