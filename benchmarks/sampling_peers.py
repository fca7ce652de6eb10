"""Decoders of equal size that draw tokens: ours, and those of transformers.

A `Loop` has read a context and draws the tokens of one frame after it, as often as it is called.
The time of a forward pass does not depend on the weights, so the peers have random ones. How many
drafts are accepted does depend on them, so ours are those of the model.
"""

import dataclasses
import itertools
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

import torch
from kinetoscope.generator import DecoderConfig, SamplingParams, VideoGenerator
from torch import Tensor
from turns import Runner, take_turns

TEMPERATURE = 0.8
SCALE = 2.0
PREFIX = 10  # tokens of a prompt
PROMPTS = [
    f"a large {c} {s} rolls to the left"
    for s in ("ball", "cube")
    for c in ("red", "blue", "green", "yellow")
]
OURS = {"off": "ours, one by one", "exact": "ours, exact drafts"}


@dataclass(frozen=True)
class Case:
    """One case: the number of videos at once, whether with guidance, and frames of the past."""

    name: str
    target: float
    past: int
    rows: int = 1
    guided: bool = False


@dataclass
class Loop:
    """A loop that draws `tokens` tokens, and the seconds of each of its turns.

    `draw` draws them once and returns when it began and when it ended, by `clock`.
    """

    name: str
    tokens: int
    draw: Callable[[], tuple[float, float]]
    seconds: list[float] = field(default_factory=list)

    def turn(self) -> float:
        begin, end = self.draw()
        self.seconds.append(end - begin)
        return end - begin


def run_turns(loops: list[Loop], rounds: int) -> None:
    with torch.inference_mode():
        take_turns(cast(list[Runner], loops), rounds)


def seconds(loop: Loop) -> float:
    """Per token, the median of its turns."""
    return statistics.median(loop.seconds) / loop.tokens


def clock(device: str) -> float:
    """Seconds of the processor, over all its cores; on a GPU seconds that pass."""
    if device == "cuda":
        torch.cuda.synchronize()
        return time.perf_counter()
    return time.process_time()


def our_loop(
    generator: VideoGenerator, case: Case, accelerate: str, window: int | None = None
) -> Loop:
    """Draws the frame after `case.past` frames of its own, with other seeds in each turn."""
    device = generator.decoder.no_text.device.type
    params = SamplingParams(guidance=SCALE if case.guided else 1.0, window=window)
    session = generator.session(PROMPTS[: case.rows], params=params).engine
    with torch.inference_mode():
        for _ in range(case.past):
            session.draw()
    session.params = dataclasses.replace(params, accelerate=accelerate)

    def draw() -> tuple[float, float]:
        begin = clock(device)
        session.draw()
        end = clock(device)
        session.rewind(1)
        session.seeds = [seed + case.rows for seed in session.seeds]
        return begin, end

    return Loop(OURS[accelerate], case.rows * generator.decoder.config.cells, draw)


def our_clip(generator: VideoGenerator, frames: int, accelerate: str) -> Loop:
    """Draws all codes of a clip under guidance, with its prompt; another seed in each turn."""
    device = generator.decoder.no_text.device.type
    params = SamplingParams(guidance=SCALE, accelerate=accelerate)
    seeds = itertools.count()

    def draw() -> tuple[float, float]:
        begin = clock(device)
        session = generator.session(PROMPTS[0], next(seeds), params).engine
        for _ in range(frames):
            session.draw()
        return begin, clock(device)

    return Loop(OURS[accelerate], frames * generator.decoder.config.cells, draw)


def window_tokens(config: DecoderConfig, window: int | None = None) -> int:
    """The most tokens that a token of our decoder sees."""
    return PREFIX + (config.sinks + (window or config.window)) * (1 + config.cells)


def peer(
    name: str, config: DecoderConfig, dtype: torch.dtype, device: str, window: int | None = None
) -> Any:
    """Llama or Mistral with the layers, heads, codes, width and number of weights of ours."""
    from transformers import LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM

    sizes: dict[str, Any] = dict(
        vocab_size=config.vocab_size,
        hidden_size=config.dim,
        intermediate_size=config.hidden,
        num_hidden_layers=config.layers,
        num_attention_heads=config.heads,
        num_key_value_heads=config.kv_heads,
        head_dim=config.head_size,
        max_position_embeddings=100_000,
        bos_token_id=None,
        eos_token_id=None,
        attn_implementation="sdpa",
    )
    torch.manual_seed(0)
    if name == "Llama":
        model: Any = LlamaForCausalLM(LlamaConfig(**sizes))
    else:
        model = MistralForCausalLM(
            MistralConfig(sliding_window=window_tokens(config, window), **sizes)
        )
    return model.to(device, dtype).eval()


class Stamps:
    """A logits processor that notes the time of every token.

    With guidance it also draws one token for both rows.
    """

    def __init__(self, guided: bool, device: str) -> None:
        self.guided = guided
        self.device = device
        self.times = list[float]()

    def __call__(self, ids_BL: Tensor, logits_BV: Tensor) -> Tensor:
        self.times.append(clock(self.device))
        if not self.guided:
            return logits_BV
        with_prompt_BV, without_BV = logits_BV.chunk(2)
        mixed_BV = torch.lerp(without_BV, with_prompt_BV, SCALE) / TEMPERATURE
        drawn_B1 = torch.multinomial(mixed_BV.float().softmax(-1), 1)
        return torch.full_like(logits_BV, -torch.inf).scatter_(1, drawn_B1.repeat(2, 1), 0.0)


def peer_loop(
    model: Any, case: Case, config: DecoderConfig, cache: str, frames: int = 1, device: str = "cpu"
) -> Loop:
    """A loop over the peer's `generate`, with and without prompt in one batch under guidance.

    The first token, which includes reading the context, is not timed.

    Args:
        cache: "dynamic" or "static".
        frames: how many frames to draw in one call, of as many tokens as our frames have codes.
    """
    torch.manual_seed(0)
    rows = case.rows * (2 if case.guided else 1)
    context = PREFIX + case.past * (1 + config.cells)
    ids_BL = torch.randint(config.vocab_size, (rows, context), device=device)
    tokens = frames * config.cells

    def draw() -> tuple[float, float]:
        stamps = Stamps(case.guided, device)
        model.generate(
            ids_BL,
            attention_mask=torch.ones_like(ids_BL),
            max_new_tokens=tokens + 1,
            do_sample=True,
            temperature=1.0 if case.guided else TEMPERATURE,
            top_k=0,
            logits_processor=[stamps],
            pad_token_id=0,
            **{"cache_implementation": cache} if cache != "dynamic" else {},
        )
        return stamps.times[0], stamps.times[-1]

    return Loop(
        f"{type(model).__name__.removesuffix('ForCausalLM')}, {cache} cache",
        case.rows * tokens,
        draw,
    )
