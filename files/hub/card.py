"""The card of a model on the Hugging Face hub: the metadata that the hub reads, and how to use it.

Names of the fields are those of https://huggingface.co/docs/hub/model-cards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

LIBRARY = "kinetoscope"


@dataclass(frozen=True)
class CardFacts:
    """What a card says of a model.

    Args:
        kind: in words, such as "generator".
        task: the hub's name of what it does, such as "text-to-video"; None if it has none.
        rows: names and values of a table.
        example: lines of Python that use it; `{id}` becomes the model's id.
    """

    kind: str
    task: str | None
    rows: Sequence[tuple[str, str]]
    example: str


def card(facts: CardFacts, repo_id: str, licence: str | None) -> str:
    """The text of README.md.

    Args:
        licence: a name that the hub knows, such as "apache-2.0"; None leaves it open.
    """
    from huggingface_hub import ModelCardData

    data = ModelCardData(
        library_name=LIBRARY,
        pipeline_tag=facts.task,
        license=licence,
        tags=[LIBRARY, "video", "autoregressive", facts.kind],
    )
    name = repo_id.split("/")[-1]
    table = "\n".join(f"| {key} | {value} |" for key, value in facts.rows)
    return f"""---
{data.to_yaml()}
---

# {name}

A {facts.kind} of Kinetoscope, a library that predicts video as discrete spacetime tokens, one after
another.

```python
{facts.example.format(id=repo_id).strip()}
```

| what | |
|---|---|
{table}
"""
