"""Words to pixels: text encoder, decoder and tokenizer as one model.

Legend: B videos, F Y X frames and pixels, T latent frames, G = H * W cells of one, k frames per
latent.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, Self, overload

from torch import Tensor, nn

from ..files.caller_settings import own_settings, wanted_device
from ..files.fingerprint import fingerprint
from ..files.hub import OnHub
from ..files.hub.card import CardFacts
from ..files.model_folder import find_folder
from ..tokenizer import VideoCodes, VideoTokenizer
from . import saved_model
from .arguments import numbers, several
from .collected import Collected
from .conditions import CONDITIONS, EVERY_MODEL
from .conditions.init import beginning, beginning_sound
from .conditions.text_encoder import TextEncoder
from .model.codebooks import Codebooks
from .model.decoder import Decoder
from .sampling.engine import SamplingEngine
from .sampling.params import SamplingParams
from .sampling.quantize import SamplingWeights, lighten
from .session import VideoSession

if TYPE_CHECKING:
    from ..tokenizer.sound import SoundTokenizer

Progress = Callable[[int], None]


class VideoGenerator(OnHub, nn.Module):
    """Makes videos from sentences, and goes on with given ones.

    Args:
        decoder: draws codes.
        tokenizer: turns codes into pixels; the one whose codes the decoder learned.
        text: turns sentences into what the decoder reads.
        sound: turns codes of sound into samples, if the decoder draws some; the one whose codes it
            learned.

    Attributes:
        sampling: how codes are drawn where nobody says otherwise; a model's folder tells what suits
            it.

    Raises:
        ValueError: parts that do not fit each other.
    """

    def __init__(
        self,
        decoder: Decoder,
        tokenizer: VideoTokenizer,
        text: TextEncoder,
        sound: SoundTokenizer | None = None,
    ) -> None:
        super().__init__()
        self.decoder = decoder
        self.tokenizer = tokenizer
        self.text = text
        self.sound = sound
        self.sampling = SamplingParams()
        config = decoder.config
        block = config.block
        self.codebooks = Codebooks.of(tokenizer, config.codebooks // block**2, block)
        sizes = [
            ("codes", config.vocab_size, self.codebooks.vocab_size),
            ("frames per latent", config.frames_per_latent, tokenizer.config.frames_per_latent),
            ("text features", config.text_dim, text.dim),
            ("codes of sound", config.sound.codes, sound.config.codes_per_latent if sound else 0),
        ]
        if sound is not None:
            sizes += [
                ("different codes of sound", config.sound.vocab_size, sound.codebook_size),
                ("frames per latent", config.frames_per_latent, sound.config.frames_per_latent),
                ("codebooks of sound", 1, sound.rates),
            ]
        for name, wanted, given in sizes:
            if wanted != given:
                raise ValueError(
                    f"the decoder was made for {wanted} {name}, but these parts have {given}"
                )

    # ---- sampling ----

    @overload
    def generate(
        self,
        prompt: str | Sequence[str],
        frames: int = 33,
        seed: int | Sequence[int] = 0,
        params: SamplingParams | None = ...,
        init: Tensor | VideoCodes | None = None,
        progress: Progress | None = None,
        sound: Literal[False] = False,
        **conditions: Any,
    ) -> Tensor: ...

    @overload
    def generate(
        self,
        prompt: str | Sequence[str],
        frames: Sequence[int],
        seed: int | Sequence[int] = 0,
        params: SamplingParams | None = ...,
        init: Tensor | VideoCodes | None = None,
        progress: Progress | None = None,
        sound: Literal[False] = False,
        **conditions: Any,
    ) -> list[Tensor]: ...

    @overload
    def generate(
        self,
        prompt: str | Sequence[str],
        frames: int | Sequence[int] = 33,
        seed: int | Sequence[int] = 0,
        params: SamplingParams | None = ...,
        init: Tensor | VideoCodes | None = None,
        progress: Progress | None = None,
        *,
        sound: bool,
        **conditions: Any,
    ) -> Any: ...

    def generate(
        self,
        prompt: str | Sequence[str],
        frames: int | Sequence[int] = 33,
        seed: int | Sequence[int] = 0,
        params: SamplingParams | None = None,
        init: Tensor | VideoCodes | None = None,
        progress: Progress | None = None,
        sound: bool = False,
        **conditions: Any,
    ) -> Any:
        """Videos float [B, 3, F, Y, X] in [-1, 1], one per prompt; a list of [3, F, Y, X] if they
        differ in length. Their pixels carry no mark of origin;
        `kinetoscope.app.provenance.watermark.apply` draws one.

        Args:
            frames: F, of any number, or one F per prompt: memory for anything but the result does
                not grow with it.
            seed: of the first prompt; the next ones have seed + 1, seed + 2, ... and each gives
                what it gives alone. Or one per prompt.
            params: how codes are drawn; `self.params(…)` makes them, and without them they are
                `self.sampling`.
            init: how the videos begin, as in `session`; these frames count as part of F.
            progress: called with the number of frames that were just finished.
            sound: draw the sound too; what is returned is a pair then, of the videos and of their
                sounds, float [B, samples] in [-1, 1] (`sound_rate` samples a second), or a list of
                [samples] where the videos are a list.
            conditions: what else the model takes, as in `session`.

        Raises:
            ValueError: frames below 1 or no more than `init` has; and whatever `session` refuses.
        """
        prompts = [prompt] if isinstance(prompt, str) else list(prompt)
        one_length = not several(frames)
        lengths = numbers(frames, "frames", len(prompts))
        begin = None if init is None else beginning(init)
        given = _frames(begin)
        for length in lengths:
            if length < 1:
                raise ValueError(f"frames must be at least 1; got {length}")
            if given and length <= given:
                raise ValueError(
                    f"init has {given} frames, so frames must be at least {given + 1}; got {length}"
                )
        session = self.session(prompts, seed, params, begin, sound=sound, **conditions)
        kept = Collected(lengths)
        for chunk in session:
            added = kept.take(chunk if sound else (chunk,))
            if progress:
                progress(min(session.frames, max(lengths)) - session.frames + added)
            staying = kept.growing_after(session.frames)
            if not staying:
                break
            session.keep(staying)
        videos = kept.videos(one_length)
        return (videos, kept.sounds(self.samples_per_frame, one_length)) if sound else videos

    def stream(
        self,
        prompt: str | Sequence[str],
        seed: int | Sequence[int] = 0,
        params: SamplingParams | None = None,
        init: Tensor | VideoCodes | None = None,
        **conditions: Any,
    ) -> Iterator[Any]:
        """Endless videos, the pixels of one latent frame at a time: float [B, 3, f, Y, X], f = 1 at
        first and k later; with `sound=True` pairs of them and of its samples.

        The arguments are those of `session`.
        """
        return self.session(prompt, seed, params, init, **conditions)

    @own_settings()
    def session(
        self,
        prompt: str | Sequence[str],
        seed: int | Sequence[int] = 0,
        params: SamplingParams | None = None,
        init: Tensor | VideoCodes | None = None,
        undo: int = 1,
        weights: SamplingWeights | None = None,
        sound: bool = False,
        **conditions: Any,
    ) -> VideoSession:
        """Videos that grow as you iterate, and that take another prompt, a cut, a step back or a
        fork in between.

        Args:
            prompt: one or several sentences, one video each.
            seed: of the first video; the next ones have seed + 1, seed + 2, ... Or one per video.
            params: how codes are drawn, as in `generate`.
            init: a clip float [B or 1, 3, F, Y, X] in [-1, 1], F = 1 + a multiple of k, or
                [3, F, Y, X]; a picture [3, Y, X], or one per video [B, 3, Y, X]; of PyTorch or
                numpy; or codes. The videos begin with it (as the tokenizer shows it) and go on
                from there.
            undo: latent frames that `rewind` can take back at any time.
            weights: of this model, if they have been packed already, as a `VideoBatch` does.
            sound: draw the sound of every latent frame too. Of frames that are given it is theirs,
                if `init` are codes with sound, and else it is drawn for them.
            conditions: what else the model takes, by the names in `generator.conditions`, such as
                `actions=[0, 0, 2]`; `VideoSession.give` changes it later.

        Raises:
            ValueError: an empty or too long prompt, a negative seed, a window that the decoder
                cannot have, an init of another size or another tokenizer, or sound of a model that
                draws none.
        """
        if sound:
            self.check_sounds()
        prompts = [prompt] if isinstance(prompt, str) else list(prompt)
        seeds = numbers(seed, "seed", len(prompts), step=1)
        if seeds and min(seeds) < 0:
            raise ValueError(f"seed must be 0 or more; got {min(seeds)}")
        features = {
            name: self.features(name, value, len(prompts))
            for name, value in conditions.items()
            if value is not None
        }
        text = self.features("prompt", prompts, len(prompts))
        begin_TBG = () if init is None else self.features("init", init, len(prompts)).unbind(1)
        sounds = beginning_sound(init, len(prompts), self) if sound else ()
        engine = SamplingEngine(
            self.decoder,
            text.values,
            text.given,
            seeds,
            self.sampling if params is None else params,
            features,
            undo=undo,
            weights=weights,
            sound=sound,
        )
        return VideoSession(self, prompts, engine, begin_TBG, sounds)

    def params(self, **given: Any) -> SamplingParams:
        """How codes are drawn with some settings in place of the model's own, by the names in
        `SamplingParams`; windows and guided frames are counted in frames, as on the command line.

        Raises:
            ValueError: a value out of range.
        """
        asked = SamplingParams(**given).in_latents(self.decoder.config.frames_per_latent)
        return replace(self.sampling, **{name: getattr(asked, name) for name in given})

    @own_settings()
    def features(self, name: str, value: Any, videos: int) -> Any:
        """What the model reads of a condition's value: see `Condition.features`.

        Raises:
            ValueError: a condition that the model does not take, or a value of another kind.
        """
        self.check_takes(name)
        return CONDITIONS[name].features(value, videos, self)

    def check_takes(self, name: str) -> None:
        """ValueError, with what it takes, unless the model takes a condition."""
        further = [other for other, _ in self.decoder.config.conditions]
        if name not in (*EVERY_MODEL, *further):
            known = ", ".join([*EVERY_MODEL, *further])
            raise ValueError(f"this model takes no '{name}'; it takes {known}")

    def check_sounds(self) -> SoundTokenizer:
        """What turns codes into sound; ValueError if the model draws none."""
        if self.sound is None:
            raise ValueError("this model draws no sound; leave sound out")
        return self.sound

    @property
    def sound_rate(self) -> int:
        """Samples per second of its sound."""
        return self.check_sounds().config.rate

    @property
    def samples_per_frame(self) -> int:
        """Samples of its sound that belong to a frame of pixels."""
        return self.check_sounds().config.frame_samples

    def load_session(self, path: str | os.PathLike[str]) -> VideoSession:
        """Go on with a session that `VideoSession.save` wrote.

        Raises:
            ValueError: the file is something else, damaged, or of another model.
        """
        return VideoSession.load(path, self)

    def encode_text(self, prompts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """What the decoder reads of these sentences: states [B, S, E] and the mask [B, S] of what
        is real in them."""
        text = self.features("prompt", prompts, len(prompts))
        return text.values, text.given

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the videos in pixels."""
        config = self.decoder.config
        side = self.tokenizer.config.patch * config.block
        return config.grid[0] * side, config.grid[1] * side

    @property
    def id(self) -> str:
        """Short hash of decoder and tokenizer; a saved session carries it."""
        return fingerprint(saved_model.config(self), self.decoder.state_dict())

    # ---- files ----

    @classmethod
    def from_pretrained(
        cls,
        name: str | os.PathLike[str],
        dtype: str = "float32",
        quantize: str | None = None,
        size: int | None = None,
    ) -> Self:
        """Load a shipped model by name, a folder, or a hub id; safetensors only. It lies on the
        default device.

        Args:
            dtype, quantize: as in `lighten`.
            size: height of the pictures in pixels, as the tokenizer has it if not given. The same
                codes are decoded with larger or smaller patches, see `with_patch`.

        Raises:
            ValueError: there is no such model, its files do not fit each other, or another dtype,
                way to quantize or size than it has.
        """
        device = wanted_device()
        with own_settings():
            folder = find_folder(name, "generator")
            generator = cls(*saved_model.load(folder, size)).eval()
            generator.sampling = saved_model.read_sampling(folder)
        return generator.lighten(dtype, quantize).to(device)

    def lighten(self, dtype: str = "float32", quantize: str | None = None) -> Self:
        """Make the decoder smaller and less exact, in place, to sample from it; tokenizer and text
        encoder stay.

        Args:
            dtype: "float32" or "bfloat16", of the decoder's weights, of what it computes, and of
                the window's memory; on a CPU bfloat16 is that of weights and products alone.
            quantize: "int8" for eight bits per weight of the decoder's linear layers.
        """
        lighten(self.decoder, dtype, quantize)
        return self

    def save_pretrained(self, folder: str | os.PathLike[str], half: bool = True) -> None:
        """Write the decoder into `folder`, and the other parts into `tokenizer`, `text` and `sound`
        inside it.

        With `half`, a number takes two bytes, and one in the tables of codes, which are most of a
        small model.

        Raises:
            ValueError: the decoder has eight bits per weight, or adapters beside its weights.
        """
        saved_model.save(self, folder, half)

    def card_facts(self) -> CardFacts:
        from .hub_card import facts

        return facts(self)


def _frames(begin: Tensor | VideoCodes | None) -> int:
    """Frames that videos begin with."""
    if begin is None:
        return 0
    return begin.num_frames if isinstance(begin, VideoCodes) else begin.shape[2]
