"""What a command may be told about the marks of origin that its videos carry."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Disclosure:
    """What videos say about where they came from.

    Args:
        no_prompt: leave the sentence out of the video's credentials, its metadata and its name.
        no_credentials: write no content credentials (C2PA).
        no_watermark: draw no mark into the pixels; the credentials say so.
        sign_with: sign the credentials with a certificate of your own: two PEM files, the chain of
            certificates (your own first) and its private key; by default with a key that names
            nobody and is made at the first use (see kinetoscope identity).
        policy: who may refuse or change a request before anything is drawn: a class by its dotted
            path, such as my_rules.Strict, or lists:FOLDER for the word and picture lists in a
            folder.
    """

    no_prompt: bool = False
    no_credentials: bool = False
    no_watermark: bool = False
    sign_with: tuple[str, str] | None = None
    policy: str | None = None

    def check(self) -> None:
        """ValueError for what can never work; nothing heavy is needed to know it."""
        for name in self.sign_with or ():
            if not Path(name).is_file():
                raise ValueError(f"--sign-with: the file '{name}' does not exist")
        if self.sign_with and self.no_credentials:
            raise ValueError("--sign-with and --no-credentials exclude each other; give one")
