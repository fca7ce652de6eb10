"""Tokens per second of training the generator, and a Llama of transformers of equal size.

    python benchmarks/training.py  # physics-64, bfloat16, on one core
    python benchmarks/training.py --config small --batch-size 2 --rounds 3
    python benchmarks/training.py --config base --device cuda --compile --backend flex

The models take turns. Llama has the layers, width, heads, vocabulary and nearly the number of
weights of ours. It gets the same clips, flattened, after a prefix as long as our caption, which is
left out of its loss. It sees all of the past, ours a window of frames. On a CPU it runs with both
of its kinds of attention, because either may be the faster one there. All run under the same
Trainer with the same optimizer (AdamW for all weights, no averaging) and learn from every code. One
more row shows our own recipe, which the peer does not have. Codes and captions are random, because
neither model's speed depends on them.

MFU is the share of the device's measured matrix product (bfloat16) that useful work takes. Useful
work is 6 operations per weight of a linear layer and token that passes it, and 12 per channel,
layer and visible pair of a query and a key. On a CPU the time is that of the processor over all its
cores, so that other work on the machine hardly counts.
"""

import argparse
import logging
import statistics
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from typing import Any, cast

import lightning.pytorch as pl
import torch
from kinetoscope.generator.tokens.batch import Stage, TokenBatches
from kinetoscope.generator.tokens.cache import TokenSet
from kinetoscope.generator.training.cost import Plan, read_plan, step_flops
from kinetoscope.generator.training.module import DecoderSize, GeneratorModule, TokenLoss
from kinetoscope.training.optimizer import MuonAdamW
from kinetoscope.training.stopwatch import Stopwatch
from sampling_peers import clock, peer
from torch import Tensor
from torch.utils.data import DataLoader
from turns import Runner, machine, take_turns

CLIPS = 256
SHIPPED = "physics-64"  # its codes and captions
RATE = 1e-3
DECAY = 0.01
ATTENTIONS = ("sdpa", "eager")  # of Llama
WARM_STEPS = 1  # of each turn, not counted
TARGETS = {
    "cpu": "at least 1.2 times the faster Llama in bfloat16",
    "cuda": "at least 45 % MFU for base, compiled",
}


class Ours(GeneratorModule):
    """Exports no model at the end."""

    def on_fit_end(self) -> None: ...


class Peer(pl.LightningModule):
    """A causal language model of transformers on flattened clips, its loss computed by itself."""

    def __init__(self, model: Any, text: int) -> None:
        super().__init__()
        self.model = model.train()
        self.text = text

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        codes_BL = batch["codes"].flatten(1)
        prefix_BS = codes_BL.new_zeros(len(codes_BL), self.text)
        labels_BL = torch.cat([prefix_BS - 100, codes_BL], dim=1)
        loss = self.model(
            input_ids=torch.cat([prefix_BS, codes_BL], dim=1), labels=labels_BL, use_cache=False
        ).loss
        self.log("train/loss", loss)
        return loss

    def configure_optimizers(self) -> Any:
        return MuonAdamW(self.model, RATE, 0.0, DECAY)


class StepTimer(pl.Callback):
    """Reads a stopwatch after the last step of a turn; the first does not count."""

    def __init__(self, device: str) -> None:
        self.stopwatch = Stopwatch(lambda: clock(device))
        self.values: dict[str, float] = {}

    def on_train_batch_start(self, *_: Any) -> None:
        self.stopwatch.start()

    def on_train_batch_end(
        self, trainer: Any, module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self.stopwatch.stop(batch["codes"].numel())
        if trainer.global_step in (WARM_STEPS, trainer.max_steps):
            self.values = self.stopwatch.read(0)


@dataclass
class Contestant:
    """A model in training, the work of a step, and the seconds of its steps, turn by turn."""

    name: str
    module: Any
    flops: float
    fit: Callable[[Any], dict[str, float]]
    seconds: list[float] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)

    def turn(self) -> float:
        values = self.fit(self.module)
        self.seconds.append(values["seconds_per_step"])
        self.waits.append(values["data_wait"])
        return self.seconds[-1]

    def row(self, codes: int, peak: float, baseline: float) -> str:
        """A line of the table; `baseline` is the faster peer's seconds per step."""
        seconds = statistics.median(self.seconds)
        wait = max(self.waits[-len(self.seconds) :])
        weights = sum(p.numel() for p in self.module.model.parameters())
        return (
            f"| {self.name} | {weights / 1e6:.1f} M | {codes / seconds:,.0f} "
            f"| {baseline / seconds:.2f} "
            f"| {self.flops / codes / 1e6:.1f} M | {self.flops / seconds / peak:.1%} | {wait:.1%} |"
        )


def contestants(plan: Plan, args: argparse.Namespace) -> list[Contestant]:
    """Ours as the peers train, ours as its config trains, the peers."""
    config = plan.decoder
    size = DecoderSize(**{name: getattr(config, name) for name in vars(DecoderSize())})
    parts: dict[str, Any] = dict(
        tokenizer=SHIPPED, text=SHIPPED, size=size, grid=config.grid, backend=args.backend
    )
    parts |= dict(lr=RATE, weight_decay=DECAY, recompute=plan.recompute, samples_every=0)
    even = Ours(**parts, ema_decay=0.0)
    recipe = Ours(
        **parts,
        muon_lr=RATE if plan.matrix_state == 4 else 0.0,
        ema_decay=0.998 if plan.averaged else 0.0,
        loss=TokenLoss(share=args.share),
    )
    peers = [
        peer("Llama", config, torch.float32, args.device) for _ in range(1 + (args.device == "cpu"))
    ]
    for model, kind in zip(peers, ATTENTIONS):
        model.set_attn_implementation(kind)
    logits = 6 * plan.batch * plan.latents * config.cells * config.vocab_size * config.dim
    work = step_flops(plan)
    names = ["Muon"] * (plan.matrix_state == 4) + ["average"] * plan.averaged
    names += [f"loss on {args.share:.0%} of the codes"] * (args.share < 1)
    fit = trainer_of(plan, args)
    ours = [
        Contestant("ours", even, work, fit),
        Contestant(f"ours, {', '.join(names)}", recipe, work - (1 - args.share) * logits, fit),
    ]
    rivals = [
        Contestant(f"Llama, {kind} attention", Peer(model, plan.text), peer_flops(model, plan), fit)
        for model, kind in zip(peers, ATTENTIONS)
    ]
    for one in ours + rivals:
        one.module.configure_model()
        if args.compile:
            one.module.model.compile(dynamic=False)
    return (ours if names else ours[:1]) + rivals


def peer_flops(model: Any, plan: Plan) -> float:
    """FLOPs of a step, as in `step_flops`, with causal attention over all and all logits."""
    length = plan.text + plan.latents * plan.decoder.cells
    weights = (
        sum(p.numel() for p in model.parameters() if p.dim() > 1)
        - model.get_input_embeddings().weight.numel()
    )
    pairs = length * (length + 1) // 2
    return plan.batch * (6 * weights * length + 12 * plan.decoder.layers * plan.decoder.dim * pairs)


def trainer_of(plan: Plan, args: argparse.Namespace) -> Callable[[Any], dict[str, float]]:
    """Trains a module for a few steps on random clips and returns what the stopwatch says."""
    config = plan.decoder
    T = plan.latents
    draw = torch.Generator().manual_seed(0)
    codes = torch.randint(config.vocab_size, (CLIPS, T, *config.grid), generator=draw).int()
    text = torch.randn(CLIPS, plan.text, config.text_dim, generator=draw).half()
    tokens = TokenSet(
        codes, torch.rand(codes.shape, generator=draw) < 0.2, text, torch.full((CLIPS,), plan.text)
    )

    def fit(module: Any) -> dict[str, float]:
        timer = StepTimer(args.device)
        trainer = pl.Trainer(
            max_steps=WARM_STEPS + args.steps,
            accelerator="gpu" if args.device == "cuda" else "cpu",
            devices=1,
            precision=args.precision,
            gradient_clip_val=1.0,
            callbacks=[timer],
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        trainer.fit(
            module, DataLoader(TokenBatches(tokens, [Stage(1, T, plan.batch)]), batch_size=None)
        )
        return timer.values

    return fit


def matmul_peak(device: str) -> float:
    """Operations per second of the best of a few large bfloat16 products."""
    side = 8192 if device == "cuda" else 2048
    matrix = torch.randn(side, side, device=device).bfloat16()
    times = []
    for _ in range(8):
        begin = clock(device)
        matrix @ matrix
        times.append(clock(device) - begin)
    return 2 * side**3 / min(times)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--config", default="physics-64", help="YAML of a generator's training, or a shipped name"
    )
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--precision", default="bf16-mixed", choices=["bf16-mixed", "32-true"])
    parser.add_argument("--compile", action="store_true", help="torch.compile for all")
    parser.add_argument(
        "--backend", help="of our attention; matmul on a CPU and sdpa on a GPU unless given"
    )
    parser.add_argument("--batch-size", type=int, help="clips; that of the config unless given")
    parser.add_argument(
        "--latents", type=int, help="latent frames of a clip; those of the config unless given"
    )
    parser.add_argument(
        "--share",
        type=float,
        default=1.0,
        help="share of the codes that the loss of our recipe is computed on",
    )
    parser.add_argument("--steps", type=int, default=5, help="steps of a turn")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each; the median counts")
    args = parser.parse_args()
    if args.device == "cuda" and not torch.cuda.is_available():
        parser.error(
            "there is no CUDA device here, so there is nothing to measure on one; leave --device "
            "out"
        )
    args.backend = args.backend or ("sdpa" if args.device == "cuda" else "matmul")
    torch.set_num_threads(args.threads)
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")
    plan = read_plan(args.config)
    plan = replace(plan, batch=args.batch_size or plan.batch, latents=args.latents or plan.latents)
    print(
        f"{machine(args.device)}, threads: {args.threads}, "
        f"{args.precision}{', compiled' * args.compile}"
    )
    clips = " x ".join(map(str, (plan.latents, *plan.decoder.grid)))
    print(
        f"{args.config}: {plan.batch} clips of {clips} codes a step, captions of {plan.text} tokens"
    )
    print(
        f"attention by {args.backend}; Llama of transformers {version('transformers')}", flush=True
    )
    per = "processor second of all cores" if args.device == "cpu" else "second"
    found = contestants(plan, args)
    peaks = [matmul_peak(args.device)]
    take_turns(cast(list[Runner], found), args.rounds)
    peaks.append(matmul_peak(args.device))
    print(
        f"Matrix product: {max(peaks) / 1e9:,.0f} GFLOP per {per}. Wanted: "
        f"{TARGETS[args.device]}.\n"
    )
    print(f"| | weights | codes per {per} | of Llama | FLOPs per code | MFU | longest data wait |")
    print("|---|---|---|---|---|---|---|")
    codes = plan.batch * plan.latents * plan.decoder.cells
    baseline = min(statistics.median(one.seconds) for one in found if isinstance(one.module, Peer))
    print("\n".join(one.row(codes, max(peaks), baseline) for one in found))


if __name__ == "__main__":
    main()
