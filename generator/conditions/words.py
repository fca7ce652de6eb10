"""What to say about everyday words that the model of the stage does not know.

The words lie in `words.txt`, by topic; each topic says what is known instead. A nearest known word
would mislead ("'dog' is not known here; the nearest is 'capsule'"), a list of what is known helps.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

FILE = Path(__file__).with_name("words.txt")
WORD = re.compile(r"[^\W_]+(?:['-][^\W_]+)*")
KNOWN = "known"
MOST_NAMED = 4  # words of one topic that a hint names


def unknown(*sentences: str) -> list[str]:
    """One line for each topic of which sentences have words, in the order in which they come.

    >>> unknown("a dog and a cat on the beach")[0]
    "'dog' and 'cat' are not known here: no animals are known; it knows balls, cubes, ..."

    Plurals and forms of verbs count as their word, whatever their case. Words in no topic are
    passed over.
    """
    found: dict[str, list[str]] = {}
    for sentence in sentences:
        words = [match.group().lower() for match in WORD.finditer(sentence)]
        at = 0
        while at < len(words):
            size, topic = _longest(words, at)
            if topic not in ("", KNOWN):
                said = " ".join(words[at : at + size])
                named = found.setdefault(topic, [])
                if said not in named:
                    named.append(said)
            at += size
    return [_hint(topic, named) for topic, named in found.items()]


def is_listed(word: str) -> bool:
    """Whether a word, by itself, belongs to a topic or to what is known."""
    return bool(_longest([word.lower()], 0)[1])


def topics() -> dict[str, tuple[str, ...]]:
    """What is known instead, and the words of that topic."""
    return {topic: words for topic, words in _sections().items() if topic != KNOWN}


@cache
def _sections() -> dict[str, tuple[str, ...]]:
    table: dict[str, list[str]] = {}
    topic = ""
    pending = ""
    for line in FILE.read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            topic = line.strip("[]")
            table[topic] = []
            pending = ""
        elif line.strip() and not line.startswith("#"):
            *whole, pending = f"{pending} {line}".split(",")
            table[topic] += [word.strip() for word in whole if word.strip()]
        elif pending.strip():
            table[topic].append(pending.strip())
            pending = ""
    if pending.strip():
        table[topic].append(pending.strip())
    return {topic: tuple(words) for topic, words in table.items()}


@cache
def _entries() -> dict[tuple[str, ...], str]:
    """The topic of every entry, by its words."""
    return {
        tuple(WORD.findall(entry.lower())): topic
        for topic, words in _sections().items()
        for entry in words
    }


@cache
def _most_words() -> int:
    return max(map(len, _entries()))


def _longest(words: list[str], at: int) -> tuple[int, str]:
    """How many words from here are one entry, and its topic; one word and "" if none is."""
    entries = _entries()
    for size in range(min(_most_words(), len(words) - at), 0, -1):
        *first, last = words[at : at + size]
        for form in base_forms(last):
            topic = entries.get((*first, form))
            if topic:
                return size, topic
        # the first word of a verb with a particle is what changes: "turns into"
        if first:
            for form in base_forms(first[0]):
                topic = entries.get((form, *first[1:], last))
                if topic:
                    return size, topic
    return 1, ""


def base_forms(word: str) -> list[str]:
    """The word and what it may be a plural or a form of: "flies" may be of "fly"."""
    forms = [word]
    for ending, instead in (
        ("'s", ("",)),
        ("ies", ("y",)),
        ("ves", ("f", "fe")),
        ("es", ("", "e")),
        ("s", ("",)),
        ("ing", ("", "e")),
        ("ied", ("y",)),
        ("ed", ("", "e")),
    ):
        if word.endswith(ending) and len(word) > len(ending) + 1:
            stem = word[: -len(ending)]
            forms += [stem + letters for letters in instead]
            if ending in ("ing", "ed") and len(stem) > 2 and stem[-1] == stem[-2]:
                forms.append(stem[:-1])
    return forms


def _hint(topic: str, words: list[str]) -> str:
    named = [f"'{word}'" for word in words[:MOST_NAMED]]
    if len(words) > MOST_NAMED:
        named[-1] = f"{len(words) - MOST_NAMED + 1} more words"
    listed = named[0] if len(named) == 1 else f"{', '.join(named[:-1])} and {named[-1]}"
    return f"{listed} {'is' if len(words) == 1 else 'are'} not known here: {topic}"
