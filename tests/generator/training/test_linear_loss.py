"""The loss in blocks of tokens, against cross-entropy of all logits at once."""

import pytest
import torch
from kinetoscope.generator.training import linear_loss as module
from kinetoscope.generator.training.linear_loss import linear_loss
from torch import Tensor, nn


def operands(dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    draw = torch.Generator().manual_seed(0)
    states = torch.randn(50, 8, generator=draw, dtype=dtype, requires_grad=True)
    table = torch.randn(30, 8, generator=draw, dtype=dtype, requires_grad=True)
    return (
        states,
        table,
        torch.randint(30, (50,), generator=draw),
        torch.rand(50, generator=draw, dtype=dtype),
    )


def at_once(states: Tensor, table: Tensor, codes: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    nats = nn.functional.cross_entropy(
        (states @ table.T).to(weights.dtype), codes, reduction="none"
    )
    return (nats * weights).sum(), nats


@pytest.mark.parametrize("block", [1, 7, 50])
def test_blocks_do_not_show(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(module.BLOCK_LOGITS, "cpu", 30 * block)
    values = []
    grads = []
    for loss in (linear_loss, at_once):
        states, table, codes, weights = operands()
        total, nats = loss(states, table, codes, weights)
        (3 * total).backward()  # as behind a division, or a scaled loss
        values.append((total, nats))
        grads.append((states.grad, table.grad))
    torch.testing.assert_close(values[0], values[1])
    torch.testing.assert_close(grads[0], grads[1])


def test_half_precision_rounds_where_autocast_does() -> None:
    grads = []
    for loss in (linear_loss, at_once):
        states, table, codes, weights = operands(torch.float32)
        with torch.autocast("cpu", torch.bfloat16):
            total, nats = loss(states, table, codes, weights)
        assert total.dtype == nats.dtype == torch.float32
        total.backward()
        assert states.grad is not None and table.grad is not None
        grads.append((total.detach(), states.grad, table.grad))
    torch.testing.assert_close(grads[0], grads[1], rtol=2e-2, atol=2e-2)


def test_without_gradients_none_are_made() -> None:
    states, table, codes, weights = operands()
    with torch.no_grad():
        total, nats = linear_loss(states, table, codes, weights)
    assert not total.requires_grad
    torch.testing.assert_close(
        (total, nats), tuple(x.detach() for x in at_once(states, table, codes, weights))
    )


def test_a_frozen_table_gets_no_gradient() -> None:
    states, table, codes, weights = operands()
    linear_loss(states, table.detach(), codes, weights)[0].backward()
    wanted = torch.autograd.grad(at_once(states, table, codes, weights)[0], states)[0]
    torch.testing.assert_close(states.grad, wanted)
