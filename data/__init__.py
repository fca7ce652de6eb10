"""Video files, folders of clips, and a world that renders itself with captions and known truth."""

from ..files import moved

moved.install()
