"""Videos that are made together and come and go on their own.

    batch = VideoBatch(generator)
    ball = batch.session("a red ball rolls", seed=0)
    for session, chunk in batch:  # of one of them what its own iterator gives
        ...                       # other sessions may join, leave, and take another prompt

Each gives the video that it gives alone, and one forward draws tokens of all of them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

from torch import Tensor

from ..tokenizer import VideoCodes
from .pipeline import VideoGenerator
from .sampling.continuous import ContinuousBatch
from .sampling.params import SamplingParams
from .sampling.quantize import SamplingWeights
from .session import VideoSession


class VideoBatch:
    """Sessions of one model that grow in common forwards.

    A session that is here must not `keep` some of its videos only, or be saved; `leave` comes
    first.

    Args:
        generator: the model. Its weights are packed now, and must not change afterwards.
    """

    def __init__(self, generator: VideoGenerator) -> None:
        self.generator = generator
        self.weights = SamplingWeights(generator.decoder)
        self.sessions: list[VideoSession] = []
        self._batch = ContinuousBatch()
        self._ready: deque[tuple[VideoSession, Any]] = deque()

    def session(
        self,
        prompt: str | Sequence[str],
        seed: int | Sequence[int] = 0,
        params: SamplingParams | None = None,
        init: Tensor | VideoCodes | None = None,
        undo: int = 1,
        **conditions: Any,
    ) -> VideoSession:
        """A session that grows here from now on; arguments and errors are those of
        `VideoGenerator.session`."""
        weights = self.weights
        session = self.generator.session(
            prompt, seed, params, init, undo, weights=weights, **conditions
        )
        self.join(session)
        return session

    def join(self, session: VideoSession) -> None:
        """Take in a session, a new one or one that has left.

        Raises:
            ValueError: it is here already, or was made elsewhere.
        """
        if session.engine.weights is not self.weights:
            raise ValueError("this session was made elsewhere; make it with batch.session()")
        if session in self.sessions:
            raise ValueError("this session is in the batch already")
        self.sessions.append(session)
        if not session.given:
            self._batch.join(session.engine)

    def leave(self, session: VideoSession) -> None:
        """Give a session back to itself; it goes on alone where it stands.

        Raises:
            ValueError: it is not here.
        """
        if session not in self.sessions:
            raise ValueError("this session is not in the batch")
        self.sessions.remove(session)
        self._ready = deque(each for each in self._ready if each[0] is not session)
        if session.engine in self._batch.engines:
            self._batch.leave(session.engine)

    def is_between_frames(self, session: VideoSession) -> bool:
        """Whether prompt and conditions of a session may change now: the next frame has not
        begun, as when it has just been returned."""
        return self._batch.is_between_frames(session.engine)

    # ---- growing ----

    def __iter__(self) -> Iterator[tuple[VideoSession, Any]]:
        """Goes on as long as there is a session."""
        while self.sessions:
            yield next(self)

    def __next__(self) -> tuple[VideoSession, Any]:
        """A session that has completed a latent frame, and its pixels [B, 3, f, Y, X]; with sound
        a pair of them and of its samples [B, l].

        Raises:
            StopIteration: there is no session.
        """
        if not self.sessions:
            raise StopIteration
        while not self._ready:
            self._ready.extend(self.step())
        return self._ready.popleft()

    def step(self) -> list[tuple[VideoSession, Any]]:
        """Run the decoder once; returns who has completed a latent frame, with its chunk."""
        completed = [(each, self._take_given(each)) for each in self.sessions if each.given]
        owners = {session.engine: session for session in self.sessions}
        for engine, codes_BG in self._batch.step():
            session = owners[engine]
            completed.append((session, session.decoded(codes_BG)))
        return completed

    def _take_given(self, session: VideoSession) -> Any:
        """Frames that are given have codes already; the session draws with the others after
        them."""
        chunk = session.take_given()
        if not session.given:
            self._batch.join(session.engine)
        return chunk
