"""Model folders: `config.json` beside `model.safetensors`, found by name, path or hub id."""

import json
import math
import os
import re
from collections.abc import Callable, Collection, Mapping
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from .atomic import whole_folder
from .caller_settings import own_settings, wanted_device
from .errors import UnreadableFile
from .json_file import read_object
from .memory_limit import MemoryLimit
from .tensors import PICKLES, load_tensors, save_tensors, tensor_shapes

Config = TypeVar("Config")
Module = TypeVar("Module", bound=nn.Module)

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
FLOATS = {"F16", "BF16", "F32", "F64"}
WHOLES = {"I8", "I16", "I32", "I64", "U8", "BOOL"}
SLACK = 1 << 26  # numbers that a module may make beside its weights
SCALE = ".scale"  # ends the name of the scales of what is stored in eight bits
# what draws the weights of a new module
DRAWS = {nn.init.kaiming_uniform_, nn.init.normal_, nn.init.uniform_}
DRAWS |= {Tensor.normal_, Tensor.uniform_}


def shipped_models() -> dict[str, Path]:
    """Names and folders of the models that come with the package."""
    root = Path(str(resources.files("kinetoscope.pretrained")))
    folders = sorted(root.iterdir()) if root.is_dir() else []
    return {folder.name: folder for folder in folders if any(folder.glob(f"*/{CONFIG}"))}


def find_folder(name: str | os.PathLike[str], part: str) -> Path:
    """Return the folder with the config and weights of one `part` ("tokenizer", "generator") of a
    model.

    `name` is a shipped name, such as "physics-64", a folder (of the part itself or of a whole
    model), or an id on the Hugging Face hub. ValueError if it is none of these or is a pickle.
    """
    return _part_of(_found(name, "adapter" if part == "adapter" else "model"), part)


def find_part(name: str | os.PathLike[str], part: str) -> Path | None:
    """The folder of one `part` inside that of a whole model, for a part that not every model has;
    None if this one has none. `name` and errors are as in `find_folder`."""
    folder = _found(name) / part
    is_there = (folder / CONFIG).is_file() and (folder / WEIGHTS).is_file()
    return folder if is_there else None


def _found(name: str | os.PathLike[str], what: str = "model") -> Path:
    path = Path(name)
    if path.suffix.lower() in PICKLES:
        raise ValueError(
            f"{path} is a pickle, which can run code when loaded; give a folder with {WEIGHTS} "
            "instead"
        )
    if path.is_dir():
        return path
    shipped = shipped_models()
    if str(name) in shipped:
        return shipped[str(name)]
    if path.exists():
        raise ValueError(f"{path} is a file; give the folder that holds {CONFIG} and {WEIGHTS}")
    if re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*", str(name)):
        return _download(str(name))
    if what != "model":
        raise ValueError(f"unknown {what} {str(name)!r}; give a folder or a hub id (owner/name)")
    known = ", ".join(shipped) or "none in this installation"
    raise ValueError(
        f"unknown model {str(name)!r}; shipped models: {known}; or give a folder or a hub id "
        "(owner/name)"
    )


def _part_of(folder: Path, part: str) -> Path:
    for candidate in (folder / part, folder):
        if (candidate / CONFIG).is_file() and (candidate / WEIGHTS).is_file():
            return candidate
    pickles = sorted(file.name for file in folder.iterdir() if file.suffix.lower() in PICKLES)
    if pickles:
        raise UnreadableFile(
            f"{folder} holds only pickles ({pickles[0]}), which are never loaded; convert to "
            f"{WEIGHTS}"
        )
    raise UnreadableFile(f"{folder} holds no {part}: {CONFIG} and {WEIGHTS} are needed")


def _download(hub_id: str) -> Path:
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(hub_id, allow_patterns=["*.json", "*.safetensors", "*.txt"]))
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ValueError(f"could not fetch {hub_id!r} from the hub: {reason}") from error


def read_config(folder: Path) -> dict[str, Any]:
    """The config of a model folder. UnreadableFile if it is not a JSON object."""
    return read_object(folder / CONFIG)


def load_config(folder: Path, make: Callable[[dict[str, Any]], Config]) -> Config:
    """What `make` makes of the config of a model folder.

    Raises:
        UnreadableFile: naming the file and, if one is wrong, its field.
    """
    values = read_config(folder)
    try:
        return make(values)
    except ValueError as error:
        raise UnreadableFile(f"'{folder / CONFIG}': {error}") from error


def load_model(folder: Path, make: Callable[[], Module]) -> Module:
    """What `make` makes, with the weights of a folder, in float32 and on the default device;
    errors are those of `load_weights`.

    A config that asks for far more memory than the weights beside it can need is refused before
    that memory is taken.
    """
    device = wanted_device()
    held = sum(math.prod(shape) for shape, _ in tensor_shapes(folder / WEIGHTS).values())
    try:
        with own_settings(), torch.inference_mode(False), MemoryLimit(4 * held + SLACK):
            module = make()
    except ValueError as error:
        raise UnreadableFile(f"'{folder / CONFIG}': {error}") from error
    with own_settings(), torch.inference_mode(False):  # it may be trained later
        load_weights(module, folder)
    return module if device.type == "cpu" else module.to(device)


class UndrawnWeights(TorchFunctionMode):
    """Inside the block new modules get no random weights, but whatever lies in memory: for modules
    whose weights are loaded next. The random state stays as it is, unlike without the block."""

    def __torch_function__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if func in DRAWS:
            return args[0] if args else kwargs["tensor"]
        if func is torch.randn:
            return torch.empty(*args, **kwargs)
        return func(*args, **kwargs)


def load_weights(module: nn.Module, folder: Path) -> None:
    """Load the weights of a folder into `module`, as float32 whatever they are stored in.

    UnreadableFile, in one line, if names, shapes or types differ from what the config asks for, or
    if a weight is no number.
    """
    _check_fit(module, folder)
    file = folder / WEIGHTS
    tensors = _from_eight_bits(load_tensors(file)[0])
    # a copy of each, which the file is not mapped for any more, takes the place of the old weights
    copies = {name: _widened_copy(tensor) for name, tensor in tensors.items()}
    for name, tensor in copies.items():
        # a sum is quick, and is no finite number if one of its terms is none
        if not math.isfinite(tensor.sum()) and not tensor.isfinite().all():
            raise UnreadableFile(f"{file} is damaged: {name} holds something that is no number")
    module.load_state_dict(copies, strict=True, assign=True)


def _check_fit(module: nn.Module, folder: Path) -> None:
    """UnreadableFile unless the file has all weights of the module, in the right shapes."""
    file = folder / WEIGHTS
    stored = tensor_shapes(file)
    scales = {n for n in stored if n.endswith(SCALE) and n.removesuffix(SCALE) in stored}
    wanted = module.state_dict()
    problems = [f"{name} is missing" for name in wanted if name not in stored]
    surplus = stored.keys() - scales - wanted.keys()
    problems += [f"{name} is not in the model" for name in sorted(surplus)]
    for name in (name for name in wanted if name in stored):
        shape, kind = stored[name]
        like = wanted[name]
        if shape != like.shape:
            problems.append(f"{name} has shape {list(shape)} instead of {list(like.shape)}")
        elif name + SCALE in scales:
            rows = (shape[0], *(1,) * (len(shape) - 1)) if shape else ()
            if kind != "I8" or stored[name + SCALE][0] != rows:
                problems.append(f"{name} and its scales do not fit each other")
        elif kind not in (FLOATS if like.is_floating_point() else WHOLES):
            problems.append(f"{name} is stored as {kind}, which is no {like.dtype}")
    if problems:
        more = f" and {len(problems) - 1} more" if len(problems) > 1 else ""
        raise UnreadableFile(f"{file} does not fit {folder / CONFIG}: {problems[0]}{more}")


def _widened_copy(tensor: Tensor) -> Tensor:
    return tensor.to(torch.float32 if tensor.is_floating_point() else tensor.dtype, copy=True)


def _to_eight_bits(name: str, table_NK: Tensor) -> dict[str, Tensor]:
    """A number in [-127, 127] per weight and a scale per row, so short that a second time
    changes nothing."""
    scale_N1 = (table_NK.float().abs().amax(1, keepdim=True) / 127).clamp(min=1e-6).half().float()
    return {
        name: (table_NK.float() / scale_N1).round().clamp(-127, 127).to(torch.int8),
        name + SCALE: scale_N1,
    }


def _from_eight_bits(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    scales = {
        name for name in tensors if name.endswith(SCALE) and name.removesuffix(SCALE) in tensors
    }
    return {
        name: tensor * tensors[name + SCALE] if name + SCALE in scales else tensor
        for name, tensor in tensors.items()
        if name not in scales
    }


def save_folder(
    folder: str | os.PathLike[str],
    config: Mapping[str, Any],
    tensors: Mapping[str, Tensor],
    half: bool = True,
    eight_bits: Collection[str] = (),
) -> None:
    """Write `config.json` and `model.safetensors` into `folder`, created if needed.

    With `half`, matrices and kernels are stored as float16, those named in `eight_bits` as a byte
    per number and a scale per row; vectors (norms, biases, statistics) stay float32. Both files are
    written beside their place and renamed, so a full disk leaves the old ones.
    """
    stored: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if half and name in eight_bits:
            stored |= _to_eight_bits(name, tensor)
        else:
            stored[name] = (
                tensor.half()
                if half and tensor.is_floating_point() and tensor.dim() > 1
                else tensor
            )
    with whole_folder(folder, last=CONFIG) as beside:
        save_tensors(beside / WEIGHTS, stored, {"format": "pt"})
        (beside / CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
