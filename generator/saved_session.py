"""Sessions as files: all that videos in the making need to go on, bit for bit.

A file holds the cache of the decoder, the codes that are remembered, the state of the tokenizer
after each of them, what conditions are given, and in its metadata the prompts, seeds and settings;
where the videos have sound, its codes and the states of its tokenizer too.
A checksum over all of it tells a file that has been damaged or edited. Files of the format before
(1) have none; their content is checked as that of new ones.

Legend: B videos, T latent frames, G cells of one.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ..files.caller_settings import own_settings
from ..files.output_path import check_output
from ..files.tensors import load_tensors, save_tensors
from .sampling.params import SamplingParams

if TYPE_CHECKING:
    from .pipeline import VideoGenerator
    from .sampling.engine import SamplingEngine
    from .session import VideoSession

FORMAT = "kinetoscope-session-2"
BEFORE = "kinetoscope-session-1"


class _Wrong(Exception):
    """What does not fit, in words."""


# ---- writing ----


def save_session(session: VideoSession, path: str | os.PathLike[str]) -> None:
    """Write a session as a safetensors file; see `VideoSession.save`."""
    path = check_output(Path(path), ".safetensors")
    about, tensors = packed(session)
    save_tensors(path, tensors, {"session": json.dumps(about)})


def packed(session: VideoSession) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """What a file of the session says of it, and the tensors that it holds, on the CPU and each
    in memory of its own."""
    tensors = {f"codes.{name}": tensor for name, tensor in session.engine.state().items()}
    tensors |= {f"given.{i}": codes_BG for i, codes_BG in enumerate(session.given)}
    tensors |= {f"given_sound.{i}": codes_BG for i, codes_BG in enumerate(session.given_sounds)}
    for kind, pasts in (("past", session.pasts), ("sound_past", session.sound_pasts)):
        for i, past in enumerate(pasts):
            tensors |= {f"{kind}.{i}.{key}": value for key, value in past.items()}
    about: dict[str, Any] = {
        "format": FORMAT,
        "model": session.generator.id,
        "text": session.generator.text.id,
        "prompts": session.prompts,
        "seeds": session.engine.seeds,
        "params": dataclasses.asdict(session.engine.params),
        "undo": session.engine.ring.undo,
        "pasts": len(session.pasts),
    }
    if session.sound:
        about["sound"] = True
    tensors = {name: _own_copy(tensor) for name, tensor in tensors.items()}
    about["checksum"] = checksum(about, tensors)
    return about, tensors


@torch.inference_mode(False)
def _own_copy(tensor: Tensor) -> Tensor:
    whole = tensor.detach().cpu().contiguous()
    return whole if whole.untyped_storage().nbytes() == whole.nbytes else whole.clone()


def unpacked(
    generator: VideoGenerator, about: dict[str, Any], tensors: dict[str, Tensor]
) -> VideoSession:
    """The session that `packed` was given, on a copy of its model."""
    return _restore(about, tensors, generator)


def checksum(about: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 of the metadata (without a checksum) and of all tensors, in hexadecimal digits."""
    told = {key: value for key, value in about.items() if key != "checksum"}
    digest = hashlib.sha256(json.dumps(told, sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


# ---- reading ----


def load_session(path: str | os.PathLike[str], generator: VideoGenerator) -> VideoSession:
    """Read what `save_session` wrote.

    Raises:
        ValueError: the file is something else, damaged, or of another model.
    """
    tensors, metadata = load_tensors(path)
    with own_settings():
        return _loaded(path, tensors, metadata, generator)


def _loaded(
    path: str | os.PathLike[str],
    tensors: dict[str, Tensor],
    metadata: dict[str, str],
    generator: VideoGenerator,
) -> VideoSession:
    about = _about(path, metadata)
    if about["model"] != generator.id:
        raise ValueError(
            f"'{path}' is a session of model {about['model']}, and this one is {generator.id}"
        )
    if about.get("text", generator.text.id) != generator.text.id:
        raise ValueError(
            f"'{path}' is a session with text encoder {about['text']}, and that of this model is "
            f"{generator.text.id}"
        )
    if about["format"] == FORMAT and about.get("checksum") != checksum(about, tensors):
        raise ValueError(f"'{path}' is damaged: its checksum does not fit what it holds")
    try:
        return _restore(about, tensors, generator)
    except _Wrong as wrong:
        raise ValueError(f"'{path}' is damaged: {wrong}") from None


def _about(path: str | os.PathLike[str], metadata: Mapping[str, str]) -> dict[str, Any]:
    try:
        about = json.loads(metadata.get("session", "{}"))
    except ValueError:
        raise ValueError(f"'{path}' is damaged: what it says of itself is no JSON") from None
    if not isinstance(about, dict) or about.get("format") not in (FORMAT, BEFORE):
        raise ValueError(f"'{path}' holds no session of this format ({FORMAT})")
    kinds: dict[str, type] = {"model": str, "prompts": list, "seeds": list, "params": dict}
    kinds |= {"undo": int, "pasts": int}
    for name, kind in kinds.items():
        if not isinstance(about.get(name), kind) or isinstance(about.get(name), bool):
            raise ValueError(f"'{path}' is damaged: its {name} are no {kind.__name__}")
    return about


def _restore(
    about: Mapping[str, Any], tensors: Mapping[str, Tensor], generator: VideoGenerator
) -> VideoSession:
    """A session that goes on as the saved one."""
    session = _fresh(about, generator)
    device = generator.decoder.no_text.device
    codes = _part(tensors, "codes.")
    _check_counters(session, codes)
    _check_cache(session, codes)
    _check_codes(session.engine, codes["past"], 3)
    if session.sound:
        _check_sounds(session.engine, codes)
    session.engine.load_state(codes)
    given = _numbered(tensors, "given.")
    given_sounds = _numbered(tensors, "given_sound.")
    for codes_BG in given:
        _check_codes(session.engine, codes_BG, 2)
    for codes_BG in given_sounds:
        _check_codes(session.engine, codes_BG, 2, sound=True)
    if len(given_sounds) not in (0, len(given)):
        raise _Wrong(f"{len(given)} frames are given, and the sound of {len(given_sounds)}")
    session.given = deque(codes_BG.to(device) for codes_BG in given)
    session.given_sounds = deque(codes_BG.to(device) for codes_BG in given_sounds)
    states = _states(tensors, "past", about["pasts"])
    _check_states(states, _wanted_states(session), "tokenizer")
    sound_states = _states(tensors, "sound_past", about["pasts"] if session.sound else 0)
    if session.sound:
        _check_states(sound_states, _wanted_sound_states(session), "sound tokenizer")
    for pasts, kept in ((session.pasts, states), (session.sound_pasts, sound_states)):
        pasts.clear()
        for state in kept:
            pasts.append({name: tensor.to(device) for name, tensor in state.items()})
    return session


def _states(tensors: Mapping[str, Tensor], kind: str, count: int) -> list[dict[str, Tensor]]:
    """States of a tokenizer after each of the last frames."""
    held = {name.split(".")[1] for name in tensors if name.startswith(f"{kind}.")}
    states = [_part(tensors, f"{kind}.{i}.") for i in range(count)]
    if held - {str(i) for i in range(count)} or not all(states[1:]):
        raise _Wrong(f"it counts {count} states of the tokenizer and holds others")
    return states


def _fresh(about: Mapping[str, Any], generator: VideoGenerator) -> VideoSession:
    """A session of the same settings in which nothing has been drawn."""
    prompts = about["prompts"]
    seeds = about["seeds"]
    if not prompts or not all(isinstance(prompt, str) for prompt in prompts):
        raise _Wrong("its prompts are no sentences")
    if not all(isinstance(seed, int) and not isinstance(seed, bool) for seed in seeds):
        raise _Wrong("its seeds are no whole numbers")
    sound = about.get("sound", False)
    if not isinstance(sound, bool):
        raise _Wrong("whether it has sound is neither true nor false")
    try:
        params = SamplingParams(**about["params"])
        session = generator.session(prompts, seeds, params, undo=about["undo"], sound=sound)
    except (TypeError, ValueError, AttributeError) as error:
        raise _Wrong(f"its settings are none of this model ({error})") from None
    most = session.pasts.maxlen or 0
    if not 1 <= about["pasts"] <= most:
        raise _Wrong(f"it counts {about['pasts']} states of the tokenizer; there are 1 to {most}")
    return session


def _check_counters(session: VideoSession, codes: Mapping[str, Tensor]) -> None:
    """Frames are counted as they can be after drawing, rewinding and cutting."""
    ring = session.engine.ring
    for name, shape in (("frames", ()), ("counters", (4,))):
        if name not in codes or codes[name].dtype != torch.int64 or codes[name].shape != shape:
            raise _Wrong(f"its {name} are missing or no whole numbers")
    frames = int(codes["frames"])
    prefix, frame, first, shift = codes["counters"].tolist()
    if prefix != ring.prefix:
        raise _Wrong(f"its prefix has {prefix} tokens, and that of its prompts {ring.prefix}")
    if not -1 <= frame < max(frames, 0) or not 0 <= first <= frame + 1:
        raise _Wrong(f"it counts {frames} frames, and {frame + 1} from {first} on in the window")
    if first == 0 < ring.config.sinks and frame + 1 != frames:  # without any cut both count alike
        raise _Wrong(f"it counts {frames} frames, and {frame + 1} in the window")
    if shift not in (-1, 0, *(ring.config.anchor_shift(f) for f in (frame, frame + 1))):
        raise _Wrong("its first frames stand where they cannot")


def _check_cache(session: VideoSession, codes: Mapping[str, Tensor]) -> None:
    """Keys, values and masks have the shapes that they have in this model, and are numbers."""
    engine = session.engine
    ring = engine.ring
    frames = int(codes["frames"])
    levels = {engine.conditioning.levels(max(0, f)) for f in (frames, frames - 1)}
    rows = {level * len(engine.seeds) for level in levels}
    wanted = {name: list(tensor.shape) for name, tensor in ring.state().items()}
    for name, axis in (("kv", 2), ("bare_keys", 1), ("hidden_prefix", 0)):
        found = codes.get(name)
        if found is None or found.dtype != ring.kv.dtype:
            raise _Wrong(f"its {name} is missing or of another type")
        shape = list(found.shape)
        if len(shape) != len(wanted[name]) or shape[axis] not in rows:
            raise _Wrong(f"its {name} is of shape {shape}, which this model never has")
        if shape[axis] != codes["kv"].shape[2]:
            raise _Wrong("its parts have different numbers of rows")
        if [n for i, n in enumerate(shape) if i != axis] != [
            n for i, n in enumerate(wanted[name]) if i != axis
        ]:
            raise _Wrong(f"its {name} is of shape {shape}, which this model never has")
    if codes["kv"].isnan().any() or codes["bare_keys"].isnan().any():
        raise _Wrong("its cache holds something that is no number")
    _check_pushed_out(session, codes)


def _check_pushed_out(session: VideoSession, codes: Mapping[str, Tensor]) -> None:
    """What was written over, to be taken back: a slot of each of the last frames at most."""
    ring = session.engine.ring
    pushed_out = codes.get("pushed_out")
    if pushed_out is None:
        raise _Wrong("what its window has pushed out is missing")
    if pushed_out.numel() == 0:
        return
    kv = codes["kv"]
    wanted = [*kv.shape[:4], ring.length, kv.shape[-1]]
    if list(pushed_out.shape[1:]) != wanted or len(pushed_out) > ring.undo:
        raise _Wrong(f"what its window has pushed out is of shape {list(pushed_out.shape)}")
    if pushed_out.isnan().any():
        raise _Wrong("its cache holds something that is no number")


def _check_sounds(engine: SamplingEngine, codes: Mapping[str, Tensor]) -> None:
    """Codes of the sound of the frames that are remembered."""
    if "sounds" not in codes:
        raise _Wrong("the codes of its sound are missing")
    _check_codes(engine, codes["sounds"], 3, sound=True)
    if len(codes["sounds"]) != len(codes["past"]):
        frames, sounds = len(codes["past"]), len(codes["sounds"])
        raise _Wrong(f"it remembers {frames} frames, and the sound of {sounds}")


def _check_codes(engine: SamplingEngine, codes: Tensor, dims: int, sound: bool = False) -> None:
    """Codes of a part of a frame: [B, G] with 2 axes or [T, B, G] with 3; of several codebooks one
    axis more."""
    if dims == 3 and codes.numel() == 0:
        return
    part = engine.samplers[1 if sound else 0].part
    shape = [*codes.shape[: dims - 2], len(engine.seeds), part.cells, *part.books]
    if codes.dtype != torch.int64 or list(codes.shape) != shape:
        raise _Wrong(f"its codes are of shape {list(codes.shape)} and type {codes.dtype}")
    most = engine.sinks + engine.remembered
    if dims == 3 and len(codes) > most:
        raise _Wrong(f"it remembers {len(codes)} frames; there are {most} at the most")
    low, high = codes.aminmax()
    if low < 0 or high >= part.codebook_size:
        last = part.codebook_size - 1
        raise _Wrong(f"its codes go from {low} to {high}; there are 0 to {last}")


@torch.inference_mode()
def _wanted_states(session: VideoSession) -> Mapping[str, Tensor]:
    """A state of the tokenizer after a frame of this model."""
    generator = session.generator
    device = generator.decoder.no_text.device
    config = generator.decoder.config
    books = [config.codebooks] if config.codebooks > 1 else []
    shape = [len(session.prompts), 1, *config.grid, *books]
    indices = generator.codebooks.give(torch.zeros(shape, dtype=torch.long, device=device))
    return generator.tokenizer.decode_step(indices, {})[1]


@torch.inference_mode()
def _wanted_sound_states(session: VideoSession) -> Mapping[str, Tensor]:
    generator = session.generator
    shape = len(session.prompts), 1, generator.decoder.config.sound.codes
    indices = torch.zeros(shape, dtype=torch.long, device=generator.decoder.no_text.device)
    return generator.check_sounds().decode_step(indices, {})[1]


def _check_states(
    states: list[dict[str, Tensor]], wanted: Mapping[str, Tensor], owner: str
) -> None:
    """States of a tokenizer have the shapes that they have after a frame of this model."""
    for number, state in enumerate(states):
        if not state and number == 0:  # before the first frame
            continue
        if set(state) != set(wanted):
            raise _Wrong(f"the states of its {owner} have other parts than those of this model")
        for name, tensor in state.items():
            like = wanted[name]
            if tensor.shape != like.shape or tensor.dtype != like.dtype:
                raise _Wrong(f"{name} in the state of its {owner} has shape {list(tensor.shape)}")
            if tensor.is_floating_point() and not tensor.isfinite().all():
                raise _Wrong(f"{name} in the state of its {owner} is no number")


def _part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Those whose names begin so, without the beginning."""
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }


def _numbered(tensors: Mapping[str, Tensor], prefix: str) -> list[Tensor]:
    """Those of a list, in order."""
    part = _part(tensors, prefix)
    if set(part) != {str(i) for i in range(len(part))}:
        raise _Wrong("the frames that are given are not counted from 0 on")
    return [part[str(i)] for i in range(len(part))]
