"""Model folders: `config.json` beside `model.safetensors`, found by shipped name, path or hub id.

Pickles are refused by name and never opened: loading one runs whatever code it carries.
"""

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Collection, Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
SCALE = ".scale"  # behind the name of what is stored in eight bits
PICKLES = (".pt", ".pth", ".ckpt", ".bin", ".pkl", ".pickle")
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

    `name` is a shipped name, a folder (of the part itself or of a whole model), or an id on the
    Hugging Face hub. ValueError if it is none of these or is a pickle.
    """
    path = Path(name)
    if path.suffix.lower() in PICKLES:
        raise ValueError(
            f"{path} is a pickle, which can run code when loaded; give a folder with {WEIGHTS} "
            "instead"
        )
    if path.is_dir():
        return _part_of(path, part)
    shipped = shipped_models()
    if str(name) in shipped:
        return _part_of(shipped[str(name)], part)
    if path.exists():
        raise ValueError(f"{path} is a file; give the folder that holds {CONFIG} and {WEIGHTS}")
    if re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*", str(name)):
        return _part_of(_download(str(name)), part)
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
        raise ValueError(
            f"{folder} holds only pickles ({pickles[0]}), which are never loaded; convert to "
            f"{WEIGHTS}"
        )
    raise ValueError(f"{folder} holds no {part}: {CONFIG} and {WEIGHTS} are needed")


def _download(hub_id: str) -> Path:
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(hub_id, allow_patterns=["*.json", "*.safetensors", "*.txt"]))
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ValueError(f"could not fetch {hub_id!r} from the hub: {reason}") from error


def read_config(folder: Path) -> dict[str, Any]:
    """The config of a model folder. ValueError if it is not a JSON object."""
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{folder / CONFIG} is not valid JSON: {error}") from error
    if not isinstance(config, dict):
        raise ValueError(f"{folder / CONFIG} must hold a JSON object")
    return config


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

    ValueError, in one line, if names or shapes differ from what the config asks for.
    """
    file = folder / WEIGHTS
    try:
        tensors = _from_eight_bits(load_file(file))
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{file} is not a readable safetensors file: {error}") from error
    wanted = module.state_dict()
    problems = [f"{name} is missing" for name in wanted if name not in tensors]
    problems += [f"{name} is not in the model" for name in tensors if name not in wanted]
    problems += [
        f"{name} has shape {list(tensors[name].shape)} instead of {list(wanted[name].shape)}"
        for name in wanted
        if name in tensors and tensors[name].shape != wanted[name].shape
    ]
    if problems:
        more = f" and {len(problems) - 1} more" if len(problems) > 1 else ""
        raise ValueError(f"{file} does not fit {folder / CONFIG}: {problems[0]}{more}")
    # a copy of each, which the file is not mapped for any more, takes the place of the old weights
    copies = {name: _widened_copy(tensor) for name, tensor in tensors.items()}
    module.load_state_dict(copies, strict=True, assign=True)


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
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
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
    stored = {name: tensor.cpu().contiguous() for name, tensor in stored.items()}
    beside = Path(tempfile.mkdtemp(prefix=".saving-", dir=folder))
    try:
        save_file(stored, beside / WEIGHTS, metadata={"format": "pt"})
        (beside / CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
        for name in (WEIGHTS, CONFIG):
            (beside / name).replace(folder / name)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def fingerprint(config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> str:
    """Twelve hexadecimal digits of config and weights, the same before and after a save in half
    precision."""
    digest = hashlib.sha256(json.dumps(config, sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = tensors[name].detach()
        stored = tensor.half() if tensor.is_floating_point() else tensor
        digest.update(name.encode())
        digest.update(stored.cpu().contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:12]


def marks_of(module: nn.Module, probes: Iterable[Tensor]) -> tuple[object, ...]:
    """Numbers that differ when a weight has been replaced or written to, without reading all of
    them.

    PyTorch counts what is written to a tensor, but not through `.data`, which is how averages take
    the place of weights and how codebooks learn. These are told by the sums of `probes`, small
    tensors that change then.
    """
    tensors = [*module.parameters(), *module.buffers()]
    # made in inference mode: nothing is counted
    if any(tensor.is_inference() for tensor in tensors):
        return (object(),)
    writes = tuple((tensor.data_ptr(), tensor._version) for tensor in tensors)
    return (
        writes,
        *torch.stack([probe.detach().sum(dtype=torch.float64) for probe in probes]).tolist(),
    )
