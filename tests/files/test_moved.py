"""Old names answer: imports, class paths of configs, and checkpoints pickled by module path."""

import importlib
import io
import pickle
import subprocess
import sys
import warnings
from pathlib import Path

import jsonargparse
import pytest
from kinetoscope.files import moved
from kinetoscope.files.moved import MODULES, NAMES, ROOT, MovedWarning

# What README, docs, examples and configs named before, and the module that has it now.
SHOWN = {
    "generator.lora.LoraSize": "generator.training.lora",
    "generator.lora.load_adapter": "generator.training.lora",
    "generator.module.FolderTokens": "generator.training.module",
    "generator.module.GeneratorModule": "generator.training.module",
    "generator.module.ShardTokens": "generator.training.module",
    "generator.module.TokenDataModule": "generator.training.module",
    "generator.module.DecoderSize": "generator.training.module",
    "generator.token_data.Stage": "generator.tokens.batch",
    "data.folder.ClipFolder": "data.datasets.folder",
    "data.sources.PhysicsSource": "data.datasets.source",
    "data.sources.split_rows": "data.datasets.source",
    "data.module.FolderDataModule": "tokenizer.training.data_module",
    "data.module.PhysicsDataModule": "tokenizer.training.data_module",
    "data.codec.encode_file": "data.video.codec",
    "data.codec.decode_file": "data.video.codec",
    "tokenizer.losses.LossWeights": "tokenizer.training.losses",
    "tokenizer.losses.reconstruction_loss": "tokenizer.training.losses",
    "tokenizer.module.TokenizerModule": "tokenizer.training.module",
    "tokenizer.steps.DecodeStep": "tokenizer.export",
    "tokenizer.checkpoint.fingerprint": "files.fingerprint",
    "tokenizer.health.CodeUsage": "tokenizer.metrics",
}
STAYED = {
    "data.video": "read_clip probe iterate_frames write_video VideoError to_float to_uint8",
    "generator": "Decoder DecoderConfig FrameRing SamplingParams TextEncoder VideoGenerator",
    "tokenizer": "QuantizerConfig StackConfig TokenizerConfig VideoCodes VideoTokenizer",
    "tokenizer.metrics": "psnr ssim bits_per_pixel",
}


def fetch(path: str) -> object:
    module, _, name = path.rpartition(".")
    sys.modules.pop(ROOT + module, None) if module in MODULES else None
    return getattr(importlib.import_module(ROOT + module), name)


@pytest.mark.parametrize("old", SHOWN)
def test_an_old_import_works_and_names_the_new_module(old: str) -> None:
    module, _, name = old.rpartition(".")
    homes = MODULES[module]
    first = homes if isinstance(homes, str) else homes[0]
    with pytest.warns(MovedWarning, match=f"{ROOT}{module} is now {ROOT}{first}") as caught:
        found = fetch(old)
    assert caught[0].filename == __file__  # where the old name stands
    assert found is getattr(importlib.import_module(ROOT + SHOWN[old]), name)


@pytest.mark.parametrize("module", STAYED)
def test_names_that_stayed_say_nothing(module: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", MovedWarning)
        for name in STAYED[module].split():
            assert fetch(f"{module}.{name}")


@pytest.mark.parametrize("old", MODULES)
def test_every_old_module_has_a_home(old: str) -> None:
    assert importlib.util.find_spec(f"{ROOT}{old}"), old
    homes = MODULES[old]
    for home in (homes,) if isinstance(homes, str) else homes:
        assert importlib.util.find_spec(ROOT + home), home
        assert home not in MODULES


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("old", NAMES)
def test_every_old_name_is_found(old: str) -> None:
    with pytest.warns(MovedWarning, match=f"{ROOT}{old} is now {ROOT}{NAMES[old]}"):
        found = fetch(old)
    assert found.__name__ == NAMES[old].rpartition(".")[2]  # type: ignore[attr-defined]


def test_a_name_that_never_was_is_an_error() -> None:
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("kinetoscope.generator.never")
    for module in ("generator.lora", "generator.session", "generator.sampling", "generator"):
        with warnings.catch_warnings(), pytest.raises(AttributeError, match="never"):
            warnings.simplefilter("ignore", MovedWarning)
            fetch(f"{module}.never")


OLD_CONFIG = """
data:
  class_path: kinetoscope.generator.module.TokenDataModule
  init_args:
    train:
      class_path: kinetoscope.data.sources.PhysicsSource
      init_args: {count: 4, frames: 5, world: {hold_out: true}}
    stages:
      - {steps: 1, latents: 2, batch_size: 2}
"""


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_an_old_config_works_and_a_line_says_the_new_names() -> None:
    from kinetoscope.generator.tokens.data_modules import TokenDataModule

    said: list[str] = []
    moved.tell(said.append)
    moved._said.clear()
    for name in ("generator.module", "data.sources"):
        sys.modules.pop(ROOT + name, None)
    parser = jsonargparse.ArgumentParser()
    parser.add_subclass_arguments(TokenDataModule, "data")
    try:
        built = parser.instantiate_classes(parser.parse_string(OLD_CONFIG))
    finally:
        moved._say = None
    assert type(built.data) is TokenDataModule and len(built.data.train) == 4
    assert said == [
        "kinetoscope.generator.module is now kinetoscope.generator.training.module",
        "kinetoscope.data.sources is now kinetoscope.data.datasets.source",
    ]


def test_the_old_name_of_a_callback_works_in_a_config() -> None:
    from kinetoscope.generator.training.callbacks import TrainingMonitor
    from lightning.pytorch.callbacks import Callback

    parser = jsonargparse.ArgumentParser()
    parser.add_subclass_arguments(Callback, "callback")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MovedWarning)
        settings = parser.parse_object({"callback": "kinetoscope.generator.watch.Watch"})
        assert type(parser.instantiate_classes(settings).callback) is TrainingMonitor


def test_what_was_pickled_by_module_path_comes_back() -> None:
    from kinetoscope.generator.training.lora import LoraSize

    new = pickle.dumps(LoraSize(4, 8), protocol=2)
    old = new.replace(b"kinetoscope.generator.training.lora", b"kinetoscope.generator.lora")
    assert old != new
    sys.modules.pop("kinetoscope.generator.lora", None)
    with pytest.warns(MovedWarning, match=r"is now kinetoscope\.generator\.training\.lora"):
        assert pickle.load(io.BytesIO(old)) == LoraSize(4, 8)


def test_a_program_of_before_still_runs() -> None:
    run = [sys.executable, "-W", "ignore", "-m", "kinetoscope.generator.cli", "--version"]
    done = subprocess.run(run, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("kinetoscope ") and done.stderr == ""


def test_old_names_are_offered_by_whatever_package_comes_first(tmp_path: Path) -> None:
    for module in ("data.codec", "tokenizer.steps", "generator.lora"):
        code = f"import sys, {ROOT}{module}; print('{ROOT}{module}' in sys.modules)"
        words = [sys.executable, "-W", "ignore", "-c", code]
        done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, check=True)
        assert done.stdout == "True\n"
