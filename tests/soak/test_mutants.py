"""Damaged files of every kind: no crash, no hang, no error that is not ours, bounded memory.

`make soak` reads 10,000 of them; the slow tests read a sample.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from kinetoscope.data.video import write_video
from kinetoscope.files.model_folder import shipped_models
from kinetoscope.files.tensors import load_tensors, save_tensors
from kinetoscope.generator import VideoGenerator
from kinetoscope.generator.saved_session import BEFORE
from kinetoscope.tokenizer import VideoCodes
from PIL import Image

pytestmark = [pytest.mark.slow, pytest.mark.soak]
COUNT = 1000 if os.environ.get("KINETOSCOPE_SOAK") else 40  # of each file
MOST_MEGABYTES = 600
MUTANTS = Path(__file__).with_name("mutants.py")
KINDS = {
    "a.mp4": "video",
    "a.mkv": "video",
    "a.gif": "video",
    "a.png": "video",
    "a.jpg": "video",
    "a.webp": "video",
    "codes.safetensors": "codes",
    "codes-1.safetensors": "codes",
    "session.safetensors": "session",
    "session-1.safetensors": "session",
    "manifest/manifest.csv": "manifest",
    "decoder.json": "decoder",
    "tokenizer.json": "tokenizer",
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, generator: VideoGenerator) -> Path:
    """One sound file of each kind; of codes and sessions also one of the format before, which has
    no checksum, so that damage gets further."""
    folder = tmp_path_factory.mktemp("sound")
    f, y, x = torch.meshgrid(torch.arange(12), torch.arange(48), torch.arange(64), indexing="ij")
    video = torch.stack([x * 3 + f, y * 4, f * 20]).to(torch.uint8)
    for name in ("a.mp4", "a.mkv", "a.gif"):
        write_video(folder / name, video, 12.0)
    picture = Image.fromarray(video[:, 0].permute(1, 2, 0).numpy())
    for name in ("a.png", "a.jpg", "a.webp"):
        picture.save(folder / name)
    codes = torch.randint(0, 60, (1, 3, 4, 5))
    VideoCodes(codes, 9, 32, 40, 12.0, "0123456789ab").save(folder / "codes.safetensors")
    tensors, told = load_tensors(folder / "codes.safetensors")
    del told["checksum"]
    save_tensors(folder / "codes-1.safetensors", tensors, told | {"format": "kinetoscope-codes-1"})
    write_sessions(folder, generator)
    (folder / "manifest").mkdir()
    (folder / "manifest/b.mp4").write_bytes((folder / "a.mp4").read_bytes())
    rows = ["file,caption,licence", 'b.mp4,"a red ball, a wall",CC0-1.0', "b.mp4,größer,"]
    (folder / "manifest/manifest.csv").write_text("\n".join(rows))
    model = shipped_models()["physics-64"]
    (folder / "decoder.json").write_bytes((model / "config.json").read_bytes())
    (folder / "tokenizer.json").write_bytes((model / "tokenizer/config.json").read_bytes())
    return folder


def write_sessions(folder: Path, generator: VideoGenerator) -> None:
    generator.save_pretrained(folder / "model")
    session = VideoGenerator.from_pretrained(folder / "model").session("a red ball", seed=3)
    for _ in range(6):
        next(session)
    session.save(folder / "session.safetensors")
    tensors, told = load_tensors(folder / "session.safetensors")
    about = json.loads(told["session"])
    del about["checksum"]
    told["session"] = json.dumps(about | {"format": BEFORE})
    save_tensors(folder / "session-1.safetensors", tensors, told)


@pytest.mark.parametrize("name", KINDS)
def test_damaged_files_are_read_or_refused(files: Path, name: str) -> None:
    words = [str(MUTANTS), KINDS[name], str(files / name), "0", str(COUNT)]
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    report = json.loads(done.stdout.splitlines()[-1])
    print(name, report)
    assert report["read"] + report["refused"] == COUNT, report
    assert not report["foreign"] and not report["slow"], report
    assert report["peak"] < MOST_MEGABYTES, report
