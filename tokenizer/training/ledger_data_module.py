"""A data module that knows what is learned from, so that a run can write it beside its model."""

from __future__ import annotations

from pathlib import Path

import lightning

from ...data.ledger.card import save_training_data
from ...data.ledger.content import KnownContents
from ...data.ledger.rows import LedgerRow


class WithLedger(lightning.LightningDataModule):
    """Knows, once it is set up, what is learned from."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger: list[LedgerRow] = []

    def save_training_data(self, folder: Path, base: str | None) -> None:
        """Write it beside a tokenizer, which may have started from another one."""
        save_training_data(folder, self.ledger, base or "", part="tokenizer")


def known_contents(module: lightning.LightningDataModule) -> KnownContents:
    """Hashes of videos, kept beside the logs of runs, where there are any."""
    trainer = module.trainer
    if trainer is None or not trainer.loggers or trainer.log_dir is None:
        return KnownContents(None)
    return KnownContents(Path(trainer.log_dir).parent / "contents.json")
