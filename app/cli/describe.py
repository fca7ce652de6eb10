"""`kinetoscope describe`."""

from __future__ import annotations


def describe(config: str | None = None) -> None:
    """Print what training a generator costs, or list the models and configs that ship.

    The cost is computed from the config: parameters, tokens, work and memory. Memory of activations
    is an estimate, and what the allocator and the framework take comes on top. Batches are those of
    one device.

    Args:
        config: a YAML file as for `python -m kinetoscope.generator fit`, or the name of one that
            comes with the package, such as base; without it all that ships is listed.
    """
    if config is None:
        from ..runs.shipped import shipped

        print("\n".join(shipped()))
        return
    from ...generator.training.cost import read_plan, table

    print("\n".join(table(read_plan(config))))
