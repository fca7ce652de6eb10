"""Reads damaged copies of a file in a process of its own: what comes back must be an answer or one
line that says what is wrong.

    python mutants.py KIND FILE FIRST COUNT

Prints a JSON object: how many were read, how many were refused, every error that is no refusal,
every mutant that took too long, and the peak of memory in megabytes. A crash shows in the status.
"""

import json
import random
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

SECONDS = 10  # per mutant


def mutate(content: bytes, seed: int) -> bytes:
    """A few bytes are other ones; now and then a piece is missing, doubled, or the end is."""
    dice = random.Random(seed)
    damaged = bytearray(content)
    for _ in range(dice.choice((1, 2, 8, 64))):
        if damaged:
            damaged[dice.randrange(len(damaged))] = dice.randrange(256)
    kind = dice.randrange(8)
    start = dice.randrange(max(1, len(damaged)))
    piece = damaged[start : start + dice.randrange(1, 512)]
    if kind == 0:
        del damaged[start:]
    elif kind == 1:
        del damaged[start : start + len(piece)]
    elif kind == 2:
        damaged[start:start] = piece
    return bytes(damaged)


def mutate_json(content: bytes, seed: int) -> bytes:
    """One value of the object, at any depth, is another thing, missing, or has a new name."""
    dice = random.Random(seed)
    values = json.loads(content)
    place = values
    while True:
        key = dice.choice(sorted(place))
        if not isinstance(place[key], dict) or not place[key] or dice.random() < 0.3:
            break
        place = place[key]
    odd = [None, -1, 0, 1, 10**9, 10**30, 0.5, float("nan"), "x", "", [], [[]], {}, True, [1, "a"]]
    kind = dice.randrange(4)
    if kind == 0:
        del place[key]
    elif kind == 1:
        place[f"{key}x"] = place.pop(key)
    else:
        place[key] = dice.choice(odd)
    return json.dumps(values).encode()


def read_video(path: Path) -> None:
    from kinetoscope.data.video import probe, read_clip

    probe(path)
    read_clip(path, frames=8, size=(32, 32), fps=12.0)


def read_codes(path: Path) -> None:
    from kinetoscope.tokenizer import VideoCodes

    VideoCodes.load(path)


def read_decoder(path: Path) -> None:
    from kinetoscope.files.json_file import read_object
    from kinetoscope.generator import DecoderConfig

    values = read_object(path)
    values.pop("tokenizer", None)
    DecoderConfig.from_dict(values)


def read_tokenizer(path: Path) -> None:
    from kinetoscope.files.json_file import read_object
    from kinetoscope.tokenizer import TokenizerConfig

    TokenizerConfig.from_dict(read_object(path))


READERS: dict[str, Callable[[Path], None]] = {
    "video": read_video,
    "codes": read_codes,
    "decoder": read_decoder,
    "tokenizer": read_tokenizer,
}


def main(kind: str, file: Path, first: int, count: int) -> dict[str, object]:
    """Read `count` mutants of a file, the first of them made with the seed `first`."""
    content = file.read_bytes()
    change = mutate_json if file.suffix == ".json" else mutate
    found: dict[str, list[str]] = {"foreign": [], "slow": []}
    read = refused = 0

    READERS[kind](file)  # the sound one, so that all that has to be imported is

    def too_long(*_: object) -> None:
        raise TimeoutError

    signal.signal(signal.SIGALRM, too_long)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"mutant{file.suffix}"
        for seed in range(first, first + count):
            path.write_bytes(change(content, seed))
            signal.alarm(SECONDS)
            try:
                READERS[kind](path)
                read += 1
            except TimeoutError:
                found["slow"].append(str(seed))
            except (ValueError, OSError) as error:
                refused += 1
                if "\n" in str(error):
                    found["foreign"].append(f"{seed}: {error!r:.200} has several lines")
            except Exception as error:
                found["foreign"].append(f"{seed}: {error!r:.200}")
            finally:
                signal.alarm(0)
    return {"read": read, "refused": refused, "peak": peak_megabytes(), **found}


def peak_megabytes() -> float:
    """Of this program's own memory. `ru_maxrss` would count the process that started it, whose peak
    it inherits."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (peak,) = [line for line in lines if line.startswith("VmHWM:")]
    return int(peak.split()[1]) / 1024


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], Path(sys.argv[2]), *map(int, sys.argv[3:5]))))
