"""What every model that can go to the Hugging Face hub has in common."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .card import CardFacts


class OnHub:
    """Gives a model `push_to_hub`."""

    def save_pretrained(self, folder: str | os.PathLike[str]) -> Any:
        raise NotImplementedError

    def card_facts(self) -> CardFacts:
        """What the model's card says of it."""
        raise NotImplementedError

    def push_to_hub(
        self,
        repo_id: str,
        private: bool | None = None,
        token: str | None = None,
        licence: str | None = None,
        message: str | None = None,
    ) -> str:
        """Write the model, with a card, into a repository of the hub, which is made if needed, so
        that `from_pretrained(repo_id)` finds it; returns its address.

        Args:
            repo_id: owner/name.
            private: whether a new repository is; by default as the owner has set it.
            token: of the hub; by default the one that `hf auth login` has stored.
            licence: for the card, such as "apache-2.0".
            message: of the commit.

        Raises:
            ValueError: no such id, or the hub refuses, with its reason.
            OSError: the hub cannot be reached.
        """
        from .push import push

        def save(folder: Path) -> None:
            self.save_pretrained(folder)

        return push(save, self.card_facts(), repo_id, private, token, licence, message)
