"""What a caption says, put into words: one sentence or several, plain, terse or as a title."""

from __future__ import annotations

import random
from dataclasses import dataclass

from ..scene import TIMES, WEATHERS
from . import lexicon
from .attributes import Attributes, Dice
from .clauses import OTHER, STYLE, TIME, WEATHER, Clauses, Form
from .facts import UNKNOWN
from .grammar import Words, article, join, render, tagged

FORMS = (
    ("plain", 0.42),  # a red ball rolls to the left on grass, the camera pans left
    ("going on", 0.08),  # a red ball is rolling to the left
    ("title", 0.16),  # a video of a red ball rolling to the left
    ("there is", 0.08),  # there is a red ball. it rolls to the left
    ("several", 0.14),  # a red ball rolls to the left. it is night
    ("terse", 0.12),  # red ball rolling left, grass, night, pan left
)


@dataclass(frozen=True)
class Caption:
    """A sentence as words with the index into `clauses.TAGS` of each, and what it says."""

    words: tuple[str, ...]
    tags: tuple[int, ...]
    said: Attributes
    capital: bool = False

    @property
    def text(self) -> str:
        return render(list(zip(self.words, self.tags)), self.capital)


def put_into_words(said: Attributes, dice: Dice) -> Caption:
    """The caption that says all of `said` and nothing else."""
    form = _form(dice, said)
    writer = _Writer(said, dice, form == "terse")
    writers = {
        "plain": writer.plain,
        "going on": writer.going_on,
        "title": writer.title,
        "there is": writer.there_is,
        "several": writer.several,
        "terse": writer.terse,
    }
    words = writers[form]()
    proper = form in ("there is", "several")
    if proper or (form != "terse" and dice.chance("full stop") < 0.3):
        words = [*words, (".", OTHER)]
    capital = dice.chance("capital") < (0.7 if proper else 0.3)
    texts, tags = zip(*words)
    return Caption(texts, tags, said, capital and form != "terse")


def _form(dice: Dice, said: Attributes) -> str:
    names = list(dict(FORMS))
    name = random.Random(dice.chance("form")).choices(names, list(dict(FORMS).values()))[0]
    return "plain" if (said.alike or not said.things) and name == "there is" else name


class _Writer:
    """One way to write a caption per method."""

    def __init__(self, said: Attributes, dice: Dice, terse: bool) -> None:
        self.said = said
        self.dice = dice
        self.parts = Clauses(said, dice, terse)

    # ---- the forms ----

    def plain(self) -> Words:
        return self._sentence(Form.PRESENT)

    def going_on(self) -> Words:
        return self._sentence(Form.PROGRESSIVE)

    def title(self) -> Words:
        """A noun with "of", and what is seen as participles."""
        opening = self.parts.style_noun()
        if opening:
            opening = opening + tagged("of", STYLE)
        elif self.dice.chance("bare") < 0.75:
            opening = tagged(self.dice.pick("opening", lexicon.OPENINGS), OTHER)
        text = opening + self._joined(self._groups(Form.PARTICIPLE)) + self._setting()
        camera = self._camera_after(Form.PARTICIPLE, (("with", True), ("", True)))
        return text + camera

    def there_is(self) -> Words:
        """What there is first, then what each does."""
        names = [self.parts.name(index, True) for index in range(len(self.said.things))]
        text = tagged("there is", OTHER) + join(names, OTHER) + self._setting()
        sentences = [text]
        for index in range(len(names)):
            acts = self._acts(index, Form.PRESENT)
            if acts:
                alone = len(names) == 1 and self.dice.chance("it") < 0.7
                subject = tagged("it", index) if alone else self.parts.name(index)
                sentences.append(subject + acts)
        sentences += self._closing()
        return join_sentences(sentences)

    def several(self) -> Words:
        """A sentence for each thing that is said, and for time, weather, camera and style."""
        ground = self.dice.chance("ground early") < 0.5
        sentences = self._groups(Form.PRESENT)
        if self._all_idle():
            verb = "there are" if self.said.alike else "there is"
            sentences = [tagged(verb, OTHER) + join(sentences, OTHER)]
        if ground or self.said.time == UNKNOWN:
            sentences[0] = sentences[0] + self.parts.ground() + self.parts.place()
        else:
            sentences[-1] = sentences[-1] + self.parts.ground() + self.parts.place()
        air = self._air_sentences()
        if self.dice.chance("air first") < 0.25:
            sentences = air + sentences
        else:
            sentences = sentences + air
        return join_sentences(sentences + self._closing())

    def terse(self) -> Words:
        """Keywords, without articles."""
        parts = self._groups(Form.PARTICIPLE)
        extra = [self.parts.ground(), self.parts.place(), self.parts.time(), self.parts.weather()]
        extra = self.dice.order("extra", [part for part in extra if part])
        camera = self.parts.camera_noun() or self.parts.camera(Form.PARTICIPLE)
        style = self.parts.style_noun()
        if style and style[0][0] in ("a", "an"):
            style = style[1:]
        first = [style] if self.dice.chance("style first") < 0.5 else []
        last = [] if first else [style]
        parts = [*first, *parts, *extra, camera, *last]
        return join([part for part in parts if part], OTHER, word="")

    # ---- what the forms are made of ----

    def _sentence(self, form: Form) -> Words:
        """Setting, what is there and what it does, camera, style: in one sentence."""
        style = self.parts.style_tail()
        style_first = self.dice.chance("style first") < 0.2
        air_first = self.dice.chance("air first") < 0.25
        air = self.parts.time_and_weather()
        groups = self._groups(form)
        text = self._joined(groups) + self.parts.ground() + self.parts.place()
        if air and air_first:
            text = [*air, (",", OTHER), *text]
        else:
            text = text + air
        camera_form = Form.PRESENT if form is Form.PRESENT else Form.PROGRESSIVE
        if self._all_idle():
            text = text + self._camera_after(Form.PARTICIPLE, (("with", True), ("", True)))
        else:
            links = (("while", False), ("", True), ("and", False), ("as", False))
            text = text + self._camera_after(camera_form, links)
        if style and style_first:
            return [*style, (",", OTHER), *text]
        return text + ([(",", OTHER), *style] if style else [])

    def _joined(self, clauses: list[Words]) -> Words:
        """Clauses with commas and a word between them."""
        if len(clauses) == 2:
            word = self.dice.pick("two", ("and", "and", ",", "while", ";"))
            word = "and" if self._all_idle() else word
            if word == "while" and all(thing.deeds for thing in self.said.things):
                return clauses[0] + tagged("while", OTHER) + clauses[1]
            if word in ",;":
                return clauses[0] + [(word, OTHER)] + clauses[1]
        long = len(clauses) > 1 and max(map(len, clauses)) > 9
        return join(clauses, OTHER, ", and" if long else "and")

    def _groups(self, form: Form) -> list[Words]:
        """A clause for each thing; those of which only the name is said come last."""
        if self.said.alike:
            return [self._alike(form)]
        order = range(len(self.said.things))
        if not order:
            return [tagged("an empty stage", OTHER)]
        if self._all_idle():
            return [self.parts.name(index) for index in order]
        clauses = [
            self.parts.name(index) + self._acts(index, form)
            for index in order
            if self._does_something(index)
        ]
        idle = [index for index in order if not self._does_something(index)]
        # who was named as somebody's target needs no mention of its own
        idle = [index for index in idle if index not in self.parts.named]
        finite = form in (Form.PRESENT, Form.PROGRESSIVE)
        names = [self.parts.name(index, finite) for index in idle]
        if not names:
            return clauses
        if not finite:
            return clauses + names
        return [*clauses, tagged("there is also", OTHER) + join(names, OTHER)]

    def _all_idle(self) -> bool:
        return not any(self._does_something(index) for index in range(len(self.said.things)))

    def _does_something(self, index: int) -> bool:
        hits = any(hit.who == index for hit in self.said.hits)
        return hits or bool(self.said.things[index].deeds)

    def _acts(self, index: int, form: Form) -> Words:
        """All that a thing does, linked with "then" where it is one after the other."""
        acts = self.parts.acts(index, form)
        if len(acts) < 2:
            return acts[0] if acts else []
        links = (", then", "and then", ", and then", "then")
        link = self.dice.pick(f"then {index}", links[:3])
        hit_links = ("and", "and", ", then", "until it") if form is Form.PRESENT else ("and",)
        both = len(self.said.things[index].deeds) == 2
        words = acts[0]
        before = both and self.dice.chance(f"first {index}") < 0.15 and form is Form.PRESENT
        if before:
            words = tagged("first", index) + words
        for number, act in enumerate(acts[1:]):
            hits = not both or (number == 0 and len(acts) > 2)
            word = self.dice.pick(f"and {index} {number}", hit_links) if hits else link
            words = words + tagged(word, index) + act
        return words

    def _alike(self, form: Form) -> Words:
        """Two or more things named as one."""
        number = lexicon.NUMBERS[len(self.said.things)]
        number = str(len(self.said.things)) if self.dice.chance("digit") < 0.25 else number
        words = tagged(f"{number} {self.parts.noun(0)}", 0)
        deed = self.said.things[0].deeds[0] if self.said.things[0].deeds else None
        if deed is None:
            return words
        if form is Form.PROGRESSIVE:
            acts = self.parts.deed(0, 0, deed, Form.PARTICIPLE)
            return words + tagged("are", 0) + acts
        plural_form = Form.PLURAL if form is Form.PRESENT else form
        return words + self.parts.deed(0, 0, deed, plural_form)

    def _setting(self) -> Words:
        return self.parts.ground() + self.parts.place() + self.parts.time_and_weather()

    def _camera_after(self, form: Form, links: tuple[tuple[str, bool], ...]) -> Words:
        """The camera's clause after a comma, a word or both."""
        camera = self.parts.camera(form)
        if not camera:
            return []
        word, comma = self.dice.pick("camera link", links)
        mark = [(",", OTHER)] if comma else []
        return mark + tagged(word, OTHER) + camera

    def _closing(self) -> list[Words]:
        """Sentences about camera and style."""
        sentences = [self.parts.camera(Form.PRESENT)]
        style = self.parts.style_noun()
        if style:
            verb = "it looks like" if self.dice.chance("looks") < 0.5 else "the picture is"
            sentences.append(tagged(verb, STYLE) + style)
        return [sentence for sentence in sentences if sentence]

    def _air_sentences(self) -> list[Words]:
        """Sentences about time and weather."""
        said = self.said
        sentences = []
        both = said.time != UNKNOWN and said.weather != UNKNOWN
        if both and self.dice.chance("one phrase") < 0.5:
            time, weather = TIMES[said.time], WEATHERS[said.weather]
            adjective = self.dice.pick("weather", lexicon.WEATHER_ADJECTIVES[weather])
            words = tagged(f"it is {article(adjective)}", WEATHER)
            return [words + tagged(self.dice.pick("time", lexicon.TIME_NOUNS[time]), TIME)]
        if said.time != UNKNOWN:
            sentences.append(tagged(f"it is {TIMES[said.time]}", TIME))
        if said.weather != UNKNOWN:
            clauses = lexicon.WEATHER_CLAUSES[WEATHERS[said.weather]]
            sentences.append(tagged(self.dice.pick("weather", clauses), WEATHER))
        return sentences


def join_sentences(sentences: list[Words]) -> Words:
    """Sentences with full stops between them."""
    joined: Words = []
    for index, sentence in enumerate(sentences):
        joined += [(".", OTHER)] * bool(index) + sentence
    return joined
