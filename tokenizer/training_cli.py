"""Lightning CLI with the settings that a config file of ours needs; both models train through it.

`${key}` in a YAML follows overrides on the command line, class paths are limited to a few packages, and a mistake of
the user ends in one line and exit status 2.
"""

import re
import sys
from typing import NoReturn

import jsonargparse
import lightning.pytorch as pl
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI

ALLOWED = ("kinetoscope", "lightning", "torch", "vector_quantize_pytorch")


class OneLineParser(LightningArgumentParser):
    """Says what is wrong in one line, instead of a page of usage before it."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        fail(message)


def fail(message: str) -> NoReturn:
    """Print a mistake of the user as one line and leave with status 2."""
    denied = re.search(r"Importing '([^']+)' is not allowed", message)
    if denied:
        message = f"class {denied[1]} is not allowed; a config may name classes of {', '.join(ALLOWED)} only"
    lines = [line.strip() for line in message.splitlines()]
    noise = ("Subtypes:", "Given value", "Does not validate against any", "Errors:", "- Expected a <class 'NoneType'>")
    print(f"error: {' '.join(line for line in lines if line and not line.startswith(noise))}", file=sys.stderr)
    sys.exit(2)


def run(module: type[pl.LightningModule], args: list[str] | None = None) -> None:
    """Parse `args` (the command line if not given) and run the subcommand on `module`."""
    jsonargparse.set_parsing_settings(
        omegaconf_absolute_to_relative_paths=True, import_path_denylist=["*"], import_path_allowlist=list(ALLOWED)
    )
    try:
        LightningCLI(
            module,
            pl.LightningDataModule,
            subclass_mode_data=True,
            seed_everything_default=0,
            auto_configure_optimizers=False,
            parser_class=OneLineParser,
            parser_kwargs={"parser_mode": "omegaconf+"},
            args=args,
        )
    except ValueError as error:
        fail(str(error))
