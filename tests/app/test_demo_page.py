"""The page of the demo holds its videos and plays them from the disk."""

import os
import shutil
from pathlib import Path

import pytest
import torch
from kinetoscope.app.runs.demo_page import Shown, write_page
from kinetoscope.data.video.write import write_video

CHROMIUM = (
    os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
)


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """A page of two videos, which are deleted when it is written."""
    shown = []
    for seed, prompt in enumerate(['a <b>red</b> ball & a "cube"', None]):
        path = tmp_path / f"{seed}.mp4"
        write_video(path, torch.full((3, 6, 64, 64), 90, dtype=torch.uint8), fps=6)
        shown.append(Shown(path, prompt, seed))
    write_page(tmp_path / "index.html", "my <model>", shown)
    for video in shown:
        video.path.unlink()
    return tmp_path / "index.html"


def test_sentences_are_words_and_not_markup(page: Path) -> None:
    text = page.read_text("utf-8")
    assert "a &lt;b&gt;red&lt;/b&gt; ball &amp; a &quot;cube&quot;" in text
    assert "<b>" not in text and "<model>" not in text
    assert "kept back" in text
    assert text.count("data:video/mp4;base64,") == 2
    assert "http://" not in text and "https://" not in text


@pytest.mark.browser
def test_the_videos_play_from_the_disk(page: Path) -> None:
    sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    if not CHROMIUM:
        pytest.skip("there is no Chromium; install it, or name it in CHROMIUM")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        tab = browser.new_page(viewport={"width": 390, "height": 844})
        wrong: list[str] = []
        tab.on("console", lambda message: wrong.append(message.text))
        tab.goto(page.as_uri())
        for video in tab.locator("video").all():
            tab.wait_for_function("video => video.currentTime > 0", arg=video.element_handle())
            assert video.evaluate("video => video.videoWidth") == 64
        assert tab.evaluate("document.documentElement.scrollWidth") <= 390
        assert wrong == []
        browser.close()
