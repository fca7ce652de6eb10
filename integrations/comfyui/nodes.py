"""The nodes: load a model, draw a video, encode and decode, save.

A sentence and what is given beside it pass the policy that KINETOSCOPE_POLICY names. A video that
is saved with its origin is marked and signed as by `kinetoscope sample`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import comfy.utils
import folder_paths
from comfy_api.latest import io
from kinetoscope.app.provenance.generation import Generation, public_name
from kinetoscope.app.provenance.options import Disclosure
from kinetoscope.app.provenance.policy import Gate, GuardedGenerator, load_policies
from kinetoscope.app.provenance.writer import Signing
from kinetoscope.data.video import VideoWriter, to_uint8
from kinetoscope.pretrained import DEFAULT_MODEL

from .inputs import OWN, condition_inputs, condition_values, setting_inputs
from .pictures import to_clip, to_pictures

CATEGORY = "Kinetoscope"
ENDINGS = ("mp4", "webm", "mov", "mkv", "gif", "webp")
Model = io.Custom("KINETOSCOPE_MODEL")
Codes = io.Custom("KINETOSCOPE_CODES")
Origin = io.Custom("KINETOSCOPE_ORIGIN")


class LoadModel(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="KinetoscopeLoadModel",
            display_name="Load Kinetoscope model",
            category=CATEGORY,
            description="A generator with its tokenizer and text encoder.",
            inputs=[
                io.String.Input(
                    "model",
                    default=DEFAULT_MODEL,
                    tooltip="a shipped name, a folder, or an id on the Hugging Face hub",
                ),
                io.Int.Input(
                    "size",
                    default=0,
                    min=0,
                    max=4096,
                    tooltip="height of the pictures in pixels; 0 is the model's own",
                ),
            ],
            outputs=[Model.Output(display_name="model")],
        )

    @classmethod
    def execute(cls, model: str, size: int) -> io.NodeOutput:
        generator = GuardedGenerator.from_pretrained(model, size=size or None)
        generator.gate = Gate(load_policies(None))
        return io.NodeOutput((generator, public_name(model)))


class Sample(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="KinetoscopeSample",
            display_name="Kinetoscope video",
            category=CATEGORY,
            description="Draws a video of a sentence, and goes on with pictures that are given.",
            inputs=[
                Model.Input("model"),
                io.String.Input("prompt", multiline=True, tooltip="what the video shows"),
                io.Int.Input("frames", default=33, min=1, max=1 << 20),
                io.Int.Input(
                    "seed", default=0, min=0, max=(1 << 63) - 1, control_after_generate=True
                ),
                *setting_inputs(),
                *condition_inputs(),
            ],
            outputs=[
                io.Image.Output(display_name="frames"),
                Origin.Output(display_name="origin"),
            ],
        )

    @classmethod
    def execute(
        cls, model: Any, prompt: str, frames: int, seed: int, **given: Any
    ) -> io.NodeOutput:
        generator, name = model
        names = {each.id for each in setting_inputs()}
        settings = {key: given[key] for key in names if given.get(key) not in (None, OWN)}
        rest = {key: value for key, value in given.items() if key not in names}
        params = generator.params(**settings)
        values = condition_values(rest, generator, frames)
        bar = comfy.utils.ProgressBar(frames)
        video = generator.generate(prompt, frames, seed, params, progress=bar.update, **values)
        told = settings | {
            key: text for key, text in rest.items() if isinstance(text, str) and text
        }
        shown = "init" in values
        origin = Generation(name, generator.id, prompt, seed, told, shows_given_pixels=shown)
        return io.NodeOutput(to_pictures(video), origin)


class Encode(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="KinetoscopeEncode",
            display_name="Kinetoscope encode",
            category=CATEGORY,
            description="Pictures in a row to the codes of the model's tokenizer.",
            inputs=[Model.Input("model"), io.Image.Input("frames")],
            outputs=[Codes.Output(display_name="codes")],
        )

    @classmethod
    def execute(cls, model: Any, frames: Any) -> io.NodeOutput:
        return io.NodeOutput(model[0].tokenizer.encode(to_clip(frames)))


class Decode(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="KinetoscopeDecode",
            display_name="Kinetoscope decode",
            category=CATEGORY,
            description="Codes of the model's tokenizer to pictures.",
            inputs=[Model.Input("model"), Codes.Input("codes")],
            outputs=[io.Image.Output(display_name="frames")],
        )

    @classmethod
    def execute(cls, model: Any, codes: Any) -> io.NodeOutput:
        return io.NodeOutput(to_pictures(model[0].tokenizer.decode(codes)))


class Save(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="KinetoscopeSave",
            display_name="Save Kinetoscope video",
            category=CATEGORY,
            description="Writes a video into ComfyUI's output folder. With its origin, it says in "
            "signed content credentials and in its pixels that a model made it.",
            inputs=[
                io.Image.Input("frames"),
                io.String.Input("filename_prefix", default="video/Kinetoscope"),
                io.Float.Input("fps", default=12.0, min=0.1, max=240.0, step=0.1),
                io.Combo.Input("format", options=list(ENDINGS), default=ENDINGS[0]),
                Origin.Input("origin", optional=True),
            ],
            outputs=[],
            is_output_node=True,
        )

    @classmethod
    def execute(
        cls, frames: Any, filename_prefix: str, fps: float, format: str, origin: Any = None
    ) -> io.NodeOutput:
        Y, X = frames.shape[1:3]
        folder, name, counter, subfolder, _ = folder_paths.get_save_image_path(
            filename_prefix, folder_paths.get_output_directory(), X, Y
        )
        path = Path(folder) / f"{name}_{counter:05}_.{format}"
        video = to_uint8(to_clip(frames))[0]
        if origin is None:
            writer: Any = VideoWriter(path, fps)
        else:
            writer = Signing(Disclosure(), print).writer(path, fps, origin)
        with writer:
            writer.write(video)
        saved = {"filename": path.name, "subfolder": subfolder, "type": "output"}
        return io.NodeOutput(ui={"images": [saved], "animated": (True,)})
