"""What every model that can go to the Hugging Face hub has in common."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path
from typing import Any

from ..atomic import write_whole
from .card import CardFacts, card

README = "README.md"
REPO_ID = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")


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
        """Write the model into a repository of the hub, which is made if needed, in one commit, so
        that `from_pretrained(repo_id)` finds it; returns its address. A card that lies there
        already stays as it is.

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
        from huggingface_hub import HfApi
        from huggingface_hub.errors import HfHubHTTPError

        if not REPO_ID.fullmatch(repo_id):
            raise ValueError(f"a model on the hub is called owner/name; got {repo_id!r}")
        api = HfApi(token=token)
        facts = self.card_facts()
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place) / "model"
            self.save_pretrained(folder)
            try:
                address = api.create_repo(repo_id, private=private, exist_ok=True)
                if not api.file_exists(repo_id, README):
                    write_whole(folder / README, card(facts, repo_id, licence))
                message = message or f"Kinetoscope {facts.kind}"
                api.upload_folder(repo_id=repo_id, folder_path=folder, commit_message=message)
            except HfHubHTTPError as error:
                reason = " ".join(str(error).split())
                raise ValueError(f"the hub refused '{repo_id}': {reason}") from error
        return str(address)
