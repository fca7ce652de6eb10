"""Kinetoscope's nodes for ComfyUI. Put this folder into ComfyUI/custom_nodes."""

from comfy_api.latest import ComfyExtension, io

from .nodes import Decode, Encode, LoadModel, Sample, Save


class Kinetoscope(ComfyExtension):
    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        return [LoadModel, Sample, Encode, Decode, Save]


async def comfy_entrypoint() -> ComfyExtension:
    return Kinetoscope()
