"""From a storyboard to one MP4: draw what is not there, put it together, mark and sign it.

    composer = Composer(story, "story.shots", say=print)
    composer.compose("story.mp4", Signing(Disclosure(), print))

Legend: f Y X frames and pixels.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ...data.video import to_uint8
from ...data.video.tracks import add_tracks
from ...files.fingerprint import file_fingerprint
from ...files.model_folder import WEIGHTS
from ..fields import FILES
from ..heard import is_rate, sound_fps
from ..provenance.generation import Generation, Ingredient, public_name
from ..provenance.generation import Shot as ToldShot
from ..provenance.writer import GeneratedVideoWriter, Signing
from .checks import check_given
from .drawing import Artist, Shelf, Watch
from .font import Font
from .frames import Film, Picture
from .given import GivenPictures, own_size, plain_video
from .plan import Chain, Model, Plan, make_plan
from .reading import Reading
from .schema import Storyboard
from .slides.pages import FPS as SLIDES_FPS
from .sound import RATE, Sounds, mixed
from .subtitles import chapters_of, cues_of

if TYPE_CHECKING:
    from ..provenance.policy import GuardedGenerator

WATCHABLE = 256  # small pictures are enlarged to about this many pixels
AT_ONCE = 24  # pictures that are handed to the encoder together


@dataclass
class Watching:
    """What a caller wants to hear: lines, latent frames that are drawn, how many pictures of the
    video are written; and whether it wants no more."""

    say: Callable[[str], None] = print
    drawn: Watch | None = None
    written: Callable[[int, int], None] = lambda done, frames: None
    stopped: Callable[[], bool] = field(default=lambda: False)


class Composer:
    """Makes the video of one storyboard.

    Args:
        story: what it says.
        folder: where drawn shots are kept.
        generator: the model, with its policy; None if nothing is drawn.
        watching: who is told.
        reading: reads the files that the storyboard names.

    Raises:
        ValueError: a shot that cannot be, or that the policy does not allow.
    """

    def __init__(
        self,
        story: Storyboard,
        folder: Path,
        generator: GuardedGenerator | None,
        watching: Watching,
        reading: Reading = Reading(),
    ) -> None:
        self.story = story
        self.generator = generator
        self.watching = watching
        self.reading = reading
        self.sounds = Sounds(reading.sound, reading.has_sound)
        self.artist: Artist | None = None
        model = None
        if generator is not None:
            shelf = Shelf(folder, generator, self._draws_sound(generator))
            self.artist = Artist(
                generator,
                story,
                shelf,
                watching.say,
                watching.drawn,
                watching.stopped,
                reading.values,
            )
            model = Model(
                _key(generator, story, shelf.sound), generator.decoder.config.frames_per_latent
            )
        fps = story.fps or (SLIDES_FPS if story.slides is not None else story.model_fps)
        self.plan: Plan = make_plan(story, fps, self.sounds.seconds, model, self._allowed)
        self.size = story.size or own_size(story, reading.pictures) or self._model_size()
        with story.at("font").blamed():
            self.font = Font(story.font)
        check_given(story, self.size, self.font, self.sounds, reading.pictures)

    def _draws_sound(self, generator: GuardedGenerator) -> bool:
        """Whether the shots that are drawn are heard too."""
        wanted = sound_fps(generator)
        if wanted is None:
            return False
        if not is_rate(self.story.model_fps, wanted):
            self.watching.say(
                f"the shots are silent: this model draws sound for {wanted:g} frames a second, "
                f"and model_fps is {self.story.model_fps:g}"
            )
            return False
        return True

    def _model_size(self) -> tuple[int, int]:
        assert self.generator is not None
        height, width = self.generator.size
        times = max(1, WATCHABLE // min(height, width))
        return height * times, width * times

    def _allowed(self, prompt: str, conditions: Mapping[str, str], frames: int) -> str:
        """What the policy lets through in place of a sentence."""
        assert self.generator is not None and self.artist is not None
        config = self.generator.decoder.config
        self.generator.text.check([prompt], config.max_text)
        prompts, _ = self.generator.checked([prompt], self.artist.values(conditions, frames))
        return prompts[0]

    # ---- drawing ----

    def name_unknown(self) -> None:
        """Say once which words the model may not know, and that it may know no cameras."""
        if self.generator is None:
            return
        sentences = [segment.prompt for segment in self.plan.segments]
        cameras = [shot.camera for shot in self.story.shots if shot.camera]
        unknown = self.generator.text.unknown_words(sentences)
        if unknown:
            self.watching.say(f"the model may not know these words: {', '.join(unknown[:12])}")
        if set(self.generator.text.unknown_words(cameras or ["camera"])) & set(unknown):
            self.watching.say("they are of cameras too, which its captions may never have said")

    def draw(self) -> tuple[int, int]:
        """Draw what is not there; how many segments were drawn, and how many there are.

        Raises:
            Stopped: the caller wants no more.
        """
        if self.artist is None:
            return 0, 0
        missing = [s for s in self.plan.segments if self.artist.shelf.read(s) is None]
        for chain in self.plan.chains:
            self.artist.codes(chain)
        return len({s.key for s in missing}), len({s.key for s in self.plan.segments})

    def decoded(self, chain: Chain) -> Iterator[Tensor]:
        """Pictures of a chain, uint8 [3, y, x], from its codes; at bounded memory."""
        assert self.artist is not None and self.generator is not None
        device = self.generator.decoder.no_text.device
        codes = self.artist.codes(chain).pictures.to(device)
        for pixels in self.generator.tokenizer.stream_decode(codes.split(1, dim=1)):
            yield from to_uint8(pixels[0]).cpu().unbind(1)

    def heard(self, chain: Chain) -> tuple[Tensor, int] | None:
        """The sound of a chain, float [L] in [-1, 1], and its samples per second; None if it has
        none."""
        assert self.artist is not None and self.generator is not None
        codes = self.artist.codes(chain).sound
        if codes is None:
            return None
        tokenizer = self.generator.check_sounds()
        device = self.generator.decoder.no_text.device
        (samples, _) = tokenizer.decode_step(codes.to(device), {})
        return samples[0].cpu(), self.generator.sound_rate

    # ---- putting together ----

    def compose(self, out: Path, signing: Signing) -> str:
        """Write the video; returns a note about its credentials."""
        given = GivenPictures(self.story, self.plan.fps, self.size, self.reading.pictures)
        burns = self.story.captions != "track"
        film = Film(self.plan, self.size, self.decoded, given, self.font, burns)
        sound = mixed(self.plan, self.sounds, self.watching.say, self.heard)
        cues = cues_of(self.plan)
        with tempfile.TemporaryDirectory() as folder:
            silent = Path(folder) / "silent.mp4"
            is_marked = self._write(film, silent, signing)
            add_tracks(silent, out, sound, RATE, cues, chapters_of(self.plan))
        if not self.story.draws:
            return ""
        place = signing.sign(out, self.generation(), is_marked)
        return "" if place in (None, out) else f", its content credentials in {place}"

    def _write(self, film: Film, path: Path, signing: Signing) -> bool:
        """Write the pictures; whether any of them carries the mark."""
        fps = self.plan.fps
        if not self.story.draws:
            with plain_video(path, fps) as plain:
                for pictures in self._several(film):
                    plain.write(torch.stack([each.pixels for each in pictures], dim=1))
            return False
        with GeneratedVideoWriter(path, fps, self.generation(), signing, signs=False) as writer:
            for pictures in self._several(film):
                drawn = torch.stack([each.drawn for each in pictures])
                pixels = torch.stack([each.pixels for each in pictures], dim=1)
                writer.write(pixels, bool(drawn.any()) and drawn)
            return writer.mark is not None

    def _several(self, film: Film) -> Iterator[list[Picture]]:
        """Pictures a few at a time; those of drawn and of given shots apart."""
        held: list[Picture] = []
        for number, picture in enumerate(film):
            if held and (
                len(held) == AT_ONCE or bool(picture.drawn.any()) != bool(held[0].drawn.any())
            ):
                yield held
                held = []
            held.append(picture)
            self.watching.written(number + 1, self.plan.frames)
        yield held

    def generation(self) -> Generation:
        """What the video says of how it came about."""
        ingredients: list[Ingredient] = []
        numbers: dict[tuple[Path, str], int] = {}

        def number_of(path: Path, role: str) -> int:
            if (path, role) not in numbers:
                numbers[path, role] = len(ingredients)
                ingredients.append(Ingredient(path, role, is_shown=True))
            return numbers[path, role]

        told = []
        fps = self.plan.fps
        for span in self.plan.spans:
            shot = span.shot
            start, end = span.first / fps, span.end / fps
            source = self.story.slides if shot.page is not None else shot.show
            if shot.say is not None:
                seed = self.story.seed if shot.seed is None else shot.seed
                told.append(ToldShot(start, end, prompt=shot.say, seed=seed))
            elif source is not None:
                place = number_of(source, "slides" if shot.page is not None else "show")
                told.append(
                    ToldShot(start, end, "shown as given", is_drawn=False, ingredient=place)
                )
            for laid in span.insets:
                begin, stop = laid.first / fps, (laid.first + laid.frames) / fps
                seed = self.story.seed if laid.inset.seed is None else laid.inset.seed
                told.append(ToldShot(begin, stop, "a drawn clip laid in", laid.inset.say, seed))
            for name, text in shot.conditions.items():
                if _is_file(name):
                    ingredients.append(Ingredient(Path(text), name, is_shown=name == "init"))
            if shot.narration is not None:
                number_of(shot.narration.file, "narration")
        for sound, role in ((self.story.narration, "narration"), (self.story.music, "music")):
            if sound is not None:
                number_of(sound.file, role)
        settings: dict[str, Any] = dict(self.story.sampling)
        if self.story.adapter is not None:
            settings["adapter"] = public_name(self.story.adapter)
        model = public_name(self.story.model)
        fingerprint = None if self.generator is None else self.generator.id
        return Generation(model, fingerprint, None, None, settings, ingredients, told)


def _is_file(name: str) -> bool:
    from ...generator.conditions import CONDITIONS

    return CONDITIONS[name].kind in FILES


def _key(generator: GuardedGenerator, story: Storyboard, sound: bool) -> str:
    """What decides about the codes that a model draws."""
    from ...generator.sampling.params import SamplingParams

    parts = [generator.id, str(generator.text.id), *(["sound"] if sound else [])]
    if generator.sampling != SamplingParams():
        parts.append(repr(generator.sampling))
    if story.adapter is not None:
        parts.append(file_fingerprint(Path(story.adapter) / WEIGHTS))
    return "-".join(parts)


def load_generator(story: Storyboard, device: str | None, gate: Any) -> GuardedGenerator:
    """The model of a storyboard, with its adapter."""
    from ...files.model_folder import UndrawnWeights
    from ...generator.devices import choose_device
    from ..provenance.policy import GuardedGenerator

    with UndrawnWeights():
        generator = GuardedGenerator.from_pretrained(story.model, size=story.model_size)
    generator.gate = gate
    generator.to(choose_device(device))
    if story.adapter is not None:
        from ...generator.training.lora import load_adapter

        load_adapter(generator, story.adapter)
    return generator
