"""Modules whose weights are loaded are made without drawing random ones first."""

from pathlib import Path

import torch
from kinetoscope.files.model_folder import UndrawnWeights, load_weights, save_folder
from kinetoscope.generator import VideoGenerator
from torch import nn


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(300, 300)
        self.table = nn.Parameter(torch.randn(300, 3))
        self.register_buffer("fixed", torch.arange(3.0), persistent=False)
        nn.init.normal_(self.linear.weight)


def test_nothing_is_drawn_and_everything_loaded(tmp_path: Path) -> None:
    drawn = Net()
    save_folder(tmp_path, {}, drawn.state_dict(), half=False)
    before = torch.get_rng_state()
    with UndrawnWeights():
        net = Net()
    load_weights(net, tmp_path)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(net.fixed, drawn.fixed)
    for name, value in drawn.state_dict().items():
        assert torch.equal(net.state_dict()[name], value)
    assert all(parameter.requires_grad for parameter in net.parameters())
    Net()
    assert not torch.equal(torch.get_rng_state(), before)


def test_loaded_weights_do_not_follow_the_file(tmp_path: Path) -> None:
    save_folder(tmp_path, {}, Net().state_dict(), half=False)
    net = Net()
    load_weights(net, tmp_path)
    before = net.table.detach().clone()
    size = (tmp_path / "model.safetensors").stat().st_size
    (tmp_path / "model.safetensors").write_bytes(bytes(size))
    assert torch.equal(net.table, before)


def test_a_shipped_model_is_the_same() -> None:
    with UndrawnWeights():
        quick = VideoGenerator.from_pretrained("physics-64")
    usual = VideoGenerator.from_pretrained("physics-64")
    assert quick.id == usual.id
    (buffers, wanted) = (dict(model.named_buffers()) for model in (quick, usual))
    assert buffers.keys() == wanted.keys()
    assert all(torch.equal(buffers[name], wanted[name]) for name in wanted)
