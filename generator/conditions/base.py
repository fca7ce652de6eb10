"""The contract of a condition: what it says of itself, and what it makes of what a person gives.

There are four ways into the decoder, its ports:

- past    codes of frames that are given; the video goes on from them
- prefix  tokens that every frame may look at, such as the states of a sentence
- header  one vector for each latent frame, such as an action
- grid    one vector for each cell of a latent frame, such as the region that it belongs to

A condition that is not given adds nothing: no token to the prefix, zero to header and grid.

Legend: B videos, T latent frames, H W latent grid, P prefix tokens, D model width.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ..model.config import DecoderConfig
    from ..pipeline import VideoGenerator

Kind = Literal["sentence", "picture", "clip", "sound", "number", "choice", "file"]
Port = Literal["past", "prefix", "header", "grid"]
Say = Callable[[str], None]


@dataclass(frozen=True)
class Canvas:
    """The videos that a value is read for: their size in pixels, frames per second and frames, and
    the frames of every latent frame but the first."""

    height: int
    width: int
    fps: float
    frames: int
    frames_per_latent: int


@dataclass(frozen=True)
class Features:
    """What a condition gives to its network, one row per video.

    `values` is [B, P, …] for the prefix, [B, T, …] for the header, [B, T, H, W, …] for the grid;
    `given`, bool [B, P], [B, T] or, of the grid, also [B, T, H, W], says where anything is given.
    """

    values: Tensor
    given: Tensor

    def rows(self, rows: Any) -> Features:
        """Those of some videos."""
        return Features(self.values[rows], self.given[rows])

    def frame(self, index: int) -> Features:
        """Those of one latent frame."""
        frames = slice(index, index + 1)
        return Features(self.values[:, frames], self.given[:, frames])

    def off(self) -> Features:
        """The same with nothing given."""
        return Features(self.values, self.given & False)


class Condition(ABC):
    """One kind of thing that a person gives. The classes have no state.

    Attributes:
        name: of the option, the key of a request and the field of a page; an identifier.
        label: what a page calls it; by default its name.
        help: what it does, in a line or two.
        kind: of value; it decides how a page asks for it.
        port: how it gets into the decoder.
        shape: of a value in Python, in words.
        choices: the words that a choice may be; () for other kinds, or where the model decides.
        guidance: its guidance weight unless `SamplingParams.weights` names another; at 1 it is
            followed as in training and costs nothing.
        dropout: share of the training clips that are trained without it.
    """

    name: ClassVar[str]
    label: ClassVar[str] = ""
    help: ClassVar[str]
    kind: ClassVar[Kind]
    port: ClassVar[Port]
    shape: ClassVar[str]
    choices: ClassVar[tuple[str, ...]] = ()
    guidance: ClassVar[float] = 1.0
    dropout: ClassVar[float] = 0.1

    def check(self, text: str) -> None:
        """Raise ValueError, in one line, for text that can never become a value. It is asked
        before a model is loaded."""
        return

    def limits(self, size: int) -> tuple[float, float] | None:
        """The lowest and the highest number that a value may hold, or None if any may be.

        Args:
            size: as in `network`.
        """
        return None

    @abstractmethod
    def parse(self, text: str, canvas: Canvas, say: Say = print) -> Any:
        """The value that text from a command line or a request stands for.

        Args:
            say: is told in a line what a person should know, such as what was left out.

        Raises:
            ValueError: text that is no such value, with the way out.
        """

    @abstractmethod
    def features(self, value: Any, videos: int, model: VideoGenerator) -> Any:
        """What the model reads of a value: `Features`, or codes [B, T, G] for the port "past".

        Args:
            value: one for all videos, or a list with one for each.

        Raises:
            ValueError: a value of another type, shape or range, with what was expected.
        """

    def recorded(self, actions: Tensor, frames_per_latent: int, size: int) -> Features | None:
        """What the model reads of actions that were recorded with videos, float [B, F, A], where
        row f leads to frame f + 1; None for a condition that is no action.

        Raises:
            ValueError: actions of another size or range than the model was made for.
        """
        return None

    def network(self, size: int, config: DecoderConfig) -> nn.Module:
        """What turns the values of `Features` into vectors of the model's width: [B, P, D],
        [B, T, D] or [B, T, H, W, D].

        Args:
            size: the number that the config of the decoder gives for this condition, such as how
                many choices there are or how wide its features are.
        """
        raise TypeError(f"{self.name} needs no network of its own")
