"""Small models, sounds and slides for storyboards."""

import wave
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kinetoscope.app.provenance.policy import GuardedGenerator
from kinetoscope.app.storyboard.compose import Composer, Watching
from kinetoscope.app.storyboard.read import read_file
from kinetoscope.generator import VideoGenerator

RATE = 22_050


@pytest.fixture(scope="session")
def model(generator: VideoGenerator, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a model of random weights; 8 x 12 pixels, 4 frames of a latent frame."""
    folder = tmp_path_factory.mktemp("story") / "small"
    generator.save_pretrained(folder)
    return folder


def tone(path: Path, *pieces: tuple[float, float]) -> Path:
    """A file of sound out of (pitch, seconds); a pitch of 0 is silence."""
    parts = [
        0.4 * np.sin(2 * np.pi * pitch * np.arange(round(seconds * RATE)) / RATE)
        for pitch, seconds in pieces
    ]
    samples = (np.concatenate(parts) * 32767).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples.tobytes())
    return path


def write_pdf(path: Path, titles: Sequence[str], size: tuple[int, int] = (320, 180)) -> Path:
    """A PDF with a page for each title, each page of another colour."""
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        "",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    pages = []
    for number, title in enumerate(titles):
        colour = page_colour(number)
        red, green, blue = (each / 255 for each in colour)
        drawing = (
            f"{red} {green} {blue} rg 0 0 {size[0]} {size[1]} re f 0 g "
            f"BT /F 24 Tf 20 140 Td ({title}) Tj ET"
        )
        pages.append(f"{len(objects) + 1} 0 R")
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {size[0]} {size[1]}] "
            f"/Resources << /Font << /F 3 0 R >> >> /Contents {len(objects) + 2} 0 R >>"
        )
        objects.append(f"<< /Length {len(drawing)} >>\nstream\n{drawing}\nendstream")
    objects[1] = f"<< /Type /Pages /Kids [{' '.join(pages)}] /Count {len(pages)} >>"
    content = b"%PDF-1.4\n"
    places = []
    for number, each in enumerate(objects, 1):
        places.append(len(content))
        content += f"{number} 0 obj\n{each}\nendobj\n".encode()
    table = "".join(f"{place:010d} 00000 n \n" for place in places)
    count = len(objects) + 1
    end = f"xref\n0 {count}\n0000000000 65535 f \n{table}trailer << /Size {count} /Root 1 0 R >>\n"
    path.write_bytes(content + f"{end}startxref\n{len(content)}\n%%EOF\n".encode())
    return path


def page_colour(number: int) -> tuple[int, int, int]:
    """Of a page of `write_pdf`, from 0: its blue tells which one it is."""
    return 255, 240, 40 + 60 * number


Compose = Callable[..., Composer]


@pytest.fixture(scope="session")
def loaded(model: Path) -> GuardedGenerator:
    return GuardedGenerator.from_pretrained(model)


@pytest.fixture
def composer(model: Path, loaded: GuardedGenerator, tmp_path: Path) -> Compose:
    """A composer of a storyboard that is given as YAML, with the small model."""

    def make(text: str, folder: Path = model, **watching: Any) -> Composer:
        path = tmp_path / "story.yaml"
        path.write_text(f"model: {folder}\n{text}", encoding="utf-8")
        story = read_file(path)
        generator = loaded if folder == model else GuardedGenerator.from_pretrained(folder)
        told = {"say": lambda line: None} | watching
        return Composer(
            story, tmp_path / "shots", generator if story.draws else None, Watching(**told)
        )

    return make
