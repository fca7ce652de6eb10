"""Recorded forwards against those that run call by call. Here operators are recorded one by one
and run again with the tensors that they had, as a GPU does it with a graph: what depends on
anything else comes out wrong, or is refused."""

from typing import Any

import pytest
import torch
from kinetoscope.generator import Decoder, SamplingEngine, SamplingParams, VideoGenerator
from kinetoscope.generator.model import attention
from kinetoscope.generator.sampling.cuda_graph import Work, cuda_graph
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

# for the device
WAITS = ("aten::_local_scalar_dense", "aten::nonzero", "aten::masked_select", "aten::equal")
ACCELERATE = ["off", "exact", "distribution"]


class Recorder(TorchDispatchMode):
    """Runs some work and keeps its operators."""

    def __init__(self, work: Work) -> None:
        super().__init__()
        self.calls: list[tuple[Any, Any, Any, Any]] = []
        with self:
            work()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        by_mask = func.name() == "aten::index.Tensor" and any(
            x is not None and x.dtype == torch.bool for x in args[1]
        )
        if func.name() in WAITS or by_mask:
            raise RuntimeError(f"{func.name()} waits for the device")
        result = func(*args, **(kwargs or {}))
        self.calls.append((func, args, kwargs or {}, result))
        return result

    def replay(self) -> None:
        for func, args, kwargs, result in self.calls:
            again = func(*args, **kwargs)
            for kept, new in zip(tree_leaves(result), tree_leaves(again)):
                if isinstance(kept, Tensor) and kept.data_ptr() != new.data_ptr():
                    kept.copy_(new)


class Counter:
    """Records, and counts how often."""

    def __init__(self) -> None:
        self.recordings = self.replays = 0

    def __call__(self, work: Work) -> Work:
        graph_capture = Recorder(work)
        assert len(graph_capture.calls) > 50
        self.recordings += 1

        def replay() -> None:
            self.replays += 1
            graph_capture.replay()

        return replay


@pytest.fixture
def text() -> tuple[Tensor, Tensor]:
    torch.manual_seed(6)
    return torch.randn(2, 3, 10, dtype=torch.float64), torch.tensor(
        [[True] * 3, [True, True, False]]
    )


def draw(session: SamplingEngine, frames: int) -> Tensor:
    return torch.stack([session.draw() for _ in range(frames)], dim=1)


@pytest.mark.parametrize("accelerate", ACCELERATE)
@pytest.mark.parametrize("wavefront", [0, 1])
def test_a_recorded_round_draws_the_same(make_decoder, text, accelerate, wavefront):
    decoder: Decoder = make_decoder(wavefront=wavefront)
    params = SamplingParams(guidance=3.0, accelerate=accelerate)
    counter = Counter()
    recorded = SamplingEngine(decoder, *text, [5, 6], params, capture=counter)
    called = SamplingEngine(decoder, *text, [5, 6], params)
    assert torch.equal(draw(recorded, 12), draw(called, 12))
    assert counter.recordings == 1
    # the first frame is drawn before there is a recording, and the last round of a frame may be one
    # too many
    assert counter.replays >= called.forwards - recorded.ring.order.steps > 0


def test_it_is_recorded_anew_where_its_tensors_are_others(make_decoder, text):
    decoder = make_decoder()
    counter = Counter()
    params = SamplingParams(guidance=3.0, guidance_frames=5)
    recorded, called = (
        SamplingEngine(decoder, *text, [5, 6], params, capture=how) for how in (counter, None)
    )
    pairs = [(recorded, called)]

    def step(frames: int) -> None:
        for one, other in pairs:
            assert torch.equal(draw(one, frames), draw(other, frames))

    step(2)
    assert counter.recordings == 1
    for session in pairs[0]:
        session.rewind(1)
        session.set_text(text[0].flip(0)[:, :2], text[1].flip(0)[:, :2], "recompute")
    step(2)
    assert counter.recordings == 2
    step(3)  # guidance ends
    assert counter.recordings == 3
    pairs.append((recorded.select([1, 1, 0], [7, 8, 9]), called.select([1, 1, 0], [7, 8, 9])))
    step(2)  # both, by turns
    assert counter.recordings == 4
    state = {name: tensor.clone() for name, tensor in recorded.state().items()}
    after = draw(recorded, 2)
    recorded.load_state(state)
    assert torch.equal(draw(recorded, 2), after)
    assert counter.recordings == 5
    for session in pairs[0]:
        if session is called:
            draw(called, 2)
        session.rewind(1)
        session.cut()
    step(2)
    assert counter.recordings == 5


@pytest.mark.parametrize(
    "params",
    [SamplingParams(), SamplingParams(top_k=5, top_p=0.9), SamplingParams(temperature=0)],
    ids=["min_p", "sorted", "likeliest"],
)
def test_all_ways_to_draw_can_be_recorded(make_decoder, text, params):
    decoder = make_decoder(vocab_size=256, levels=(4, 8, 8))  # blocks of codes
    codes = [
        draw(SamplingEngine(decoder, *text, [5, 6], params, capture=how), 4)
        for how in (Counter(), None)
    ]
    assert torch.equal(*codes)


def test_what_waits_is_refused(make_decoder, text):
    session = SamplingEngine(make_decoder(), *text, [5, 6], capture=Counter())
    session.static = session.samplers[0].static = False  # as without recording
    with pytest.raises(RuntimeError, match="waits for the device"):
        session.draw()


def test_the_fastest_backend_is_what_a_session_takes_elsewhere(make_decoder, text, monkeypatch):
    """Also where one is missing. Which is the fastest depends on the machine."""
    tried = {"sdpa": 3.0, "matmul": 2.0}  # seconds; xformers needs a GPU
    monkeypatch.setattr(
        attention, "_seconds", lambda call, device: call() is None or tried[call.args[-1]]
    )
    session = SamplingEngine(make_decoder(), *text, [5, 6])
    attention.fastest_backend.cache_clear()
    assert session.ring.backend == "matmul" == session._fastest_backend()
    tried["sdpa"] = 1.0
    assert session._fastest_backend() == "matmul"  # tried once
    attention.fastest_backend.cache_clear()
    assert session._fastest_backend() == "sdpa"
    attention.fastest_backend.cache_clear()
    monkeypatch.undo()
    assert session._fastest_backend() in attention.BACKENDS
    attention.fastest_backend.cache_clear()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("accelerate", ACCELERATE)
def test_a_graph_draws_the_same(text, accelerate):
    generator = VideoGenerator.from_pretrained("physics-64").to("cuda")
    params = SamplingParams(accelerate=accelerate)
    session = generator.session(
        ["a red ball rolls to the left", "a blue cube bounces"], params=params
    ).engine
    assert session.capture is cuda_graph
    called = generator.session(
        ["a red ball rolls to the left", "a blue cube bounces"], params=params
    ).engine
    called.record = None
    assert torch.equal(draw(session, 12), draw(called, 12))
    assert session._graph is not None and called._graph is None
