"""Drawing codes: settings, filters, noise, drafts, the frame ring, the engine."""

from ...files.moved import old_names

__getattr__ = old_names(__name__)
