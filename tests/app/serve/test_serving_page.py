"""Every command of docs/serving.md, against a server as the command line starts it."""

import json
import re
import subprocess
import time
from pathlib import Path

import httpx
import pytest
from kinetoscope.data.video import read_clip

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "serving.md").read_text(encoding="utf-8")


def blocks(kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", PAGE, re.S)


def wait(url: str, video_id: str) -> None:
    while httpx.get(f"{url}/v1/videos/{video_id}").json()["status"] != "completed":
        time.sleep(0.2)


@pytest.mark.slow
def test_the_commands_of_the_page_do_what_it_says(tmp_path, monkeypatch, running):
    pytest.importorskip("openai", reason="OpenAI's client is not installed")
    monkeypatch.chdir(tmp_path)
    lines = re.sub(r" *\\\n *", " ", blocks("sh")[0]).splitlines()
    with running(tmp_path / "serve", "physics-64", "--workers", "1") as server:
        place = server.url.removeprefix("http://")
        video_id = ""
        for line in lines:
            command = line.replace("localhost:8000", place).replace("$ID", video_id)
            done = subprocess.run(command, shell=True, capture_output=True, text=True)
            assert done.returncode == 0, (command, done.stderr)
            if done.stdout:
                told = json.loads(done.stdout)
                assert "error" not in told or told["error"] is None, told
                if not video_id:
                    video_id = told["id"]
                    wait(server.url, video_id)
        assert read_clip("ball.mp4").video.shape[1] == 33
        Path("ball.mp4").unlink()
        (code,) = blocks("py")
        exec(code.replace("http://localhost:8000", server.url), {})
        assert read_clip("ball.mp4").video.shape[1] == 33
        assert server.stop() == 0
