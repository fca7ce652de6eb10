"""All ports filled at once by networks with random weights, and sound drawn after every picture:
the full forward, the cached engine, streams, drafts, guidance, forks and files agree, code for
code."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from kinetoscope.generator import Decoder, DecoderConfig, SamplingParams, VideoGenerator
from kinetoscope.generator.conditions import CONDITIONS, Canvas, Condition, Features
from kinetoscope.generator.model.sound_config import SoundConfig
from kinetoscope.generator.sampling.drafts import FrameDraft, SteadyDraft
from kinetoscope.generator.sampling.engine import SamplingEngine
from kinetoscope.generator.sampling.filters import sample
from kinetoscope.generator.sampling.noise import gumbel_noise
from kinetoscope.generator.sampling.parts import PartSampler
from torch import Tensor, nn

B = 2
FRAMES = 6  # the window of three, and as many again
SEEDS = [5, 6]
SOUND = 2  # tokens of the sound of a frame
NAMES = ("reference", "actions", "regions")
PLAIN = SamplingParams(guidance=1)
GUIDED = SamplingParams(guidance=3.0, temperature=0.7)
NESTED = SamplingParams(guidance=2.0, weights={"actions": 3.0, "regions": 0.5})
LIMITED = SamplingParams(guidance=2.0, weights={"reference": 2.0}, guidance_frames=3)


class Reference(Condition):
    """Three tokens of the prefix for a number: a condition made up in one file."""

    name = "reference"
    help = "a number that is turned into tokens of the prefix"
    kind = "number"
    port = "prefix"
    shape = "an integer"

    def parse(self, text: str, canvas: Canvas, say: Any = print) -> int:
        return int(text)

    def features(self, value: Any, videos: int, model: Any) -> Features:
        values = torch.arange(3).expand(videos, 3) + int(value)
        return Features(values, torch.ones(videos, 3, dtype=torch.bool))

    def network(self, size: int, config: DecoderConfig) -> nn.Module:
        return nn.Embedding(size, config.dim)


@pytest.fixture(autouse=True)
def made_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CONDITIONS, "reference", Reference())


@pytest.fixture(
    params=[(0, 1, 1), (1, 1, 2), (0, 3, 2), (1, 3, 1)],
    ids=["raster", "wavefront", "raster, 3 codes a cell", "wavefront, 3 codes a cell"],
)
def decoder(make_decoder, request: pytest.FixtureRequest) -> Decoder:
    sizes = {"reference": 9, "actions": 4, "regions": 5}
    wavefront, codebooks, per_token = request.param
    levels = (2, 2, 3) if codebooks > 1 else (4, 3)
    decoder = make_decoder(
        conditions=sizes,
        wavefront=wavefront,
        codebooks=codebooks,
        levels=levels,
        sound=SoundConfig(SOUND * per_token, SOUND, 10, (5, 2)),
    )
    nn.init.normal_(decoder.sound.head.full, std=0.3)
    for depth in filter(None, (decoder.depth, decoder.sound.depth)):
        for block in depth.blocks:
            nn.init.normal_(block.down.weight, std=0.3)
        nn.init.normal_(depth.place, std=0.5)
    for network in decoder.ports.values():
        nn.init.normal_(network.weight, std=0.5)
    return decoder


@pytest.fixture
def text() -> tuple[Tensor, Tensor]:
    torch.manual_seed(6)
    mask = torch.tensor([[True] * 3, [True, True, False]])
    return torch.randn(B, 3, 10, dtype=torch.float64), mask


@pytest.fixture
def given() -> dict[str, Features]:
    """Something for every frame but those of one action and of one map."""
    torch.manual_seed(7)
    actions = torch.randint(-1, 4, (B, FRAMES))
    regions = torch.randint(-1, 5, (B, FRAMES, 2, 3))
    regions[:, 3] = -1
    seen = torch.tensor([[True] * 3, [True, False, False]])
    return {
        "reference": Features(torch.randint(9, (B, 3)), seen),
        "actions": Features(actions.clamp(min=0), actions >= 0),
        "regions": Features(regions.clamp(min=0), regions >= 0),
    }


def first(given: dict[str, Features], frames: int) -> dict[str, Features]:
    """The same for the first frames; the prefix as it is."""
    return {
        name: f if name == "reference" else Features(f.values[:, :frames], f.given[:, :frames])
        for name, f in given.items()
    }


@pytest.fixture
def negative() -> Features:
    """Longer than the sentence for one video, and nothing for the other."""
    torch.manual_seed(8)
    seen = torch.tensor([[True] * 5, [False] * 5])
    return Features(torch.randn(B, 5, 10, dtype=torch.float64), seen)


@torch.inference_mode()
def naive(
    decoder: Decoder,
    text: tuple[Tensor, Tensor],
    given: dict[str, Features],
    params: SamplingParams,
    sound: bool = True,
    negative: Features | None = None,
) -> Tensor:
    """Runs the whole sequence again for every step, and once more for every level of guidance.

    Guidance is written out here: without any of the guided conditions, then for each of them, in
    order, so many times what it changes. Conditions of weight 1 are never left out. The codes of a
    cell are drawn one after another, and those of the sound after the whole picture. With a
    negative sentence that one stands where else no sentence does.
    """
    Q = decoder.config.codebooks
    K = decoder.config.codebook_size
    X = decoder.config.sound.codes
    V = decoder.config.sound.vocab_size
    states, mask = text
    order = decoder.order
    weights = {"prompt": params.guidance} | {n: params.weights.get(n, 1.0) for n in NAMES}
    guided = [name for name, weight in weights.items() if weight != 1]
    codes = torch.zeros(B, FRAMES, 6, Q, dtype=torch.long)
    heard = torch.zeros(B, FRAMES, X, dtype=torch.long)

    def mixed(t: int) -> tuple[Tensor, Tensor]:
        """Guided logits of the picture [B, 6, Q, K] and of the sound [B, X, V] of a frame."""
        limit = params.guidance_frames
        names = guided if limit is None or t < limit else []
        past = codes[:, : t + 1].unflatten(2, (2, 3))
        past = past if Q > 1 else past[..., 0]
        runs = []
        for number in range(len(names) + 1):
            off = names[number:]
            shown = {
                name: features.off() if name in off else features
                for name, features in first(given, t + 1).items()
            }
            said = (states, mask)
            if "prompt" in off:
                said = (states, mask & False)
                said = said if negative is None else (negative.values, negative.given)
            rest: dict[str, Any] = {"given": shown, "window": params.window}
            if sound:
                logits, hums = decoder(past, *said, sound_BTX=heard[:, : t + 1], **rest)
            else:
                logits, hums = decoder(past, *said, **rest), torch.zeros(B, t + 1, X, V)
            runs.append((logits.view(B, t + 1, 6, Q, K)[:, t], hums[:, t]))
        total, hum = runs[0]
        for name, less, more in zip(names, runs, runs[1:]):
            total = total + weights[name] * (more[0] - less[0])
            hum = hum + weights[name] * (more[1] - less[1])
        return total, hum

    for t in range(FRAMES):
        noise = gumbel_noise(SEEDS, t, 6 * Q, K).unflatten(1, (6, Q))
        for tokens in order.tokens_SW[: order.steps]:
            cells = [int(order.predicted_X[token]) for token in tokens if token < order.length]
            cells = [cell for cell in cells if cell < 6]
            for book in range(Q) if cells else ():
                total = mixed(t)[0][:, cells, book]
                codes[:, t, cells, book] = sample(total, params, noise[:, cells, book])
        noise = gumbel_noise(SEEDS, t, X, V, stream=2)
        for code in range(X) if sound else ():
            heard[:, t, code] = sample(mixed(t)[1][:, code], params, noise[:, code])
    picture = codes.flatten(2)
    return torch.cat([picture, heard], dim=2) if sound else picture


def make(*arguments: Any, **options: Any) -> SamplingEngine:
    return SamplingEngine(*arguments, **{"sound": True} | options)


def step(engine: SamplingEngine) -> Tensor:
    """All codes of the next frame, those of its picture first."""
    picture = engine.draw().flatten(1)
    return torch.cat([picture, engine.sounds[-1].flatten(1)], dim=1) if engine.sound else picture


def draw(engine: SamplingEngine, frames: int = FRAMES) -> Tensor:
    return torch.stack([step(engine) for _ in range(frames)], dim=1)


@pytest.mark.parametrize(
    "params",
    [PLAIN, GUIDED, NESTED, LIMITED],
    ids=["plain", "guided", "nested", "guided at first"],
)
def test_the_engine_draws_what_the_full_forward_draws(decoder, text, given, params):
    expected = naive(decoder, text, given, params)
    for accelerate in ("off", "exact"):
        chosen = dataclasses.replace(params, accelerate=accelerate)
        assert torch.equal(draw(make(decoder, *text, SEEDS, chosen, given)), expected)


@pytest.mark.parametrize("holds", [False, True], ids=["a guess that fails", "a guess that holds"])
def test_codes_read_at_once_are_those_drawn_one_after_another(
    decoder, text, given, holds, monkeypatch
):
    """The sound of a frame is guessed to be that of the frame before, as if it had been steady."""
    if holds:
        nn.init.zeros_(decoder.sound.head.full)  # all codes are equal, and greed takes the first
        nn.init.zeros_(decoder.sound.head.by_level)
    params = dataclasses.replace(GUIDED, temperature=0.0) if holds else GUIDED
    expected = naive(decoder, text, given, params)
    monkeypatch.setattr(PartSampler, "_steady", lambda self: self.part.codes == 2)
    one_by_one = []
    draw_codes = FrameDraft._draw

    def counted(self: FrameDraft, *arguments: Any) -> Any:
        one_by_one.append(type(self))
        return draw_codes(self, *arguments)

    monkeypatch.setattr(FrameDraft, "_draw", counted)
    assert torch.equal(draw(make(decoder, *text, SEEDS, params, given)), expected)
    if decoder.sound.books == 2:
        assert (SteadyDraft in one_by_one) == (not holds)


@pytest.mark.parametrize("params", [GUIDED, NESTED, LIMITED], ids=["guided", "nested", "at first"])
def test_a_negative_sentence_takes_the_place_of_none(decoder, text, given, params, negative):
    expected = naive(decoder, text, given, params, negative=negative)
    engine = make(decoder, *text, SEEDS, params, given | {"negative": negative})
    assert torch.equal(draw(engine), expected)


def test_a_negative_sentence_changes_its_own_video_alone(decoder, text, given, negative):
    some = {name: given[name] for name in ("actions", "regions")}
    drawn = draw(make(decoder, *text, SEEDS, GUIDED, some | {"negative": negative}))
    without = draw(make(decoder, *text, SEEDS, GUIDED, some))
    assert not torch.equal(drawn[0], without[0])
    assert torch.equal(drawn[1], without[1])  # nothing is given for this video


def test_a_negative_sentence_goes_along_in_forks_and_files(decoder, text, given, negative):
    engine = make(decoder, *text, SEEDS, GUIDED, given | {"negative": negative})
    draw(engine, 3)
    fork = engine.select([1, 0], [6, 5])
    again = make(decoder, *text, SEEDS, GUIDED)
    again.load_state({name: tensor.clone() for name, tensor in engine.state().items()})
    rest = draw(engine, 3)
    assert torch.equal(draw(fork, 3), rest[[1, 0]])
    assert torch.equal(draw(again, 3), rest)


def test_without_guidance_a_negative_sentence_is_refused(decoder, text, negative):
    with pytest.raises(ValueError, match="negative needs guidance, and a guidance of 1 is none"):
        make(decoder, *text, SEEDS, PLAIN, {"negative": negative})


def test_every_port_changes_what_is_drawn(decoder, text, given):
    whole = draw(make(decoder, *text, SEEDS, PLAIN, given))
    for name in NAMES:
        less = {other: features for other, features in given.items() if other != name}
        assert not torch.equal(draw(make(decoder, *text, SEEDS, PLAIN, less)), whole)


def test_what_is_given_on_the_way_is_as_if_it_had_been_known(decoder, text, given):
    whole = draw(make(decoder, *text, SEEDS, NESTED, given))
    engine = make(decoder, *text, SEEDS, NESTED, {"reference": given["reference"]})
    frames = []
    for t in range(FRAMES):
        for name in ("actions", "regions"):
            engine.give(name, given[name].frame(t))
        frames.append(step(engine))
    assert torch.equal(torch.stack(frames, dim=1), whole)


def test_a_single_value_holds_and_a_list_ends(decoder, text):
    held = Features(torch.full((B, 1), 2), torch.ones(B, 1, dtype=torch.bool))
    three = Features(torch.full((B, 3), 2), torch.ones(B, 3, dtype=torch.bool))
    every = Features(torch.full((B, FRAMES), 2), torch.ones(B, FRAMES, dtype=torch.bool))
    until = Features(every.values, torch.arange(FRAMES).expand(B, -1) < 3)

    def drawn(features: Features) -> Tensor:
        return draw(make(decoder, *text, SEEDS, PLAIN, {"actions": features}))

    assert torch.equal(drawn(held), drawn(every))
    assert torch.equal(drawn(three), drawn(until))
    assert not torch.equal(drawn(held), drawn(three))


@pytest.mark.parametrize("back", [1, 3])
def test_frames_that_are_taken_back_come_again(decoder, text, given, back):
    engine = make(decoder, *text, SEEDS, NESTED, given, undo=3)
    before = draw(engine, 6)
    engine.rewind(back)
    assert torch.equal(draw(engine, back), before[:, 6 - back :])


def test_a_fork_and_a_saved_state_go_on_alike(decoder, text, given):
    engine = make(decoder, *text, SEEDS, NESTED, given)
    draw(engine, 3)
    fork = engine.select([1, 0], [6, 5])
    again = make(decoder, *text, SEEDS, NESTED)
    again.load_state({name: tensor.clone() for name, tensor in engine.state().items()})
    rest = draw(engine, 3)
    assert torch.equal(draw(fork, 3), rest[[1, 0]])
    assert torch.equal(draw(again, 3), rest)


def test_forwards_that_are_replayed_draw_the_same(decoder, text, given):
    """As a GPU has them: all shapes stay, and each part of a frame has its own recording."""
    recorded = []

    def capture(work: Any) -> Any:
        recorded.append(work)
        return work

    engine = make(decoder, *text, SEEDS, GUIDED, given, capture=capture)
    assert torch.equal(draw(engine, 6), draw(make(decoder, *text, SEEDS, GUIDED, given), 6))
    assert len(recorded) == len(engine.samplers) == 2


def test_another_prompt_reads_the_window_again_with_what_was_given(decoder, text, given):
    states, mask = text
    engine = make(decoder, states, mask, SEEDS, PLAIN, given)
    draw(engine, 2)
    engine.set_text(states.flip(0), mask.flip(0), window="recompute")
    later = draw(engine, 1)
    fresh = make(decoder, states.flip(0), mask.flip(0), SEEDS, PLAIN, given)
    for codes, sound in zip(engine.past[:2], engine.sounds):
        fresh.feed(codes, sound)
    assert torch.equal(draw(fresh, 1), later)


def test_without_sound_frames_are_as_in_a_model_without(decoder, text, given):
    engine = make(decoder, *text, SEEDS, NESTED, given, sound=False)
    assert engine.ring.length == decoder.order.length
    assert torch.equal(draw(engine), naive(decoder, text, given, NESTED, sound=False))


def test_sound_changes_the_pictures_after_it_and_not_its_own(decoder, text, given):
    heard = draw(make(decoder, *text, SEEDS, PLAIN, given))
    silent = draw(make(decoder, *text, SEEDS, PLAIN, given, sound=False))
    G = silent.shape[2]
    assert torch.equal(heard[:, 0, :G], silent[:, 0])
    assert not torch.equal(heard[:, :, :G], silent)


def test_clips_without_sound_train_as_in_a_model_without(decoder, text, given):
    """The rows that are silent do not depend on the codes of sound that the batch holds."""
    codes = torch.randint(4, (B, FRAMES, 2, 3, *[3] * (decoder.config.codebooks > 1)))
    sound = torch.randint(10, (B, FRAMES, decoder.config.sound.codes))
    silent = torch.tensor([True, False])
    mixed = decoder(codes, *text, given=given, sound_BTX=sound, silent_B=silent)[0]
    alone = decoder(codes, *text, given=given)
    heard = decoder(codes, *text, given=given, sound_BTX=sound)[0]
    assert torch.allclose(mixed[0], alone[0], rtol=0, atol=1e-12)
    assert torch.allclose(mixed[1], heard[1], rtol=0, atol=1e-12)
    assert not torch.allclose(heard[0], alone[0], rtol=0, atol=1e-3)


def test_sound_of_a_picture_that_is_given_is_drawn_for_it(decoder, text, given):
    whole = make(decoder, *text, SEEDS, PLAIN, given)
    draw(whole, 2)
    fed = make(decoder, *text, SEEDS, PLAIN, given)
    for picture in whole.past[:2]:
        fed.feed(picture)
    assert all(torch.equal(*pair) for pair in zip(fed.sounds, whole.sounds))
    assert torch.equal(draw(fed, 3), draw(whole, 3))


def test_what_a_model_does_not_take_is_refused(make_decoder, text, given):
    decoder = make_decoder(conditions={"actions": 4})
    with pytest.raises(ValueError, match="takes no 'regions'; its further conditions: actions"):
        SamplingEngine(decoder, *text, SEEDS, PLAIN, {"regions": given["regions"]})
    with pytest.raises(ValueError, match="no weight can be given to 'regions'"):
        SamplingEngine(decoder, *text, SEEDS, NESTED)
    with pytest.raises(ValueError, match="this model draws no sound"):
        make(decoder, *text, SEEDS, PLAIN)


# ---- from Python, through the pipeline ----


@pytest.fixture
def acting(generator: VideoGenerator) -> VideoGenerator:
    """The debug generator with a decoder that takes actions and regions."""
    torch.manual_seed(3)
    values = generator.decoder.config.to_dict()
    config = DecoderConfig.from_dict(values | {"conditions": {"actions": 4, "regions": 5}})
    decoder = Decoder(config)
    decoder.load_state_dict(generator.decoder.state_dict(), strict=False)
    for network in decoder.ports.values():
        nn.init.normal_(network.weight, std=0.5)
    return VideoGenerator(decoder, generator.tokenizer, generator.text).eval()


def test_a_video_follows_its_actions_whole_streamed_and_in_a_session(
    acting: VideoGenerator, tmp_path: Path
) -> None:
    actions = [0, 1, 3, 2]
    regions = torch.tensor([[0, 1, 2], [3, 4, -1]])
    whole = acting.generate("a red ball", 13, actions=actions, regions=regions)
    stream = acting.stream("a red ball", actions=actions, regions=regions)
    assert torch.equal(torch.cat([next(stream) for _ in range(4)], dim=2), whole)
    assert not torch.equal(acting.generate("a red ball", 13, regions=regions), whole)
    session = acting.session("a red ball", regions=regions)
    chunks = []
    for action in actions[:2]:
        session.act(action)
        chunks.append(next(session))
    session.save(tmp_path / "half.safetensors")
    later = acting.load_session(tmp_path / "half.safetensors")
    for action in actions[2:]:
        later.act(action)
        chunks.append(next(later))
    assert torch.equal(torch.cat(chunks, dim=2), whole)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"sound": True}, "this model draws no sound; leave sound out"),
        ({"noise": 1}, "takes no 'noise'; it takes prompt, negative, init, actions, regions"),
        ({"actions": [0, 4]}, "actions of this model are 0 to 3, or -1 for none; got 4"),
        ({"actions": 0.5}, "actions must be an integer"),
        ({"regions": torch.zeros(2, 3)}, "regions must be integers"),
        ({"regions": torch.full((2, 3), 7)}, "regions of this model are 0 to 4"),
    ],
)
def test_mistakes_are_named(acting: VideoGenerator, given: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        acting.session("a red ball", **given)


def test_a_model_with_conditions_is_saved_and_loaded(acting, tmp_path: Path) -> None:
    acting.save_pretrained(tmp_path, half=False)
    loaded = VideoGenerator.from_pretrained(tmp_path)
    assert loaded.decoder.config == acting.decoder.config
    video = acting.generate("a red ball", 5, actions=2)
    assert torch.equal(loaded.generate("a red ball", 5, actions=2), video)


def test_models_without_further_conditions_keep_their_config(generator: VideoGenerator) -> None:
    values = generator.decoder.config.to_dict()
    assert values["num_actions"] == values["grid_vocab"] == 0
    assert "conditions" not in values
    assert DecoderConfig.from_dict(values) == generator.decoder.config
    former = DecoderConfig.from_dict(values | {"num_actions": 3, "grid_vocab": 2})
    assert dict(former.conditions) == {"actions": 3, "regions": 2}
