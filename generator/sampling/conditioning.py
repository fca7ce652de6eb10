"""What the rows of a batch are given: the sentence and further conditions, at each level of
guidance.

Level 0 has all that is given, each next level one guided condition less, the sentence last. The
rows of a level follow those of the level before.

Legend: B videos, R rows (B for each level), P prefix tokens, X tokens of a frame and one that is
nowhere, T tokens of one forward, D model width.
"""

import copy
from collections.abc import Collection, Iterator, Sequence

import torch
from torch import Tensor
from torch.nn.functional import pad

from ..conditions import CONDITIONS, Features
from ..conditions.negative import Negative
from ..conditions.text import Text
from ..model.config import DecoderConfig
from ..model.decoder import Decoder
from .guidance import guide_nested
from .params import SamplingParams
from .schedule import ConditionSchedule, Given


class Conditioning:
    """The conditions of a batch of videos.

    Args:
        decoder: embeds them.
        params: have the weights of guidance.
        text: of the sentences.
        given: features of further conditions, as for `give`.

    Raises:
        ValueError: a condition or a weight for one that the decoder does not take.
    """

    def __init__(
        self, decoder: Decoder, params: SamplingParams, text: Features, given: Given | None = None
    ) -> None:
        self.decoder = decoder
        self.params = params
        self.text = text
        self.weights = guided_conditions(decoder.config, params)
        self.prefix: dict[str, Features] = {}
        self.schedule = ConditionSchedule()
        ports = [CONDITIONS[name].port for name, _ in decoder.config.conditions]
        self.adds = "header" in ports or "grid" in ports
        for name, features in (given or {}).items():
            self.give(name, features)

    def levels(self, frame: int) -> int:
        """Of guidance, for a latent frame; 1 without any."""
        return 1 + len(self.weights) if self.params.guided(frame, self.weights) else 1

    def give(self, name: str, features: Features) -> bool:
        """Give a further condition from the next frame on; returns whether the prefix is another
        one now."""
        known = [name for name, _ in self.decoder.config.conditions]
        if name == Negative.name and Text.name not in self.weights:
            raise ValueError("negative needs guidance, and a guidance of 1 is none; set it above 1")
        if name not in (*known, Negative.name):
            others = ", ".join(known) or "none beside the prompt"
            raise ValueError(f"this model takes no '{name}'; its further conditions: {others}")
        if CONDITIONS[name].port == "prefix":
            self.prefix[name] = features
            return True
        self.schedule.give(name, features)
        return False

    def embed_prefix(self, levels: int) -> tuple[Tensor, Tensor]:
        """Prefix inputs [R, P, D] and the mask of what is real in them [R, P]."""
        given = dict(self.prefix)
        unwanted = given.pop(Negative.name, self.text.off())
        embedded = []
        for level in range(levels):
            off = self._off(level)
            text = unwanted if Text.name in off else self.text
            rows = len(text.values)
            rest = _without(given, off)
            embedded.append(self.decoder.embed_prefix(rows, text.values, text.given, rest))
        longest = max(mask_BP.shape[1] for _, mask_BP in embedded)
        prefix_RPD, mask_RP = (torch.cat(parts) for parts in zip(*_padded(embedded, longest)))
        return prefix_RPD, mask_RP

    def additions(self, given: Given, levels: int, length: int) -> Tensor | None:
        """What the ports header and grid add to the tokens of a frame, [R, X, D]; None for models
        without such ports.

        Args:
            length: tokens of a frame, with those of its sound, to which nothing is added.
        """
        if not self.adds:
            return None
        zero = self.decoder.no_text.new_zeros(
            len(self.text.values), 1, self.decoder.order.length, self.decoder.config.dim
        )
        added = [
            self.decoder.frame_additions(_without(given, self._off(level)))
            for level in range(levels)
        ]
        added_RLD = torch.cat([zero if level is None else level for level in added])[:, 0]
        return pad(added_RLD, (0, 0, 0, length + 1 - added_RLD.shape[1]))

    def mix(self, states_RTD: Tensor, levels: int) -> Tensor:
        """One row per video [B, T, D] from those of all levels, by their weights."""
        if levels == 1:
            return states_RTD
        return guide_nested(states_RTD.chunk(levels), list(self.weights.values()))

    def _off(self, level: int) -> Collection[str]:
        """The conditions that the rows of a level are without."""
        names = list(self.weights)
        return names[len(names) - level :] if level else ()

    # ---- other rows, and files ----

    def select(self, rows: Tensor) -> "Conditioning":
        """Those of these videos, each any number of times; this one stays as it is."""
        new = copy.copy(self)
        new.text = self.text.rows(rows)
        new.prefix = {name: features.rows(rows) for name, features in self.prefix.items()}
        new.schedule = self.schedule.select(rows)
        return new

    def state(self) -> dict[str, Tensor]:
        """All that is given beside the sentence, for `load_state`."""
        state = {f"schedule.{name}": tensor for name, tensor in self.schedule.state().items()}
        for name, features in self.prefix.items():
            state[f"prefix.{name}.values"] = features.values
            state[f"prefix.{name}.given"] = features.given
        return state

    def load_state(self, state: dict[str, Tensor], frames: int) -> None:
        """Take over a state, with so many latent frames that are remembered."""
        device = self.decoder.no_text.device
        schedule = {key[9:]: state[key] for key in state if key.startswith("schedule.")}
        self.schedule.load_state(schedule, frames, device)
        for key in [key for key in state if key.startswith("prefix.") and key.endswith(".values")]:
            name = key.split(".")[1]
            given = state[f"prefix.{name}.given"].to(device)
            self.prefix[name] = Features(state[key].to(device), given)


def guided_conditions(config: DecoderConfig, params: SamplingParams) -> dict[str, float]:
    """Names and weights of the conditions that are guided, in the order in which they are
    nested."""
    weights = {Text.name: params.guidance}
    for name, _ in config.conditions:
        weights[name] = params.weights.get(name, CONDITIONS[name].guidance)
    unknown = sorted(set(params.weights) - set(weights))
    if unknown:
        known = ", ".join(name for name, _ in config.conditions) or "none"
        raise ValueError(f"no weight can be given to {unknown[0]!r}; further conditions: {known}")
    return {name: weight for name, weight in weights.items() if weight != 1}


def _padded(
    embedded: Sequence[tuple[Tensor, Tensor]], length: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """The same, each with nothing behind it up to a length."""
    for prefix_BPD, mask_BP in embedded:
        room = length - mask_BP.shape[1]
        yield pad(prefix_BPD, (0, 0, 0, room)), pad(mask_BP, (0, room))


def _without(given: Given, names: Collection[str]) -> Given:
    """The same with some conditions not given."""
    return {name: f.off() if name in names else f for name, f in given.items()}
