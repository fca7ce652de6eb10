"""The page of the demo holds its videos and plays them from the disk, one of them aloud at most."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from kinetoscope.app.runs.demo_page import PageSection, Shown, write_page
from kinetoscope.data.video import VideoWriter

CHROMIUM = (
    os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
)


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """A page of three videos, two of them with sound, which are deleted when it is written."""
    shown = []
    for seed, prompt in enumerate(['a <b>red</b> ball & a "cube"', "a cone", None]):
        path = tmp_path / f"{seed}.mp4"
        sounds = seed < 2
        with VideoWriter(path, 6, sound_rate=24_000 if sounds else None) as writer:
            writer.write(torch.full((3, 6, 64, 64), 90 * seed, dtype=torch.uint8))
            if sounds:
                writer.write_sound(0.1 * torch.randn(24_000))
        shown.append(Shown(path, prompt, seed, sounds, 6 if seed else 720))
    sections = [PageSection("A <i>heading</i>", "What & how", shown[:2])]
    sections.append(PageSection(None, "", shown[2:]))
    write_page(tmp_path / "index.html", "my <model>", sections)
    for video in shown:
        video.path.unlink()
    return tmp_path / "index.html"


def test_sentences_are_words_and_not_markup(page: Path) -> None:
    text = page.read_text("utf-8")
    assert "a &lt;b&gt;red&lt;/b&gt; ball &amp; a &quot;cube&quot;" in text
    assert "<h2>A &lt;i&gt;heading&lt;/i&gt;</h2>\n<p>What &amp; how</p>" in text
    assert "<b>" not in text and "<i>" not in text and "<model>" not in text
    assert "kept back" in text
    assert text.count("data:video/mp4;base64,") == 3
    assert text.count("<button") == 2 and text.count('class="long"') == 1
    assert "http://" not in text and "https://" not in text


@pytest.fixture
def tab(page: Path) -> Iterator[Any]:
    """A phone that shows the page; whatever it complains about fails the test."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    if not CHROMIUM:
        pytest.skip("there is no Chromium; install it, or name it in CHROMIUM")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        tab = browser.new_page(viewport={"width": 390, "height": 1600})
        wrong: list[str] = []
        tab.on("console", lambda message: wrong.append(message.text))
        tab.on("pageerror", lambda error: wrong.append(str(error)))
        tab.goto(page.as_uri())
        yield tab
        assert wrong == []
        browser.close()


@pytest.mark.browser
def test_the_videos_play_from_the_disk_and_stop_out_of_sight(tab: Any) -> None:
    videos = tab.locator("video").all()
    for video in videos:
        tab.wait_for_function("video => video.currentTime > 0", arg=video.element_handle())
        assert video.evaluate("video => video.videoWidth") == 64
        assert video.evaluate("video => video.muted")
    assert tab.evaluate("document.documentElement.scrollWidth") <= 390
    videos[1].evaluate("video => video.pause()")
    tab.evaluate("document.body.style.marginTop = '4000px'")
    tab.wait_for_function("() => [...document.querySelectorAll('video')].every(v => v.paused)")
    tab.evaluate("document.body.style.marginTop = '0'")
    tab.wait_for_function("() => !document.querySelectorAll('video')[0].paused")
    tab.wait_for_function("() => !document.querySelectorAll('video')[2].paused")
    assert videos[1].evaluate("video => video.paused"), "what the reader paused stays so"


@pytest.mark.browser
def test_one_video_sounds_at_a_time_and_by_the_keyboard(tab: Any) -> None:
    buttons = tab.locator("button").all()
    muted = "[...document.querySelectorAll('video')].map(video => video.muted)"
    assert len(buttons) == 2
    buttons[0].click()
    assert tab.evaluate(muted) == [False, True, True]
    buttons[1].focus()
    tab.keyboard.press("Enter")
    tab.wait_for_function("() => document.querySelector('video').muted")
    assert tab.evaluate(muted) == [True, False, True]
    tab.wait_for_function("() => document.querySelector('button').ariaPressed === 'false'")
    assert buttons[1].get_attribute("aria-pressed") == "true"
    assert "a cone" in buttons[1].get_attribute("aria-label")
    buttons[1].click()
    assert tab.evaluate(muted) == [True, True, True]
