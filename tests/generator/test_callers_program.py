"""The library inside somebody's program: its numbers, its settings of PyTorch, its copies."""

import copy
import pickle
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from kinetoscope.generator import SamplingParams, VideoGenerator
from kinetoscope.generator.sampling.filters import sample
from kinetoscope.tokenizer import VideoCodes, VideoTokenizer
from torch import Tensor

PROMPTS = ["a red ball rolls", "a blue cube falls"]


@pytest.fixture(scope="module")
def plain(generator: VideoGenerator) -> Tensor:
    """What is drawn where nothing has been set."""
    return generator.generate(PROMPTS, 9, seed=3)


def random_clip(*shape: int) -> Tensor:
    return 2 * torch.rand(*shape, generator=torch.Generator().manual_seed(0)) - 1


# ---- numbers ----


@pytest.mark.parametrize("frames", [np.int64(9), torch.tensor(9), np.uint8(9)])
@pytest.mark.parametrize("seed", [np.int32(3), torch.tensor(3), np.array([3, 4]), [np.int64(3), 4]])
def test_numbers_of_numpy_and_torch_are_numbers(
    generator: VideoGenerator, plain: Tensor, frames: Any, seed: Any
) -> None:
    assert torch.equal(generator.generate(PROMPTS, frames, seed=seed), plain)


def test_settings_and_lengths_may_be_of_numpy_too(generator: VideoGenerator) -> None:
    ours = SamplingParams(guidance=1.5, temperature=0.5, top_k=3, window=2, guidance_frames=1)
    theirs = SamplingParams(
        guidance=torch.tensor(1.5),  # type: ignore[arg-type]
        temperature=np.float32(0.5),  # type: ignore[arg-type]
        top_k=np.int64(3),
        window=torch.tensor(2),  # type: ignore[arg-type]
        guidance_frames=np.int8(1),
    )
    assert theirs == ours and type(theirs.top_k) is int and type(theirs.temperature) is float
    videos = generator.generate(PROMPTS, np.array([5, 9]), seed=1, params=theirs)
    assert [video.shape[1] for video in videos] == [5, 9]
    session = generator.session(PROMPTS, seed=np.int64(1), undo=2)
    first = next(session)
    session.rewind(np.int64(1), seed=torch.tensor(1))
    assert torch.equal(next(session), first)
    assert session.fork(np.array([1, 2])).seeds == (1, 2, 1, 2)
    session.keep(np.array([1]))
    assert session.seeds == (2,)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (dict(seed=None), "seed must be a whole number; got None"),
        (dict(seed=1.5), "seed must be a whole number; got 1.5"),
        (dict(seed=True), "seed must be a whole number; got True"),
        (dict(seed="12"), "seed must be a whole number; got '12'"),
        (dict(seed=np.int64(-2)), "seed must be 0 or more; got -2"),
        (dict(seed=np.array([1.0, 2.0])), "seed must be a whole number; got 1.0"),
        (dict(seed=np.arange(3)), r"one number or one per prompt \(2\); got 3"),
        (dict(frames=5.0), "frames must be a whole number; got 5.0"),
        (dict(frames=None), "frames must be a whole number; got None"),
        (dict(frames=np.int64(0)), "frames must be at least 1; got 0"),
    ],
)
def test_what_is_no_whole_number_is_refused_in_one_line(
    generator: VideoGenerator, given: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        generator.generate(PROMPTS, **{"frames": 5, "seed": 0} | given)


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        (dict(top_k=2.5), "top_k must be a whole number; got 2.5"),
        (dict(window=np.float64(2.5)), "window must be a whole number"),
        (dict(temperature="hot"), "temperature must be a number; got 'hot'"),
        (dict(guidance=None), "guidance must be a number; got None"),
        (dict(min_p=np.zeros(2)), "min_p must be a number"),
        (dict(weights={"actions": "2"}), "the weight of actions must be a number; got '2'"),
    ],
)
def test_settings_of_another_kind_are_refused_in_one_line(
    setting: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        SamplingParams(**setting)


def test_frame_rates_of_numpy_become_numbers(generator: VideoGenerator) -> None:
    codes = generator.tokenizer.encode(random_clip(1, 3, 5, 8, 12), fps=np.float32(12.5))
    assert codes.fps == 12.5 and type(codes.fps) is float


@pytest.mark.parametrize("temperature", [1e-19, 1e-21, 1e-36, 1e-38, 1e-40, 1e-45])
@pytest.mark.parametrize("filters", [dict(min_p=0.1), dict(min_p=0.0), dict(top_k=3)])
def test_temperatures_near_zero_draw_the_likeliest_code(
    temperature: float, filters: dict[str, Any]
) -> None:
    logits = 30 * random_clip(200, 384)
    noise = random_clip(200, 384) * 20
    drawn = sample(logits, SamplingParams(temperature=temperature, **filters), noise)
    assert torch.equal(drawn, logits.argmax(-1))


def test_a_video_at_a_temperature_near_zero_is_the_likeliest(generator: VideoGenerator) -> None:
    videos = [
        generator.generate(PROMPTS, 5, seed=1, params=SamplingParams(temperature=temperature))
        for temperature in (0.0, 1e-30, 1e-40)
    ]
    assert torch.equal(videos[1], videos[0]) and torch.equal(videos[2], videos[0])


# ---- settings of PyTorch ----


def autocast(dtype: torch.dtype) -> Iterator[None]:
    with torch.autocast("cpu", dtype):
        yield


def inference() -> Iterator[None]:
    with torch.inference_mode():
        yield


def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    yield
    assert torch.get_default_dtype() == dtype  # it is left as it was
    torch.set_default_dtype(before)


def default_device(device: str) -> Iterator[None]:
    with torch.device(device):
        yield
        assert torch.get_default_device().type == device


SETTINGS = [
    (autocast, torch.bfloat16),
    (autocast, torch.float16),
    (inference,),
    (default_dtype, torch.float64),
    (default_dtype, torch.bfloat16),
    # it stands for any device on which tensors lie that are made without one
    (default_device, "meta"),
]


@pytest.fixture(params=SETTINGS, ids=lambda setting: "-".join(map(str, setting[1:])) or "inference")
def caller(request: pytest.FixtureRequest) -> Iterator[Iterator[None]]:
    """Enters a setting when it is asked for its next item, and leaves it at the end."""
    function, *arguments = request.param
    setting = function(*arguments)
    yield setting
    next(setting, None)


def test_what_a_caller_has_set_changes_no_video(
    generator: VideoGenerator, plain: Tensor, caller: Iterator[None]
) -> None:
    init = random_clip(1, 3, 5, 8, 12)
    begun = generator.generate(PROMPTS, 9, seed=1, init=init)
    codes = generator.tokenizer.encode(init)
    shown = generator.tokenizer.decode(codes)
    session = generator.session(PROMPTS, seed=3)
    begin = next(session)
    next(caller)
    assert torch.equal(generator.generate(PROMPTS, 9, seed=3), plain)
    assert torch.equal(generator.generate(PROMPTS, 9, seed=1, init=init), begun)
    assert torch.equal(generator.tokenizer.encode(init).indices, codes.indices)
    assert torch.equal(generator.tokenizer.decode(codes), shown)
    inside = [next(session), next(session)]
    next(caller, None)
    whole = torch.cat([begin, *inside, next(session)], dim=2)
    assert torch.equal(whole, generator.generate(PROMPTS, 13, seed=3))


def test_a_session_begun_under_a_setting_goes_on_without_it(
    generator: VideoGenerator, plain: Tensor, caller: Iterator[None]
) -> None:
    next(caller)
    session = generator.session(PROMPTS, seed=3)
    begin = next(session)
    next(caller, None)
    rest = [next(session), next(session)]
    assert torch.equal(torch.cat([begin, *rest], dim=2), plain)


def test_models_are_loaded_under_any_setting(
    generator: VideoGenerator, tmp_path: Any, caller: Iterator[None]
) -> None:
    generator.save_pretrained(tmp_path)
    expected = VideoGenerator.from_pretrained(tmp_path).generate("a red ball", 5, seed=1)
    next(caller)
    loaded = VideoGenerator.from_pretrained(tmp_path)
    tokenizer = VideoTokenizer.from_pretrained(tmp_path)
    next(caller, None)
    assert torch.equal(loaded.generate("a red ball", 5, seed=1), expected)
    assert {tensor.dtype for tensor in loaded.decoder.parameters()} == {torch.float32}
    tokenizer(random_clip(1, 3, 5, 8, 12)).video.sum().backward()  # it can be trained
    assert tokenizer.embed.weight.grad is not None


# ---- pixels ----


def test_init_of_any_clear_shape_is_taken(generator: VideoGenerator) -> None:
    def video(init: Any) -> Tensor:
        return generator.generate(PROMPTS, 9, seed=1, init=init)

    picture = random_clip(3, 8, 12)
    expected = video(picture[None, :, None])
    assert torch.equal(video(picture), expected)
    assert torch.equal(video(picture[None]), expected)
    assert torch.equal(video(picture.numpy()), expected)
    assert torch.equal(video(picture.double()), expected)
    assert torch.equal(video(picture.numpy()[:, ::-1][:, ::-1]), expected)
    read_only = picture.numpy().copy()
    read_only.flags.writeable = False
    assert torch.equal(video(read_only), expected)
    two = torch.stack([picture, picture.flip(-1)])
    assert torch.equal(video(two), video(two[:, :, None]))
    clip = random_clip(3, 5, 8, 12)
    assert torch.equal(video(clip), video(clip[None]))


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ((8, 12, 3), r"a picture \[3, Y, X\].*got shape \[8, 12, 3\]"),
        ((3, 3, 8, 12), r"got shape \[3, 3, 8, 12\]"),  # three pictures, or a clip of three frames
        ((5, 8, 12, 3), "Colours come before rows and columns"),
        ((8, 12), r"got shape \[8, 12\]"),
        ((4, 8, 12), r"got shape \[4, 8, 12\]"),
        ((3, 16, 12), "init must be 8 x 12 pixels; got 16 x 12"),
    ],
)
def test_init_of_another_shape_is_refused_with_the_shapes_that_are_taken(
    generator: VideoGenerator, shape: tuple[int, ...], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        generator.generate("a ball", 9, init=torch.zeros(shape))


@pytest.mark.parametrize(
    ("init", "said"),
    [
        ("photo.png", "init must be a tensor or an array; got str"),
        (np.zeros((3, 8, 12), np.uint8), "use video / 127.5 - 1"),
        (np.array(["a"]), "init must be a tensor or an array; got ndarray"),
    ],
)
def test_init_that_is_no_picture_is_refused(
    generator: VideoGenerator, init: Any, said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        generator.generate("a ball", 9, init=init)


def test_tokenizers_take_arrays_and_say_what_they_need(generator: VideoGenerator) -> None:
    tokenizer = generator.tokenizer
    video = random_clip(1, 3, 5, 8, 12)
    codes = tokenizer.encode(video)
    for same in (video.numpy(), video.double(), video.numpy().astype(np.float64)):
        assert torch.equal(tokenizer.encode(same).indices, codes.indices)
    chunks = [video[:, :, :2].numpy(), video[:, :, 2:].numpy()]
    streamed = torch.cat(list(tokenizer.stream_encode(chunks)), dim=1)
    assert torch.equal(streamed, codes.indices)
    with pytest.raises(ValueError, match=r"decode takes VideoCodes; got Tensor.*decode_step"):
        tokenizer.decode(codes.indices)
    for dtype in (torch.float16, torch.bfloat16):
        half = copy.deepcopy(tokenizer).to(dtype)
        said = f"weights are {dtype}; call tokenizer.float"
        with pytest.raises(ValueError, match=said):
            half.encode(video)
        with pytest.raises(ValueError, match=said):
            half.decode_step(codes.indices, {})
        assert half.float().encode(video.to(dtype)).indices.shape == codes.indices.shape


# ---- copies ----


def copies(thing: Any) -> list[Any]:
    return [copy.deepcopy(thing), pickle.loads(pickle.dumps(thing))]


@pytest.mark.parametrize("latents", [0, 1, 5])
@pytest.mark.parametrize("guidance_frames", [None, 2])
def test_a_copied_session_goes_on_alike_and_alone(
    generator: VideoGenerator, latents: int, guidance_frames: int | None
) -> None:
    params = SamplingParams(guidance_frames=guidance_frames)
    session = generator.session(PROMPTS, seed=3, params=params, undo=2)
    for _ in range(latents):
        next(session)
    made = copies(session)
    expected = [next(session) for _ in range(3)]
    for other in made:
        assert other.prompts == session.prompts and other.seeds == session.seeds
        assert all(torch.equal(next(other), chunk) for chunk in expected)
        other.rewind(1)
        assert torch.equal(next(other), expected[2])
    assert made[0].generator is generator


def test_a_copied_session_remembers_what_was_given(generator: VideoGenerator) -> None:
    session = generator.session("a red ball", init=random_clip(3, 9, 8, 12))
    next(session)
    made = copies(session)
    expected = torch.cat([next(session) for _ in range(4)], dim=2)
    for other in made:
        assert torch.equal(torch.cat([next(other) for _ in range(4)], dim=2), expected)


def test_copied_models_draw_the_same(generator: VideoGenerator, plain: Tensor) -> None:
    for other in copies(generator):
        assert other.id == generator.id
        assert torch.equal(other.generate(PROMPTS, 9, seed=3), plain)
    codes = generator.tokenizer.encode(random_clip(1, 3, 5, 8, 12))
    for tokenizer in copies(generator.tokenizer):
        assert torch.equal(tokenizer.decode(codes), generator.tokenizer.decode(codes))
    for again in copies(codes):
        assert isinstance(again, VideoCodes) and torch.equal(again.indices, codes.indices)


def test_a_copied_engine_draws_the_same(generator: VideoGenerator) -> None:
    engine = generator.session(PROMPTS, seed=3).engine
    engine.draw()
    other = copy.deepcopy(engine)
    assert torch.equal(other.draw(), engine.draw())
