"""What is said of a file that cannot be read."""

from __future__ import annotations


class UnreadableFile(ValueError):
    """A file is missing, damaged, or of another kind than it should be.

    The message is one line that names the file, the reason and, where there is one, the way out.
    """
