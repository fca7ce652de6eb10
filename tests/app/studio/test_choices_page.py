"""What can be chosen on the page: fields of every kind, models, adapters, what happens when the
gallery is full; and a storyboard that uses all that a shot may have."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from kinetoscope.app.studio.gallery import DiskRule
from kinetoscope.data.video import probe
from kinetoscope.data.video.tracks import read_cues
from kinetoscope.generator import Decoder, VideoGenerator
from kinetoscope.generator.conditions import CONDITIONS
from kinetoscope.generator.training.lora import (
    LoraSize,
    add_lora,
    lora_weights,
    save_adapter,
)
from PIL import Image
from torch import nn

from ..mood import Mood
from ..storyboard.conftest import tone
from .conftest import PHONE, WIDE, Open, Served
from .test_direct_page import begin, shot, write
from .test_page import fill, make, record

pytestmark = pytest.mark.browser
EVERY = (("mood", 2), ("actions", 3), ("action_vector", 8), ("regions", 4))


@pytest.fixture
def choices(
    generator: VideoGenerator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Served]:
    """A studio with a model that takes every condition there is, and one with an adapter."""
    monkeypatch.setitem(CONDITIONS, "mood", Mood())
    torch.manual_seed(3)
    decoder = Decoder(replace(generator.decoder.config, conditions=EVERY))
    for parameter in decoder.parameters():
        nn.init.normal_(parameter, std=0.4)
    every = VideoGenerator(decoder, generator.tokenizer, generator.text)
    every.save_pretrained(tmp_path / "every")
    generator.save_pretrained(tmp_path / "tiny")
    toy = VideoGenerator.from_pretrained(tmp_path / "tiny")
    base = toy.id
    add_lora(toy.decoder, LoraSize(rank=2))
    weights = {
        name: torch.randn_like(weight)
        for name, weight in lora_weights(toy.decoder.state_dict()).items()
    }
    save_adapter(tmp_path / "tin toy", weights, LoraSize(rank=2), "tiny", base)
    names = [str(tmp_path / name) for name in ("every", "tiny")]
    studio = Served(tmp_path / "gallery", *names, adapters=[str(tmp_path / "tin toy")])
    yield studio
    studio.end()


def give(page: Any, name: str, path: Path) -> None:
    page.locator(f"#make input[type=file][id^=field-{name}-]").set_input_files(path)
    page.locator("#make .drop").filter(has_text=path.name).wait_for()


@pytest.mark.parametrize("viewport", [WIDE, PHONE], ids=["wide", "phone"])
def test_every_condition_has_a_field_of_its_kind(
    open_page: Open, choices: Served, tmp_path: Path, viewport: Any
) -> None:
    Image.new("L", (12, 8), 1).save(tmp_path / "regions.png")
    Image.new("RGB", (12, 8), "red").save(tmp_path / "first.png")
    (tmp_path / "moves.csv").write_text("0.5, 1\n" * 9)
    page = open_page(choices.address, viewport=viewport)
    fill(page, "What to avoid", "a cube")
    fill(page, "Actions", "0, 1, 2")
    page.locator("#make").get_by_label("Mood").select_option("wild")
    for name, file in (
        ("regions", "regions.png"),
        ("init", "first.png"),
        ("action_vector", "moves.csv"),
    ):
        give(page, name, tmp_path / file)
    made = record(choices, make(page, "red ball", frames=9))
    given = made["settings"]["conditions"]
    assert set(given) == {"prompt", "negative", "init", *dict(EVERY)}
    assert (given["mood"], given["negative"], given["actions"]) == ("wild", "a cube", "0, 1, 2")
    assert {each["name"] for each in given.values() if isinstance(each, dict)} == {
        "regions.png",
        "first.png",
        "moves.csv",
    }
    fill(page, "Actions", "7")
    page.locator("#make").get_by_role("button", name="Make", exact=True).click()
    page.get_by_role("alert").filter(has_text="actions: it must be -1 to 2; got 7").wait_for()
    page.context.close()


def test_a_model_and_an_adapter_are_chosen(open_page: Open, choices: Served) -> None:
    page = open_page(choices.address)
    make(page, "red ball", frames=5, seed=1)
    page.locator("#make").get_by_label("Model").select_option("tiny")
    page.wait_for_function("() => !document.querySelector('#given').textContent.includes('Mood')")
    plain = record(choices, make(page, "red ball", frames=5, seed=1))
    page.locator("#make").get_by_label("Adapter").select_option("tin toy")
    taught = record(choices, make(page, "red ball", frames=5, seed=1))
    chosen = [(each["settings"]["model"], each["settings"]["adapter"]) for each in (plain, taught)]
    assert chosen == [("tiny", None), ("tiny", "tin toy")]
    files = [choices.gallery.path(each["id"], ".safetensors") for each in (plain, taught)]
    assert files[0].read_bytes() != files[1].read_bytes()
    page.context.close()


def test_an_adapter_brings_its_own_model(open_page: Open, choices: Served) -> None:
    page = open_page(choices.address)
    page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    form = page.locator("#make")
    fill(page, "Sentence", "red ball")
    assert form.get_by_label("Model").input_value() == "every"
    form.get_by_label("Adapter").select_option("tin toy")
    page.wait_for_function("() => !document.querySelector('#given').textContent.includes('Mood')")
    assert form.get_by_label("Model").input_value() == "tiny"
    assert form.get_by_label("Adapter").input_value() == "tin toy"
    assert form.get_by_label("Sentence").input_value() == "red ball"
    page.context.close()


def test_a_model_brings_settings_of_its_own(open_page: Open, choices: Served) -> None:
    page = open_page(choices.address)
    page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    form = page.locator("#make")
    own = VideoGenerator.from_pretrained("stage-256").sampling
    form.get_by_label("Top k").fill("7")
    form.get_by_label("Model").select_option("stage-256")
    page.wait_for_function(
        "(value) => [...document.querySelectorAll('#make input')].some((i) => i.value === value)",
        arg=str(own.min_p),
    )
    assert float(form.get_by_label("Guidance", exact=True).input_value()) == own.guidance
    assert form.get_by_label("Top k").input_value() == "7"  # what somebody wrote stays
    page.context.close()


def test_a_full_gallery_says_what_to_do(open_page: Open, choices: Served) -> None:
    page = open_page(choices.address)
    first = record(choices, make(page, "red ball", frames=5))
    choices.gallery.set_rule(DiskRule(1e-6))
    page.locator("#make").get_by_role("button", name="Make", exact=True).click()
    page.get_by_role("alert").filter(
        has_text="delete videos, raise the limit, or let the"
    ).wait_for()
    page.get_by_role("button", name="Disk").click()
    page.get_by_label("Gigabytes that it may take").fill("0.00001")
    page.get_by_label("When it is full").select_option("the oldest videos go")
    page.get_by_role("button", name="Save").click()
    page.wait_for_function("() => !document.getElementById('disk').open")
    second = record(choices, make(page, "blue ball", frames=5))
    assert [each["id"] for each in choices.gallery.videos()] == [second["id"]] != [first["id"]]
    page.context.close()


def test_a_comparison_that_is_closed_is_quiet(open_page: Open, choices: Served) -> None:
    page = open_page(choices.address)
    for seed in (1, 2):
        make(page, "red ball", frames=5, seed=seed)
    for index in range(2):
        page.get_by_role("checkbox").nth(index).check()
    page.get_by_role("button", name="Compare", exact=True).click()
    film = page.locator("#compare video").first.element_handle()
    page.keyboard.press("Escape")
    film.evaluate("film => film.dispatchEvent(new Event('timeupdate'))")
    page.wait_for_timeout(200)  # a mistake of the page fails the test in its end
    page.context.close()


def test_a_storyboard_with_all_that_a_shot_may_have(
    open_page: Open, choices: Served, tmp_path: Path
) -> None:
    Image.new("RGB", (12, 8), "red").save(tmp_path / "first.png")
    (talk, music) = (tone(tmp_path / "talk.wav", (300, 0.3)), tone(tmp_path / "tune.wav", (600, 1)))
    page = open_page(choices.address)
    begin(page)
    write(page, 1, "ball", "0.5 s")
    write(page, 2, "blue ball", "0.75 s", "crossfade")
    shot(page, 2).get_by_label("Seconds of it").fill("0.25")
    for number in (1, 2):
        shot(page, number).get_by_text("More of this shot").click()
        shot(page, number).get_by_label("Chapter").fill(f"part {number}")
    first = shot(page, 1)
    first.get_by_label("Camera").fill("pans")
    first.get_by_label("Title").fill("A ball")
    first.get_by_label("Caption").fill("it is red")
    first.get_by_label("Mood").select_option("wild")
    first.locator("input[id^=field-init-]").set_input_files(tmp_path / "first.png")
    first.locator("input[id^=field-narration-]").set_input_files(talk)
    page.locator("#direct summary").filter(has_text="The whole video").click()
    page.locator("#direct input[id^=field-music-]").set_input_files(music)
    page.locator("#direct").get_by_label("Captions").select_option("as subtitles")
    page.get_by_role("button", name="Make the video").click()
    page.wait_for_selector(".card")
    made = choices.gallery.videos()[0]
    shots = made["settings"]["story"]["shots"]
    assert shots[0]["picture"]["name"] == "first.png" and shots[0]["mood"] == "wild"
    assert shots[1]["join"] == "crossfade 0.25 s" and made["frames"] == 15
    film = choices.gallery.path(made["id"])
    assert probe(film).has_audio
    assert [cue.text for cue in read_cues(film)] == ["it is red"]
    page.context.close()
