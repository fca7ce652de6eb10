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
        mark_owner: also write a number of yours, 0 to 65535, into the mark, which only the holder
            of a key can read: a file with at least 16 bytes that nobody can guess, and the number.
        sign_with: sign the credentials with a certificate of your own: two PEM files, the chain of
            certificates (your own first) and its private key; by default with a key that names
            nobody and is made at the first use (see kinetoscope identity).
    """

    no_prompt: bool = False
    no_credentials: bool = False
    no_watermark: bool = False
    mark_owner: tuple[str, str] | None = None
    sign_with: tuple[str, str] | None = None

    def check(self) -> None:
        """ValueError for what can never work; nothing heavy is needed to know it."""
        for name in self.sign_with or ():
            if not Path(name).is_file():
                raise ValueError(f"--sign-with: the file '{name}' does not exist")
        if self.mark_owner and self.no_watermark:
            raise ValueError("--mark-owner and --no-watermark exclude each other; give one")
        if self.sign_with and self.no_credentials:
            raise ValueError("--sign-with and --no-credentials exclude each other; give one")


@dataclass(frozen=True)
class Rules:
    """Who is asked before anything is drawn.

    Args:
        policy: what may refuse or change a request: a class by its dotted path, such as
            my_rules.Strict, or lists:FOLDER for the lists of words and pictures in a folder. The
            environment variable KINETOSCOPE_POLICY names one for every command.
        log_refused: write to the log what was asked for when it is refused; otherwise only that
            something was, and why.
    """

    policy: str | None = None
    log_refused: bool = False
