"""The C2PA manifest of a generated video: what was done, by what, out of what."""

from __future__ import annotations

import mimetypes
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from .generation import Generation, Ingredient, Shot

# https://cv.iptc.org/newscodes/digitalsourcetype/
SOURCE_TYPES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
DRAWN = SOURCE_TYPES + "trainedAlgorithmicMedia"
COMPOSITE = SOURCE_TYPES + "compositeWithTrainedAlgorithmicMedia"
LABEL = "org.kinetoscope.generation"  # of the assertion with model, seed and settings
UNKNOWN_TYPE = "application/octet-stream"


def manifest(
    generation: Generation, title: str | None, with_prompt: bool, watermark: str
) -> dict[str, Any]:
    """A manifest definition as c2pa-python takes it.

    Args:
        title: the name of the file.
        with_prompt: the sentences are part of it.
        watermark: what the pixels carry, such as "none".
    """
    generator = {"name": "Kinetoscope", "version": version("kinetoscope")}
    definition: dict[str, Any] = {
        "claim_generator_info": [generator],
        "assertions": [
            {"label": "c2pa.actions.v2", "data": {"actions": _actions(generation, with_prompt)}},
            {"label": LABEL, "data": _details(generation, with_prompt, watermark)},
        ],
    }
    return definition if title is None else {**definition, "title": title}


def ingredient_definition(ingredient: Ingredient, index: int) -> dict[str, str]:
    """An ingredient as c2pa-python takes it; a manifest of its own comes along with its file."""
    relation = "componentOf" if ingredient.is_shown else "inputTo"
    return {
        "title": ingredient.path.name,
        "relationship": relation,
        "label": _ingredient_id(index),
        "description": f"given as {ingredient.role}",
    }


def media_type(name: str) -> str:
    """As C2PA wants it; the name alone decides."""
    known = {"mkv": "video/x-matroska", "webm": "video/webm", "webp": "image/webp"}
    end = name.rpartition(".")[2].lower()
    return known.get(end) or mimetypes.guess_type(name)[0] or UNKNOWN_TYPE


def _ingredient_id(index: int) -> str:
    return f"ingredient-{index}"


def _actions(generation: Generation, with_prompt: bool) -> list[dict[str, Any]]:
    """What was done to the video; the first action says that it was created, and of what."""
    agent = _agent(generation)
    first: dict[str, Any] = {
        "action": "c2pa.created",
        "digitalSourceType": COMPOSITE if generation.is_composite else DRAWN,
        "softwareAgent": agent,
        "description": "a video drawn by a generative model",
    }
    inputs = [i for i, each in enumerate(generation.ingredients) if not each.is_shown]
    in_shots = {shot.ingredient for shot in generation.shots}
    shown = [
        i for i, each in enumerate(generation.ingredients) if each.is_shown and i not in in_shots
    ]
    if inputs:
        first["parameters"] = {"ingredientIds": [_ingredient_id(i) for i in inputs]}
    actions = [first]
    if shown:
        places = {"ingredientIds": [_ingredient_id(i) for i in shown]}
        actions.append({"action": "c2pa.placed", "parameters": places})
    return actions + [_shot_action(shot, agent, with_prompt) for shot in generation.shots]


def _agent(generation: Generation) -> dict[str, str]:
    agent = {"name": f"Kinetoscope with the model {generation.model}"}
    if generation.fingerprint is not None:
        agent["version"] = generation.fingerprint
    return agent


def _shot_action(shot: Shot, agent: dict[str, str], with_prompt: bool) -> dict[str, Any]:
    """A shot as an edit of a stretch of time."""
    time = {"type": "npt", "start": f"{shot.start:.3f}", "end": f"{shot.end:.3f}"}
    change = {"description": shot.description, "region": [{"type": "temporal", "time": time}]}
    action: dict[str, Any] = {
        "action": "c2pa.edited" if shot.ingredient is None else "c2pa.placed",
        "description": shot.description,
        "changes": [change],
    }
    if shot.is_drawn:
        action["digitalSourceType"] = DRAWN
        action["softwareAgent"] = agent
    details: dict[str, Any] = {}
    if shot.ingredient is not None:
        details["ingredientIds"] = [_ingredient_id(shot.ingredient)]
    if with_prompt and shot.prompt is not None:
        details["org.kinetoscope.prompt"] = shot.prompt
    if shot.seed is not None:
        details["org.kinetoscope.seed"] = shot.seed
    return {**action, "parameters": details} if details else action


def _details(generation: Generation, with_prompt: bool, watermark: str) -> dict[str, Any]:
    """What the standard has no place for."""
    details: dict[str, Any] = {
        "model": generation.model,
        "fingerprint": generation.fingerprint,
        "prompt": generation.prompt if with_prompt else None,
        "seed": generation.seed,
        "settings": {name: str(v) for name, v in generation.told_settings(with_prompt).items()},
        "ingredients": _hashes(generation.ingredients),
        "watermark": watermark,
    }
    return {name: value for name, value in details.items() if value not in (None, [], {})}


def _hashes(ingredients: Sequence[Ingredient]) -> list[dict[str, str]]:
    return [
        {"role": each.role, "name": each.path.name, "sha256": each.sha256()} for each in ingredients
    ]
