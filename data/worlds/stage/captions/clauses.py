"""The parts of a caption: what things are called, what they do, and the words of the scene.

Every part is a list of words with tags; `Form` says how its verbs are inflected.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum

from ..colours import COLOURS
from ..scene import (
    CAMERAS,
    DIRECTIONS,
    GROUNDS,
    MATERIALS,
    MOTIONS,
    PLACES,
    SHAPES,
    SIZES,
    SPEEDS,
    STYLES,
    TIMES,
    WEATHERS,
)
from . import lexicon
from .attributes import Attributes, Dice
from .facts import COLLIDE, EMERGE, JUMP, ROLL, SLIDE, UNKNOWN, Deed, Hit, Thing
from .grammar import Words, article, base, participle, plural, progressive, tagged, third

TAGS: tuple[str, ...] = (
    "object 1",
    "object 2",
    "object 3",
    "object 4",
    "camera",
    "time",
    "weather",
    "ground",
)
TAGS = (*TAGS, "style", "place", "other")
CAMERA, TIME, WEATHER, GROUND, STYLE, PLACE, OTHER = range(4, 11)


class Form(Enum):
    """How verbs are inflected."""

    PRESENT = "rolls"
    PLURAL = "roll"
    PROGRESSIVE = "is rolling"
    PARTICIPLE = "rolling"

    @property
    def inflect(self) -> Callable[[str], str]:
        functions = {
            Form.PRESENT: third,
            Form.PLURAL: base,
            Form.PROGRESSIVE: progressive,
            Form.PARTICIPLE: participle,
        }
        return functions[self]


class Clauses:
    """Makes the parts of one sentence and remembers who has been named already."""

    def __init__(self, said: Attributes, dice: Dice, terse: bool = False) -> None:
        self.said = said
        self.dice = dice
        self.terse = terse  # no articles
        self.named: set[int] = set()
        self.ground_named = False  # by a verb, as in "falls onto the grass"
        self.ground_told = False  # by its own words

    # ---- what things are called ----

    def noun(self, index: int) -> str:
        """A thing without an article, such as "large shiny red ball"."""
        thing = self.said.things[index]
        before = [self._word(index, "size", thing.size, SIZES, lexicon.SIZE_WORDS)]
        material = self._word(index, "material", thing.material, MATERIALS, lexicon.MATERIAL_WORDS)
        colour = self._word(index, "colour", thing.colour, COLOURS, lexicon.COLOUR_WORDS)
        behind = ""
        if material and self.dice.chance(f"tail {index}") < 0.15 and not self.terse:
            name = MATERIALS[thing.material]
            behind = self.dice.pick(f"tail word {index}", lexicon.MATERIAL_TAILS[name])
            material = ""
        adjectives = [material, colour]
        if self.dice.chance(f"colour first {index}") < 0.1:
            adjectives.reverse()
        shape = self._word(index, "shape", thing.shape, SHAPES, lexicon.SHAPE_WORDS)
        shape = shape or self.dice.pick(f"nameless {index}", lexicon.NAMELESS)
        if self.said.alike:
            shape = plural(shape)
            behind = behind.replace("glows", "glow").replace("gives", "give")
            behind = behind.replace("has", "have").replace("shines", "shine")
        return " ".join(word for word in (*before, *adjectives, shape, behind) if word)

    def name(self, index: int, introduces: bool = False) -> Words:
        """A thing with its article: "a red ball" at first, then "the ball"."""
        noun = self.noun(index)
        if self.terse:
            again = index in self.named
            self.named.add(index)
            return tagged(self._short(index) if again else noun, index)
        if index in self.named:
            return tagged(f"the {self._short(index)}", index)
        self.named.add(index)
        chance = self.dice.chance(f"article {index}")
        if chance < 0.06 and not introduces:
            return tagged(f"the {noun}", index)
        return tagged(f"one {noun}" if chance > 0.97 else article(noun), index)

    def _short(self, index: int) -> str:
        """What a thing is called once it has been named: no more than tells it from others."""
        things = self.said.things
        thing = things[index]
        others = [other for other in things if other is not thing]
        if self.dice.chance(f"in full {index}") < 0.1:
            return self.noun(index)
        colour = self._word(index, "colour", thing.colour, COLOURS, lexicon.COLOUR_WORDS)
        shape = self._word(index, "shape", thing.shape, SHAPES, lexicon.SHAPE_WORDS)
        nameless = self.dice.pick(f"nameless {index}", lexicon.NAMELESS)
        if shape and all(other.shape not in (thing.shape, UNKNOWN) for other in others):
            return shape
        if colour and all(other.colour not in (thing.colour, UNKNOWN) for other in others):
            return f"{colour} {shape or nameless}"
        return self.noun(index)

    def _word(
        self, index: int, kind: str, value: int, names: Sequence[str], table: lexicon.Table
    ) -> str:
        if value == UNKNOWN:
            return ""
        return self.dice.pick(f"{kind} word {index}", table[names[value]])

    # ---- what things do ----

    def acts(self, index: int, form: Form) -> list[Words]:
        """What a thing does and whom it hits, one predicate each, in their order."""
        thing = self.said.things[index]
        mine = [hit for hit in self.said.hits if hit.who == index]
        parts = []
        for phase in range(max(1, len(thing.deeds))):
            deed = thing.deeds[phase] if phase < len(thing.deeds) else None
            if deed is not None:
                parts.append(self.deed(index, phase, deed, form))
                form = Form.PARTICIPLE if form is Form.PROGRESSIVE else form
            for hit in mine:
                told = deed is not None and deed.motion == COLLIDE and deed.target == hit.whom
                if hit.phase == phase and not told:
                    parts.append(self.hit(index, hit, form))
                    form = Form.PARTICIPLE if form is Form.PROGRESSIVE else form
        return parts

    def deed(self, index: int, phase: int, deed: Deed, form: Form) -> Words:
        """One motion as a predicate."""
        name = MOTIONS[deed.motion]
        key = f"{index} {phase}"
        side = DIRECTIONS[deed.direction]
        pattern = self._pattern(name, side, key, deed)
        if deed.motion in (COLLIDE, EMERGE):
            comes = "~come" if deed.motion == EMERGE else "~move"
            going = self._going(self.said.things[index], comes, key)
            pattern = pattern.replace("{go}", going)
        table = lexicon.CLOCK if name in ("spin", "orbit") else lexicon.SIDES
        if side in table:
            words = table[side]
            if name == "emerge" or "across" in pattern:
                words = tuple(word for word in words if " " in word)
            pattern = pattern.replace("{side}", self.dice.pick(f"side {key}", words))
        pace = SPEEDS[deed.speed] if deed.speed != UNKNOWN else ""
        if pace in lexicon.SPEED_WORDS and deed.motion != JUMP:
            adverb = self.dice.pick(f"pace {key}", lexicon.SPEED_WORDS[pace])
            pattern = self._with_adverb(pattern, adverb, key)
        return self._filled(pattern, index, deed.target, form)

    def hit(self, index: int, hit: Hit, form: Form) -> Words:
        """An impact as a predicate."""
        options: tuple[str, ...] = lexicon.HITS if hit.whom >= 0 else lexicon.WALLS
        if hit.pushes:
            options = (*lexicon.HITS, *lexicon.PUSHES)
        key = f"hit {index} {hit.whom}"
        return self._filled(self.dice.pick(key, options), index, hit.whom, form)

    def _pattern(self, name: str, side: str, key: str, deed: Deed) -> str:
        pace = SPEEDS[deed.speed] if deed.speed != UNKNOWN else ""
        if name == "jump" and pace in lexicon.BOUNDING:
            return self.dice.pick(f"verb {key}", lexicon.BOUNDING[pace])
        plain, sided = lexicon.VERBS[name]
        travels = deed.motion in (ROLL, SLIDE)
        if travels and side in lexicon.COMING and self.dice.chance(f"coming {key}") < 0.3:
            return self.dice.pick(f"verb {key}", lexicon.COMING[side])
        if deed.motion == COLLIDE and side in lexicon.COMING:
            sided = tuple(pattern for pattern in sided if " and " in pattern)
        return self.dice.pick(f"verb {key}", sided if deed.direction and sided else plain)

    def _going(self, thing: Thing, comes: str, key: str) -> str:
        rolls = thing.shape != UNKNOWN and SHAPES[thing.shape] == "ball"
        verbs = ("~roll", "~roll", "~move") if rolls else ("~move", comes)
        return self.dice.pick(f"go {key}", verbs)

    def _with_adverb(self, pattern: str, adverb: str, key: str) -> str:
        """Before the verb, after it or at the end, where it sounds well."""
        place = self.dice.chance(f"adverb {key}")
        verb, _, rest = pattern.partition(" ")
        several = "~" in rest
        if adverb in lexicon.BEFORE_VERB and (several or place < 0.25):
            return f"{adverb} {pattern}"
        apart = rest.split(" ")[0] not in lexicon.PARTICLES and "{target}" not in rest
        if place < 0.6 and apart and " " not in adverb:
            return f"{verb} {adverb} {rest}".strip()
        if several:
            return pattern.replace(" and ", f" {adverb} and ", 1)
        return f"{pattern} {adverb}"

    def _filled(self, pattern: str, index: int, target: int, form: Form) -> Words:
        """Inflect, and put the floor's and the other thing's names in."""
        adverb = pattern.split(" ")[0]
        leading = adverb if adverb in lexicon.BEFORE_VERB else ""
        pattern = pattern.removeprefix(leading).strip()
        text = form.inflect(pattern)
        if leading and form is Form.PROGRESSIVE:
            text = text.replace("is ", f"is {leading} ", 1)
        elif leading:
            text = f"{leading} {text}"
        if "{ground}" in text:
            text = text.replace("{ground}", self._ground_noun())
        before, _, after = text.partition("{target}")
        words = tagged(before, index)
        if "{target}" in text:
            words += self.name(target)
        return words + tagged(after, index)

    def _ground_noun(self) -> str:
        # what it is, unless that has been said
        if self.said.ground != UNKNOWN and not self.ground_told:
            self.ground_named = True
            return self.dice.pick("ground", lexicon.GROUND_NOUNS[GROUNDS[self.said.ground]])
        return self.dice.pick("ground", lexicon.ANY_GROUND)

    # ---- the scene ----

    def ground(self) -> Words:
        """Such as "on the grass"; nothing if it is not said or has been named."""
        if self.said.ground == UNKNOWN or self.ground_named:
            return []
        self.ground_told = True
        words = lexicon.GROUND_WORDS[GROUNDS[self.said.ground]]
        return tagged(self.dice.pick("ground words", words), GROUND)

    def place(self) -> Words:
        if self.said.place == UNKNOWN:
            return []
        words = lexicon.PLACE_WORDS[PLACES[self.said.place]]
        return tagged(self.dice.pick("place", words), PLACE)

    def time_and_weather(self) -> Words:
        """Such as "at night in the rain" or "on a rainy night"."""
        time, weather = self.said.time, self.said.weather
        if time != UNKNOWN and weather != UNKNOWN and self.dice.chance("one phrase") < 0.4:
            adjective = self.dice.pick("weather", lexicon.WEATHER_ADJECTIVES[WEATHERS[weather]])
            noun = self.dice.pick("time", lexicon.TIME_NOUNS[TIMES[time]])
            first, second = article(adjective).split(" ")
            words = tagged(f"on {first}", OTHER) + tagged(second, WEATHER)
            return words + tagged(noun, TIME)
        parts = [self.time(), self.weather()]
        if self.dice.chance("weather first") < 0.3:
            parts.reverse()
        return parts[0] + parts[1]

    def time(self) -> Words:
        if self.said.time == UNKNOWN:
            return []
        return tagged(self.dice.pick("time", lexicon.TIME_WORDS[TIMES[self.said.time]]), TIME)

    def weather(self) -> Words:
        if self.said.weather == UNKNOWN:
            return []
        words = lexicon.WEATHER_WORDS[WEATHERS[self.said.weather]]
        return tagged(self.dice.pick("weather", words), WEATHER)

    def camera(self, form: Form) -> Words:
        """Such as "the camera pans left"; nothing if it is not said."""
        if self.said.camera == UNKNOWN:
            return []
        move = CAMERAS[self.said.camera]
        pattern = self.dice.pick("camera", lexicon.CAMERA_VERBS[move])
        pace = SPEEDS[self.said.camera_speed] if self.said.camera_speed != UNKNOWN else ""
        if pace in lexicon.SPEED_WORDS:
            adverb = self.dice.pick("camera pace", lexicon.SPEED_WORDS[pace])
            pattern = self._with_adverb(pattern, adverb, "camera")
        words = tagged("camera" if self.terse else "the camera", CAMERA)
        return words + self._filled(pattern, CAMERA, self.said.camera_target, form)

    def camera_noun(self) -> Words:
        """Such as "pan left" or "static shot"; nothing if there is no such noun."""
        if self.said.camera == UNKNOWN or CAMERAS[self.said.camera] not in lexicon.CAMERA_NOUNS:
            return []
        noun = self.dice.pick("camera", lexicon.CAMERA_NOUNS[CAMERAS[self.said.camera]])
        pace = SPEEDS[self.said.camera_speed] if self.said.camera_speed != UNKNOWN else ""
        return tagged(f"{pace} {noun}" if pace in ("slow", "fast") else noun, CAMERA)

    def style_noun(self) -> Words:
        if self.said.style == UNKNOWN:
            return []
        return tagged(self.dice.pick("style", lexicon.STYLE_NOUNS[STYLES[self.said.style]]), STYLE)

    def style_tail(self) -> Words:
        if self.said.style == UNKNOWN:
            return []
        return tagged(self.dice.pick("style", lexicon.STYLE_TAILS[STYLES[self.said.style]]), STYLE)
