"""Whether drawn sound is that of what the drawn pictures show.

Nobody knows what a drawn video should sound like but from its pixels: the judge of pictures says
what touches, lands and hits a wall, of what it is made, and whether anything rolls, slides or
blows; the sentence may give a reason to sound as well. The ceiling is the same number of renders
and their sound after both tokenizers, so it holds the mistakes of both judges.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from ....data.video import to_uint8
from ....data.worlds.stage.captions import Attributes
from ....data.worlds.stage.judge.pixels import READ_FRAMES
from ....data.worlds.stage.judge.sound import SoundJudge, Strike, score
from ....data.worlds.stage.scene import StageConfig
from ....data.worlds.stage.sound import SAMPLES, sound
from ..asked import Asked
from ..courses import ShownClip, read_clips
from ..obedience import CEILING, GENERATED, Obedience, rendered
from ..rows import Progress
from .expected import expected_strikes, quiet_frames
from .trip import level, strike_votes

CONFIG = StageConfig(max_objects=2, moving_objects=0.9, then=0.0, hold_out=True)
QUIETEST = 10 ** (-45 / 20)  # RMS of what counts as silence, -45 dBFS
QUIET_FRAMES = 6  # the shortest stretch whose level is measured
COUNTS = ("strikes found", "strikes missed", "strikes invented")


class DrawnSound:
    """Measures clips of sentences, drawn with sound by a model that has a tokenizer of sound."""

    def __init__(self, obedience: Obedience, judge: SoundJudge) -> None:
        self.clips = obedience
        self.judge = judge

    def __call__(self, progress: Progress, numbers: range) -> None:
        """Add the votes of the clips of these numbers: strikes that are seen and heard, strikes
        that are heard and seen, materials of those that are both, and silence where nothing
        sounds."""
        clips = self.clips
        asked = clips.asked(list(numbers))
        for column, (video, waves) in self._videos(asked, list(numbers)).items():
            shown = read_clips(clips.judge, video)
            read = self.judge.read(waves)
            for row, number in enumerate(numbers):
                votes, counts = judged(shown[row], asked.said[row], read[row], waves[row])
                progress.add(column, votes)
                for name, count in zip(COUNTS, counts):
                    progress.measured(column, name, count)
                if column == GENERATED and not all(all(right) for right in votes.values()):
                    progress.failures.append(number)

    def _videos(self, asked: Asked, numbers: Sequence[int]) -> dict[str, tuple[Tensor, Tensor]]:
        """Clips uint8 [B, 3, F, Y, X] and their waves [B, L], by column."""
        clips = self.clips
        seeds = [clips.seed + number for number in numbers]
        video, waves = clips.generator.generate(
            asked.captions, READ_FRAMES, seeds, clips.params, sound=True
        )
        videos = {GENERATED: (to_uint8(video), waves)}
        if asked.scenes is not None:
            hearing = clips.generator.check_sounds()
            true = hearing.decode(hearing.encode(sound(asked.scenes)))
            pictures = rendered(asked.scenes, clips.size, clips.generator.tokenizer)
            videos[CEILING] = (pictures, true)
        return videos


def judged(
    shown: ShownClip, said: Attributes, heard: Sequence[Strike], wave_L: Tensor
) -> tuple[dict[str, list[bool]], tuple[int, int, int]]:
    """Votes of one clip, and how many strikes are found, missed and invented."""
    strikes = expected_strikes(shown, said)
    votes = strike_votes(heard, strikes)
    quiet = quiet_frames(shown, said, strikes, len(wave_L) // SAMPLES)
    if quiet >= QUIET_FRAMES:
        votes["silence"] = [level(wave_L[: quiet * SAMPLES]) < QUIETEST]
    found = score([heard], [strikes])
    return votes, (found.found, found.missed, found.invented)


def summary(numbers: dict[str, dict[str, list[float]]]) -> dict[str, float]:
    """F of strikes within 125 ms, by column."""
    lines = {}
    for column, kept in numbers.items():
        found, missed, invented = (sum(kept[name]) for name in COUNTS)
        if found + missed + invented:
            lines[f"F of strikes, {column}"] = 2 * found / (2 * found + missed + invented)
    return lines
