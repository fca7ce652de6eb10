"""Old names of modules and classes: they work as before, and say their new name.

A class path in an old config, a checkpoint that was pickled by module path, or an import in a
program of last year finds its way through one table and one import hook.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import warnings
from collections.abc import Callable, Sequence
from importlib.abc import InspectLoader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import CodeType, ModuleType
from typing import Any

ROOT = "kinetoscope."

# Old module -> the module, or modules, that have its names now.
MODULES: dict[str, str | tuple[str, ...]] = {
    # the command line
    "generator.cli": ("app.cli.main", "app.cli.parser"),
    "generator.commands": (
        "app.cli.sample",
        "app.cli.reconstruct",
        "app.cli.encode",
        "app.cli.decode",
        "app.cli.demo",
        "app.cli.prepare",
    ),
    "generator.sample_run": "app.runs.sample",
    "generator.codec_run": "app.runs.codec",
    "generator.file_plan": "app.runs.file_plan",
    "generator.file_run": "app.runs.file_run",
    "generator.jobs": "app.runs.jobs",
    "generator.progress": "training.progress",
    # measuring
    "data.frame_distance": "evaluation.frame_distance",
    "generator.caption_bits": "evaluation.caption_bits",
    "generator.drift": "evaluation.drift",
    "generator.evaluate": "evaluation.prompts",
    "generator.evaluate_drift": "evaluation.long_clips",
    "generator.evaluate_tokenizer": "evaluation.tokenizer",
    # files and training of any model
    "data.output_path": "files.output_path",
    "data.whole_file": "files.atomic",
    "generator.stopwatch": "training.stopwatch",
    "tokenizer.checkpoint": ("files.model_folder", "files.fingerprint", "files.tensors"),
    "tokenizer.checkpoint_io": "training.checkpoints",
    "tokenizer.flicker": "evaluation.flicker",
    "tokenizer.guard": "training.guard",
    "tokenizer.health": (
        "training.finite_loss",
        "tokenizer.metrics",
        "tokenizer.training.collapse",
    ),
    "tokenizer.near_keys": "training.did_you_mean",
    "tokenizer.optimizer": "training.optimizer",
    "tokenizer.stop_in_time": "training.stop_in_time",
    "tokenizer.training_cli": "training.cli",
    # the tokenizer
    "data.module": "tokenizer.training.data_module",
    "tokenizer.adversarial": "tokenizer.training.adversarial",
    "tokenizer.grids": "tokenizer.training.pictures",
    "tokenizer.losses": "tokenizer.training.losses",
    "tokenizer.module": "tokenizer.training.module",
    "tokenizer.perceptual": "tokenizer.training.perceptual",
    "tokenizer.steps": "tokenizer.export",
    # data
    "data.allocator": "data.video.allocator",
    "data.caption_files": "data.datasets.captions",
    "data.captions": "data.worlds.physics.captions",
    "data.clip_pool": "data.datasets.clip_pool",
    "data.codec": "data.video.codec",
    "data.contact_sheet": "data.video.contact_sheet",
    "data.decoders": "data.video.workers",
    "data.dynamics": "data.worlds.physics.dynamics",
    "data.folder": "data.datasets.folder",
    "data.frame_pixels": "data.video.pixels",
    "data.held_out": "data.datasets.held_out",
    "data.oracle": "data.worlds.physics.judge.judge",
    "data.oracle_fit": "data.worlds.physics.judge.fit",
    "data.oracle_network": "data.worlds.physics.judge.network",
    "data.oracle_tracks": "data.worlds.physics.judge.tracks",
    "data.physics": "data.worlds.physics.scene",
    "data.physics_dataset": "data.worlds.physics.clips",
    "data.prefetch": "data.video.prefetch",
    "data.prompts": "data.worlds.physics.prompts",
    "data.render": "data.worlds.physics.render",
    "data.shards": ("data.datasets.shards", "files.json_file"),
    "data.shots": "data.datasets.shots",
    "data.sources": "data.datasets.source",
    "data.timed_frames": "data.video.frames",
    "data.video_list": "data.datasets.video_list",
    "data.video_writer": "data.video.write",
    # the generator
    "generator.attention": "generator.model.attention",
    "generator.cache": "generator.sampling.frame_ring",
    "generator.codebooks": "generator.model.codebooks",
    "generator.config": "generator.model.config",
    "generator.corruption": "generator.training.flaws",
    "generator.data_module": "generator.tokens.data_modules",
    "generator.decoder": "generator.model.decoder",
    "generator.describe": ("generator.training.cost", "app.cli.describe"),
    "generator.drafts": "generator.sampling.drafts",
    "generator.layers": "generator.model.layers",
    "generator.linear_loss": "generator.training.linear_loss",
    "generator.lora": "generator.training.lora",
    "generator.make_shard": "generator.tokens.make_shard",
    "generator.module": "generator.training.module",
    "generator.parallel": "generator.model.order",
    "generator.prepare": "generator.tokens.prepare",
    "generator.recording": "generator.sampling.cuda_graph",
    "generator.rope": "generator.model.rope",
    "generator.shard_tokens": "generator.tokens.shards",
    "generator.sharding": "generator.training.fsdp",
    "generator.text": "generator.conditions.text_encoder",
    "generator.text_fit": "generator.training.caption_encoder",
    "generator.token_cache": "generator.tokens.cache",
    "generator.token_data": "generator.tokens.batch",
    "generator.token_loss": "generator.training.token_weights",
    "generator.video_session": "generator.session",
    "generator.visibility": "generator.model.mask",
    "generator.watch": "generator.training.callbacks",
    "generator.weights": "generator.sampling.quantize",
}

# Names that a module had before, which is still there or stands above, and what they are now.
NAMES = {
    "data.oracle.Oracle": "data.worlds.physics.judge.judge.Judge",
    "data.oracle.OracleConfig": "data.worlds.physics.judge.network.JudgeConfig",
    "data.oracle_network.OracleConfig": "data.worlds.physics.judge.network.JudgeConfig",
    "generator.Session": "generator.sampling.engine.SamplingEngine",
    "generator.codec_run.Settings": "app.runs.codec.CodecOptions",
    "generator.make_shard.Settings": "generator.tokens.make_shard.ShardOptions",
    "generator.module.Samples": "generator.training.callbacks.SampleImages",
    "generator.module.Watch": "generator.training.callbacks.TrainingMonitor",
    "generator.prepare.Settings": "generator.tokens.make_shard.ShardOptions",
    "generator.sample_run.Settings": "app.runs.sample.SampleOptions",
    "generator.sampling.FrameNoise": "generator.sampling.noise.FrameNoise",
    "generator.sampling.SamplingParams": "generator.sampling.params.SamplingParams",
    "generator.sampling.guide": "generator.sampling.guidance.guide",
    "generator.sampling.gumbel": "generator.sampling.noise.gumbel",
    "generator.sampling.gumbel_bits": "generator.sampling.noise.gumbel_bits",
    "generator.sampling.gumbel_noise": "generator.sampling.noise.gumbel_noise",
    "generator.sampling.keep_min_p": "generator.sampling.filters.keep_min_p",
    "generator.sampling.keep_top_k": "generator.sampling.filters.keep_top_k",
    "generator.sampling.keep_top_p": "generator.sampling.filters.keep_top_p",
    "generator.sampling.likeliest": "generator.sampling.filters.likeliest",
    "generator.sampling.sample": "generator.sampling.filters.sample",
    "generator.sampling.shape_logits": "generator.sampling.filters.shape_logits",
    "generator.sampling.uniform_noise": "generator.sampling.noise.uniform_noise",
    "generator.session.Session": "generator.sampling.engine.SamplingEngine",
    "generator.watch.Samples": "generator.training.callbacks.SampleImages",
    "generator.watch.Watch": "generator.training.callbacks.TrainingMonitor",
}


class MovedWarning(DeprecationWarning):
    """An old name was used; the message has the new one."""


_said: set[str] = set()
_say: Callable[[str], None] | None = None


def install() -> None:
    """Let old names be imported from now on."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


def tell(say: Callable[[str], None]) -> None:
    """Say each use of an old name by `say` too, once: a program's user does not see warnings."""
    global _say
    _say = say


def old_names(module: str) -> Callable[[str], Any]:
    """The `__getattr__` of a module that had other names before."""

    def find(name: str) -> Any:
        old = f"{module}.{name}".removeprefix(ROOT)
        if old not in NAMES:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        _tell(old, NAMES[old])
        return _find(NAMES[old])

    return find


def _find(path: str) -> Any:
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(ROOT + module), name)


def _tell(old: str, new: str) -> None:
    text = f"{ROOT}{old} is now {ROOT}{new}"
    if _say is not None and text not in _said:
        _said.add(text)
        _say(text)
    user = sys._getframe(1)  # the first one outside of this package and of the import system
    while user.f_back and str(user.f_globals.get("__name__")).startswith((ROOT, "importlib")):
        user = user.f_back
    names = user.f_globals
    seen = names.setdefault("__warningregistry__", {})
    place = (user.f_code.co_filename, user.f_lineno, names.get("__name__"))
    warnings.warn_explicit(text, MovedWarning, *place, seen)


class _Old(ModuleType):
    """A module under its old name: every name in it is looked up where it is now."""

    def __init__(self, name: str, homes: tuple[str, ...]) -> None:
        super().__init__(name, f"Now {', '.join(ROOT + home for home in homes)}.")
        self.__dict__["_homes"] = homes

    def __getattr__(self, name: str) -> Any:
        old = f"{self.__name__}.{name}".removeprefix(ROOT)
        if old in NAMES:
            _tell(old, NAMES[old])
            return _find(NAMES[old])
        if name == "__all__":
            return [public for public in dir(self) if not public.startswith("_")]
        if not name.startswith("__"):
            for home in self.__dict__["_homes"]:
                module = importlib.import_module(ROOT + home)
                if hasattr(module, name):
                    return getattr(module, name)
        raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")

    def __dir__(self) -> list[str]:
        homes = [importlib.import_module(ROOT + home) for home in self.__dict__["_homes"]]
        return sorted({name for home in homes for name in dir(home)})


class _Loader(InspectLoader):
    """Makes the module of an old name, or runs the one that is there now."""

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _Old(spec.name, _homes(spec.name))

    def exec_module(self, module: ModuleType) -> None:
        homes = _homes(module.__name__)
        importlib.import_module(ROOT + homes[0])  # so that its own mistakes show here
        _tell(module.__name__.removeprefix(ROOT), homes[0])

    def get_code(self, fullname: str) -> CodeType:
        """For `python -m`."""
        new = ROOT + _homes(fullname)[0]
        call = f"import runpy; runpy.run_module({new!r}, run_name='__main__', alter_sys=True)"
        return compile(call, fullname, "exec")

    def get_source(self, fullname: str) -> None:
        return None


class _Finder(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname.startswith(ROOT) and fullname.removeprefix(ROOT) in MODULES:
            return ModuleSpec(fullname, _Loader())
        return None


def _homes(fullname: str) -> tuple[str, ...]:
    homes = MODULES[fullname.removeprefix(ROOT)]
    return (homes,) if isinstance(homes, str) else homes
