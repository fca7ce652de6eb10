"""Lightning CLI with the settings that our configs need; both models are trained through it.

`${key}` in a YAML follows overrides on the command line, class paths are limited to a few packages,
and a user's mistake ends in one line and exit status 2.
"""

import contextlib
import errno
import logging
import re
import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import jsonargparse
import lightning.pytorch as pl
from filelock import FileLock, Timeout
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import ProgressBar, RichProgressBar
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from lightning.pytorch.plugins.io import TorchCheckpointIO

from ..files import moved
from ..files.atomic import clear_leavings
from .checkpoints import WholeCheckpoints, check_checkpoint, newest_checkpoint
from .config_file import check_named_configs
from .did_you_mean import name_nearest
from .here import check_here, print_any_name
from .precision import RunTrainer, kept_precision
from .progress import INTERRUPTED, show_log, terminate_as_interrupt
from .resumed_rates import ResumedRates
from .run_record import RunRecord, WholeConfig
from .stop_in_time import AGAIN, StopInTime

log = logging.getLogger(__name__)
KEYWORDS = ("best", "hpc")  # checkpoints that Lightning finds
MLFLOW_DATABASE = "sqlite:///mlflow.db"
ALLOWED = ("kinetoscope", "lightning", "torch", "vector_quantize_pytorch")


class OneLineParser(LightningArgumentParser):
    """Reports a mistake in one line, without a page of usage before it."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        fail(name_nearest(message, known_keys(self)))


def known_keys(parser: Any) -> set[str]:
    """Names of all settings of a parser and its subcommands."""
    commands = getattr(parser._subcommands_action, "choices", None) or {}
    return {action.dest for part in (parser, *commands.values()) for action in part._actions}


class TrainingCLI(LightningCLI):
    """Lightning CLI with safe checkpoints.

    Checkpoints are written whole, `--ckpt_path last` takes the newest whole one of a folder, and
    SIGUSR1 or SIGTERM ends a run with a checkpoint.

    Args:
        asked: the first word of the command line. If it is a subcommand, the others get no parser,
            for making one takes as long as parsing.
    """

    def __init__(self, *args: Any, asked: str, **kwargs: Any) -> None:
        self.asked = asked
        super().__init__(*args, **kwargs)

    def subcommands(self) -> dict[str, set[str]]:  # type: ignore[override]
        known = LightningCLI.subcommands()
        return {self.asked: known[self.asked]} if self.asked in known else known

    def instantiate_trainer(self, **kwargs: Any) -> pl.Trainer:
        trainer = super().instantiate_trainer(**kwargs)
        # strategies that shard a model write the parts of its checkpoints themselves
        with contextlib.suppress(NotImplementedError):
            if type(trainer.strategy.checkpoint_io) is TorchCheckpointIO:
                trainer.strategy.checkpoint_io = WholeCheckpoints()
        first = trainer.logger
        if isinstance(first, TensorBoardLogger) and self._get(
            self.config_init, "trainer.logger"
        ) in (None, True):
            trainer.loggers = [first, CSVLogger(first.root_dir, "", first.version)]
        elif first is not None and not isinstance(first, (TensorBoardLogger, CSVLogger)):
            # loggers of a service have no folder for the config, checkpoints and the model
            trainer.loggers = [CSVLogger(trainer.default_root_dir), *trainer.loggers]
        if bar := trainer.progress_bar_callback:
            shorten(bar)
        self.stop_in_time = StopInTime()
        trainer.callbacks.insert(0, ResumedRates())  # type: ignore[attr-defined]
        trainer.callbacks.append(self.stop_in_time)  # type: ignore[attr-defined]
        settings = self.config[self.config["subcommand"]].as_dict()
        trainer.callbacks.append(RunRecord(settings))  # type: ignore[attr-defined]
        self._keep_precision(trainer)
        return trainer

    def _keep_precision(self, trainer: pl.Trainer) -> None:
        """Of a run that goes on, and in the config that the run writes."""
        measured = getattr(trainer, "measured", None)
        if measured is None:
            return
        settings = self.config[self.config["subcommand"]]
        path = settings.get("ckpt_path")
        if path and path not in KEYWORDS:
            measured.kept = kept_precision(path)
        measured.tell = partial(settings["trainer"].__setitem__, "precision")

    def _run_subcommand(self, subcommand: str) -> None:
        """One run at a time writes to a folder: numbers of its versions, checkpoints and exports
        would be mixed with those of another one that is on its way."""
        with contextlib.ExitStack() as leaving:
            if subcommand == "fit" and self.trainer.is_global_zero:
                root = Path(self.trainer.default_root_dir)
                leaving.enter_context(_alone_in(root))
                # a killed run's checkpoint: this run has a folder of its own, and other names
                clear_leavings(root, ".ckpt")
            super()._run_subcommand(subcommand)

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        super().parse_arguments(parser, args)
        settings = self.config[self.config["subcommand"]]
        name_database(settings["trainer"].get("logger"))
        path = settings.get("ckpt_path")
        root = Path(settings["trainer"]["default_root_dir"] or ".")
        if path == "last":
            newest = newest_checkpoint(root)
            log.warning(
                "going on from %s", newest or f"the beginning: there is no checkpoint in '{root}'"
            )
            settings["ckpt_path"] = newest and str(newest)
        elif path and path not in KEYWORDS:
            check_checkpoint(path)


def name_database(loggers: Any) -> None:
    """Give an MLflow logger without an address the database that MLflow itself takes by default;
    Lightning's own default is a folder, which MLflow refuses since its version 3.10."""
    for logger in loggers if isinstance(loggers, list) else [loggers]:
        path = getattr(logger, "class_path", "")
        if path.rpartition(".")[2] == "MLFlowLogger" and not logger.init_args.tracking_uri:
            logger.init_args.tracking_uri = MLFLOW_DATABASE


def shorten(bar: ProgressBar) -> None:
    """Shorten names (`train/tokens_per_s` to `tokens/s`); hide the last epoch if there is none."""
    whole = bar.get_metrics

    def short(*args: Any) -> dict[str, Any]:
        metrics = {name: value for name, value in whole(*args).items() if name != "v_num"}
        return {
            name.rsplit("/")[-1].replace("_per_", "/").replace("_", " "): value
            for name, value in metrics.items()
        }

    bar.get_metrics = short  # type: ignore[assignment]
    if isinstance(bar, RichProgressBar):
        bar._get_train_description = "Epoch {:<4}".format  # type: ignore[method-assign]


def fail(message: str, status: int = 2) -> NoReturn:
    """Print a mistake of the user as one line and leave."""
    missing = re.search(r"Requirement '([^']+)' not met", message)
    if missing:
        message = f"this setting needs a package that is not installed: pip install '{missing[1]}'"
    denied = re.search(r"Importing '([^']+)' is not allowed", message)
    if denied:
        allowed = ", ".join(ALLOWED)
        message = f"class {denied[1]} is not allowed; a config may name classes of {allowed} only"
    lines = [line.strip() for line in message.splitlines()]
    noise = (
        "Subtypes:",
        "Given value",
        "Does not validate against any",
        "Errors:",
        "- Expected a <class 'NoneType'>",
    )
    said = [line.removeprefix("- ") for line in lines if line and not line.startswith(noise)]
    print(f"error: {' '.join(said)}", file=sys.stderr)
    sys.exit(status)


def setting_hint(message: str) -> str:
    """What to set in place of what Lightning refuses, where that is known."""
    hints = {
        "backend found": "; --trainer.accelerator auto takes what is there",
        "devices": "; --trainer.devices auto takes all there are",
    }
    return next((hint for part, hint in hints.items() if part in message), "")


def speak_up() -> None:
    """Show what the package logs, and hide a warning that is always wrong."""
    show_log()
    # TensorBoard has made the folder that the CSV logger then finds; it is a new one each time.
    warnings.filterwarnings("ignore", "Experiment logs directory")


@contextlib.contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """ValueError if another run is writing to a folder, which is made if needed."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / ".lock", timeout=0):
            yield
    except Timeout:
        raise ValueError(
            f"another run is writing to '{folder}'; wait for it, or set trainer.default_root_dir "
            "to another folder"
        ) from None


@contextlib.contextmanager
def _telling_interrupts() -> Iterator[None]:
    """Raise the interrupt that Lightning has turned into an exit of its own, after its cleaning
    up, during which it ignores further ones."""
    before = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit as left:
        if isinstance(left.__context__, KeyboardInterrupt):
            raise left.__context__ from None
        raise
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, before)


def run(module: type[pl.LightningModule], args: list[str] | None = None) -> None:
    """Parse `args` (the command line if not given) and run the subcommand on `module`."""
    print_any_name()
    speak_up()
    moved.tell(log.warning)
    jsonargparse.set_parsing_settings(
        omegaconf_absolute_to_relative_paths=True,
        import_path_denylist=["*"],
        import_path_allowlist=list(ALLOWED),
    )
    try:
        check_here()
        words = sys.argv[1:] if args is None else args
        check_named_configs(words)
        with terminate_as_interrupt(), _telling_interrupts():
            cli = TrainingCLI(
                module,
                pl.LightningDataModule,
                subclass_mode_data=True,
                seed_everything_default=0,
                auto_configure_optimizers=False,
                parser_class=OneLineParser,
                parser_kwargs={"parser_mode": "omegaconf+"},
                trainer_class=RunTrainer,
                save_config_callback=WholeConfig,
                args=args,
                asked=words[0] if words else "",
            )
        if cli.stop_in_time.stopped:
            sys.exit(AGAIN)
    except KeyboardInterrupt:
        fail("interrupted; --ckpt_path last goes on from the last checkpoint", INTERRUPTED)
    except (MisconfigurationException, ModuleNotFoundError) as error:
        fail(str(error).rstrip("!") + setting_hint(str(error)))
    except ValueError as error:
        fail(str(error))
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        fail(
            f"{error.filename or 'a file'}: {error.strerror}; free some space; what was saved is "
            "whole"
        )
