"""Training of the generator on tiny parts: it learns, exports and resumes exactly."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from kinetoscope.generator import TextEncoder, VideoGenerator
from kinetoscope.generator.tokens.batch import Stage
from kinetoscope.generator.training.batch_parts import given_in
from kinetoscope.generator.training.module import DecoderSize, GeneratorModule, TokenLoss
from kinetoscope.generator.training.nats import Clips, nats_of
from torch import nn

SIZE = DecoderSize(dim=32, layers=1, heads=2, kv_heads=1, window=2, max_distance=2)
Make = Callable[..., Any]


def test_training_learns_and_exports_a_generator(
    fresh: Make, make_trainer: Make, make_data: Make, tmp_path: Path
) -> None:
    module = fresh(samples_every=20)
    codec = module.tokenizer.id
    encoder = module.text.id
    fit, losses = make_trainer(tmp_path, 40, val_check_interval=20)
    fit.fit(module, make_data(tmp_path, [Stage(20, 1, 8), Stage(20, 3, 4)]))
    assert len(losses) == 40
    assert sum(losses[-4:]) < 0.9 * sum(losses[20:24])
    header = (Path(fit.log_dir or "") / "metrics.csv").read_text().splitlines()[0].split(",")
    assert {"train/bits_per_token", "val/bits_per_token", "val/caption_bits_per_clip"} <= set(
        header
    )
    assert len(list((Path(fit.log_dir or "") / "samples").glob("*.png"))) == 2
    exported = VideoGenerator.from_pretrained(module.export_folder)
    video = exported.generate("a red ball rolls to the left", frames=6)
    assert video.shape == (1, 3, 6, 16, 16) and video.abs().max() <= 1
    # averaging must not touch frozen parts
    assert (exported.tokenizer.id, exported.text.id) == (codec, encoder)
    for mine, saved in zip(
        module.averaged.parameters(), exported.decoder.parameters(), strict=True
    ):
        torch.testing.assert_close(mine, saved, atol=2e-3, rtol=2e-3)


@pytest.mark.parametrize("muon_lr", [0.0, 1e-2])
def test_a_stopped_run_goes_on_where_it_was(
    fresh: Make, make_trainer: Make, make_data: Make, tmp_path: Path, muon_lr: float
) -> None:
    """Stopped in the second stage and resumed, a run has the losses and weights of one that was
    never stopped."""
    stages = [Stage(3, 1, 4), Stage(3, 3, 3), Stage(3, 2, 4)]
    whole = fresh(muon_lr=muon_lr)
    resumed = fresh(muon_lr=muon_lr)
    fit, losses = make_trainer(tmp_path, 8)
    fit.fit(whole, make_data(tmp_path, stages))
    fit, first_losses = make_trainer(tmp_path, 8, stop=4)
    fit.fit(fresh(muon_lr=muon_lr), make_data(tmp_path, stages))
    assert len(first_losses) == 4
    last = Path(fit.log_dir or "") / "checkpoints" / "last.ckpt"
    fit, later_losses = make_trainer(tmp_path, 8)
    fit.fit(resumed, make_data(tmp_path, stages), ckpt_path=last, weights_only=False)
    assert first_losses + later_losses == losses
    assert all(
        torch.equal(a, b)
        for a, b in zip(whole.model.parameters(), resumed.model.parameters(), strict=True)
    )


@pytest.mark.parametrize(
    "loss", [TokenLoss(0, 0), TokenLoss(2, 0), TokenLoss(0, 3), TokenLoss(1, 1)], ids=str
)
def test_tokens_count_as_documented(fresh: Make, loss: TokenLoss) -> None:
    module = fresh(loss=loss, caption_dropout=0, hidden_clips=0)
    nn.init.normal_(module.model.head.full, std=0.3)
    draw = torch.Generator().manual_seed(0)
    codes = torch.randint(0, 3, (2, 3, 2, 2), generator=draw)
    objects = torch.rand(2, 3, 2, 2, generator=draw) < 0.3
    states, mask = module.text.encode(["a red ball", "a blue cube rolls left"])
    with torch.no_grad():
        logits = module.model(codes, states, mask)
        batch = {"codes": codes, "objects": objects, "text": states, "text_mask": mask}
        result = float(module.training_step(batch, 0))
    total = weights = 0.0
    for b, t, h, w in torch.cartesian_prod(*(torch.arange(n) for n in codes.shape)).tolist():
        changed = t == 0 or int(codes[b, t, h, w]) != int(codes[b, t - 1, h, w])
        weight = 1 + loss.changed * changed + loss.objects * float(objects[b, t, h, w])
        total += weight * float(F.cross_entropy(logits[b, t, 2 * h + w], codes[b, t, h, w]))
        weights += weight
    assert result == pytest.approx(total / weights, rel=1e-3)


def test_a_share_of_the_tokens_estimates_the_loss_of_all(fresh: Make) -> None:
    loss = TokenLoss(1, 2)
    draw = torch.Generator().manual_seed(0)
    codes = torch.randint(0, 3, (2, 3, 2, 2), generator=draw)
    weight_BTG = loss.weights(codes, torch.rand(2, 3, 2, 2, generator=draw) < 0.3)
    nats_N = torch.rand(24, generator=draw)
    assert loss.pick(weight_BTG, torch.rand(1))[0] is None
    estimates = []
    for start in torch.arange(0, 1, 0.002):
        picked_N, weight_N = TokenLoss(1, 2, share=0.25).pick(weight_BTG, start)
        assert picked_N is not None and picked_N.shape == weight_N.shape == (6,)
        estimates.append((nats_N[picked_N] * weight_N).sum())
    assert torch.stack(estimates).std() > 0.1
    exact = (nats_N * weight_BTG.flatten()).sum()
    torch.testing.assert_close(torch.stack(estimates).mean(), exact, rtol=2e-3, atol=0)
    for name in ("share", "sound_share"):
        with pytest.raises(ValueError, match=f"loss.{name} is a share of the codes"):
            TokenLoss(**{name: 0})


def test_a_run_on_a_share_of_the_tokens_learns(
    fresh: Make, make_trainer: Make, make_data: Make, tmp_path: Path
) -> None:
    fit, losses = make_trainer(tmp_path, 40)
    fit.fit(fresh(loss=TokenLoss(share=0.3)), make_data(tmp_path, [Stage(40, 2, 8)]))
    assert sum(losses[-4:]) < 0.9 * sum(losses[:4])


@pytest.mark.parametrize(("dropped", "hidden"), [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_dropped_captions_are_not_read_and_some_codes_are_hidden(
    fresh: Make, dropped: float, hidden: float
) -> None:
    module = fresh(caption_dropout=dropped, hidden_clips=hidden)
    for parameter in module.model.parameters():
        nn.init.normal_(parameter, std=0.3)
    states, mask = module.text.encode(["a red ball"] * 4)
    states.requires_grad_()
    codes = torch.randint(0, 16, (4, 2, 2, 2))
    nothing = torch.zeros_like(codes, dtype=torch.bool)
    module.training_step(
        {"codes": codes, "objects": nothing, "text": states, "text_mask": mask}, 0
    ).backward()
    assert states.grad is not None and module.model.hidden_code.grad is not None
    assert bool(states.grad.any()) != bool(dropped)
    assert bool(module.model.hidden_code.grad.any()) == bool(hidden)


def test_a_run_starts_from_an_exported_generator(fresh: Make, tmp_path: Path) -> None:
    fresh().generator().save_pretrained(tmp_path / "old")
    module = GeneratorModule("nowhere", "nowhere", init_from=str(tmp_path / "old"))
    module.configure_model()
    old = VideoGenerator.from_pretrained(tmp_path / "old")
    assert module.model.config == old.decoder.config and module.model.training
    assert all(
        torch.equal(a, b)
        for a, b in zip(module.model.parameters(), old.decoder.parameters(), strict=True)
    )
    assert not any(
        p.requires_grad for part in (module.tokenizer, module.text) for p in part.parameters()
    )


def test_a_missing_caption_encoder_is_fitted_once(
    parts: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Path] = []

    def fit(folder: Path, world: str) -> None:
        assert world == "stage"
        made.append(folder)
        TextEncoder.from_pretrained(parts["text"]).save_pretrained(folder)

    monkeypatch.setattr("kinetoscope.generator.training.caption_encoder.fit_text_encoder", fit)
    for _ in range(2):
        GeneratorModule(
            parts["tokenizer"],
            str(tmp_path / "new" / "text"),
            fit_text=True,
            world="stage",
            size=SIZE,
            grid=(2, 2),
        )
    assert made == [tmp_path / "new" / "text"]


def test_mistakes_are_named(
    fresh: Make, make_trainer: Make, make_data: Make, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=r"hidden_clips is a share, from 0 to 1; got 1\.5"):
        fresh(hidden_clips=1.5)
    with pytest.raises(ValueError, match=r"set trainer\.max_steps"):
        make_trainer(tmp_path, -1)[0].fit(fresh(), make_data(tmp_path, [Stage(1, 1, 2)]))
    with pytest.raises(ValueError, match="asks for 4 latent frames; the clips have 3"):
        make_trainer(tmp_path, 2)[0].fit(fresh(), make_data(tmp_path, [Stage(1, 4, 2)]))
    with pytest.raises(
        ValueError, match=r"the decoder takes 3; shorten it, or set model\.size\.max_text to"
    ):
        short = DecoderSize(**vars(SIZE) | {"max_text": 3})
        make_trainer(tmp_path, 2)[0].fit(fresh(size=short), make_data(tmp_path, [Stage(1, 1, 2)]))


def test_a_decoder_learns_from_a_condition(fresh: Callable[..., Any]) -> None:
    """Codes that nothing but the action tells are learned with it, and not without."""
    actions = torch.tensor([0, 1, 2, 3] * 4)[:, None].expand(-1, 2)
    batch = {
        "codes": actions[..., None, None].expand(-1, -1, 2, 2) * 5,
        "objects": torch.zeros(16, 2, 2, 2, dtype=torch.bool),
        "text": torch.zeros(16, 1, 16),
        "text_mask": torch.ones(16, 1, dtype=torch.bool),
    }
    told = batch | {"actions": actions, "actions_given": torch.ones(16, 2, dtype=torch.bool)}
    losses = {}
    for name, seen in (("without", batch), ("with", told)):
        module = fresh(conditions={"actions": 4}, hidden_clips=0.0)
        optimizer = torch.optim.AdamW(module.model.parameters(), lr=2e-2)
        for _ in range(30):
            loss = module.training_step(seen, 0)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        losses[name] = float(
            nats_of(
                module.model,
                Clips(
                    seen["codes"],
                    seen["codes"],
                    seen["text"],
                    seen["text_mask"],
                    given_in(seen, module.config),
                ),
                module.backend,
            )[0][1][:, 0].mean()
        )
    assert losses["with"] < 0.3 * losses["without"]


def test_conditions_are_added_to_a_trained_model(generator: VideoGenerator, tmp_path: Path) -> None:
    from kinetoscope.generator.training.module import GeneratorModule

    generator.save_pretrained(tmp_path, half=False)
    module = GeneratorModule(init_from=str(tmp_path), conditions={"actions": 3})
    module.configure_model()
    assert dict(module.model.config.conditions) == {"actions": 3}
    codes = torch.zeros(1, 2, 2, 3, dtype=torch.long)
    torch.testing.assert_close(module.model(codes), generator.decoder(codes))
