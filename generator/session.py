"""Videos in the making: iterate to see them grow, and step in whenever you like.

    session = generator.session("a red ball rolls to the left", seed=0)
    for chunk in session:  # one latent frame's pixels, float [B, 3, f, Y, X]; with sound a pair
        ...                # leave the loop at any time, and iterate again to go on
    session.set_prompt("it bounces", window="recompute")

Legend: B videos, T latent frames, G = H * W cells of one, f Y X frames and pixels, l samples.
"""

import copy
import os
from collections import deque
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ..files.caller_settings import own_settings
from ..files.config_fields import integer
from ..files.moved import old_names
from ..tokenizer import frame_count
from .arguments import numbers
from .sampling.engine import SamplingEngine, Window
from .saved_session import load_session, packed, save_session, unpacked

if TYPE_CHECKING:
    from .pipeline import VideoGenerator

State = dict[str, Tensor]
__getattr__ = old_names(__name__)


class VideoSession:
    """A batch of videos that grow side by side for ever; `VideoGenerator.session` and
    `load_session` make it.

    Args:
        generator: the model.
        prompts: one per video.
        engine: draws the codes; has drawn nothing yet.
        given_TBG: codes of the first frames, if they are given.
        given_sounds: codes of their sound, one for each, if they have some.
    """

    def __init__(
        self,
        generator: "VideoGenerator",
        prompts: Sequence[str],
        engine: SamplingEngine,
        given_TBG: Sequence[Tensor] = (),
        given_sounds: Sequence[Tensor] = (),
    ) -> None:
        self.generator = generator
        self.prompts = list(prompts)
        self.engine = engine
        self.given = deque(given_TBG)
        self.given_sounds = deque(given_sounds)
        reach = engine.sinks + engine.remembered
        # the tokenizer's state after each of the last frames, and the sound tokenizer's
        self.pasts: deque[State] = deque([{}], 1 + reach)
        self.sound_pasts: deque[State] = deque([{}] if engine.sound else [], 1 + reach)

    @property
    def seeds(self) -> tuple[int, ...]:
        return tuple(self.engine.seeds)

    @property
    def sound(self) -> bool:
        """Whether the videos have sound."""
        return self.engine.sound

    @property
    def frames(self) -> int:
        """Frames of pixels so far."""
        k = self.generator.decoder.config.frames_per_latent
        return frame_count(self.engine.frames, k) if self.engine.frames else 0

    # ---- growing ----

    def __iter__(self) -> Iterator[Any]:
        return self

    @own_settings()
    def __next__(self) -> Any:
        """Pixels of the next latent frame, float [B, 3, f, Y, X] in [-1, 1]; f = 1 at first and
        k later. With sound a pair: those, and its samples, float [B, l] in [-1, 1]."""
        if self.given:
            return self.take_given()
        return self.decoded(self.engine.draw())

    def take_given(self) -> Any:
        """The next latent frame, whose codes are given, as `__next__` has it."""
        codes_BG = self.given.popleft()
        self.engine.feed(codes_BG, self.given_sounds.popleft() if self.given_sounds else None)
        return self.decoded(codes_BG)

    def decoded(self, codes_BG: Tensor) -> Any:
        """A latent frame that the engine has just drawn or been fed, as `__next__` has it."""
        pixels = self._pixels(codes_BG)
        return (pixels, self._samples()) if self.sound else pixels

    def _samples(self) -> Tensor:
        """The sound of the last latent frame."""
        indices_B1K = self.engine.sounds[-1].flatten(1)[:, None]
        sound = self.generator.check_sounds()
        samples, past = sound.decode_step(indices_B1K, self.sound_pasts[-1])
        self.sound_pasts.append(past)
        return samples

    def _pixels(self, codes_BG: Tensor) -> Tensor:
        generator = self.generator
        indices = generator.codebooks.give(
            codes_BG.unflatten(1, (1, *generator.decoder.config.grid))
        )
        pixels, past = generator.tokenizer.decode_step(indices, self.pasts[-1])
        self.pasts.append(past)
        return pixels

    @own_settings()
    @torch.inference_mode()
    def remembered(self) -> Tensor:
        """Pixels of the frames that the next one is drawn from, and of those that are given and
        wait: float [B, 3, F, Y, X] in [-1, 1]. F is 0 before the first frame."""
        generator = self.generator
        grid = generator.decoder.config.grid
        past = self.engine.past
        state: State = {}
        shown = [torch.zeros(len(self.prompts), 3, 0, *generator.size)]
        for i, codes_BG in enumerate([*past, *self.given]):
            back = len(past) - i
            if 0 <= back < len(self.pasts):
                state = self.pasts[-1 - back]
            indices = generator.codebooks.give(codes_BG.unflatten(1, (1, *grid)))
            pixels, state = generator.tokenizer.decode_step(indices, state)
            shown.append(pixels)
        return torch.cat([pixels.to(shown[-1].device) for pixels in shown], dim=2)

    @own_settings()
    def set_prompt(self, prompt: str | Sequence[str], window: Window = "keep") -> None:
        """Go on under another prompt (or one per video).

        Args:
            window: what becomes of the frames that the next one sees. "keep": they stay as the old
                prompt made them; "recompute": the decoder reads them again under the new prompt;
                "flush": they are forgotten (`cut`).

        Raises:
            ValueError: another window, another number of prompts, an empty or too long one.
        """
        prompts = [prompt] * len(self.prompts) if isinstance(prompt, str) else list(prompt)
        if len(prompts) != len(self.prompts):
            raise ValueError(
                f"prompt must be one sentence or one per video ({len(self.prompts)}); got "
                f"{len(prompts)}"
            )
        self.engine.set_text(*self.generator.encode_text(prompts), window)
        self.prompts = prompts

    @own_settings()
    def give(self, name: str, value: Any) -> None:
        """Give a condition from the next latent frame on, such as `give("actions", 2)`.

        What is given for one latent frame holds until something else is given, what is given for
        several is used up one after another; conditions of the prefix hold as well.

        Raises:
            ValueError: a condition that the model does not take, or a value of another kind.
        """
        self.engine.give(name, self.generator.features(name, value, len(self.prompts)))

    def act(self, action: int) -> None:
        """Do this from the next latent frame on: `give("actions", action)`."""
        self.give("actions", action)

    @own_settings()
    def cut(self) -> None:
        """Begin another shot: the last frames are forgotten, prompts and first frames (sinks)
        stay as references."""
        self.engine.cut()

    # ---- going back, and other videos ----

    @own_settings()
    def rewind(self, latents: int, seed: int | None = None) -> None:
        """Take back the last latent frames. They come out the same again or, with another seed,
        anew.

        Args:
            seed: of the first video; the next ones have seed + 1, seed + 2, ...

        Raises:
            ValueError: more latent frames than the session holds; start it with a larger `undo`.
        """
        latents = integer(latents, "latents")
        seeds = None if seed is None else numbers(seed, "seed", len(self.prompts), step=1)
        self.engine.rewind(latents)
        for _ in range(latents):
            self.pasts.pop()
            if self.sound:
                self.sound_pasts.pop()
        if latents:
            self.given.clear()
            self.given_sounds.clear()
        if seeds is not None:
            self.engine.seeds = seeds

    def fork(self, seeds: Sequence[int]) -> "VideoSession":
        """A session in which every video of this one goes on once for each seed; this one stays
        as it is."""
        given = [integer(seed, "seed") for seed in seeds]
        return self._selected(
            [video for video in range(len(self.prompts)) for _ in given],
            given * len(self.prompts),
        )

    def __deepcopy__(self, memo: dict[int, Any]) -> "VideoSession":
        """A session that goes on as this one does, and leaves it as it is; both share the model,
        as forks do."""
        return self._selected(list(range(len(self.prompts))), self.seeds)

    def __reduce__(self) -> tuple[Any, ...]:
        """What pickle writes: the model, and what a file of the session holds."""
        return unpacked, (self.generator, *packed(self))

    def keep(self, videos: Sequence[int]) -> None:
        """Go on with these videos only, counted from 0."""
        kept = [integer(video, "videos") for video in videos]
        if not kept or not all(0 <= video < len(self.prompts) for video in kept):
            raise ValueError(
                f"videos must be numbers from 0 to {len(self.prompts) - 1}; got {kept}"
            )
        self._select(kept, [self.seeds[video] for video in kept])

    def _selected(self, videos: list[int], seeds: Sequence[int]) -> "VideoSession":
        new = copy.copy(self)
        new._select(videos, seeds)
        return new

    @own_settings()
    def _select(self, videos: list[int], seeds: Sequence[int]) -> None:
        self.prompts = [self.prompts[video] for video in videos]
        self.engine = self.engine.select(videos, seeds)
        self.given = deque(codes_BG[videos] for codes_BG in self.given)
        self.given_sounds = deque(codes_BG[videos] for codes_BG in self.given_sounds)
        most = self.pasts.maxlen
        self.pasts = deque((_rows(past, videos) for past in self.pasts), most)
        self.sound_pasts = deque((_rows(past, videos) for past in self.sound_pasts), most)

    # ---- files ----

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write all that the videos need to go on, bit for bit, to a safetensors file."""
        save_session(self, path)

    @classmethod
    def load(cls, path: str | os.PathLike[str], generator: "VideoGenerator") -> "VideoSession":
        """Read what `save` wrote.

        Raises:
            ValueError: the file is something else, damaged, or of another model.
        """
        return load_session(path, generator)


def _rows(past: State, videos: list[int]) -> State:
    """These videos of a tokenizer's state; what has no batch stays as it is."""
    return {key: value[videos] if value.dim() > 1 else value for key, value in past.items()}
