"""Every trained parameter is stepped by one rule, and saved state gives the same next step."""

import copy

import pytest
import torch
from kinetoscope.training.optimizer import MuonAdamW
from torch import Tensor, nn


class Mixture(nn.Module):
    """Linear layers, one of them frozen and two that share a weight, a table, a kernel and
    vectors."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(50, 8)
        self.kernel = nn.Parameter(torch.randn(3, 8))
        self.one = nn.Linear(8, 8)
        self.two = nn.Linear(8, 8, bias=False)
        self.frozen = nn.Linear(8, 8)
        self.norm = nn.RMSNorm(8)
        self.two.weight = self.one.weight
        self.frozen.requires_grad_(False)

    def forward(self, index: Tensor) -> Tensor:
        x = self.one(self.norm(self.table(index) * self.kernel.sum(0)))
        return self.frozen(self.two(x).tanh()).square().mean()


@pytest.mark.parametrize("muon_lr", [0.0, 1e-2])
def test_every_trained_parameter_has_exactly_one_rule(muon_lr: float) -> None:
    torch.manual_seed(0)
    model = Mixture()
    optimizer = MuonAdamW(model, 1e-3, muon_lr, 0.1)
    groups = [{id(p) for p in group["params"]} for group in optimizer.param_groups]
    given = [p for group in groups for p in group]
    assert sorted(given) == sorted(id(p) for p in model.parameters() if p.requires_grad)
    decayed = {
        p
        for group, ids in zip(optimizer.param_groups, groups)
        if group["weight_decay"]
        for p in ids
    }
    assert decayed == {id(p) for p in (model.table.weight, model.kernel, model.one.weight)}
    rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    assert rates[id(model.one.weight)] == (muon_lr or 1e-3)
    assert (
        rates[id(model.table.weight)]
        == rates[id(model.one.bias)]
        == rates[id(model.kernel)]
        == 1e-3
    )


def test_muon_steps_are_of_equal_size_in_all_directions() -> None:
    torch.manual_seed(0)
    model = Mixture()
    before = model.one.weight.detach().clone()
    optimizer = MuonAdamW(model, 1e-3, 1e-2, 0.0)
    model(torch.arange(50)).backward()
    optimizer.step()
    sizes = torch.linalg.svdvals(before - model.one.weight.detach())
    assert sizes[0] / sizes[-1] < 3 and sizes[0] > 0


@pytest.mark.parametrize("muon_lr", [0.0, 1e-2])
def test_saved_state_gives_the_same_next_step(muon_lr: float) -> None:
    def step(model: Mixture, optimizer: MuonAdamW) -> None:
        optimizer.zero_grad()
        model(torch.arange(50)).backward()
        optimizer.step()

    torch.manual_seed(0)
    model = Mixture()
    optimizer = MuonAdamW(model, 1e-3, muon_lr, 0.1)
    for _ in range(3):
        step(model, optimizer)
    twin = Mixture()
    twin.load_state_dict(model.state_dict())
    restored = MuonAdamW(twin, 7.0, muon_lr and 7.0, 0.0)
    restored.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for _ in range(2):
        step(model, optimizer)
        step(twin, restored)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), twin.parameters()))
