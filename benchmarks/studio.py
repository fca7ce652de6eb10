"""How long a newcomer waits: from opening the studio's page to a video that is kept.

    python benchmarks/studio.py

The studio is started as by `kinetoscope studio`, a browser opens its page as soon as there is an
address, and presses Make at once. Needs Playwright and Chromium (CHROMIUM names another one). On a
busy machine the seconds of processor time tell more than those of the clock.
"""

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time

from playwright.sync_api import sync_playwright

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium")
PATIENCE = 300_000  # milliseconds


def main() -> None:
    argparse.ArgumentParser(description=__doc__.split("\n")[0]).parse_args()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        page.set_default_timeout(PATIENCE)
        words = ["studio", "--folder", folder, "--no-open"]
        begin = time.monotonic()
        program = [sys.executable, "-m", "kinetoscope.app.cli.main", *words]
        with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as studio:
            assert studio.stdout is not None
            address = studio.stdout.readline().split()[-1]
            print(f"{time.monotonic() - begin:.1f} s until the address is printed")
            begin = time.monotonic()
            try:
                page.goto(address)
                page.wait_for_selector("body[data-open=true]")
                print(f"{time.monotonic() - begin:.1f} s until the page can be used")
                page.locator("#make").get_by_role("button", name="Make", exact=True).click()
                page.wait_for_selector("#screen canvas[data-frame]")
                print(f"{time.monotonic() - begin:.1f} s until the first picture")
                page.wait_for_selector(".card")
                print(f"{time.monotonic() - begin:.1f} s until 33 frames are kept")
            finally:
                studio.terminate()
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent = used.ru_utime + used.ru_stime
        print(f"{spent:.1f} s of processor time in the studio, from its start to its end")
        browser.close()


if __name__ == "__main__":
    main()
