"""What an operator allows: a hook between a request and its drawing.

A policy is a class whose objects are called with a `Request` and answer with `allow()`,
`refuse(reason)` or `change(request)`. It is named by its dotted path, or `lists:FOLDER` for the
shipped one (see `policy_lists`). Nothing that a command draws goes past it: sentences and
conditions of every kind come to the model through `GuardedGenerator`, which asks it each time. A
policy that fails refuses.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from torch import Tensor

from ...generator.pipeline import VideoGenerator
from ...generator.sampling.params import SamplingParams
from ...generator.sampling.quantize import SamplingWeights
from ...generator.session import VideoSession
from ...tokenizer import VideoCodes

LISTS = "lists:"
FOR_ALL = "KINETOSCOPE_POLICY"  # environment variable: a policy for every command
log = logging.getLogger("kinetoscope.policy")
_user: ContextVar[str | None] = ContextVar("user", default=None)
_is_checked: ContextVar[bool] = ContextVar("is_checked", default=False)


class Refused(ValueError):
    """A policy does not allow a request; the text is for the user."""


@dataclass(frozen=True)
class Request:
    """What somebody wants drawn.

    prompt: the sentence, or None where only a condition changes; conditions: what else was given,
    by name, as the model takes it (pictures and clips as float [1 or B, 3, F, Y, X] in [-1, 1]);
    user: who asks, where that is known.
    """

    prompt: str | None = None
    conditions: Mapping[str, Any] = field(default_factory=dict)
    user: str | None = None


@dataclass(frozen=True)
class Answer:
    """request: what may be drawn, or None; reason: why not, for the user to read."""

    request: Request | None
    reason: str = ""


class Policy(Protocol):
    """Called with every request before anything of it is drawn."""

    def __call__(self, request: Request) -> Answer: ...


def allow(request: Request) -> Answer:
    return Answer(request)


def refuse(reason: str) -> Answer:
    return Answer(None, reason)


def change(request: Request, **changes: Any) -> Answer:
    """Allow another request in its place, such as `change(request, prompt="a garden")`."""
    return Answer(replace(request, **changes))


def load_policies(name: str | None) -> list[Policy]:
    """The policy that was asked for, and the one of the environment variable KINETOSCOPE_POLICY.

    Raises:
        ValueError: there is no such class or folder, or it cannot be made.
    """
    names = [each for each in (os.environ.get(FOR_ALL), name) if each]
    return [_load(each) for each in dict.fromkeys(names)]


def _load(name: str) -> Policy:
    if name.startswith(LISTS):
        from .policy_lists import ListPolicy

        return ListPolicy(name.removeprefix(LISTS))
    module, _, kind = name.rpartition(".")
    try:
        policy = getattr(importlib.import_module(module), kind)()
    except (ImportError, AttributeError, ValueError, TypeError) as error:
        raise ValueError(
            f"the policy '{name}' cannot be had ({error}); give the dotted path of a class that "
            "Python can import and that needs no arguments, or lists:FOLDER"
        ) from None
    if not callable(policy):
        raise ValueError(f"the policy '{name}' cannot be called with a request")
    return policy


class Gate:
    """Asks policies, one after another, and keeps a log of what they refuse.

    Args:
        policies: all of them must allow.
        logs_content: the log shows sentences and names of conditions of what was refused.
    """

    def __init__(self, policies: Sequence[Policy] = (), logs_content: bool = False) -> None:
        self.policies = list(policies)
        self.logs_content = logs_content

    def check(self, request: Request) -> Request:
        """What may be drawn.

        Raises:
            Refused: with the reason.
        """
        if request.user is None:
            request = replace(request, user=_user.get())
        for policy in self.policies:
            try:
                answer = policy(request)
                allowed, reason = answer.request, answer.reason
            except Exception as error:
                log.error("the policy %s failed: %s", type(policy).__name__, type(error).__name__)
                allowed, reason = None, "the rules of this place could not be asked"
            if allowed is None:
                self._log(policy, request, reason)
                raise Refused(f"this is not drawn: {reason or 'it is against the rules here'}")
            request = allowed
        return request

    def _log(self, policy: Policy, request: Request, reason: str) -> None:
        who = "somebody" if request.user is None else request.user
        content = f": {request.prompt!r}, {sorted(request.conditions)}" * self.logs_content
        log.warning(
            "%s refused a request of %s (%s)%s", type(policy).__name__, who, reason, content
        )


@contextlib.contextmanager
def acting_for(user: str | None) -> Iterator[None]:
    """What is asked for in the block is asked for by a user."""
    token = _user.set(user)
    try:
        yield
    finally:
        _user.reset(token)


class GuardedGenerator(VideoGenerator):
    """A generator that asks a gate before it reads any sentence or condition, whichever way it
    comes: at the start of a session, in its middle, or out of a file."""

    gate: Gate = Gate()

    def session(
        self,
        prompt: str | Sequence[str],
        seed: int | Sequence[int] = 0,
        params: SamplingParams | None = None,
        init: Tensor | VideoCodes | None = None,
        undo: int = 1,
        weights: SamplingWeights | None = None,
        sound: bool = False,
        **conditions: Any,
    ) -> VideoSession:
        """As `VideoGenerator.session`, for what the gate allows."""
        prompts = [prompt] if isinstance(prompt, str) else list(prompt)
        given: dict[str, Any] = {"init": init, **conditions}
        if not _is_checked.get():
            prompts, given = self.checked(prompts, given)
        token = _is_checked.set(True)
        try:
            more: dict[str, Any] = {"undo": undo, "weights": weights, "sound": sound}
            return super().session(prompts, seed, params, **more, **given)
        finally:
            _is_checked.reset(token)

    def features(self, name: str, value: Any, videos: int) -> Any:
        """As `VideoGenerator.features`, for what the gate allows."""
        if not _is_checked.get():
            if name == "prompt":
                value = [self.gate.check(Request(prompt)).prompt for prompt in value]
            else:
                _, passed = self._ask([None], {name: value})
                value = passed[name]
        return super().features(name, value, videos)

    def load_session(self, path: str | os.PathLike[str]) -> VideoSession:
        """As `VideoGenerator.load_session`, if the gate allows its sentences, and the frames that
        it goes on from, which are asked about as an `init`.

        Raises:
            Refused: the gate does not allow them, or only with changes to the frames.
        """
        token = _is_checked.set(True)
        try:
            session = super().load_session(path)
            frames = session.remembered()
            given = {"init": frames} if frames.shape[2] else {}
            prompts, passed = self.checked(session.prompts, given)
            if passed.get("init") is not given.get("init"):
                raise Refused("this is not drawn: the frames that it goes on from are not allowed")
            if prompts != session.prompts:
                session.set_prompt(prompts)
        finally:
            _is_checked.reset(token)
        return session

    def checked(
        self, prompts: Sequence[str], conditions: Mapping[str, Any]
    ) -> tuple[list[str], dict[str, Any]]:
        """Sentences and what is given to all of them, as the gate lets them through.

        Raises:
            Refused: one of them is not allowed.
            ValueError: conditions were changed for some sentences and not for others.
        """
        given = {name: value for name, value in conditions.items() if value is not None}
        said, passed = self._ask(prompts, given)
        return [prompt or "" for prompt in said], passed

    def _ask(
        self, prompts: Sequence[str | None], given: Mapping[str, Any]
    ) -> tuple[list[str | None], dict[str, Any]]:
        """What the gate lets through. It sees codes as the pixels that they stand for; those that
        it leaves as they are stay codes."""
        shown = {name: self._shown(value) for name, value in given.items()}
        passed = [self.gate.check(Request(prompt, shown)) for prompt in prompts]
        kept = {id(value) for request in passed for value in request.conditions.values()}
        if len(kept) > max((len(request.conditions) for request in passed), default=0):
            raise ValueError("a policy may change what is given to several videos only for all")
        conditions = passed[0].conditions if passed else shown
        as_given = {
            name: given[name] if value is shown.get(name) else value
            for name, value in conditions.items()
        }
        return [request.prompt for request in passed], as_given

    def _shown(self, value: Any) -> Any:
        if isinstance(value, VideoCodes) and self.gate.policies:
            return self.tokenizer.decode(value)
        return value
