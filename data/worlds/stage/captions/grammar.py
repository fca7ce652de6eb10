"""The little English grammar that captions need: articles, inflection, lists, punctuation.

A sentence is built as a list of words that each carry a tag of what they speak of, `(word, tag)`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

Words = list[tuple[str, int]]

WORD = re.compile(r"[\w'-]+|[^\w\s]")
VERB = re.compile(r"~([\w-]+)(?: not\b)?")
IRREGULAR = {"be": "is", "do": "does", "have": "has"}
DOUBLED = {"pan", "stop", "hit", "spin", "run", "drop", "hop", "sit", "put", "travel"}


def tagged(text: str, tag: int) -> Words:
    """The words and marks of a text, all with one tag."""
    return [(word, tag) for word in WORD.findall(text)]


def article(noun: str) -> str:
    """A noun phrase with "a" or "an" in front."""
    return f"{'an' if noun[0] in 'aeiou8' else 'a'} {noun}"


def plural(noun: str) -> str:
    """The plural of a noun phrase that ends with its noun."""
    return noun + ("es" if noun.endswith(("s", "x", "ch", "sh", "torus")) else "s")


def third(phrase: str) -> str:
    """ "~roll left" as one thing does it: "rolls left"."""
    return VERB.sub(lambda m: m[0].replace(f"~{m[1]}", _third(m[1])), phrase)


def base(phrase: str) -> str:
    """ "~roll left" as several do it: "roll left"."""
    return phrase.replace("~", "")


def participle(phrase: str) -> str:
    """ "~roll left" as a participle: "rolling left"; "~do not move" becomes "not moving"."""
    phrase = re.sub(r"~do not (\w+)", r"not ~\1", phrase)
    return VERB.sub(lambda m: m[0].replace(f"~{m[1]}", _participle(m[1])), phrase)


def progressive(phrase: str) -> str:
    """ "~roll left" as it goes on: "is rolling left"."""
    return f"is {participle(phrase)}"


def _third(verb: str) -> str:
    if verb in IRREGULAR:
        return IRREGULAR[verb]
    if verb.endswith(("s", "sh", "ch", "x", "o")):
        return verb + "es"
    if verb.endswith("y") and verb[-2] not in "aeiou":
        return verb[:-1] + "ies"
    return verb + "s"


def _participle(verb: str) -> str:
    if verb in DOUBLED:
        return verb + verb[-1] + "ing"
    if verb.endswith("e") and not verb.endswith(("ee", "oe", "be")):
        return verb[:-1] + "ing"
    return verb + "ing"


def join(parts: Sequence[Words], other: int, word: str = "and") -> Words:
    """Parts with commas between them and a word before the last one."""
    joined: Words = []
    for index, part in enumerate(parts):
        if index:
            last = index == len(parts) - 1
            joined += tagged(word if last and word else ",", other)
        joined += part
    return joined


def render(words: Words, capital: bool = False) -> str:
    """The text of a list of words; with `capital`, each sentence begins with a capital letter."""
    text = re.sub(r" ([,.:;])", r"\1", " ".join(word for word, _ in words))
    if capital:
        text = re.sub(r"(^|\. )([a-z])", lambda m: m[1] + m[2].upper(), text)
    return text
