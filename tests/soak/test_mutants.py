"""Damaged files of every kind: no crash, no hang, no error that is not ours, bounded memory.

`make soak` reads a thousand of each file, the slow tests a sample.
"""

import json
import os
import subprocess
import sys
import wave
from pathlib import Path

import av
import kinetoscope.configs
import pytest
import torch
from kinetoscope.data.datasets.shards import FORMAT, Clip, ClipInfo, write_shard
from kinetoscope.data.datasets.source import PhysicsSource
from kinetoscope.data.video import write_video
from kinetoscope.data.worlds.physics.scene import PhysicsConfig
from kinetoscope.files.json_file import write_json
from kinetoscope.files.model_folder import shipped_models
from kinetoscope.files.tensors import load_tensors, save_tensors
from kinetoscope.generator import VideoGenerator
from kinetoscope.generator.saved_session import BEFORE
from kinetoscope.generator.tokens.cache import build_tokens
from kinetoscope.generator.training.lora import LoraSize, add_lora, save_adapter
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
    "a.webm": "video",
    "a.avi": "video",
    "a.tif": "video",
    "animated.webp": "video",
    "a.wav": "sound",
    "codes.safetensors": "codes",
    "codes-1.safetensors": "codes",
    "session.safetensors": "session",
    "session-1.safetensors": "session",
    "manifest/manifest.csv": "manifest",
    "jsonl/metadata.jsonl": "manifest",
    "decoder.json": "decoder",
    "tokenizer.json": "tokenizer",
    "weights/model.safetensors": "weights",
    "text/config.json": "text",
    "text/tokenizer.json": "text",
    "text/model.safetensors": "text",
    "adapter/config.json": "adapter",
    "adapter/model.safetensors": "adapter",
    "tokens/*/*.safetensors": "tokens",
    "shards/manifest.json": "shards",
    "shards/000000.json": "shards",
    "shards/000000.tar": "shards",
    "settings.yaml": "settings",
    "story.yaml": "story",
    "last.ckpt": "checkpoint",
}

# what is read in one process
GROUPS = {
    "films": ("video", "sound"),
    "codes": ("codes", "session", "tokens", "shards", "manifest"),
    "models": ("decoder", "tokenizer", "weights", "adapter"),
    "text": ("text",),
    "settings": ("settings", "story", "checkpoint"),
}

STORY = """
seed: 7
size: [48, 64]
shots:
  - {say: a red ball rolls, for: 2, camera: pans left, title: {text: One, at: 0.5 s}}
  - {show: a.mp4, for: 1, sound: off, join: fade, chapter: größer}
"""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, generator: VideoGenerator) -> Path:
    """One sound file of each kind; of codes and sessions also one of the format before, which has
    no checksum, so that damage gets further."""
    folder = tmp_path_factory.mktemp("sound")
    write_videos(folder)
    codes = torch.randint(0, 60, (1, 3, 4, 5))
    VideoCodes(codes, 9, 32, 40, 12.0, "0123456789ab").save(folder / "codes.safetensors")
    tensors, told = load_tensors(folder / "codes.safetensors")
    del told["checksum"]
    save_tensors(folder / "codes-1.safetensors", tensors, told | {"format": "kinetoscope-codes-1"})
    generator.save_pretrained(folder / "model")
    write_sessions(folder)
    write_models(folder, generator)
    write_data(folder)
    for name in ("manifest", "jsonl"):
        (folder / name).mkdir()
        (folder / name / "b.mp4").write_bytes((folder / "a.mp4").read_bytes())
    rows = ["file,caption,licence", 'b.mp4,"a red ball, a wall",CC0-1.0', "b.mp4,größer,"]
    (folder / "manifest/manifest.csv").write_text("\n".join(rows))
    row = {"file_name": "b.mp4", "text": "a red ball", "licence": "CC0-1.0"}
    (folder / "jsonl/metadata.jsonl").write_text(2 * (json.dumps(row) + "\n"))
    write_settings(folder)
    return folder


def write_videos(folder: Path) -> None:
    f, y, x = torch.meshgrid(torch.arange(12), torch.arange(48), torch.arange(64), indexing="ij")
    video = torch.stack([x * 3 + f, y * 4, f * 20]).to(torch.uint8)
    for name in ("a.mp4", "a.mkv", "a.gif", "a.webm"):
        write_video(folder / name, video, 12.0)
    write_video(folder / "animated.webp", video[:, :4, ::2, ::2], 12.0)
    pictures = video.permute(1, 2, 3, 0).numpy()
    for name in ("a.png", "a.jpg", "a.webp"):
        Image.fromarray(pictures[0]).save(folder / name)
    Image.fromarray(pictures[0]).save(folder / "a.tif", compression="tiff_lzw")
    with av.open(folder / "a.avi", "w") as container:
        stream = container.add_stream("mpeg4", rate=12, width=64, height=48, pix_fmt="yuv420p")
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture)))
        container.mux(stream.encode(None))
    with wave.open(str(folder / "a.wav"), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(range(256)) * 32)


def write_sessions(folder: Path) -> None:
    session = VideoGenerator.from_pretrained(folder / "model").session("a red ball", seed=3)
    for _ in range(6):
        next(session)
    session.save(folder / "session.safetensors")
    tensors, told = load_tensors(folder / "session.safetensors")
    about = json.loads(told["session"])
    del about["checksum"]
    told["session"] = json.dumps(about | {"format": BEFORE})
    save_tensors(folder / "session-1.safetensors", tensors, told)


def write_models(folder: Path, generator: VideoGenerator) -> None:
    model = shipped_models()["physics-64"]
    (folder / "decoder.json").write_bytes((model / "config.json").read_bytes())
    (folder / "tokenizer.json").write_bytes((model / "tokenizer/config.json").read_bytes())
    generator.tokenizer.save_pretrained(folder / "weights")
    generator.text.save_pretrained(folder / "text")
    base = VideoGenerator.from_pretrained(folder / "model")
    name = base.id
    size = LoraSize(2)
    add_lora(base.decoder, size)
    save_adapter(folder / "adapter", base.decoder.state_dict(), size, "model", name)


def write_data(folder: Path) -> None:
    """What lies between videos and training: tokens that a run keeps, and shards."""
    base = VideoGenerator.from_pretrained(folder / "model")
    build_tokens(
        PhysicsSource(2, 5, 8, PhysicsConfig(max_objects=1)),
        base.tokenizer,
        base.text,
        folder / "tokens",
    )
    numbers = torch.arange(12).reshape(3, 2, 2).short().numpy()
    info = ClipInfo(("a ball", "größer"), "a.mp4", 0.5, 1.5, 9, 16, 16, 9.0, text_lengths=(2, 3))
    states = torch.zeros(5, 4).half().numpy()
    actions = torch.zeros(9, 2).numpy()
    clip = Clip(info, numbers, states, actions, numbers[:, 0])
    record = write_shard(folder / "shards/000000.tar", [clip, clip])
    write_json(folder / "shards/000000.json", record)
    shard = {"name": "000000.tar", "bytes": record["bytes"]}
    listed = {"format": FORMAT, "complete": True, "shards": [shard]}
    write_json(folder / "shards/manifest.json", listed)


def write_settings(folder: Path) -> None:
    configs = Path(kinetoscope.configs.__path__[0])
    (folder / "settings.yaml").write_bytes((configs / "generator/folder.yaml").read_bytes())
    (folder / "story.yaml").write_text(STORY)
    weights = {"x": torch.ones(30), "y": torch.zeros(3, 4).half()}
    kept = {"state_dict": weights, "epoch": 1, "global_step": 8, "loops": {"fit": [1, None]}}
    torch.save(kept, folder / "last.ckpt")


def test_every_kind_is_read() -> None:
    assert sorted(sum(GROUPS.values(), ())) == sorted(set(KINDS.values()))


@pytest.mark.parametrize("group", GROUPS)
def test_damaged_files_are_read_or_refused(files: Path, group: str) -> None:
    words = [str(MUTANTS), "0", str(COUNT)]
    names = [name for name, kind in KINDS.items() if kind in GROUPS[group]]
    for name in names:
        (file,) = files.glob(name)
        words += [KINDS[name], str(file)]
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True)
    reports = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    for name, report in zip(names, reports):
        print(name, report)
        assert report["read"] + report["refused"] == COUNT, (name, report)
        assert not report["foreign"] and not report["slow"], (name, report)
        assert report["peak"] < MOST_MEGABYTES, (name, report)
    assert done.returncode == 0, (names[len(reports) :], done.stderr[-2000:])
    assert len(reports) == len(names)
