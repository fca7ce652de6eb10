"""Models go to the Hugging Face hub and come back; a stand-in on this machine takes its place."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml
from kinetoscope.generator import VideoGenerator

from .hub_stand_in import TOKEN, StandIn, stand_in

ROUND_TRIP = """
import sys
import torch
from kinetoscope.generator import VideoGenerator, VideoPipeline
from kinetoscope.tokenizer import VideoTokenizer

model = VideoGenerator.from_pretrained(sys.argv[1])
print(model.push_to_hub("me/balls", licence="mit"))
print(VideoPipeline(model).push_to_hub("me/balls", message="again"))
model.tokenizer.push_to_hub("me/codes")
again = VideoGenerator.from_pretrained("me/balls")
codes = VideoTokenizer.from_pretrained("me/codes")
pairs = zip(again.parameters(), model.parameters(), strict=True)
print(all(torch.allclose(a, b, atol=2e-2) for a, b in pairs), codes.id == again.tokenizer.id)
"""
REFUSED = """
from kinetoscope.tokenizer import VideoTokenizer
tokenizer = VideoTokenizer.from_pretrained("physics-64")
for name, token in (("me/codes", "hf_wrong"), ("codes", None)):
    try:
        tokenizer.push_to_hub(name, token=token)
    except ValueError as error:
        print(error)
try:
    VideoTokenizer.from_pretrained("me/nothing")
except ValueError as error:
    print(error)
"""


def run(script: str, hub: StandIn, home: Path, *arguments: str) -> list[str]:
    """What a program prints whose hub is the stand-in."""
    settings = {
        "HF_ENDPOINT": hub.address,
        "HF_HOME": str(home),
        "HF_TOKEN": TOKEN,
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    }
    command = [sys.executable, "-c", script, *arguments]
    told = subprocess.run(command, env=os.environ | settings, capture_output=True, text=True)
    assert told.returncode == 0, told.stderr
    return told.stdout.splitlines()


def test_a_model_comes_back_as_it_went(generator: VideoGenerator, tmp_path: Path) -> None:
    generator.save_pretrained(tmp_path / "model")
    with stand_in() as hub:
        printed = run(ROUND_TRIP, hub, tmp_path / "home", str(tmp_path / "model"))
    assert printed == [f"{hub.address}/me/balls", f"{hub.address}/me/balls", "True True"]
    assert hub.commits == ["Kinetoscope generator", "again", "Kinetoscope tokenizer"]
    files = hub.repos["me/balls"]
    assert {"config.json", "model.safetensors", "tokenizer/config.json", "text/config.json"} <= {
        *files
    }
    assert json.loads(files["config.json"])["dim"] == generator.decoder.config.dim
    card = files["README.md"].decode()
    _, front, text = card.split("---\n", 2)
    told: dict[str, Any] = yaml.safe_load(front)
    assert told["library_name"] == "kinetoscope" and told["pipeline_tag"] == "text-to-video"
    assert told["license"] == "mit" and "generator" in told["tags"]
    assert 'VideoGenerator.from_pretrained("me/balls")' in text and "8 x 12 pixels" in text
    assert "pipeline_tag" not in hub.repos["me/codes"]["README.md"].decode()


def test_what_the_hub_refuses_is_said_in_one_line(tmp_path: Path) -> None:
    with stand_in() as hub:
        refused, unnamed, missing = run(REFUSED, hub, tmp_path / "home")
    assert refused.startswith("the hub refused 'me/codes': ") and "401" in refused
    assert unnamed == "a model on the hub is called owner/name; got 'codes'"
    assert missing.startswith("could not fetch 'me/nothing' from the hub:")
    assert hub.repos == {}
