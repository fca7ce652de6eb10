"""Networks that turn clips or pictures into features: files of the user, none of this package.

A network is named in one of three ways:

- a TorchScript file (`.pt`, `.torchscript`). It is code, and loading it runs it: name only files
  whose origin you know. One whose call knows `rescale`, `resize` and `return_features`, as the I3D
  file that papers use, is called with `rescale=False, resize=False, return_features=True`.
- a Hugging Face model, by folder or by id: VideoMAE, V-JEPA 2, TimeSformer and ViViT see clips;
  CLIP, SigLIP, DINOv2, ViT and others see pictures. Features are the pooled output if there is one,
  or else the mean over the last hidden states.
- a dotted path such as `my_package.networks:make_network`: an `nn.Module`, a class or a function
  that makes one without arguments.

Legend: B clips, N pictures, D features, T frames, Y X pixels.
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..files.json_file import read_object
from .clips.feature_store import file_sha256
from .clips.resize import resize
from .protocols import I3D_SHA256

SCRIPTS = (".pt", ".pth", ".torchscript", ".jit")
PUBLISHED = {I3D_SHA256: "the I3D file of StyleGAN-V (i3d_torchscript.pt)"}
VIDEO_MODELS = {"videomae", "vjepa2", "vjepa", "timesformer", "vivit"}
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@dataclass(frozen=True)
class Network:
    """A network that returns one row of features for each thing that it sees.

    `call` takes float32 or uint8 as `sees` says: "clips" are `[B, 3, T, Y, X]` and "pictures"
    `[N, 3, Y, X]`. `own_pixels` tells that it takes uint8 and prepares pixels itself.
    """

    name: str
    fingerprint: str
    sees: str
    call: Callable[..., Tensor]
    own_pixels: bool = False
    published: str = ""
    model: Any = None

    def facts(self) -> dict[str, str]:
        """What a result says of the network."""
        return {"name": self.name, "sha256": self.fingerprint, "known as": self.published}


def open_network(name: str, sees: str, device: str = "cpu") -> Network:
    """A network by file, folder, id or dotted path; see the module.

    Args:
        name: what the user gave.
        sees: "clips" or "pictures", what a metric will give it.
        device: where it works.

    Raises:
        ValueError: there is no such network, or it sees something else.
    """
    path = Path(name)
    if path.suffix.lower() in SCRIPTS:
        if not path.is_file():
            raise ValueError(f"there is no file '{name}'; name a TorchScript file")
        return _script(path, sees, device)
    if path.is_dir() or ("/" in name and ":" not in name):
        return _hugging_face(name, sees, device)
    return _dotted(name, sees, device)


# ---- TorchScript ----


def _script(path: Path, sees: str, device: str) -> Network:
    try:
        module = torch.jit.load(str(path), map_location=device).eval()
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[0].partition(". ")[0]
        raise ValueError(f"'{path}' is no TorchScript file ({reason})") from None
    known = {argument.name for argument in module.forward.schema.arguments}
    options = {"rescale": False, "resize": False, "return_features": True}
    options = {key: value for key, value in options.items() if key in known}
    # NVIDIA's Inception resizes and takes whole numbers; a C3D without options takes 0 to 255
    own_pixels = sees == "pictures" or not options
    sha256 = file_sha256(path)

    def call(values: Tensor) -> Tensor:
        return module(values.to(device), **options)

    return Network(path.name, sha256, sees, call, own_pixels, PUBLISHED.get(sha256, ""), module)


# ---- Hugging Face ----


def _hugging_face(name: str, sees: str, device: str) -> Network:
    from transformers import AutoConfig, AutoModel

    try:
        config = AutoConfig.from_pretrained(name)
        model = AutoModel.from_pretrained(name).eval().to(device)
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ValueError(f"'{name}' is no Hugging Face model that can be read: {reason}") from None
    is_video = config.model_type in VIDEO_MODELS
    if is_video != (sees == "clips"):
        other = "clips" if is_video else "pictures"
        raise ValueError(
            f"'{name}' ({config.model_type}) sees {other}, and this metric needs a network that "
            f"sees {sees}"
        )
    side, mean, std = _preparation(name, config)
    mean_3 = torch.tensor(mean, device=device)
    std_3 = torch.tensor(std, device=device)

    def prepared(pictures_N3YX: Tensor) -> Tensor:
        scaled = resize(pictures_N3YX.to(device), (side, side), "bilinear-antialiased") / 255
        return (scaled - mean_3[:, None, None]) / std_3[:, None, None]

    def of_pictures(pictures_N3YX: Tensor) -> Tensor:
        pixels = prepared(pictures_N3YX)
        if hasattr(model, "get_image_features"):
            return _pooled(model.get_image_features(pixel_values=pixels))
        return _pooled(model(pixel_values=pixels))

    def of_clips(video_B3TYX: Tensor) -> Tensor:
        B, _, T = video_B3TYX.shape[:3]
        wanted = getattr(config, "num_frames", None)
        if config.model_type == "videomae" and wanted not in (None, T):
            raise ValueError(f"'{name}' sees clips of {wanted} frames; got {T} (--frames)")
        pixels = prepared(video_B3TYX.transpose(1, 2).flatten(0, 1)).unflatten(0, (B, T))
        if config.model_type.startswith("vjepa"):
            return _pooled(model(pixel_values_videos=pixels, skip_predictor=True))
        return _pooled(model(pixel_values=pixels))

    call = of_clips if is_video else of_pictures
    return Network(name, _model_sha256(model, config), sees, call, True, model=model)


def _preparation(name: str, config: Any) -> tuple[int, Any, Any]:
    """Side, mean and deviation that the model's preprocessor_config.json asks for."""
    path = Path(name) / "preprocessor_config.json"
    if not Path(name).is_dir():
        from huggingface_hub import hf_hub_download

        try:
            path = Path(hf_hub_download(name, "preprocessor_config.json"))
        except (OSError, ValueError):
            path = Path()
    told: dict[str, Any] = {}
    if path.is_file():
        told = read_object(path)
    vision = getattr(config, "vision_config", config)
    side = getattr(vision, "image_size", None) or getattr(vision, "crop_size", None) or 224
    side = side[0] if isinstance(side, (list, tuple)) else side
    mean, std = told.get("image_mean", IMAGENET[0]), told.get("image_std", IMAGENET[1])
    return int(side), mean, std


def _pooled(output: Any) -> Tensor:
    if isinstance(output, Tensor):
        return output
    if getattr(output, "pooler_output", None) is not None:
        return output.pooler_output
    return output.last_hidden_state.mean(1)


def _model_sha256(model: nn.Module, config: Any = None) -> str:
    total = hashlib.sha256()
    if config is not None:
        total.update(str(sorted(config.to_diff_dict().items(), key=str)).encode())
    for key, value in sorted(model.state_dict().items()):
        total.update(key.encode())
        total.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return total.hexdigest()


# ---- a dotted path ----


def find_object(name: str) -> Any:
    """What a dotted path (`package.module:name` or `package.module.name`) names. ValueError if
    nothing."""
    module, mark, attribute = name.partition(":")
    if not mark:
        module, _, attribute = name.rpartition(".")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(
            f"there is no file, folder or object '{name}' ({error}); name a TorchScript file, a "
            "Hugging Face folder, or an object as package.module:name"
        ) from None


def _dotted(name: str, sees: str, device: str) -> Network:
    found = find_object(name)
    made = found
    if inspect.isclass(found) or (
        inspect.isfunction(found) and not inspect.signature(found).parameters
    ):
        made = found()
    if isinstance(made, nn.Module):
        made = made.eval().to(device)
        fingerprint = _model_sha256(made)
    else:
        source = inspect.getsource(inspect.getmodule(found) or found)
        fingerprint = hashlib.sha256(source.encode()).hexdigest()
    own_pixels = getattr(made, "own_pixels", sees == "pictures")

    def call(values: Tensor) -> Tensor:
        return made(values.to(device))

    return Network(name, fingerprint, sees, call, own_pixels, model=made)
