"""Programs that are written for diffusers' video pipelines run with a generator."""

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from kinetoscope.generator import SamplingParams, VideoGenerator, VideoPipeline
from PIL import Image


@pytest.fixture
def pipe(generator: VideoGenerator) -> VideoPipeline:
    return VideoPipeline(generator)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_frames_come_in_the_three_forms(pipe: VideoPipeline) -> None:
    array, tensor, pictures = (
        pipe("a red ball", num_frames=5, generator=seeded(0), output_type=form).frames  # type: ignore[union-attr]
        for form in ("np", "pt", "pil")
    )
    assert array.shape == (1, 5, 8, 12, 3) and array.dtype == np.float32
    assert array.min() >= 0 and array.max() <= 1 and array.max() - array.min() > 0.05
    assert tensor.shape == (1, 5, 3, 8, 12)
    assert np.array_equal(tensor.permute(0, 1, 3, 4, 2).numpy(), array)
    assert [len(video) for video in pictures] == [5] and pictures[0][0].size == (12, 8)
    assert np.abs(np.asarray(pictures[0][3]) / 255 - array[0, 3]).max() <= 0.5 / 255 + 1e-6
    (frames,) = pipe("a ball", num_frames=1, generator=seeded(0), return_dict=False)
    assert frames.shape == (1, 1, 8, 12, 3)


def test_frames_are_those_of_the_generator(pipe: VideoPipeline) -> None:
    seed = int(torch.randint(1 << 31, (1,), generator=seeded(5)))
    params = SamplingParams(guidance=3.0)
    video = pipe.model.generate("a red ball", 5, seed, params)
    shown = pipe("a red ball", num_frames=5, guidance_scale=3.0, generator=seeded(5))
    assert torch.equal(torch.from_numpy(shown.frames), (video / 2 + 0.5).permute(0, 2, 3, 4, 1))  # type: ignore[union-attr]


def test_a_generator_goes_on_from_call_to_call(pipe: VideoPipeline) -> None:
    def draw(source: Any, **more: Any) -> Any:
        output = pipe("a red ball", num_frames=5, generator=source, **more)
        return output.frames  # type: ignore[union-attr]

    source = seeded(1)
    first, second = draw(source), draw(source)
    assert np.array_equal(draw(seeded(1)), first) and not np.array_equal(first, second)
    two = draw([seeded(1), seeded(2)], num_videos_per_prompt=2)
    assert np.abs(two[0] - first[0]).max() < 1e-4 and not np.array_equal(two[0], two[1])
    torch.manual_seed(3)
    unseeded = draw(None)
    torch.manual_seed(3)
    assert np.array_equal(draw(None), unseeded)


@pytest.mark.parametrize("form", ["PIL", "array", "float array", "tensor"])
def test_a_picture_is_where_videos_begin(pipe: VideoPipeline, form: str) -> None:
    pixels = np.zeros((16, 40, 3), np.uint8)
    pixels[:, :8] = 255  # outside of the middle of 12 to 8
    pixels[:, 8:] = (200, 40, 90)
    picture: Any = {
        "PIL": Image.fromarray(pixels),
        "array": pixels,
        "float array": pixels / np.float32(255),
        "tensor": torch.from_numpy(pixels).permute(2, 0, 1),
    }[form]
    shown = pipe("a red ball", image=picture, num_frames=5, generator=seeded(0))
    flat = torch.tensor([200, 40, 90]).view(1, 3, 1, 1, 1).expand(1, 3, 1, 8, 12) / 127.5 - 1
    codec = pipe.model.tokenizer
    wanted = codec.decode(codec.encode(flat)) / 2 + 0.5
    first = torch.from_numpy(shown.frames[:, 0]).permute(0, 3, 1, 2)  # type: ignore[union-attr]
    torch.testing.assert_close(first, wanted[:, :, 0].clamp(0, 1), atol=1e-4, rtol=0)


def test_a_picture_for_each_prompt(pipe: VideoPipeline) -> None:
    pictures = [np.full((8, 12, 3), grey, np.uint8) for grey in (20, 230)]
    shown = pipe(["a ball", "a cube"], image=pictures, num_frames=5, num_videos_per_prompt=2)
    greys = shown.frames[:, 0].mean((1, 2, 3))  # type: ignore[union-attr]
    assert greys.shape == (4,) and abs(greys[0] - greys[1]) < 1e-4 < abs(greys[1] - greys[2])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"output_type": "latent"}, "output_type must be one of np, pt, pil; got latent"),
        ({"height": 256}, "this model draws 8 x 12 pixels; got height 256 and width 12"),
        ({"num_videos_per_prompt": 0}, "must be at least 1; got 0"),
        ({"generator": [torch.Generator()] * 2}, r"one or one per video \(1\); got 2"),
        ({"image": [np.zeros((8, 12, 3))] * 2}, r"one picture or one per prompt \(1\); got 2"),
        ({"image": np.zeros((8, 12))}, r"an array \[Y, X, 3\]"),
        ({"image": np.full((8, 12, 3), 7.0)}, r"values in \[0, 1\]; got 7 to 7"),
        ({"num_inference_steps": 50}, "takes no 'num_inference_steps'; it takes prompt"),
        ({"num_frames": 0}, "frames must be at least 1; got 0"),
    ],
    ids=[
        "output",
        "height",
        "videos",
        "generators",
        "pictures",
        "no colours",
        "range",
        "steps",
        "frames",
    ],
)
def test_what_it_cannot_do_is_said(
    pipe: VideoPipeline, wrong: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        pipe("a ball", **{"num_frames": 5, **wrong})


def test_models_are_loaded_and_written_as_elsewhere(pipe: VideoPipeline, tmp_path: Path) -> None:
    pipe.save_pretrained(tmp_path / "model")
    again = VideoPipeline.from_pretrained(tmp_path / "model", torch_dtype=torch.bfloat16)
    assert again.model.decoder.no_text.dtype == torch.bfloat16
    assert again.to("cpu").device.type == "cpu"


def test_arguments_are_named_as_in_diffusers() -> None:
    """`WanImageToVideoPipeline.__call__` and `LTXPipeline.__call__` have all of these."""
    names = set(inspect.signature(VideoPipeline.__call__).parameters)
    assert {
        "prompt",
        "image",
        "height",
        "width",
        "num_frames",
        "guidance_scale",
        "num_videos_per_prompt",
        "generator",
        "output_type",
        "return_dict",
    } <= names
