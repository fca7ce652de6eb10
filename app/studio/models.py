"""The models and adapters that the studio offers: what each takes, and the one that is loaded."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import fields
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin, get_type_hints

from ...files.model_folder import CONFIG, WEIGHTS, find_folder, load_config, shipped_models
from ...generator.sampling.params import SamplingParams
from ...pretrained import DEFAULT_MODEL
from ..fields import Field, condition_fields
from ..heard import folder_sound_fps
from ..provenance.options import Rules
from ..runs.jobs import read_prompts

if TYPE_CHECKING:
    from ..provenance.policy import Gate, GuardedGenerator

FPS = 12.0
FRAMES = 33
TIMES = (1, 2, 4)  # sizes that are offered, as multiples of the model's own
LARGEST = 512  # pixels


class Models:
    """What can be chosen; the first is used where nobody chooses.

    Args:
        models: names, folders or hub ids beside those that ship.
        adapters: folders of adapters.
        device: such as "cpu"; by default a GPU if there is one.
        rules: who is asked before anything is drawn.

    Raises:
        ValueError: two of them have one name.
    """

    def __init__(
        self,
        models: Sequence[str] = (),
        adapters: Sequence[str] = (),
        device: str | None = None,
        rules: Rules = Rules(),
    ) -> None:
        shipped = [name for name, folder in shipped_models().items() if _is_generator(folder)]
        self.models = _named([*models, DEFAULT_MODEL, *shipped])
        self.adapters = _named(adapters)
        self.device = device
        self.rules = rules
        self._loaded: tuple[tuple[Any, ...], GuardedGenerator] | None = None

    @functools.cached_property
    def gate(self) -> Gate:
        """Who is asked before anything is drawn."""
        from ..provenance.policy import Gate, load_policies

        return Gate(load_policies(self.rules.policy), self.rules.log_refused)

    def check(self, model: str, adapter: str | None) -> None:
        """ValueError for a choice that is not offered."""
        for what, name, known in (
            ("model", model, self.models),
            ("adapter", adapter, self.adapters),
        ):
            if name is not None and name not in known:
                offered = ", ".join(known) or "none; start the studio with --adapters"
                raise ValueError(f"{what}: there is no '{name}' here; there is {offered}")

    def first(self, adapter: str | None) -> str:
        """The model to draw with where nobody names one: that of the adapter, or else the first.

        Raises:
            ValueError: the model of the adapter is not offered here.
        """
        if adapter is None:
            return next(iter(self.models))
        from ...generator.training.lora import base_name

        base = base_name(self.adapters[adapter])
        for name, place in self.models.items():
            if base == name or _is_same(place, base):
                return name
        raise ValueError(
            f"adapter: '{adapter}' belongs to model '{base}', which is not offered here; start the "
            "studio with --model and this model"
        )

    def models_of_adapters(self) -> dict[str, str | None]:
        """Which of the models each adapter belongs to; None for one whose model is not offered."""
        found: dict[str, str | None] = {}
        for adapter in self.adapters:
            try:
                found[adapter] = self.first(adapter)
            except ValueError:
                found[adapter] = None
        return found

    def fields(self, model: str) -> list[Field]:
        """What a model takes, from its config alone."""
        from ...generator.model.config import DecoderConfig

        folder = find_folder(self.models[model], "generator")
        return condition_fields(load_config(folder, DecoderConfig.from_dict))

    def sound_fps(self, model: str) -> float | None:
        """Frames per second that a model draws sound for; None if it draws none."""
        return folder_sound_fps(find_folder(self.models[model], "generator"))

    def about(self, model: str) -> dict[str, Any]:
        """What a page asks of a model, as JSON has it."""
        from ...generator.model.config import DecoderConfig
        from ...generator.saved_model import read_sampling
        from ...tokenizer import TokenizerConfig

        folder = find_folder(self.models[model], "generator")
        config = load_config(folder, DecoderConfig.from_dict)
        patch = load_config(folder / "tokenizer", TokenizerConfig.from_dict).patch
        height = config.grid[0] * config.block * patch
        sizes = [height * times for times in TIMES if times == 1 or height * times <= LARGEST]
        return {
            "model": model,
            "fields": [field.to_json() for field in condition_fields(config)],
            "sampling": sampling_controls(read_sampling(folder)),
            "sizes": sizes,
            "frames": FRAMES,
            "frames_per_latent": config.frames_per_latent,
            "fps": folder_sound_fps(folder) or FPS,
            "sound": folder_sound_fps(folder) is not None,
            "sentences": self._sentences(folder),
        }

    def _sentences(self, folder: Path) -> list[str]:
        """Sentences to begin with: of the model's folder, or of the package."""
        own = folder / "prompts.txt"
        return read_prompts(
            own if own.is_file() else str(files("kinetoscope.configs") / "demo.txt")
        )

    def load(self, model: str, adapter: str | None, size: int | None) -> GuardedGenerator:
        """A model to draw with; the last one is kept.

        Raises:
            ValueError: files that are no model, an adapter of another model, a size that it
                cannot have.
        """
        from ...files.model_folder import UndrawnWeights
        from ...generator.devices import choose_device
        from ..provenance.policy import GuardedGenerator

        choice = (model, adapter, size)
        if self._loaded is not None and self._loaded[0] == choice:
            return self._loaded[1]
        self._loaded = None  # two large models may not fit
        with UndrawnWeights():
            generator = GuardedGenerator.from_pretrained(self.models[model], size=size)
        generator.gate = self.gate
        generator.to(choose_device(self.device))
        if adapter is not None:
            from ...generator.training.lora import load_adapter

            load_adapter(generator, self.adapters[adapter])
        self._loaded = (choice, generator)
        return generator


def sampling_controls(own: SamplingParams = SamplingParams()) -> list[dict[str, Any]]:
    """A control for each setting that is a number or a word, with a model's own value."""
    import docstring_parser

    docs = docstring_parser.parse(SamplingParams.__doc__ or "")
    helps = {param.arg_name: " ".join((param.description or "").split()) for param in docs.params}
    types = get_type_hints(SamplingParams)
    controls = []
    for each in fields(SamplingParams):
        kind = types[each.name]
        words = get_args(kind) if get_origin(kind) is Literal else ()
        if words or kind in (int, float, int | None):
            controls.append(
                {
                    "name": each.name,
                    "help": helps[each.name],
                    "kind": "choice" if words else "number",
                    "choices": list(words),
                    "whole": kind is not float,
                    "value": getattr(own, each.name),
                }
            )
    return controls


def _is_generator(folder: Path) -> bool:
    return (
        (folder / CONFIG).is_file() and (folder / WEIGHTS).is_file() and (folder / "text").is_dir()
    )


def _is_same(place: str, other: str) -> bool:
    """Whether both are one name, or one folder."""
    return place == other or (
        Path(other).is_dir() and Path(place).resolve() == Path(other).resolve()
    )


def _named(places: Sequence[str]) -> dict[str, str]:
    """Folders by their last name, and names and hub ids as they are."""
    named: dict[str, str] = {}
    for place in dict.fromkeys(places):
        name = Path(place).resolve().name if Path(place).is_dir() else place
        if named.get(name, place) != place:
            raise ValueError(f"'{named[name]}' and '{place}' have one name; rename one of them")
        named[name] = place
    return named
