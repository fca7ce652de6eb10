"""Timing of video tokenizers that take turns on one clip.

On a CPU the time is that of the processor, summed over its cores, so other work on the machine
hardly counts. What does count slows all of them alike, because they take turns. On a GPU it is
wall-clock time.
"""

import contextlib
import signal
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import torch
from tokenizer_peers import AUTOCAST, WEIGHTS, Codec
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

PATIENCE = 60  # seconds that compiling may take
WARM_UP = 20  # seconds that a mode may always take: a GPU loads its kernels in the first turn


@dataclass
class Runner:
    """A codec in one mode on one clip, and the seconds (encode, decode) that its turns took."""

    codec: Codec
    mode: str
    clip: Tensor
    encode: Callable[[Tensor], Any]
    decode: Callable[[Any], Tensor]
    seconds: list[tuple[float, float]] = field(default_factory=list)

    @classmethod
    def of(cls, codec: Codec, mode: str, frames: int, size: int, device: str = "cpu") -> "Runner":
        """Noise of so many frames (fewer where the codec wants that) of size x size pixels."""
        noise = torch.rand(
            1, 3, codec.frames(frames), size, size, generator=torch.Generator().manual_seed(0)
        )
        return cls(codec, mode, (2 * noise - 1).to(device), codec.encode, codec.decode)

    def precision(self) -> torch.autocast:
        return torch.autocast(
            self.clip.device.type, torch.bfloat16, enabled=self.mode.split(",")[0] == AUTOCAST
        )

    def turn(self) -> float:
        """Encode and decode once; returns the seconds of both."""
        with torch.inference_mode(), self.precision():
            begin = self._now()
            codes = self.encode(self.clip)
            middle = self._now()
            self.decode(codes)
            end = self._now()
        self.seconds.append((middle - begin, end - middle))
        return end - begin

    def _now(self) -> float:
        if self.clip.device.type == "cuda":
            torch.cuda.synchronize()
            return time.perf_counter()
        return time.process_time()

    def rates(self) -> tuple[float, float, float]:
        """Median frames per second (of one core, on a CPU): encode, decode, both."""
        encode, decode = zip(*self.seconds)
        both = [sum(pair) for pair in self.seconds]
        first, second, third = (
            self.clip.shape[2] / statistics.median(part) for part in (encode, decode, both)
        )
        return first, second, third

    def costs(self) -> tuple[float, float]:
        """Multiply-adds of one encode and decode, and bits of the codes, per pixel of the video."""
        with torch.no_grad(), self.precision(), FlopCounterMode(display=False) as counter:
            codes = self.codec.encode(self.clip)
            self.codec.decode(codes)
        pixels = self.clip[:, 0].numel()
        return counter.get_total_flops() / 2 / pixels, self.codec.bits * self.codec.count(
            codes
        ) / pixels


def take_turns(runners: list[Runner], rounds: int) -> None:
    """One turn each to warm up, which does not count, then so many rounds."""
    for _ in range(1 + rounds):
        for runner in runners:
            runner.turn()
    for runner in runners:
        del runner.seconds[:-rounds]


class TooSlow(Exception):
    """Raised where something takes longer than `within` allows."""


@contextlib.contextmanager
def within(seconds: float) -> Iterator[None]:
    """Raise TooSlow in the block after so many seconds of the processor."""

    def give_up(*_: object) -> None:
        raise TooSlow

    signal.signal(signal.SIGPROF, give_up)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def set_mode(codec: Codec, mode: str) -> None:
    codec.model.to(torch.bfloat16 if mode == WEIGHTS else torch.float32)


def settle_mode(codec: Codec, frames: int, size: int, device: str) -> str:
    """Put a codec into its fastest mode, without waiting for modes that are far slower."""
    best = codec.modes[0]
    best_seconds = 200.0
    for mode in codec.modes:
        set_mode(codec, mode)
        runner = Runner.of(codec, mode, frames, size, device)
        with contextlib.suppress(TooSlow), within(max(WARM_UP, 3 * best_seconds)):
            runner.turn()
            seconds = runner.turn()
            best, best_seconds = (mode, seconds) if seconds < best_seconds else (best, best_seconds)
    set_mode(codec, best)
    return best


def compiled(runner: Runner, note: str = "compiled", patience: float = PATIENCE) -> Runner | None:
    """The compiled twin; None, with a line that says so, if compilation fails or is too slow."""
    encode, decode = (torch.compile(step, dynamic=False) for step in runner.codec.steps())
    twin = Runner(runner.codec, f"{runner.mode}, {note}", runner.clip, encode, decode)
    begin = time.process_time()
    try:
        with within(patience):
            twin.turn()
    except Exception as error:  # the compiler may raise anything when interrupted
        late = time.process_time() - begin >= patience
        reason = f"takes more than {patience:.0f} s" if late else f"fails ({type(error).__name__})"
        print(
            f"{runner.codec.name} at {runner.clip.shape[-1]} px is not compiled: that {reason}",
            flush=True,
        )
        return None
    return twin


def machine(device: str) -> str:
    """The processor, the version of torch and the date."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if device == "cpu" else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    name = torch.cuda.get_device_name() if device == "cuda" else (names or ["a CPU"])[0]
    return f"{name}, torch {torch.__version__}, {date.today()}"
