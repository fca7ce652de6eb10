"""Every verb of the storyboard in a real browser."""

import json
from typing import Any

import pytest
from kinetoscope.generator import VideoGenerator

from .conftest import PHONE, WIDE, Open, Served

pytestmark = pytest.mark.browser

EVERYWHERE = pytest.mark.parametrize("viewport", [WIDE, PHONE], ids=["wide", "phone"])


def shot(page: Any, number: int) -> Any:
    return page.get_by_role("listitem", name=f"Shot {number}", exact=True)


def write(
    page: Any, number: int, sentence: str, length: str = "5 frames", begins: str = "cut"
) -> None:
    card = shot(page, number)
    card.get_by_label("Sentence").fill(sentence)
    card.get_by_label("Length").fill(length)
    card.get_by_label("Begins").select_option(begins)


def is_drawn(page: Any, number: int) -> str:
    """Wait until a shot is drawn; the address of its picture."""
    page.wait_for_function(
        "n => document.querySelectorAll('.shot')[n - 1]?.dataset.state === 'drawn'", arg=number
    )
    return str(shot(page, number).locator("img").first.get_attribute("src"))


def begin(page: Any) -> None:
    """An empty storyboard of two short shots."""
    page.get_by_role("button", name="Direct", exact=True).click()
    while page.locator(".shot").count() > 1:
        shot(page, 1).get_by_role("button", name="Remove").click()
    page.get_by_role("button", name="Add a shot").click()
    write(page, 1, "a large red ball rolls to the right")
    write(page, 2, "a blue cube falls")


def kept(page: Any) -> dict[str, Any]:
    page.wait_for_timeout(900)  # it is kept half a second after the last change
    return dict(json.loads(page.evaluate("fetch('/api/story').then(answer => answer.text())")))


@EVERYWHERE
def test_shots_are_written_drawn_and_put_together(
    open_page: Open, served: Served, viewport: dict[str, int]
) -> None:
    page = open_page(viewport=viewport)
    begin(page)
    write(page, 2, "a blue cube falls", begins="crossfade")
    shot(page, 2).get_by_label("Seconds of it").fill("0.25")
    page.get_by_role("button", name="Draw all shots").click()
    pictures = {is_drawn(page, 1), is_drawn(page, 2)}
    assert len(pictures) == 2
    page.wait_for_function("document.querySelector('.shot img').naturalWidth > 0")
    page.get_by_role("button", name="Make the video").click()
    page.wait_for_selector(".card")
    page.locator(".card button").first.click()
    page.get_by_role("heading", name="Storyboard: a large red ball").wait_for()
    assert page.get_by_role("button", name="Open its storyboard").is_visible()
    assert not page.get_by_role("button", name="Go on from here").is_visible()
    record = served.gallery.videos()[0]
    assert record["frames"] == 10 and record["settings"]["story"]["shots"][1]["join"] == (
        "crossfade 0.25 s"
    )
    wide = page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert wide, "the page is wider than its window"


def test_a_shot_is_redone_alone(open_page: Open) -> None:
    page = open_page()
    begin(page)
    page.get_by_role("button", name="Draw all shots").click()
    one, two = is_drawn(page, 1), is_drawn(page, 2)
    shot(page, 2).get_by_role("button", name="Another take").click()
    page.wait_for_function(
        "old => ![...document.querySelectorAll('.shot img')].some(i => i.src.endsWith(old))",
        arg=two,
    )
    assert is_drawn(page, 1) == one and is_drawn(page, 2) != two
    seed = shot(page, 2).get_by_label("Seed")
    assert seed.input_value().isdecimal()
    shot(page, 1).get_by_label("Sentence").fill("a green ball")
    assert shot(page, 1).get_attribute("data-state") == "changed"
    shot(page, 1).get_by_role("button", name="Draw this shot").click()
    assert is_drawn(page, 1) != one


def test_shots_are_moved_copied_and_removed_and_all_of_it_is_kept(open_page: Open) -> None:
    page = open_page()
    begin(page)
    shot(page, 1).get_by_role("button", name="Later").click()
    shot(page, 1).get_by_role("button", name="Copy").click()
    write(page, 2, "a small green cone", "1.5 s", "fade")
    says = [each["say"] for each in kept(page)["story"]["shots"]]
    assert says == [
        "a blue cube falls",
        "a small green cone",
        "a large red ball rolls to the right",
    ]
    shot(page, 1).get_by_role("button", name="Remove").click()
    page.reload()
    page.wait_for_selector("body[data-open=true]")
    page.get_by_role("button", name="Direct", exact=True).click()
    assert page.locator(".shot").count() == 2
    assert shot(page, 1).get_by_label("Sentence").input_value() == "a small green cone"
    assert shot(page, 1).get_by_label("Length").input_value() == "1.5 s"
    assert shot(page, 1).get_by_label("Begins").input_value() == "fade"


def test_a_mistake_is_said_with_its_shot(open_page: Open) -> None:
    page = open_page()
    begin(page)
    write(page, 2, "a blue cube falls", "soon")
    page.get_by_role("button", name="Draw all shots").click()
    problem = page.get_by_role("alert").filter(has_text="shot 2, for: for must be a time")
    problem.wait_for()
    write(page, 2, "a blue cube falls", "5 frames")
    page.get_by_role("button", name="Draw all shots").click()
    is_drawn(page, 2)
    assert problem.count() == 0 or not problem.is_visible()


def test_a_storyboard_with_sound_and_words_is_opened_from_its_video(
    open_page: Open, served: Served, tmp_path: Any
) -> None:
    from ..storyboard.conftest import tone

    page = open_page()
    begin(page)
    shot(page, 1).get_by_text("More of this shot").click()
    shot(page, 1).get_by_label("Caption").fill("one ball")
    shot(page, 1).get_by_label("Camera").fill("pans left")
    sound = tone(tmp_path / "talk.wav", (300, 0.4))
    shot(page, 1).locator("input[type=file]").last.set_input_files(str(sound))
    shot(page, 1).get_by_text("talk.wav").wait_for()
    count = len(served.gallery.videos())
    page.get_by_role("button", name="Make the video").click()
    page.wait_for_function("n => document.querySelectorAll('.card').length > n", arg=count)
    story = served.gallery.videos()[0]["settings"]["story"]
    assert story["shots"][0]["caption"] == "one ball"
    assert story["shots"][0]["narration"]["file"]["name"] == "talk.wav"
    shot(page, 1).get_by_label("Caption").fill("another")
    page.locator(".card button").first.click()
    page.get_by_role("button", name="Open its storyboard").click()
    shot(page, 1).get_by_text("More of this shot").click()
    assert shot(page, 1).get_by_label("Caption").input_value() == "one ball"
    assert shot(page, 1).get_by_label("Camera").input_value() == "pans left"
    assert shot(page, 1).get_by_text("talk.wav").is_visible()


def test_a_shot_is_heard_while_it_is_drawn(
    open_page: Open, sounding: VideoGenerator, tmp_path: Any
) -> None:
    sounding.save_pretrained(tmp_path / "sounding", half=False)
    studio = Served(tmp_path / "gallery", str(tmp_path / "sounding"))
    try:
        page = open_page(studio.address)
        begin(page)
        assert shot(page, 1).get_by_label("Sound", exact=True).input_value() == ""
        write(page, 1, "a red ball", "49 frames")
        assert not page.locator("#sound").is_visible()
        shot(page, 1).get_by_role("button", name="Draw this shot").click()
        page.get_by_role("button", name="Sound on").click()
        page.wait_for_function("() => document.getElementById('sound').dataset.played > 24_000")
        is_drawn(page, 1)
    finally:
        studio.end()


def test_the_keyboard_is_enough_and_every_control_has_a_name(open_page: Open) -> None:
    page = open_page()
    begin(page)
    shot(page, 1).get_by_role("button", name="Remove").click()
    shot(page, 1).get_by_text("More of this shot").click()
    page.locator("#direct summary").filter(has_text="The whole video").click()
    page.get_by_role("button", name="Direct", exact=True).focus()
    reached = []
    for _ in range(60):
        page.keyboard.press("Tab")
        named = page.evaluate(
            """() => {
                const it = document.activeElement;
                if (!it.closest('#direct')) return null;
                const help = document.getElementById(it.getAttribute('aria-describedby'));
                const name = it.getAttribute('aria-label') || it.labels?.[0]?.textContent
                    || it.textContent.trim();
                return [name, it.title || help?.textContent || it.tagName === 'SUMMARY'];
            }"""
        )
        if named is not None:
            reached.append(named)
    assert all(name and told for name, told in reached), reached
    assert {
        *("Add a shot", "Draw all shots", "Make the video", "Copy", "Remove", "Sentence"),
        *("Length", "Begins", "Camera", "Picture", "Title", "Caption", "Narration", "Chapter"),
        *("Draw this shot", "Another take", "Model", "Music", "Captions"),
    } <= {name for name, _ in reached}
    shot(page, 1).get_by_label("Sentence").focus()
    page.keyboard.press("Control+A")
    page.keyboard.type("a green cylinder falls")
    shot(page, 1).get_by_role("button", name="Draw this shot").focus()
    page.keyboard.press("Enter")
    is_drawn(page, 1)
