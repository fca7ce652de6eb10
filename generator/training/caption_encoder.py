"""Trains the small text encoder of a world, an ordinary Hugging Face folder.

Facts of this encoder
- Lower-case WordPiece tokenizer of the words of captions; single letters and digits are pieces, so
  every word can be read.
- ModernBERT (rotary positions, no biases, no dropout) of about 0.6 M parameters.
- It is trained so that the state of the first token says what the whole sentence says, and the
  state of every word says which object it is about and what that object is and does. So the text
  states already tell which colour belongs to which object, and a video model that reads the frozen
  states need not find out.
- It reads all pairs of attributes in training; only the video model never sees some of them
  (`scene.HELD_OUT_PAIRS`).

This is a plain loop rather than Lightning: it takes minutes on one device, and needs no checkpoints
to resume from.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from torch import Tensor, nn
from transformers import AutoModel, ModernBertConfig, ModernBertModel, PreTrainedTokenizerFast

from ...data.worlds.language import IGNORED, Example, Language
from ...data.worlds.physics.clips import HELD_OUT_SEED
from ...data.worlds.physics.language import PhysicsLanguage
from ...data.worlds.stage.language import StageLanguage
from ...files.atomic import whole_folder
from ...files.tensors import load_tensors, save_tensors

CHARACTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
MARKS = ".,;:!?'-()"
SPECIAL = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}


@dataclass(frozen=True)
class Course:
    """What is learned: a language, from how many batches, with a vocabulary from how many
    sentences; and the tokens that the longest sentence may have."""

    language: Language
    steps: int
    read: int
    max_tokens: int


COURSES = {
    "physics": Course(PhysicsLanguage(), steps=600, read=4000, max_tokens=64),
    "stage": Course(StageLanguage(), steps=1500, read=12000, max_tokens=128),
}


def fit_tokenizer(
    sentences: Iterable[str], max_tokens: int, rarest: int = 12
) -> PreTrainedTokenizerFast:
    """A lower-casing WordPiece tokenizer with [CLS] first and [SEP] last.

    Words that come at least `rarest` times are whole, all others are spelled. (The library's own
    trainer breaks ties at random, so equal seeds would not give equal tokenizers.)
    """
    unknown, first, last = (SPECIAL[key] for key in ("unk_token", "cls_token", "sep_token"))
    normalizer = normalizers.BertNormalizer(lowercase=True, strip_accents=True)
    splitter = pre_tokenizers.BertPreTokenizer()
    normalized = map(normalizer.normalize_str, sentences)
    counts = Counter(word for text in normalized for word, _ in splitter.pre_tokenize_str(text))
    words = sorted(word for word, count in counts.items() if count >= rarest)
    vocabulary = dict.fromkeys(
        [*SPECIAL.values(), *CHARACTERS, *(f"##{c}" for c in CHARACTERS), *MARKS, *words]
    )
    tokenizer = Tokenizer(
        models.WordPiece({token: i for i, token in enumerate(vocabulary)}, unk_token=unknown)
    )
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = splitter
    tokenizer.decoder = decoders.WordPiece()
    ids = [(token, tokenizer.token_to_id(token)) for token in (first, last)]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{first} $A {last}", pair=f"{first} $A {last} $B {last}", special_tokens=ids
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, model_max_length=max_tokens, **SPECIAL
    )


def make_encoder(
    tokenizer: PreTrainedTokenizerFast, hidden: int, layers: int, heads: int = 4
) -> ModernBertModel:
    config = ModernBertConfig(
        vocab_size=len(tokenizer),
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=3 * hidden // 2,
        max_position_embeddings=tokenizer.model_max_length,
        initializer_range=0.05,
        # for some ten positions
        rope_parameters={"full_attention": {"rope_type": "default", "rope_theta": 100.0}},
        layer_types=["full_attention"] * layers,  # sentences are shorter than any local window
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.cls_token_id,
        eos_token_id=tokenizer.sep_token_id,
        cls_token_id=tokenizer.cls_token_id,
        sep_token_id=tokenizer.sep_token_id,
    )
    return ModernBertModel(config)


class ReadOut(nn.Module):
    """Linear read-outs of the sentence (from the first token) and of each word (all tokens)."""

    def __init__(self, hidden: int, language: Language) -> None:
        super().__init__()
        self.sizes = (list(language.sentence_sizes), list(language.word_sizes))
        self.sentence = nn.Linear(hidden, sum(language.sentence_sizes))
        self.word = nn.Linear(hidden, sum(language.word_sizes))

    def forward(self, states_BSD: Tensor) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """Logits [B, classes] for each entry of a sentence, and [B, S, classes] of a word."""
        sentence_sizes, word_sizes = self.sizes
        sentence = self.sentence(states_BSD[:, 0]).split(sentence_sizes, -1)
        return sentence, self.word(states_BSD).split(word_sizes, -1)


def _collate(tokenizer: PreTrainedTokenizerFast, examples: Sequence[Example]) -> dict[str, Tensor]:
    """input_ids, attention_mask [B, S]; sentence [B, entries]; word [B, S, entries], IGNORED at
    specials."""
    words = [list(example.words) for example in examples]
    batch = tokenizer(
        words, is_split_into_words=True, padding=True, truncation=True, return_tensors="pt"
    )
    entries = len(examples[0].words_say[0])
    targets = torch.full((*batch["input_ids"].shape, entries), IGNORED)
    for row, example in enumerate(examples):
        table = torch.tensor([*example.words_say, (IGNORED,) * entries])
        targets[row] = table[[-1 if word is None else word for word in batch.word_ids(row)]]
    return {
        "input_ids": batch["input_ids"],
        "attention_mask": batch["attention_mask"],
        "sentence": torch.tensor([example.sentence for example in examples]),
        "word": targets,
    }


def _batches(
    language: Language, tokenizer: PreTrainedTokenizerFast, rng: random.Random, size: int
) -> Iterator[dict[str, Tensor]]:
    """Endless batches of sentences of similar length, half of them roughened."""
    while True:
        drawn = [
            language.rough(rng) if rng.random() < 0.5 else language.sentence(rng)
            for _ in range(8 * size)
        ]
        drawn.sort(key=lambda example: len(example.words))
        starts = list(range(0, len(drawn), size))
        rng.shuffle(starts)
        for start in starts:
            yield _collate(tokenizer, drawn[start : start + size])


def _loss(encoder: ModernBertModel, read_out: ReadOut, batch: dict[str, Tensor]) -> Tensor:
    states = encoder(
        input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]
    ).last_hidden_state
    sentence, word = read_out(states)
    losses = [F.cross_entropy(logits, batch["sentence"][:, i]) for i, logits in enumerate(sentence)]
    for i, logits in enumerate(word):
        target = batch["word"][..., i]
        total = F.cross_entropy(
            logits.flatten(0, 1), target.flatten(), ignore_index=IGNORED, reduction="sum"
        )
        losses.append(total / (target != IGNORED).sum().clamp_min(1))
    return torch.stack(losses).sum()


def _train(
    encoder: ModernBertModel,
    read_out: ReadOut,
    batches: Iterator[dict[str, Tensor]],
    steps: int,
    learning_rate: float,
) -> None:
    parameters = [*encoder.parameters(), *read_out.parameters()]
    optimizer = torch.optim.AdamW(
        parameters, lr=learning_rate, betas=(0.9, 0.98), weight_decay=0.01
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, learning_rate, total_steps=steps + 1, pct_start=0.1, cycle_momentum=False
    )
    began = shown = time.monotonic()
    for step, batch in zip(range(1, steps + 1), batches):
        loss = _loss(encoder, read_out, batch)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        if time.monotonic() - shown > 5 or step == steps:
            shown = time.monotonic()
            print(f"step {step}/{steps}  loss {loss.item():.4f}  {shown - began:.0f} s", flush=True)


def fit_text_encoder(
    out: Path,
    world: str = "physics",
    steps: int | None = None,
    seed: int = 0,
    threads: int = 1,
    hidden: int = 128,
    layers: int = 4,
    batch_size: int = 96,
    learning_rate: float = 2e-3,
    test_captions: int = 1000,
) -> dict[str, float]:
    """Train tokenizer and encoder from nothing and write them to the folder `out`, weights in half
    precision.

    Args:
        world: the one whose captions it learns, "physics" or "stage".
        steps: those of the world's course, if not given.
        test_captions: captions of simulated scenes, never trained on, that the accuracies come
            from.

    Returns:
        Accuracies of `evaluate_text_encoder` of what was written.

    Raises:
        ValueError: for numbers below 1, or if the folder that shall hold `out` does not exist.
    """
    course = _course(world)
    steps = course.steps if steps is None else steps
    for name, value in (
        ("steps", steps),
        ("threads", threads),
        ("batch_size", batch_size),
        ("layers", layers),
    ):
        if value < 1:
            raise ValueError(f"{name} must be at least 1; got {value}")
    if not out.absolute().parent.is_dir():
        raise ValueError(f"{out.absolute().parent} is not a folder; create it first")
    if out.exists() and not out.is_dir():
        raise ValueError(f"{out} is a file; name a folder")
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    rng = random.Random(seed)
    language = course.language
    examples = (
        language.rough(rng) if index % 2 else language.sentence(rng) for index in range(course.read)
    )
    tokenizer = fit_tokenizer((example.text for example in examples), course.max_tokens)
    encoder = make_encoder(tokenizer, hidden, layers)
    read_out = ReadOut(hidden, language)
    batches = _batches(language, tokenizer, rng, batch_size)
    _train(encoder, read_out, batches, steps, learning_rate)
    encoder.config.world = world
    _write(out, tokenizer, encoder, read_out)
    return evaluate_text_encoder(out, world, test_captions)


def _course(world: str) -> Course:
    if world not in COURSES:
        raise ValueError(f"world must be one of {', '.join(COURSES)}; got {world!r}")
    return COURSES[world]


def _write(
    out: Path, tokenizer: PreTrainedTokenizerFast, encoder: ModernBertModel, read_out: ReadOut
) -> None:
    states = {name: x.half() for name, x in read_out.state_dict().items()}
    with whole_folder(out) as beside:
        tokenizer.save_pretrained(beside)
        encoder.half().save_pretrained(beside)
        # stored in half precision, but loaded and run in single precision
        encoder.config.dtype = torch.float32
        encoder.config.save_pretrained(beside)
        save_tensors(beside / "read_out.safetensors", states)


class TextReader:
    """Reads attributes with the encoder in `folder`, to check it; no video model uses this."""

    def __init__(self, folder: Path, world: str = "physics") -> None:
        self.language = _course(world).language
        self.tokenizer = PreTrainedTokenizerFast.from_pretrained(folder, local_files_only=True)
        self.encoder = AutoModel.from_pretrained(folder, local_files_only=True).eval()
        self.read_out = ReadOut(self.encoder.config.hidden_size, self.language)
        self.read_out.load_state_dict(load_tensors(folder / "read_out.safetensors")[0])

    @torch.inference_mode()
    def __call__(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """The classes of each sentence [B, entries], and of each token [B, S, entries]."""
        batch = self.tokenizer(list(texts), padding=True, return_tensors="pt")
        states = self.encoder(
            input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]
        ).last_hidden_state
        sentence, word = self.read_out(states)
        classes = torch.stack([logits.argmax(-1) for logits in sentence], -1)
        return classes, torch.stack([logits.argmax(-1) for logits in word], -1)


def evaluate_text_encoder(
    folder: Path, world: str = "physics", captions: int = 1000
) -> dict[str, float]:
    """Share of attributes that the encoder reads right from captions that it was not trained on.

    Returns:
        One value per attribute; `unsaid`: entries where nothing is said; `all` attributes; whole
        `sentences`; `words`: entries read from single tokens; `pairs`: all attributes of sentences
        with a pair of `scene.HELD_OUT_PAIRS`.
    """
    reader = TextReader(folder, world)
    language = reader.language
    seeds = range(HELD_OUT_SEED, HELD_OUT_SEED + captions)
    scores = {}
    for key in ("all", "pairs"):
        examples = language.of_scenes(seeds, held_out=key == "pairs")
        batch = _collate(reader.tokenizer, examples)
        read, words = reader([example.text for example in examples])
        right = read == batch["sentence"]
        said = batch["sentence"] != language.unsaid
        scores[key] = right[said].float().mean().item()
        if key == "all":
            scores |= {
                name: right[:, columns][said[:, columns]].float().mean().item()
                for name in dict.fromkeys(language.entries)
                if (columns := [i for i, entry in enumerate(language.entries) if entry == name])
            }
            scores["unsaid"] = right[~said].float().mean().item()
            scores["sentences"] = right.all(1).float().mean().item()
            there = batch["word"] != IGNORED
            scores["words"] = (words == batch["word"])[there].float().mean().item()
    return scores


if __name__ == "__main__":
    from jsonargparse import auto_cli

    accuracies = auto_cli(fit_text_encoder)
    print("  ".join(f"{name} {value:.2%}" for name, value in accuracies.items()))
