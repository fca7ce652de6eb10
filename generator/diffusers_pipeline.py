"""A generator behind the calls of diffusers' video pipelines, for programs that are written for
those.

    pipe = VideoPipeline.from_pretrained("physics-64")
    frames = pipe("a red ball rolls", num_frames=33).frames[0]   # [33, 64, 64, 3] in [0, 1]
    export_to_video(frames, "ball.mp4", fps=12)                  # of diffusers.utils

Names and meanings of arguments are those of diffusers' text-to-video and image-to-video pipelines
(https://huggingface.co/docs/diffusers/api/pipelines/overview). What has no meaning for codes that
are drawn one after another, such as a number of denoising steps, is refused.

Legend: B videos, F Y X frames and pixels.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..data.video.pixels import scaled_to_fill
from ..tokenizer.checks import as_tensor
from .pipeline import VideoGenerator

OUTPUTS = ("np", "pt", "pil")
LARGEST_SEED = 1 << 31
Picture = Any  # a PIL picture, an array [Y, X, 3], or a tensor [3, Y, X]


@dataclass
class VideoPipelineOutput:
    """frames: of each video, as `output_type` says; the first one's are `frames[0]`."""

    frames: Any

    def __iter__(self) -> Any:
        return iter((self.frames,))

    def __getitem__(self, index: int) -> Any:
        return (self.frames,)[index]


class VideoPipeline:
    """Draws videos with a `VideoGenerator`, which is its `model`."""

    def __init__(self, model: VideoGenerator) -> None:
        self.model = model

    @classmethod
    def from_pretrained(
        cls,
        name: str | os.PathLike[str],
        torch_dtype: torch.dtype = torch.float32,
        size: int | None = None,
    ) -> Self:
        """Load a shipped model by name, a folder, or a hub id.

        Args:
            torch_dtype: float32 or bfloat16, of the decoder.
            size: height of the pictures, as in `VideoGenerator.from_pretrained`.

        Raises:
            ValueError: as `VideoGenerator.from_pretrained`.
        """
        dtype = str(torch_dtype).removeprefix("torch.")
        return cls(VideoGenerator.from_pretrained(name, dtype=dtype, size=size))

    def save_pretrained(self, folder: str | os.PathLike[str]) -> None:
        """Write the model into a folder."""
        self.model.save_pretrained(folder)

    def push_to_hub(self, repo_id: str, **options: Any) -> str:
        """Write the model into a repository of the hub; `options` are those of
        `VideoGenerator.push_to_hub`. Returns its address."""
        return self.model.push_to_hub(repo_id, **options)

    def to(self, device: str | torch.device) -> Self:
        """Move the model to a device, in place."""
        self.model.to(device)
        return self

    @property
    def device(self) -> torch.device:
        return self.model.decoder.no_text.device

    def __call__(
        self,
        prompt: str | Sequence[str],
        image: Picture | Sequence[Picture] | None = None,
        num_frames: int = 33,
        height: int | None = None,
        width: int | None = None,
        guidance_scale: float | None = None,
        num_videos_per_prompt: int = 1,
        generator: torch.Generator | Sequence[torch.Generator] | None = None,
        output_type: str = "np",
        return_dict: bool = True,
        callback: Callable[[int], None] | None = None,
        **conditions: Any,
    ) -> VideoPipelineOutput | tuple[Any]:
        """Videos of sentences. Their pixels carry no mark of origin.

        Args:
            prompt: a sentence, or several.
            image: a picture that the videos begin with, or one for each prompt: PIL, an array
                [Y, X, 3] of uint8 or of floats in [0, 1], or such a tensor [3, Y, X]. It is scaled
                and cut to the size of the model.
            num_frames: F, with the picture.
            height, width: of the model, if they are given; `from_pretrained(size=…)` sets them.
            guidance_scale: how strictly to follow the sentence; 1 is the model as it was trained.
            num_videos_per_prompt: the videos of one prompt stand side by side.
            generator: what the seeds come from, one for all videos or one for each; the same state
                gives the same videos, and every call goes on from it. None: torch's own.
            output_type: "np" for an array [B, F, Y, X, 3] in [0, 1], "pt" for a tensor
                [B, F, 3, Y, X] in [0, 1], "pil" for B lists of F pictures.
            return_dict: False gives `(frames,)`.
            callback: called with the number of frames that were just finished.
            conditions: what else the model takes, as in `VideoGenerator.session`.

        Raises:
            ValueError: a size, an output or a number of frames that the model does not have, or
                a condition that it does not take.
        """
        if output_type not in OUTPUTS:
            raise ValueError(f"output_type must be one of {', '.join(OUTPUTS)}; got {output_type}")
        if num_videos_per_prompt < 1:
            raise ValueError(
                f"num_videos_per_prompt must be at least 1; got {num_videos_per_prompt}"
            )
        self._check_size(height, width)
        sentences = [prompt] if isinstance(prompt, str) else list(prompt)
        begin = None if image is None else self._begin(image, len(sentences))
        if begin is not None and len(begin) > 1:
            begin = begin.repeat_interleave(num_videos_per_prompt, 0)
        prompts = [each for each in sentences for _ in range(num_videos_per_prompt)]
        guided = {} if guidance_scale is None else {"guidance": guidance_scale}
        video = self.model.generate(
            prompts,
            num_frames,
            _seeds(generator, len(prompts)),
            self.model.params(**guided),
            begin,
            callback,
            **conditions,
        )
        frames = _output(video, output_type)
        return VideoPipelineOutput(frames) if return_dict else (frames,)

    def _check_size(self, height: int | None, width: int | None) -> None:
        own = self.model.size
        wanted = (own[0] if height is None else height, own[1] if width is None else width)
        if wanted != own:
            raise ValueError(
                f"this model draws {own[0]} x {own[1]} pixels; got height {wanted[0]} and width "
                f"{wanted[1]}. Some models have other sizes: from_pretrained(name, size=…)"
            )

    def _begin(self, image: Any, prompts: int) -> Tensor:
        """Pictures float [1 or B, 3, 1, Y, X] in [-1, 1]."""
        several = isinstance(image, (list, tuple))
        given = list(image) if several else [image]
        if several and len(given) != prompts:
            raise ValueError(
                f"image must be one picture or one per prompt ({prompts}); got {len(given)}"
            )
        size = self.model.size
        pictures = [scaled_to_fill(_as_picture(each)[None], size) for each in given]
        return torch.cat(pictures).clamp(0, 1)[:, :, None] * 2 - 1


def _seeds(generator: torch.Generator | Sequence[torch.Generator] | None, videos: int) -> list[int]:
    """A seed for each video."""
    sources: list[torch.Generator | None]
    if generator is None or isinstance(generator, torch.Generator):
        sources = [generator] * videos
    else:
        sources = list(generator)
    if len(sources) != videos:
        raise ValueError(f"generator must be one or one per video ({videos}); got {len(sources)}")
    seeds = []
    for source in sources:
        device = "cpu" if source is None else source.device
        drawn = torch.randint(LARGEST_SEED, (1,), generator=source, device=device)
        seeds.append(int(drawn))
    return seeds


def _as_picture(image: Any) -> Tensor:
    """Float [3, Y, X] in [0, 1]."""
    if isinstance(image, Image.Image):
        array = np.asarray(image.convert("RGB"))
        return torch.from_numpy(array.copy()).permute(2, 0, 1) / 255
    pixels = as_tensor(image, "image")
    if isinstance(image, np.ndarray) and pixels.dim() == 3:
        pixels = pixels.permute(2, 0, 1)
    if pixels.dim() != 3 or pixels.shape[0] != 3:
        raise ValueError(
            "image must be a PIL picture, an array [Y, X, 3] or a tensor [3, Y, X]; got shape "
            f"{list(pixels.shape)}"
        )
    if not pixels.is_floating_point():
        return pixels / 255
    if not (pixels.min() >= 0 and pixels.max() <= 1):
        raise ValueError(
            f"image must have values in [0, 1]; got {pixels.min():.3g} to {pixels.max():.3g}"
        )
    return pixels.float()


def _output(video_B3FYX: Tensor, output_type: str) -> Any:
    frames = (video_B3FYX.float().cpu() / 2 + 0.5).clamp(0, 1).transpose(1, 2)
    if output_type == "pt":
        return frames
    array = frames.permute(0, 1, 3, 4, 2).contiguous().numpy()
    if output_type == "np":
        return array
    bytes_ = (array * 255).round().astype(np.uint8)
    return [[Image.fromarray(frame) for frame in video] for video in bytes_]
