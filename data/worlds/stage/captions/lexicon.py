"""The words that captions of the stage use, each beside what it stands for.

Verbs are given in their base form after a `~`, so that `grammar` can inflect them: "~roll left"
becomes "rolls left", "roll left" or "rolling left". `{target}` is another object, `{ground}` the
floor with its article. A word that stands twice is chosen twice as often.
"""

from __future__ import annotations

from ..colours import BASIC, NAMED

Table = dict[str, tuple[str, ...]]

_BASIC_WORDS: Table = {
    "red": ("red", "red", "red", "scarlet", "ruby"),
    "orange": ("orange", "orange", "orange", "tangerine"),
    "yellow": ("yellow", "yellow", "yellow", "lemon", "sunny yellow"),
    "green": ("green", "green", "green", "emerald", "grass green"),
    "cyan": ("cyan", "cyan", "cyan", "aqua"),
    "blue": ("blue", "blue", "blue", "cobalt", "cobalt blue"),
    "purple": ("purple", "purple", "purple", "grape"),
    "pink": ("pink", "pink", "pink", "rose", "rosy pink"),
    "brown": ("brown", "brown", "brown", "chestnut", "chestnut brown"),
    "white": ("white", "white", "white", "snow white"),
}


def _spellings(name: str) -> tuple[str, ...]:
    """A further colour's name as people write it: with a space or a hyphen, grey or gray."""
    if " " in name:
        return name, name.replace("grey", "gray"), name.replace(" ", "-")
    if name in ("grey", "black"):
        return name, name.replace("grey", "gray")
    return name, name, name, f"{name}-coloured", f"{name}-colored"


COLOUR_WORDS: Table = _BASIC_WORDS | {name: _spellings(name) for name in NAMED}
assert set(_BASIC_WORDS) == set(BASIC)

SHAPE_WORDS: Table = {
    "ball": ("ball", "ball", "sphere", "orb"),
    "cube": ("cube", "cube", "box", "block"),
    "cylinder": ("cylinder", "cylinder", "drum", "can", "barrel"),
    "cone": ("cone",),
    "ring": ("ring", "ring", "hoop", "torus", "doughnut", "donut"),
    "capsule": ("capsule", "capsule", "pill", "rounded cylinder"),
}
NAMELESS = ("object", "thing", "object", "shape")  # where the shape is not said
SIZE_WORDS: Table = {
    "small": ("small", "small", "little", "tiny"),
    "medium": ("medium-sized", "mid-sized", "middle-sized"),
    "large": ("large", "big", "large", "huge"),
}
MATERIAL_WORDS: Table = {
    "matte": ("matte", "matte", "dull", "matt"),
    "shiny": ("shiny", "shiny", "glossy", "polished", "gleaming"),
    "striped": ("striped", "striped", "stripy", "banded"),
    "glowing": ("glowing", "glowing", "luminous"),
}
MATERIAL_TAILS: Table = {  # after the noun
    "matte": ("with a matte surface", "with a dull surface"),
    "shiny": ("with a shiny surface", "with a polished surface", "that shines"),
    "striped": ("with stripes", "with stripes", "that has stripes"),
    "glowing": ("that glows", "that glows", "that gives off light"),
}
SPEED_WORDS: Table = {
    "slow": ("slowly", "slowly", "gently", "at a slow pace"),
    "fast": ("quickly", "fast", "swiftly", "rapidly", "at high speed"),
}
BEFORE_VERB = ("slowly", "gently", "quickly", "swiftly", "rapidly")
PARTICLES: tuple[str, ...] = (
    "into",
    "and",
    "against",
    "up",
    "down",
    "along",
    "around",
    "in",
    "out",
    "back",
    "away",
)
PARTICLES = (*PARTICLES, "closer", "forward", "on", "off", "with", "the", "across", "over")

SIDES: Table = {
    "left": ("to the left", "left", "to the left", "leftward", "leftwards"),
    "right": ("to the right", "right", "to the right", "rightward", "rightwards"),
    "toward": ("toward the camera", "towards the camera", "toward us", "towards us"),
    "away": ("away from the camera", "away", "into the distance", "away from us"),
}
CLOCK = {"left": ("clockwise",), "right": ("counterclockwise", "anticlockwise")}

# {side} is one of SIDES or CLOCK. The first tuple says no direction, the second one does.
VERBS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "stand": (
        (
            "~stand still",
            "~stay still",
            "~do not move",
            "~rest on the {ground}",
            "~stay in place",
            "~stand there",
            "~stay put",
            "~sit on the {ground}",
            "~stand motionless",
        ),
        (),
    ),
    "roll": (
        ("~roll", "~roll along", "~move", "~roll across the {ground}"),
        (
            "~roll {side}",
            "~roll {side}",
            "~roll {side}",
            "~move {side}",
            "~travel {side}",
            "~go {side}",
            "~roll across the {ground} {side}",
        ),
    ),
    "slide": (
        ("~slide", "~slide along", "~move", "~glide", "~slide across the {ground}"),
        (
            "~slide {side}",
            "~slide {side}",
            "~glide {side}",
            "~move {side}",
            "~travel {side}",
            "~go {side}",
            "~slide across the {ground} {side}",
        ),
    ),
    "fall": (
        (
            "~fall",
            "~fall down",
            "~drop",
            "~fall from above",
            "~drop to the {ground}",
            "~fall to the {ground}",
            "~drop from above",
            "~fall onto the {ground}",
        ),
        (),
    ),
    "bounce": (
        (
            "~bounce",
            "~fall and ~bounce",
            "~bounce up and down",
            "~drop and ~bounce",
            "~fall and ~bounce back up",
            "~bounce on the {ground}",
        ),
        (),
    ),
    "jump": (
        ("~jump", "~jump up", "~hop", "~jump into the air", "~leap up", "~jump up and down"),
        (),
    ),
    "spin": (
        (
            "~spin",
            "~spin around",
            "~turn on the spot",
            "~rotate",
            "~spin in place",
            "~twirl",
            "~whirl around",
        ),
        ("~spin {side}", "~rotate {side}", "~turn {side} on the spot", "~spin around {side}"),
    ),
    "orbit": (
        (
            "~circle {target}",
            "~circle around {target}",
            "~orbit {target}",
            "~go around {target}",
            "~move around {target}",
            "~travel around {target}",
            "~move in a circle around {target}",
        ),
        ("~circle {target} {side}", "~orbit {target} {side}", "~go around {target} {side}"),
    ),
    "collide": (
        (
            "{go} into {target}",
            "~bump into {target}",
            "~crash into {target}",
            "~hit {target}",
            "~run into {target}",
            "~collide with {target}",
            "{go} against {target}",
        ),
        (
            "{go} {side} into {target}",
            "{go} {side} and ~hit {target}",
            "{go} {side} and ~bump into {target}",
            "~move {side} and ~crash into {target}",
        ),
    ),
    "emerge": (
        (
            "~come out from behind {target}",
            "~emerge from behind {target}",
            "{go} out from behind {target}",
            "~appear from behind {target}",
            "~come out behind {target}",
        ),
        (
            "{go} out from behind {target} {side}",
            "~come out from behind {target} {side}",
            "~emerge from behind {target} and ~move {side}",
        ),
    ),
    "stop": (
        ("~stop", "~come to a stop", "~stop", "~come to rest", "~halt", "~come to a halt"),
        (),
    ),
}
COMING: Table = {  # other ways to say that something moves toward the camera or away from it
    "toward": ("~come closer", "~approach the camera", "~come toward us", "~come nearer"),
    "away": ("~recede", "~move off into the distance", "~go off into the distance"),
}
BOUNDING: Table = {  # jumps by their speed
    "slow": ("~hop a little", "~make small jumps", "~jump a little"),
    "fast": ("~jump high", "~leap high into the air", "~make big jumps"),
}
HITS = ("~hit {target}", "~bump into {target}", "~run into {target}", "~collide with {target}")
PUSHES = ("~push {target}", "~knock {target} aside", "~push {target} along", "~shove {target}")
WALLS = ("~hit the wall", "~bounce off the wall", "~bump into the wall", "~run into the wall")

GROUND_WORDS: Table = {  # with a preposition
    "checker": (
        "on a checkered floor",
        "on a chequered floor",
        "on a chessboard floor",
        "on a checkerboard floor",
        "on checkered tiles",
    ),
    "grass": ("on grass", "on the grass", "on a lawn", "on green grass"),
    "wood": ("on a wooden floor", "on wood", "on floorboards", "on wooden planks"),
    "sand": ("on sand", "in the sand", "on sandy ground", "on the sand"),
    "ice": ("on ice", "on the ice", "on an icy floor", "on a sheet of ice"),
}
GROUND_NOUNS: Table = {  # after "the"
    "checker": ("checkered floor", "chequered floor", "tiled floor", "checkerboard"),
    "grass": ("grass", "lawn", "grass"),
    "wood": ("wooden floor", "floorboards", "planks"),
    "sand": ("sand", "sand", "sandy ground"),
    "ice": ("ice", "ice", "icy floor"),
}
ANY_GROUND = ("ground", "floor")
PLACE_WORDS: Table = {
    "open": ("outdoors", "outside", "in the open", "in the open air"),
    "room": ("in a room", "indoors", "inside a room", "in a room"),
}
TIME_WORDS: Table = {
    "day": ("by day", "in daylight", "during the day", "in the daytime"),
    "evening": ("in the evening", "at dusk", "in the evening light", "at sunset"),
    "night": ("at night", "after dark", "at night", "at nighttime"),
}
TIME_NOUNS: Table = {"day": ("day",), "evening": ("evening",), "night": ("night",)}
WEATHER_WORDS: Table = {
    "clear": ("in clear weather", "in fine weather", "in dry weather"),
    "rain": ("in the rain", "while it rains", "in rainy weather", "as rain falls", "in rain"),
    "snow": (
        "while it snows",
        "in falling snow",
        "as snow falls",
        "in snowy weather",
        "during snowfall",
    ),
    "fog": ("in fog", "in the fog", "in mist", "in foggy weather", "in thick fog"),
}
WEATHER_ADJECTIVES: Table = {  # of a day, an evening, a night
    "clear": ("clear", "dry"),
    "rain": ("rainy", "wet"),
    "snow": ("snowy",),
    "fog": ("foggy", "misty"),
}
WEATHER_CLAUSES: Table = {  # a sentence each
    "clear": ("the weather is clear", "the weather is fine"),
    "rain": ("it is raining", "it rains", "rain falls"),
    "snow": ("it is snowing", "it snows", "snow falls"),
    "fog": ("it is foggy", "there is fog", "fog hangs in the air"),
}
STYLE_NOUNS: Table = {  # before "of ..."
    "shaded": ("a 3D rendering", "a 3D render", "a realistic rendering", "a shaded 3D picture"),
    "flat": ("a flat cartoon", "a cartoon drawing", "a flat drawing", "a cartoon"),
    "pencil": (
        "a pencil drawing",
        "a pencil sketch",
        "a sketch in pencil",
        "a coloured pencil drawing",
    ),
    "pixels": ("pixel art", "a pixel art animation", "a pixel art scene", "a pixelated picture"),
    "watercolour": (
        "a watercolour",
        "a watercolour painting",
        "a watercolor painting",
        "a painting in watercolours",
        "a watercolor",
    ),
}
STYLE_TAILS: Table = {  # after a comma, or in front
    "shaded": ("rendered in 3D", "in a realistic style", "with realistic shading"),
    "flat": ("drawn as a flat cartoon", "in flat colours with outlines", "in cartoon style"),
    "pencil": ("drawn in pencil", "as a pencil drawing", "sketched in coloured pencil"),
    "pixels": ("as pixel art", "in pixel art style", "in coarse pixels", "pixelated"),
    "watercolour": (
        "painted in watercolour",
        "as a watercolour",
        "in watercolor",
        "painted in watercolours",
    ),
}
CAMERA_VERBS: Table = {  # of "the camera"
    "still": ("~stay still", "~do not move", "~stand still", "~remain fixed"),
    "pan left": ("~pan left", "~pan to the left", "~turn left", "~turn to the left"),
    "pan right": ("~pan right", "~pan to the right", "~turn right", "~turn to the right"),
    "tilt up": ("~tilt up", "~tilt upward", "~look up", "~tilt upwards"),
    "tilt down": ("~tilt down", "~tilt downward", "~look down", "~tilt downwards"),
    "orbit left": ("~orbit left", "~orbit to the left", "~circle left", "~circle to the left"),
    "orbit right": ("~orbit right", "~orbit to the right", "~circle right", "~circle to the right"),
    "dolly in": ("~move in", "~push in", "~dolly in", "~move closer", "~move forward"),
    "dolly out": ("~move back", "~pull back", "~dolly out", "~move away", "~back away"),
    "zoom in": ("~zoom in",),
    "zoom out": ("~zoom out",),
    "follow": (
        "~follow {target}",
        "~track {target}",
        "~keep {target} in view",
        "~turn to follow {target}",
    ),
}
CAMERA_NOUNS: Table = {  # without "the camera"
    "still": ("static shot", "still camera", "fixed camera"),
    "pan left": ("pan left", "pan to the left", "leftward pan"),
    "pan right": ("pan right", "pan to the right", "rightward pan"),
    "tilt up": ("tilt up", "upward tilt"),
    "tilt down": ("tilt down", "downward tilt"),
    "orbit left": ("orbit left", "orbit shot to the left"),
    "orbit right": ("orbit right", "orbit shot to the right"),
    "dolly in": ("dolly in", "push in"),
    "dolly out": ("dolly out", "pull back"),
    "zoom in": ("zoom in",),
    "zoom out": ("zoom out",),
}
OPENINGS = ("a video of", "a clip of", "a short film of", "footage of", "a scene with", "video of")
NUMBERS = ("no", "one", "two", "three", "four")
