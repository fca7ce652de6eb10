"""Reads damaged copies of files in a process of its own: what comes back must be an answer or one
line that says what is wrong.

    python mutants.py FIRST COUNT KIND FILE [KIND FILE …]

Prints a JSON object a line for each file: how many were read, how many were refused, every error
that is no refusal, every mutant that took too long, and the peak of memory in megabytes. A crash
shows in the status, and is of the file that has no line.
"""

import json
import random
import resource
import signal
import struct
import sys
from pathlib import Path
from typing import Any

import yaml
from readers import KINDS

SECONDS = 10  # per mutant
MORE_BYTES = 1 << 30  # that a mutant may map beside what reading the sound file has mapped


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
    values = json.loads(content)
    change_value(values, random.Random(seed))
    return json.dumps(values).encode()


def mutate_header(content: bytes, seed: int) -> bytes:
    """The same for what a safetensors file says of itself and of its tensors."""
    dice = random.Random(seed)
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    told = header.get("__metadata__", {})
    if "session" in told and dice.random() < 0.7:
        session = json.loads(told["session"])
        change_value(session, dice)
        told["session"] = json.dumps(session)
    else:
        change_value(header, dice)
    changed = json.dumps(header).encode()
    return struct.pack("<Q", len(changed)) + changed + content[8 + length :]


def mutate_tensors(content: bytes, seed: int) -> bytes:
    return mutate_header(content, seed) if seed % 2 else mutate(content, seed)


def change_value(values: dict[str, Any], dice: random.Random) -> None:
    place = values
    while True:
        key = dice.choice(sorted(place))
        inside = place[key]
        if isinstance(inside, list) and inside and isinstance(inside[0], dict):
            inside = dice.choice(inside)
        if not isinstance(inside, dict) or not inside or dice.random() < 0.3:
            break
        place = inside
    odd = [None, -1, 0, 1, 10**9, 10**30, 0.5, float("nan"), "x", "", [], [[]], {}, True, [1, "a"]]
    kind = dice.randrange(4)
    if kind == 0:
        del place[key]
    elif kind == 1:
        place[f"{key}x"] = place.pop(key)
    else:
        place[key] = dice.choice(odd)


def mutate_yaml(content: bytes, seed: int) -> bytes:
    """The same for settings by name, or some bytes of them."""
    if seed % 2:
        return mutate(content, seed)
    values = yaml.safe_load(content)
    change_value(values, random.Random(seed))
    return yaml.safe_dump(values, allow_unicode=True).encode()


CHANGES = {
    ".json": mutate_json,
    ".safetensors": mutate_tensors,
    ".yaml": mutate_yaml,
}


def main(kind: str, file: Path, first: int, count: int) -> dict[str, object]:
    """Read `count` mutants of a file in its place, the first of them made with the seed `first`."""
    content = file.read_bytes()
    change = CHANGES.get(file.suffix, mutate)
    found: dict[str, list[str]] = {"foreign": [], "slow": []}
    read = refused = 0

    KINDS[kind](file)  # the sound one, so that all that has to be imported is
    Path("/proc/self/clear_refs").write_text("5")  # the peak is that of this file
    most = status("VmSize:") + MORE_BYTES
    (before, highest) = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (most, highest))

    signal.signal(signal.SIGALRM, too_long)
    for seed in range(first, first + count):
        file.write_bytes(change(content, seed))
        for is_last in (False, True):  # a machine with other work may stall once
            signal.alarm(SECONDS)
            try:
                KINDS[kind](file)
                read += 1
            except TimeoutError:
                if not is_last:
                    continue
                found["slow"].append(str(seed))
            except (ValueError, OSError) as error:
                refused += 1
                if "\n" in str(error):
                    found["foreign"].append(f"{seed}: {error!r:.200} has several lines")
            except Exception as error:
                found["foreign"].append(f"{seed}: {error!r:.200}")
            finally:
                signal.alarm(0)
            break
    resource.setrlimit(resource.RLIMIT_AS, (before, highest))
    file.write_bytes(content)  # another kind of mutants may read it
    return {"read": read, "refused": refused, "peak": status("VmHWM:") / 2**20, **found}


def too_long(*_: object) -> None:
    raise TimeoutError


def status(name: str) -> int:
    """Bytes of this program's own memory: the peak (VmHWM), or what is mapped (VmSize).
    `ru_maxrss` would count the process that started it, whose peak it inherits."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (line,) = [line for line in lines if line.startswith(name)]
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    (first, count) = map(int, sys.argv[1:3])
    for kind, file in zip(sys.argv[3::2], sys.argv[4::2], strict=True):
        print(json.dumps(main(kind, Path(file), first, count)), flush=True)
