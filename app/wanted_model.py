"""The model that draws: the one that is named, or else the adapter's own, or else the default."""

from __future__ import annotations

from ..pretrained import DEFAULT_MODEL


def wanted_model(model: str | None, adapter: str | None) -> str:
    """Name, folder or hub id of the model that draws.

    Args:
        model: as somebody named it; None where nobody did.
        adapter: a folder of low-rank adapters; None for none.

    Raises:
        ValueError: nobody named a model, and the folder holds no adapter or its model is gone.
    """
    if model is not None:
        return model
    if adapter is None:
        return DEFAULT_MODEL
    from ..generator.training.lora import base_model

    return base_model(adapter)
