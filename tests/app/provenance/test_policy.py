"""A policy is asked about everything that is drawn, whichever way it comes in."""

import ast
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from kinetoscope.app.cli.main import main
from kinetoscope.app.provenance import watermark
from kinetoscope.app.provenance.policy import (
    Answer,
    Gate,
    GuardedGenerator,
    Refused,
    Request,
    acting_for,
    allow,
    change,
    load_policies,
    refuse,
)
from kinetoscope.app.provenance.policy_lists import ListPolicy, hash_text, picture_hash
from kinetoscope.data.video import read_clip, read_metadata, to_float, to_uint8, write_video
from kinetoscope.generator import VideoGenerator

ROOT = Path(__file__).parents[3]


class NoBlue:
    """Refuses what is blue, by word or by a condition that says so."""

    def __call__(self, request: Request) -> Answer:
        said = f"{request.prompt} {request.conditions.get('note', '')}"
        return refuse("nothing blue here") if "blue" in said else allow(request)


class RedInstead:
    """Draws red in place of blue."""

    def __call__(self, request: Request) -> Answer:
        if request.prompt is None:
            return allow(request)
        return change(request, prompt=request.prompt.replace("blue", "red"))


class Fails:
    def __call__(self, request: Request) -> Answer:
        raise RuntimeError("no answer")


@pytest.fixture
def guarded(generator: VideoGenerator) -> Callable[..., GuardedGenerator]:
    def guarded(*policies: Any) -> GuardedGenerator:
        parts = generator.decoder, generator.tokenizer, generator.text
        made = GuardedGenerator(*parts).eval()
        made.gate = Gate(policies)
        return made

    return guarded


def test_no_way_into_a_generator_goes_past_it(
    guarded: Callable[..., GuardedGenerator], generator: VideoGenerator, tmp_path: Path
) -> None:
    model = guarded(NoBlue())
    bad = "a blue ball"
    session = model.session("a red ball", seed=0)
    next(session)
    saved = generator.session(bad, seed=0)
    next(saved)
    saved.save(tmp_path / "saved.safetensors")
    ways: dict[str, Callable[[], object]] = {
        "session": lambda: model.session(bad),
        "second of two": lambda: model.session(["a red ball", bad]),
        "stream": lambda: next(iter(model.stream(bad))),
        "generate": lambda: model.generate(bad, frames=2),
        "another prompt": lambda: session.set_prompt(bad),
        "states of a sentence": lambda: model.encode_text([bad]),
        "features": lambda: model.features("prompt", [bad], 1),
        "a condition": lambda: model.session("a red ball", note="all in blue"),
        "a later condition": lambda: session.give("note", "all in blue"),
        "a saved session": lambda: model.load_session(tmp_path / "saved.safetensors"),
    }
    for name, way in ways.items():
        with pytest.raises(Refused, match="nothing blue here"):
            way()
            pytest.fail(f"{name} goes past the policy")
    next(session)  # what was allowed goes on


def test_what_is_allowed_is_drawn_as_without(
    guarded: Callable[..., GuardedGenerator], generator: VideoGenerator
) -> None:
    wanted = generator.generate("a red ball", frames=3, seed=4)
    assert torch.equal(guarded(NoBlue()).generate("a red ball", frames=3, seed=4), wanted)
    assert torch.equal(guarded(RedInstead()).generate("a blue ball", frames=3, seed=4), wanted)


def test_a_change_reaches_later_prompts(guarded: Callable[..., GuardedGenerator]) -> None:
    session = guarded(RedInstead()).session(["a blue ball", "a cube"])
    assert session.prompts == ["a red ball", "a cube"]


class NoBegin:
    """Refuses to go on from a picture."""

    def __init__(self) -> None:
        self.seen: list[torch.Tensor] = []

    def __call__(self, request: Request) -> Answer:
        if "init" not in request.conditions:
            return allow(request)
        self.seen.append(request.conditions["init"])
        return refuse("this picture is known")


def test_codes_are_shown_to_it_as_pixels_and_stay_codes(
    guarded: Callable[..., GuardedGenerator], generator: VideoGenerator
) -> None:
    video = generator.generate("a red ball", frames=5, seed=0)
    codes = generator.tokenizer.encode(video)
    policy = NoBegin()
    with pytest.raises(Refused, match="this picture is known"):
        guarded(policy).session("a red ball", init=codes)
    with pytest.raises(Refused, match="this picture is known"):
        guarded(policy).features("init", codes, 1)
    pixels = generator.tokenizer.decode(codes)
    assert all(torch.equal(seen, pixels) for seen in policy.seen) and len(policy.seen) == 2
    wanted = generator.generate("a red ball", frames=9, init=codes)
    assert torch.equal(guarded(NoBlue()).generate("a red ball", frames=9, init=codes), wanted)


def test_a_saved_session_is_asked_about_the_frames_that_it_goes_on_from(
    guarded: Callable[..., GuardedGenerator], generator: VideoGenerator, tmp_path: Path
) -> None:
    path = tmp_path / "saved.safetensors"
    saved = generator.session("a red ball", seed=0)
    drawn = torch.cat([next(saved), next(saved)], dim=2)
    saved.save(path)
    policy = NoBegin()
    with pytest.raises(Refused, match="this picture is known"):
        guarded(policy).load_session(path)
    assert torch.equal(policy.seen[0], drawn)


def test_a_changed_sentence_of_a_saved_session_is_the_one_that_goes_on(
    guarded: Callable[..., GuardedGenerator], generator: VideoGenerator, tmp_path: Path
) -> None:
    path = tmp_path / "saved.safetensors"
    saved = generator.session("a blue ball", seed=0)
    next(saved)
    saved.save(path)
    saved.set_prompt("a red ball")
    again = guarded(RedInstead()).load_session(path)
    assert again.prompts == ["a red ball"]
    assert torch.equal(next(again), next(saved))


def test_a_policy_that_fails_refuses(guarded: Callable[..., GuardedGenerator]) -> None:
    with pytest.raises(Refused, match="could not be asked"):
        guarded(Fails()).session("a red ball")


def test_the_log_tells_who_and_why_and_not_what(caplog: pytest.LogCaptureFixture) -> None:
    for logs_content in (False, True):
        caplog.clear()
        with caplog.at_level(logging.WARNING), acting_for("ada"), pytest.raises(Refused):
            Gate([NoBlue()], logs_content).check(Request("a blue secret"))
        assert "ada (nothing blue here)" in caplog.text
        assert ("secret" in caplog.text) == logs_content


# ---- the lists ----


@pytest.fixture
def lists(tmp_path: Path) -> Path:
    folder = tmp_path / "rules"
    folder.mkdir()
    (folder / "words.txt").write_text("# mine\nwalrus\nsea lion  # of any kind\nÉclair\n")
    return folder


@pytest.mark.parametrize(
    "text",
    [
        "a walrus",
        "WALRUS!",
        "the wálrus's ball",
        "ｗａｌｒｕｓ",
        "wal\u200brus",
        "w a l r u s",
        "go w.a.l.r.u.s go",
        "a sea   lion",
        "sea-lion",
        "eclair",
        "two\nwalrus",
    ],
)
def test_words_are_found_however_they_are_written(lists: Path, text: str) -> None:
    policy = ListPolicy(str(lists))
    assert policy(Request(text)).request is None
    assert policy(Request("a ball", {"note": text})).request is None
    assert policy(Request(None, {"shots": [{"say": text}]})).request is None
    assert "walrus" not in policy(Request(text)).reason


@pytest.mark.parametrize("text", ["a walruses", "sea and lion", "a red ball", "", "clair"])
def test_other_words_are_allowed(lists: Path, text: str) -> None:
    assert ListPolicy(str(lists))(Request(text)).request is not None


def test_a_listed_picture_is_found_scaled_lighter_and_inside_a_clip(lists: Path) -> None:
    noise = torch.rand(3, 9, 12, generator=torch.Generator().manual_seed(1))
    picture = torch.nn.functional.interpolate(noise[None], (90, 120), mode="bicubic")[0]
    (lists / "pictures.txt").write_text(hash_text(picture_hash(picture)) + "\n")
    policy = ListPolicy(str(lists))
    small = torch.nn.functional.interpolate(picture[None], (36, 48), mode="area")
    lighter = (small * 0.8 + 0.2).clamp(-1, 1)
    others = torch.rand(1, 3, 5, 36, 48, generator=torch.Generator().manual_seed(2)) * 2 - 1
    clip = torch.cat([others[:, :, :2], lighter[:, :, None], others[:, :, 2:]], 2)
    for shown in (small[:, :, None], lighter[:, :, None], clip, small):
        assert policy(Request("a ball", {"init": shown})).request is None
    assert policy(Request("a ball", {"init": others})).request is not None


def test_a_picture_with_even_surfaces_is_found_after_a_mark_and_a_codec(
    lists: Path, tmp_path: Path
) -> None:
    # as a model draws them: a ball before a wall and a floor
    y, x = torch.meshgrid(torch.linspace(-1, 1, 128), torch.linspace(-1, 1, 128), indexing="ij")
    ball = ((x - 0.2) ** 2 + (y - 0.3) ** 2 < 0.15).float()
    shown = torch.where(y > 0.1, 0.2, -0.3) * (1 - ball) + ball * 0.7
    video = shown.expand(1, 3, 9, 128, 128).clone()
    (lists / "pictures.txt").write_text(hash_text(picture_hash(video[0, :, 0])) + "\n")
    marked, _ = watermark.apply(video)
    write_video(tmp_path / "kept.mp4", to_uint8(marked[0]), fps=12)
    stored = read_clip(tmp_path / "kept.mp4").video
    assert picture_hash(stored[:, 0]) == picture_hash(to_float(stored[:, 0]))
    policy = ListPolicy(str(lists))
    assert policy(Request("a ball", {"init": to_float(stored)[None]})).request is None
    mirrored = to_float(stored).flip(-1)[None]
    assert policy(Request("a ball", {"init": mirrored})).request is not None


def test_lists_that_cannot_be_used_are_refused(tmp_path: Path, lists: Path) -> None:
    with pytest.raises(ValueError, match=r"holds neither words.txt nor pictures.txt"):
        load_policies(f"lists:{tmp_path}")
    (lists / "pictures.txt").write_text("12\n")
    with pytest.raises(ValueError, match="no hash of 16 hexadecimal digits"):
        load_policies(f"lists:{lists}")
    (lists / "words.txt").write_bytes("möglich\n".encode("latin-1"))
    with pytest.raises(ValueError, match=r"words\.txt' is not UTF-8 text \(line 1\)"):
        load_policies(f"lists:{lists}")
    with pytest.raises(ValueError, match="dotted path of a class"):
        load_policies("nowhere.Nothing")
    with pytest.raises(ValueError, match="dotted path of a class"):
        load_policies("Nothing")


# ---- the commands ----


@pytest.fixture(scope="module")
def folder(generator: VideoGenerator, tmp_path_factory: pytest.TempPathFactory) -> str:
    place = tmp_path_factory.mktemp("guarded") / "model"
    generator.save_pretrained(place)
    return str(place)


def test_commands_ask_before_anything_is_drawn(
    here: Path,
    folder: str,
    clip: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    rules = here / "rules"
    rules.mkdir()
    (rules / "words.txt").write_text("blue\n")
    Path("list.txt").write_text("a red ball\na blue ball\n")
    usual = ["-m", folder, "--frames", "2", "--seed", "0"]
    policy = ["--policy", "lists:rules"]
    shown = hash_text(picture_hash(to_float(read_clip(clip, size=(8, 12)).video[:, -1])))
    ways = [
        ["sample", "a blue ball", "-o", "out.mp4", *policy],
        ["sample", "a red ball", "a blue ball", "-o", "out", *policy],
        ["sample", "--prompts", "list.txt", "-o", "out", *policy],
        ["demo", "--prompts", "list.txt", "-o", "out", *policy],
    ]
    for words in ways:
        assert main([*words, *usual]) == 2
        printed = capsys.readouterr().err
        assert "this is not drawn: a word in it is not allowed here (words.txt, line 1)" in printed
        assert not list(here.rglob("*.mp4"))
    (rules / "pictures.txt").write_text(shown)
    long = ["-m", folder, "--frames", "12", "--seed", "0"]
    by_picture = ["sample", "a red ball", "--init", str(clip), "-o", "out.mp4", *long]
    assert main([*by_picture, *policy]) == 2
    assert "a picture in it is not allowed here" in capsys.readouterr().err
    monkeypatch.setenv("KINETOSCOPE_POLICY", f"lists:{rules}")
    assert main(["sample", "a blue ball", "-o", "out.mp4", *usual]) == 2
    assert main(["sample", "a red ball", "-o", "out.mp4", *usual]) == 0


def test_what_is_written_names_the_sentence_that_was_drawn(
    here: Path, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "my_rules.py").write_text(
        "from kinetoscope.app.provenance.policy import change\n"
        "class Red:\n"
        "    def __call__(self, request):\n"
        "        return change(request, prompt='a red ball')\n"
    )
    monkeypatch.syspath_prepend(here)
    words = ["sample", "a blue ball", "-m", folder, "--frames", "2", "--seed", "0"]
    assert main([*words, "-o", "out.mp4", "--policy", "my_rules.Red"]) == 0
    assert read_metadata("out.mp4")["prompt"] == "a red ball"


def test_no_command_takes_a_generator_that_nobody_guards() -> None:
    for path in sorted((ROOT / "app").rglob("*.py")):
        name = path.relative_to(ROOT).as_posix()
        if name != "app/provenance/policy.py":
            used = {
                node.value.id
                for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
                if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
            }
            assert "VideoGenerator" not in used, f"{name} must take GuardedGenerator"
