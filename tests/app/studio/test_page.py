"""Every verb of the studio's page in a real browser."""

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kinetoscope.generator import VideoGenerator

from ..mood import Mood
from .conftest import PHONE, WIDE, Open, Served

pytestmark = pytest.mark.browser

EVERYWHERE = pytest.mark.parametrize("viewport", [WIDE, PHONE], ids=["wide", "phone"])
PICTURE = Path(__file__).parents[3] / "docs/studio.webp"
BALL = "a large red ball rolls to the right"


def fill(page: Any, label: str, value: Any) -> None:
    for closed in page.query_selector_all("#make details:not([open]) > summary"):
        closed.click()
    page.locator("#make").get_by_label(label, exact=True).fill(str(value))


def make(page: Any, sentence: str = BALL, frames: int = 5, **settings: Any) -> Any:
    """Fill the form, make, and wait for the end; the newest card."""
    page.locator("#make").get_by_label("Sentence", exact=True).fill(sentence)
    fill(page, "Frames", frames)
    for label, value in settings.items():
        fill(page, label.capitalize(), value)
    return press_and_wait(
        page, lambda: page.locator("#make").get_by_role("button", name="Make", exact=True).click()
    )


def press_and_wait(page: Any, press: Callable[[], None]) -> Any:
    before = newest(page)
    press()
    page.wait_for_function(
        """before => {
            const card = document.querySelector('.card');
            const state = document.getElementById('stage').dataset.state;
            return card && card.dataset.video !== before && state === 'done';
        }""",
        arg=before,
    )
    return page.locator(".card").first


def shows(page: Any, frame: int) -> None:
    """Wait until the stage shows this frame or a later one."""
    page.wait_for_function(
        "frame => document.querySelector('#screen canvas')?.dataset.frame >= frame", arg=frame
    )


def has_cards(page: Any, count: int) -> None:
    """Wait until the gallery shows so many videos."""
    page.wait_for_function(
        "count => document.querySelectorAll('.card').length === count", arg=count
    )


def newest(page: Any) -> str | None:
    card = page.query_selector(".card")
    return card.get_attribute("data-video") if card else None


def record(served: Served, card: Any) -> dict[str, Any]:
    return served.gallery.record(card.get_attribute("data-video"))


def view(card: Any) -> None:
    card.locator("button").click()


# ---- make ----


@EVERYWHERE
def test_the_first_click_makes_a_video(open_page: Open, served: Served, viewport: Any) -> None:
    page = open_page(viewport=viewport)
    card = press_and_wait(
        page, page.locator("#make").get_by_role("button", name="Make", exact=True).click
    )
    assert record(served, card)["frames"] == 33
    shows(page, 9)
    pixels = page.evaluate(
        """() => {
            const canvas = document.querySelector('#screen canvas');
            return [...canvas.getContext('2d').getImageData(0, 0, 512, 512).data];
        }"""
    )
    assert np.std(pixels[0::4]) > 10  # it shows something
    assert page.locator("#left").inner_text() == "done"
    too_wide = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
    assert not page.evaluate(too_wide)


def test_it_is_seen_while_it_is_drawn_and_can_be_cancelled_or_stopped(
    open_page: Open, served: Served
) -> None:
    page = open_page()
    count = len(served.gallery.videos())
    page.locator("#make").get_by_label("Sentence", exact=True).fill(BALL)
    fill(page, "Frames", 4001)
    page.locator("#make").get_by_role("button", name="Make", exact=True).click()
    page.wait_for_selector("#stage[data-state=drawing]")
    shows(page, 4)
    told = page.locator("#left").inner_text()
    assert re.fullmatch(r"\d+ of 4001 frames, \d+ s left", told)
    page.get_by_role("button", name="Cancel").click()
    page.wait_for_selector("#stage[data-state=cancelled]")
    assert len(served.gallery.videos()) == count
    page.locator("#make").get_by_role("button", name="Make", exact=True).click()
    page.wait_for_selector("#stage[data-state=drawing]")
    shows(page, 4)
    page.get_by_role("button", name="Stop here").click()
    page.wait_for_selector("#stage[data-state=done]")
    assert len(served.gallery.videos()) == count + 1
    assert page.locator("#notes").inner_text().startswith("stopped after")


def test_settings_and_several_at_once(open_page: Open, served: Served) -> None:
    page = open_page()
    fill(page, "Temperature", 0.5)
    page.get_by_label("Height").select_option("128")
    card = make(page, seed=41, videos=2)
    assert page.locator("#screen canvas").count() == 2
    found = [record(served, each) for each in page.locator(".card").all()[:2]]
    assert sorted(each["settings"]["seed"] for each in found) == [41, 42]
    assert {each["settings"]["sampling"]["temperature"] for each in found} == {0.5}
    assert {each["height"] for each in found} == {128}
    assert card.is_visible()


def test_a_picture_is_chosen_or_dropped(open_page: Open, served: Served, tmp_path: Path) -> None:
    page = open_page()
    for closed in page.query_selector_all("#make details:not([open]) > summary"):
        closed.click()
    path = tmp_path / "first <b>.png"
    path.write_bytes(png())
    page.locator("#given input[type=file]").set_input_files(path)
    page.wait_for_selector(".drop img:visible")
    assert page.locator("#make .drop span").inner_text() == "first <b>.png"
    card = make(page, frames=5)
    given = record(served, card)["settings"]["conditions"]["init"]
    assert given["name"] == "first <b>.png"
    assert served.gallery.given(given["file"]).read_bytes() == path.read_bytes()
    page.locator("#make .drop").get_by_role("button", name="Remove").click()
    page.evaluate(
        """bytes => {
            const files = new DataTransfer();
            files.items.add(new File([new Uint8Array(bytes)], 'dropped.png', {type: 'image/png'}));
            const event = new DragEvent('drop', {dataTransfer: files, bubbles: true});
            document.querySelector('.drop').dispatchEvent(event);
        }""",
        list(png()),
    )
    page.wait_for_selector(".drop img:visible")
    card = make(page, frames=5)
    assert record(served, card)["settings"]["conditions"]["init"]["name"] == "dropped.png"


def png() -> bytes:
    import io

    from PIL import Image

    target = io.BytesIO()
    Image.fromarray(np.full((64, 64, 3), 90, np.uint8)).save(target, "PNG")
    return target.getvalue()


def test_a_mistake_is_said_beside_the_button(open_page: Open) -> None:
    page = open_page()
    page.locator("#make").get_by_label("Sentence", exact=True).fill("")
    page.locator("#make").get_by_role("button", name="Make", exact=True).click()
    problem = page.get_by_role("alert").filter(has_text="prompt")
    assert problem.inner_text().startswith("prompt: it must be given")
    page.locator("#make").get_by_label("Sentence", exact=True).fill(BALL)
    fill(page, "Frames", "many")
    page.locator("#make").get_by_role("button", name="Make", exact=True).click()
    alert = page.get_by_role("alert").filter(has_text="frames: it must be a whole number")
    alert.wait_for()


def test_a_made_up_condition_is_a_field_with_its_help(
    open_page: Open, moody: Path, tmp_path: Path
) -> None:
    studio = Served(tmp_path / "other", str(moody))
    try:
        page = open_page(studio.address)
        for closed in page.query_selector_all("#make details:not([open]) > summary"):
            closed.click()
        assert page.locator("#make").get_by_text(Mood.help).is_visible()
        page.locator("#make").get_by_label("Mood").select_option("wild")
        card = make(page, "red ball")
        assert record(studio, card)["settings"]["conditions"]["mood"] == "wild"
        page.context.close()  # or it would look for the studio that ends here
    finally:
        studio.end()


# ---- keep ----


@EVERYWHERE
def test_again_go_on_and_change(open_page: Open, served: Served, viewport: Any) -> None:
    page = open_page(viewport=viewport)
    first = record(served, make(page, seed=7, frames=9))
    view(page.locator(".card").first)
    again = record(
        served, press_and_wait(page, page.get_by_role("button", name="Again with").click)
    )
    assert again["settings"]["conditions"] == first["settings"]["conditions"]
    assert again["settings"]["seed"] != 7 and again["frames"] == 9
    assert again["settings"]["origin"]["video"] == first["id"]
    card = page.locator(f".card[data-video='{first['id']}']")
    view(card)
    longer = record(
        served, press_and_wait(page, page.get_by_role("button", name="Go on from here").click)
    )
    assert longer["settings"]["origin"] == {"video": first["id"], "verb": "go on", "frame": 9}
    assert longer["frames"] == 9 + 32 and longer["settings"]["seed"] == 7
    view(card)
    page.evaluate(
        """() => {
            const film = document.querySelector('#viewer video');
            film.pause();
            film.currentTime = 5 / 12;
        }"""
    )
    page.get_by_text("Here is frame 6 of 9.").wait_for()
    page.get_by_role("button", name="Change from here on").click()
    assert page.locator("#origin p").inner_text() == f"Keeps the first 5 frames of “{BALL}”."
    assert page.evaluate("document.activeElement.id") == "field-prompt"
    card = make(page, "a big blue cube slides to the left", frames=9)
    changed = record(served, card)["settings"]
    assert changed["origin"] == {"video": first["id"], "verb": "change", "frame": 5}
    assert changed["conditions"]["prompt"] == "a big blue cube slides to the left"


@EVERYWHERE
def test_search_compare_download_delete_and_undo(
    open_page: Open, served: Served, tmp_path: Path, viewport: Any
) -> None:
    page = open_page(viewport=viewport)
    colour = "yellow" if viewport == WIDE else "pink"
    left = record(served, make(page, f"a {colour} sphere comes closer at sunset", seed=1))
    right = record(served, make(page, f"a {colour} sphere comes closer at night", seed=2))
    page.get_by_role("searchbox").fill(f"{colour.upper()} closer")
    has_cards(page, 2)
    boxes = page.get_by_role("checkbox")
    for index in range(2):
        boxes.nth(index).check()
    page.get_by_role("button", name="Compare", exact=True).click()
    assert page.locator("#compare video").count() == 2
    rows = page.locator("#compare tbody tr").all_inner_texts()
    assert [row.split("\t")[0].strip() for row in rows] == ["Sentence", "Seed"]
    page.get_by_role("slider").fill("500")
    page.wait_for_function(
        """() => [...document.querySelectorAll('#compare video')]
            .every(film => film.paused && Math.abs(film.currentTime - film.duration / 2) < 0.05)"""
    )
    page.locator("#compare").get_by_role("button", name="Close").click()
    page.locator("#comparing").get_by_role("button", name="Clear").click()
    assert not page.locator("#comparing").is_visible()

    view(page.locator(f".card[data-video='{right['id']}']"))
    with page.expect_download() as saving:
        page.get_by_role("link", name="Download").click()
    assert saving.value.suggested_filename == f"{right['id']}.mp4"
    saving.value.save_as(tmp_path / "kept.mp4")
    assert (tmp_path / "kept.mp4").read_bytes() == served.gallery.path(right["id"]).read_bytes()
    page.get_by_role("button", name="Delete").click()
    has_cards(page, 1)
    assert newest(page) == left["id"]
    page.get_by_role("button", name="Undo").click()
    has_cards(page, 2)
    page.get_by_role("searchbox").fill("nothing of this kind")
    page.get_by_text("Nothing is kept that has").wait_for()


def test_the_disk_rule_is_set_and_its_mistakes_are_said(open_page: Open, served: Served) -> None:
    page = open_page()
    page.get_by_role("button", name="Disk").click()
    page.get_by_text("The gallery takes").wait_for()
    page.get_by_label("Gigabytes that it may take").fill("0")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("limit_gb must be above 0").wait_for()
    page.get_by_label("Gigabytes that it may take").fill("7")
    page.get_by_label("When it is full").select_option("the oldest videos go")
    page.get_by_role("button", name="Save").click()
    page.wait_for_function("() => !document.getElementById('disk').open")
    assert (served.gallery.rule.limit_gb, served.gallery.rule.when_full) == (7, "remove_oldest")


def test_scripts_in_sentences_are_only_text(open_page: Open, served: Served) -> None:
    page = open_page()
    evil = "<img src=x onerror=hacked=1>"
    view(make(page, evil, frames=1))
    assert page.locator("#viewer-title").inner_text() == evil
    assert page.evaluate("window.hacked") is None


# ---- live ----


def test_a_page_that_comes_back_goes_on_where_it_was(open_page: Open, served: Served) -> None:
    links: list[Any] = []
    greetings: list[dict[str, Any]] = []
    pictures: list[int] = []

    def link(page: Any) -> None:
        page.route_web_socket(re.compile("/live"), between)

    def between(socket: Any) -> None:
        server = socket.connect_to_server()
        links.append(socket)
        fresh = [True]

        def said(message: Any) -> None:
            if fresh:
                greetings.append(json.loads(message))
                fresh.clear()
            server.send(message)

        def heard(message: bytes) -> None:
            if message[0] == 1:
                pictures.append(int.from_bytes(message[1:5], "big"))
            socket.send(message)

        socket.on_message(said)
        server.on_message(heard)

    page = open_page(before=link)
    make(page, frames=9)
    shows(page, 8)
    links[0].close()
    page.get_by_text("trying again").wait_for()
    page.get_by_text("is ready").wait_for()
    make(page, frames=9)
    shows(page, 8)
    assert greetings[0]["have"] == 0
    assert greetings[1] == {"channel": served.channel.name, "have": max(pictures) - 9}
    assert len(pictures) == len(set(pictures))  # none came twice


def test_sound_is_heard_with_its_pictures(
    open_page: Open, sounding: VideoGenerator, tmp_path: Path
) -> None:
    sounding.save_pretrained(tmp_path / "sounding", half=False)
    studio = Served(tmp_path / "gallery", str(tmp_path / "sounding"))
    try:
        page = open_page(studio.address)
        assert not page.locator("#sound").is_visible()
        card = make(page, sentence="a red ball", frames=49, seed=1)
        assert studio.gallery.record(card.get_attribute("data-video"))["settings"]["sound"]
        page.get_by_role("button", name="Sound on").click()
        page.wait_for_function("() => document.getElementById('sound').dataset.played > 48_000")
        page.get_by_role("button", name="Pause").click()
        page.wait_for_timeout(500)
        held = page.locator("#sound").get_attribute("data-played")
        page.wait_for_timeout(500)
        assert page.locator("#sound").get_attribute("data-played") == held
        page.get_by_role("button", name="Play").click()
        page.wait_for_function(
            "held => document.getElementById('sound').dataset.played > held", arg=int(held) + 12_000
        )
        button = page.get_by_role("button", name="Sound off")
        assert button.get_attribute("aria-pressed") == "true"
        button.click()
        page.get_by_role("button", name="Sound on").wait_for()
        for closed in page.query_selector_all("#make details:not([open]) > summary"):
            closed.click()
        page.locator("#make").get_by_label("Sound", exact=True).select_option("none")
        card = make(page, sentence="a red ball", frames=5)
        record = studio.gallery.record(card.get_attribute("data-video"))
        assert not record["settings"]["sound"]
    finally:
        studio.end()


def test_conditions_have_names_that_people_read(open_page: Open, served: Served) -> None:
    page = open_page()
    card = make(page, frames=5, **{"what to avoid": "a cube"})
    summary = page.locator("#given summary").inner_text()
    assert "what to avoid, picture or clip to go on from" in summary
    view(card)
    names = page.locator("#viewer dt").all_inner_texts()
    assert "What to avoid" in names and not {"negative", "Negative", "init"} & set(names)


# ---- for everybody ----


def test_every_control_has_a_name_and_says_what_it_does(open_page: Open) -> None:
    page = open_page()
    for closed in page.query_selector_all("#make details:not([open]) > summary"):
        closed.click()
    silent = page.evaluate(
        """() => {
            const told = control => {
                const by = control.getAttribute('aria-describedby');
                return control.title || control.getAttribute('aria-label')
                    || (by && document.getElementById(by)?.textContent);
            };
            const named = control => control.labels?.length
                || control.getAttribute('aria-label') || control.textContent.trim();
            const controls = '#make input, textarea, select, button, #search';
            return [...document.querySelectorAll(controls)]
                .filter(control => control.offsetParent)
                .filter(control => !(named(control) && told(control)))
                .map(control => control.outerHTML);
        }"""
    )
    assert silent == []


def test_the_keyboard_is_enough(open_page: Open, served: Served) -> None:
    page = open_page()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "field-prompt"
    page.keyboard.press("Control+A")
    page.keyboard.type("a green cylinder falls and bounces")
    fill(page, "Frames", 5)
    page.locator("#make").get_by_label("Sentence", exact=True).focus()
    card = press_and_wait(page, lambda: page.keyboard.press("Control+Enter"))
    prompt = record(served, card)["settings"]["conditions"]["prompt"]
    assert prompt == "a green cylinder falls and bounces"
    card.locator("button").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("#viewer[open]")
    page.keyboard.press("Escape")
    page.wait_for_function("() => !document.getElementById('viewer').open")
    assert page.evaluate("document.activeElement.closest('.card') !== null")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_is_legible_by_day_and_by_night(open_page: Open, scheme: str) -> None:
    page = open_page(color_scheme=scheme)
    colours = page.evaluate(
        """() => {
            const seen = (selector, what) => {
                const style = getComputedStyle(document.querySelector(selector))[what];
                const canvas = new OffscreenCanvas(1, 1).getContext('2d');
                canvas.fillStyle = style;
                canvas.fillRect(0, 0, 1, 1);
                return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
            };
            return {
                paper: seen('html', 'backgroundColor'),
                ink: seen('h1', 'color'),
                faint: seen('.help', 'color'),
                accent: seen('#idea', 'color'),
                button: seen('.primary', 'backgroundColor'),
                label: seen('.primary', 'color'),
            };
        }"""
    )
    assert (sum(colours["paper"]) > 380) == (scheme == "light")
    for name in ("ink", "faint", "accent"):
        assert contrast(colours[name], colours["paper"]) >= 4.5, name
    assert contrast(colours["label"], colours["button"]) >= 4.5


def contrast(one: list[int], other: list[int]) -> float:
    """Of two colours, as WCAG 2.2 has it."""

    def luminance(colour: list[int]) -> float:
        parts = [c / 255 for c in colour]
        parts = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]

    (dark, light) = sorted([luminance(one), luminance(other)])
    return (light + 0.05) / (dark + 0.05)


def test_the_picture_of_the_documentation(open_page: Open, tmp_path: Path) -> None:
    """With KINETOSCOPE_PICTURES=1 it is written to docs/studio.webp."""
    from PIL import Image

    page = open_page(viewport={"width": 1200, "height": 760})
    for seed, sentence in enumerate(
        (
            "a yellow sphere comes closer at sunset",
            "a green cylinder falls and bounces",
            "a purple box stands still while the camera orbits left",
            "a big blue cube slides to the left, the camera is still",
        )
    ):
        make(page, sentence, frames=17, seed=seed)
    make(page, BALL, frames=33, seed=1)
    for opened in page.query_selector_all("#make details[open] > summary"):
        opened.click()
    page.evaluate("document.getElementById('toast').replaceChildren(); window.scrollTo(0, 0)")
    shows(page, 9)
    shot = tmp_path / "studio.png"
    page.screenshot(path=shot)
    image = Image.open(shot)
    assert image.size == (1200, 760) and len(image.convert("RGB").getcolors(10**6) or []) > 1000
    if os.environ.get("KINETOSCOPE_PICTURES"):
        image.convert("RGB").save(PICTURE, "WEBP", quality=85)
