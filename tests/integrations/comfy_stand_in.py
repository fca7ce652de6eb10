"""A stand-in of ComfyUI's V3 interface, written from its documentation
(https://docs.comfy.org/custom-nodes/v3_migration): as much as loads a node pack, checks its schemas
and runs a workflow in the format of its API.
"""

from __future__ import annotations

import asyncio
import importlib.util
import inspect
import json
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar


class Input:
    """Of a node. Widgets have a default, numbers their limits, choices their options."""

    def __init__(
        self,
        io_type: str,
        id: str,
        display_name: str | None = None,
        optional: bool = False,
        tooltip: str | None = None,
        default: Any = None,
        **widget: Any,
    ) -> None:
        known = WIDGETS.get(io_type, set())
        unknown = set(widget) - known
        assert not unknown, f"{io_type} inputs have no {unknown}"
        self.io_type = io_type
        self.id = id
        self.optional = optional
        self.tooltip = tooltip
        self.default = default
        self.widget = widget

    def check(self, value: Any) -> None:
        """ValueError as ComfyUI's for a value that is typed into a widget."""
        types = {"INT": int, "FLOAT": (int, float), "STRING": str, "COMBO": str}
        if not isinstance(value, types[self.io_type]):
            raise ValueError(f"{self.id}: {value!r} is no {self.io_type}")
        if self.io_type == "COMBO" and value not in self.widget["options"]:
            raise ValueError(f"{self.id}: {value!r} is not in {self.widget['options']}")
        for name, wrong in (("min", lambda low: value < low), ("max", lambda high: value > high)):
            if self.widget.get(name) is not None and wrong(self.widget[name]):
                raise ValueError(f"{self.id}: {value} is beyond the {name} {self.widget[name]}")


NUMBER = {"min", "max", "step", "display_mode"}
WIDGETS = {
    "INT": NUMBER | {"control_after_generate"},
    "FLOAT": NUMBER | {"round"},
    "STRING": {"multiline", "placeholder", "dynamic_prompts"},
    "COMBO": {"options", "control_after_generate"},
}


@dataclass
class Output:
    io_type: str
    id: str | None = None
    display_name: str | None = None
    tooltip: str | None = None


class ComfyType:
    """Such as `io.Image`: makes inputs and outputs of one type."""

    def __init__(self, io_type: str) -> None:
        self.io_type = io_type

    def Input(self, id: str, *more: Any, **options: Any) -> Input:
        return Input(self.io_type, id, *more, **options)

    def Output(self, *more: Any, **options: Any) -> Output:
        return Output(self.io_type, *more, **options)


@dataclass
class Schema:
    node_id: str
    display_name: str | None = None
    category: str = "sd"
    inputs: list[Input] = field(default_factory=list)
    outputs: list[Output] = field(default_factory=list)
    description: str = ""
    is_output_node: bool = False

    def validate(self) -> None:
        ids = [each.id for each in self.inputs]
        assert len(set(ids)) == len(ids), f"{self.node_id}: two inputs have one id"
        shown = [each.id for each in self.outputs if each.id is not None]
        assert not set(ids) & set(shown), f"{self.node_id}: an input and an output have one id"
        for each in self.inputs:
            if each.default is not None:
                each.check(each.default)


class NodeOutput:
    def __init__(self, *args: Any, ui: Mapping[str, Any] | None = None) -> None:
        self.args = args
        self.ui = ui


class ComfyNode:
    @classmethod
    def define_schema(cls) -> Schema:
        raise NotImplementedError

    @classmethod
    def execute(cls, **inputs: Any) -> NodeOutput:
        raise NotImplementedError


class ComfyExtension:
    async def get_node_list(self) -> list[type[ComfyNode]]:
        raise NotImplementedError


class ProgressBar:
    """told: what every bar was told, of all bars."""

    told: ClassVar[list[int]] = []

    def __init__(self, total: int) -> None:
        self.total = total

    def update(self, value: int) -> None:
        self.told.append(value)


def _io() -> ModuleType:
    module = ModuleType("comfy_api.latest.io")
    for name in ("Image", "Audio", "Int", "Float", "String", "Combo", "Boolean"):
        setattr(module, name, ComfyType(name.upper()))
    for name, value in {
        "Custom": ComfyType,
        "Schema": Schema,
        "ComfyNode": ComfyNode,
        "NodeOutput": NodeOutput,
    }.items():
        setattr(module, name, value)
    return module


def _folder_paths(output: Path) -> ModuleType:
    def get_save_image_path(
        prefix: str, folder: str, width: int = 0, height: int = 0
    ) -> tuple[str, str, int, str, str]:
        place = Path(folder) / Path(prefix).parent
        assert place.resolve().is_relative_to(output.resolve())
        place.mkdir(parents=True, exist_ok=True)
        name = Path(prefix).name
        numbers = [re.match(rf"{re.escape(name)}_(\d+)", file.name) for file in place.iterdir()]
        last = max((int(found[1]) for found in numbers if found), default=0)
        return str(place), name, last + 1, str(Path(prefix).parent), prefix

    module = ModuleType("folder_paths")
    module.get_output_directory = lambda: str(output)  # type: ignore[attr-defined]
    module.get_save_image_path = get_save_image_path  # type: ignore[attr-defined]
    return module


@contextmanager
def comfy(output: Path) -> Iterator[None]:
    """ComfyUI's modules can be imported inside the block."""
    latest = ModuleType("comfy_api.latest")
    latest.io = _io()  # type: ignore[attr-defined]
    latest.ComfyExtension = ComfyExtension  # type: ignore[attr-defined]
    utils = ModuleType("comfy.utils")
    utils.ProgressBar = ProgressBar  # type: ignore[attr-defined]
    parent = ModuleType("comfy")
    parent.utils = utils  # type: ignore[attr-defined]
    modules = {
        "comfy_api": ModuleType("comfy_api"),
        "comfy_api.latest": latest,
        "comfy": parent,
        "comfy.utils": utils,
        "folder_paths": _folder_paths(output),
    }
    before = set(sys.modules)
    sys.modules.update(modules)
    try:
        yield
    finally:
        for name in {*modules, *(name for name in sys.modules if name.startswith("custom_nodes."))}:
            if name not in before:
                sys.modules.pop(name, None)


def load_pack(folder: Path) -> dict[str, type[ComfyNode]]:
    """The nodes of a pack by their ids, as ComfyUI loads `custom_nodes/NAME/__init__.py`."""
    name = f"custom_nodes.{folder.name}"
    spec = importlib.util.spec_from_file_location(name, folder / "__init__.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)

    async def listed() -> list[type[ComfyNode]]:
        extension = await module.comfy_entrypoint()
        assert isinstance(extension, ComfyExtension)
        return await extension.get_node_list()

    nodes = {}
    for node in asyncio.run(listed()):
        schema = node.define_schema()
        schema.validate()
        assert issubclass(node, ComfyNode) and schema.node_id not in nodes
        _check_execute(node, schema)
        nodes[schema.node_id] = node
    return nodes


def _check_execute(node: type[ComfyNode], schema: Schema) -> None:
    """Every input has a parameter of its name, and those without a default have to be given."""
    parameters = inspect.signature(node.execute).parameters
    takes_all = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    for each in schema.inputs:
        assert takes_all or each.id in parameters, f"{schema.node_id}: {each.id}"
        if each.optional and each.id in parameters:
            assert parameters[each.id].default is not inspect.Parameter.empty


def run(workflow: Mapping[str, Any], nodes: Mapping[str, type[ComfyNode]]) -> dict[str, NodeOutput]:
    """What every node of a workflow gave; ValueError for one that ComfyUI would refuse."""
    done: dict[str, NodeOutput] = {}

    def result(number: str) -> NodeOutput:
        if number not in done:
            node = nodes[workflow[number]["class_type"]]
            done[number] = node.execute(**_inputs(node.define_schema(), workflow[number]["inputs"]))
        return done[number]

    def _inputs(schema: Schema, given: Mapping[str, Any]) -> dict[str, Any]:
        known = {each.id: each for each in schema.inputs}
        assert set(given) <= set(known), f"{schema.node_id} has no {set(given) - set(known)}"
        for name, each in known.items():
            if name not in given and not each.optional:
                raise ValueError(f"{schema.node_id}: required input {name} is missing")
        return {name: _value(known[name], value) for name, value in given.items()}

    def _value(wanted: Input, value: Any) -> Any:
        if not isinstance(value, list):
            wanted.check(value)
            return value
        number, place = value
        source = nodes[workflow[number]["class_type"]].define_schema().outputs[place]
        if source.io_type != wanted.io_type:
            raise ValueError(f"{wanted.id} takes {wanted.io_type}, not {source.io_type}")
        return result(number).args[place]

    for number in workflow:
        result(number)
    return done


def read_workflow(path: Path) -> dict[str, Any]:
    workflow: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return workflow
