"""How codes are drawn: the one place where a setting of sampling is defined.

The command line, sessions, saved files and benchmarks are derived from these fields and their
docstring: a new setting is one line here and one in the docstring.
"""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Literal, get_args

from ...files.config_fields import integer, real

LEAST_CHANCE = 1e-20  # temperatures below it draw as 0 does
Accelerate = Literal["exact", "distribution", "off"]

# Numbers that count latent frames here and frames on the command line: how one becomes the other.
WINDOW = {"latents": lambda frames, k: -(-frames // k)}
FROM_THE_FIRST = {"latents": lambda frames, k: 1 + -(-(frames - 1) // k)}  # which is one frame


@dataclass(frozen=True)
class SamplingParams:
    """How codes are drawn.

    Args:
        guidance: how strictly to follow the sentence: 0 ignores it, 1 is the model as it was
            trained, more goes beyond.
        temperature: randomness of each choice, 0 (always the likeliest code) to 1 and beyond; the
            logits are divided by it.
        top_k: draw from this many of the likeliest codes only; 0 for all.
        top_p: draw from the likeliest codes that together have this probability; 1 for all.
        min_p: draw from codes with at least this share of the likeliest code's probability; 0 for
            all. This is cheaper than top_k and top_p, which sort.
        accelerate: draft several codes at once and verify them: "exact" gives the video that "off"
            gives (but for ties within rounding), in fewer forwards; "distribution" gives another
            one, equally likely, in still fewer, which also depends on how many videos are made at
            once.
        guidance_frames: guide only so many frames from the first on, and save the work for the
            others; without it all frames are guided.
        window: how many frames back the model looks, the present one included; without it as many
            as in training.
        weights: guidance of further conditions of the model, by their name; those that are not
            named have the weight that their class gives them, which is 1 unless it says otherwise.

    Raises:
        ValueError: a value out of range.
    """

    guidance: float = 2.0
    temperature: float = 0.8
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.1
    accelerate: Accelerate = "exact"
    guidance_frames: int | None = field(default=None, metadata=FROM_THE_FIRST)
    window: int | None = field(default=None, metadata=WINDOW)
    weights: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._take_numbers()
        if not 0 <= self.temperature < math.inf:
            raise ValueError(
                f"temperature must be 0 (the likeliest code) or more; got {self.temperature}"
            )
        if self.top_k < 0:
            raise ValueError(f"top_k must be 0 (all codes) or more; got {self.top_k}")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p must be above 0 and at most 1 (all codes); got {self.top_p}")
        if not 0 <= self.min_p <= 1:
            raise ValueError(
                f"min_p must be 0 (all codes) to 1 (the likeliest code); got {self.min_p}"
            )
        if not 0 <= self.guidance < math.inf:
            raise ValueError(f"guidance must be 0 or more (1 is none); got {self.guidance}")
        for name, weight in self.weights.items():
            if not 0 <= weight < math.inf:
                raise ValueError(
                    f"the weight of {name} must be 0 or more (1 is none); got {weight}"
                )
        if self.guidance_frames is not None and self.guidance_frames < 0:
            raise ValueError(f"guidance_frames must be 0 or more; got {self.guidance_frames}")
        if self.window is not None and self.window < 1:
            raise ValueError(f"window must be at least 1; got {self.window}")
        if self.accelerate not in get_args(Accelerate):
            raise ValueError(
                f"accelerate must be one of {', '.join(get_args(Accelerate))}; "
                f"got {self.accelerate!r}"
            )

    def _take_numbers(self) -> None:
        """Turn numbers of numpy and PyTorch into Python's."""
        for name in ("guidance", "temperature", "top_p", "min_p"):
            object.__setattr__(self, name, real(getattr(self, name), name))
        object.__setattr__(self, "top_k", integer(self.top_k, "top_k"))
        for name in ("guidance_frames", "window"):
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, integer(value, name))
        weights = {
            name: real(weight, f"the weight of {name}") for name, weight in self.weights.items()
        }
        object.__setattr__(self, "weights", weights)

    @property
    def greedy(self) -> bool:
        """Whether the likeliest code is always drawn: chance is out of sight long before logits
        that are divided by the temperature leave the range of float32."""
        return self.temperature < LEAST_CHANCE

    def in_latents(self, frames_per_latent: int) -> "SamplingParams":
        """The same with numbers of frames turned into numbers of latent frames."""
        counted = {
            each.name: each.metadata["latents"](getattr(self, each.name), frames_per_latent)
            for each in fields(self)
            if "latents" in each.metadata and getattr(self, each.name) is not None
        }
        return replace(self, **counted)

    def guided(self, frame: int, others: Collection[str] = ()) -> bool:
        """Whether a latent frame is drawn under guidance: of the sentence, or of other conditions
        that are guided."""
        guides = self.guidance != 1 or len(others) > 0
        return guides and (self.guidance_frames is None or frame < self.guidance_frames)
