"""Captions as people type them: without articles or commas, with filler, slips of the keyboard and
words that mean nothing here. They say what the captions say; a text encoder learns from them."""

from __future__ import annotations

import random
from dataclasses import replace

from .clauses import OTHER
from .grammar import Words, tagged
from .sentences import Caption

PLEAS = (
    "show me",
    "i want to see",
    "please make",
    "please draw",
    "make a video of",
    "create a video where",
    "imagine",
    "we see",
    "a short video where",
    "generate",
    "can you show",
    "picture this:",
)
ENDINGS = ("please", "thanks", "in high quality", "for me", "if you can", "nice", "like that")
LETTERS = "abcdefghijklmnopqrstuvwxyz"
FEWEST_LETTERS = 5  # of a word that may be misspelled


def roughen(caption: Caption, seed: int) -> Caption:
    """The same caption, typed carelessly."""
    rng = random.Random(seed)
    words = list(zip(caption.words, caption.tags))
    if rng.random() < 0.4:
        dropped = ("a", "an", "the", "one") if rng.random() < 0.6 else ("the",)
        words = [pair for pair in words if pair[0] not in dropped]
    if rng.random() < 0.4:
        mark = rng.choice(("", "and", "", ";"))
        words = [(mark, tag) if word == "," else (word, tag) for word, tag in words]
    if rng.random() < 0.3:
        words = [(word.replace("-", " "), tag) for word, tag in words]
    words = [pair for word, tag in words if word for pair in _split(word, tag)]
    if rng.random() < 0.25:
        words = _misspell(words, rng)
    if rng.random() < 0.2:
        unknown = "".join(rng.choices(LETTERS, k=rng.randint(2, 9)))
        words.insert(rng.randint(0, len(words)), (unknown, OTHER))
    if rng.random() < 0.2:
        words = tagged(rng.choice(PLEAS), OTHER) + words
    if rng.random() < 0.1:
        words = words + tagged(rng.choice(ENDINGS), OTHER)
    texts, tags = zip(*words)
    return replace(caption, words=texts, tags=tags, capital=caption.capital and rng.random() < 0.5)


def _split(word: str, tag: int) -> Words:
    return [(part, tag) for part in word.split(" ") if part]


def _misspell(words: Words, rng: random.Random) -> Words:
    """One long word with a letter left out, doubled, exchanged or swapped with the next one."""
    long = [place for place, (word, _) in enumerate(words) if len(word) >= FEWEST_LETTERS]
    if not long:
        return words
    place = rng.choice(long)
    word, tag = words[place]
    at = rng.randrange(1, len(word) - 1)
    wrong = rng.choice(
        (
            word[:at] + word[at + 1 :],
            word[:at] + word[at] + word[at:],
            word[:at] + rng.choice(LETTERS) + word[at + 1 :],
            word[:at] + word[at + 1] + word[at] + word[at + 2 :],
        )
    )
    return [*words[:place], (wrong, tag), *words[place + 1 :]]
