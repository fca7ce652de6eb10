"""What conditions of the ports header and grid give for the frames to come, and what they gave for
the frames that are remembered.

Legend: B videos, T latent frames.
"""

import copy
from collections import deque

import torch
from torch import Tensor

from ..conditions import Features

Given = dict[str, Features]  # of one latent frame, [B, 1, …]


class ConditionSchedule:
    """A queue of features for each condition, and what is held when its queue is empty.

    Nothing is given for a frame whose condition has neither.
    """

    def __init__(self) -> None:
        self.coming: dict[str, deque[Features]] = {}
        self.held: Given = {}
        self.past: list[Given] = []  # of the sinks and of the last frames, as codes are remembered

    def give(self, name: str, features: Features) -> None:
        """From the next frame on: one latent frame's features hold until others come, those of
        several frames are used up one after another. Both replace what was given before."""
        frames = [features.frame(index) for index in range(features.given.shape[1])]
        self.held.pop(name, None)
        self.coming[name] = deque(frames)
        if len(frames) == 1:
            self.held[name] = self.coming[name].popleft()

    def next(self) -> Given:
        """What is given for the frame that begins; `keep` has to follow when it is drawn."""
        given = dict(self.held)
        given |= {name: queue[0] for name, queue in self.coming.items() if queue}
        return given

    def keep(self, sinks: int, remembered: int) -> None:
        """The frame is drawn: go on to the next one."""
        self.past.append(self.next())
        if len(self.past) > sinks + remembered:
            del self.past[sinks]
        for queue in self.coming.values():
            if queue:
                queue.popleft()

    def rewind(self, frames: int) -> None:
        """Give again what was given for the last frames."""
        for given in reversed(self.past[len(self.past) - frames :]):
            for name in {*given, *self.coming}:
                queue = self.coming.setdefault(name, deque())
                if name in given:
                    queue.appendleft(given[name])
                elif queue:  # a frame without it, so that the others stay at their frames
                    queue.appendleft(queue[0].off())
        del self.past[len(self.past) - frames :]

    def forget(self, sinks: int, last: int = 0) -> None:
        """Keep of the past the sinks and so many of the last frames."""
        rest = self.past[sinks:]
        self.past = self.past[:sinks] + rest[len(rest) - min(last, len(rest)) :]

    def select(self, rows: Tensor) -> "ConditionSchedule":
        """That of these videos, each any number of times."""
        new = copy.copy(self)
        new.coming = {
            name: deque(features.rows(rows) for features in queue)
            for name, queue in self.coming.items()
        }
        new.held = _rows(self.held, rows)
        new.past = [_rows(given, rows) for given in self.past]
        return new

    # ---- files ----

    def state(self) -> dict[str, Tensor]:
        """All of it, for `load_state`."""
        found: dict[str, Features] = {f"held.{name}": f for name, f in self.held.items()}
        for name, queue in self.coming.items():
            found |= {f"coming.{name}.{index}": f for index, f in enumerate(queue)}
        for index, given in enumerate(self.past):
            found |= {f"past.{name}.{index}": f for name, f in given.items()}
        state: dict[str, Tensor] = {}
        for key, features in found.items():
            state[f"{key}.values"] = features.values.clone()  # frames share what is held
            state[f"{key}.given"] = features.given.clone()
        return state

    def load_state(self, state: dict[str, Tensor], frames: int, device: torch.device) -> None:
        """Take over a state, for so many frames that are remembered; it may be empty."""
        self.coming = {}
        self.held = {}
        self.past = [{} for _ in range(frames)]
        keys = [key.removesuffix(".values") for key in state if key.endswith(".values")]
        for key in sorted(keys, key=lambda key: int(key.rsplit(".", 1)[1]) if key[0] != "h" else 0):
            features = Features(state[f"{key}.values"].to(device), state[f"{key}.given"].to(device))
            kind, name, *index = key.split(".")
            if kind == "held":
                self.held[name] = features
            elif kind == "coming":
                self.coming.setdefault(name, deque()).append(features)
            else:
                self.past[int(index[0])][name] = features


def _rows(given: Given, rows: Tensor) -> Given:
    return {name: features.rows(rows) for name, features in given.items()}
