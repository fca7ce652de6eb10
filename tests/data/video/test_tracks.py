"""Sound, subtitles and chapters beside pictures that are there."""

from pathlib import Path
from typing import Any

import pytest
import torch
from kinetoscope.data.video import VideoError, VideoWriter, probe, read_clip, read_metadata
from kinetoscope.data.video.sound import read_sound, read_span
from kinetoscope.data.video.tracks import Cue, add_tracks, read_chapters, read_cues
from kinetoscope.evaluation.clips.sound import read_sound as sound_of_clip


def silent(path: Path, frames: int = 36) -> Path:
    video = torch.randint(0, 255, (3, 1, 16, 24), dtype=torch.uint8).repeat(1, frames, 1, 1)
    with VideoWriter(path, 12, {"prompt": "a ball"}) as writer:
        writer.write(video)
    return path


def beep(first: float, last: float, seconds: float = 3.0, rate: int = 48_000) -> torch.Tensor:
    """A tone that is heard on the left alone, from a time to another."""
    times = torch.arange(round(seconds * rate)) / rate
    tone = 0.5 * torch.sin(times * 2000) * ((times >= first) & (times < last))
    return torch.stack([tone, torch.zeros_like(tone)])


def test_all_tracks_come_back(tmp_path: Path) -> None:
    source = silent(tmp_path / "silent.mp4")
    cues = [Cue(0.5, 1.25, "Größe\nи ещё"), Cue(1.25, 2.0, "two")]
    chapters = [Cue(0.0, 1.5, "Eins"), Cue(1.5, 3.0, "Два")]
    add_tracks(source, tmp_path / "all.mp4", beep(1, 2), 48_000, cues, chapters)
    told = probe(tmp_path / "all.mp4")
    assert told.frames == 36 and told.has_audio
    one, two = (read_clip(path).video for path in (source, tmp_path / "all.mp4"))
    assert torch.equal(one, two)
    assert read_metadata(tmp_path / "all.mp4")["prompt"] == "a ball"
    assert read_cues(tmp_path / "all.mp4") == cues
    assert read_chapters(tmp_path / "all.mp4") == chapters
    heard = read_sound(tmp_path / "all.mp4", 48_000, stereo=True)
    loud = (heard[0].abs() > 0.1).nonzero()
    assert abs(float(loud[0]) / 48_000 - 1) < 0.01 and abs(float(loud[-1]) / 48_000 - 2) < 0.01
    assert float(heard[1].abs().max()) < 0.05


@pytest.mark.parametrize("name", ["12:30:45.mp4", "http:a.mp4", "concat:b.mp4", "50%d.mp4"])
def test_names_are_never_taken_for_something_else(
    here: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Of what is read beside the pictures, neither."""
    silent(Path("plain.mp4")).rename(name)
    add_tracks(name, "plain.mp4", beep(1, 2), 48_000, [Cue(0.5, 1.25, "one")])
    Path("plain.mp4").rename(name)
    assert read_cues(name) == [Cue(0.5, 1.25, "one")] and not read_chapters(name)
    assert abs(len(read_sound(name, 8000)) - 24_000) < 500
    part = read_span(name, 1.2, 800, 8000)
    assert part is not None and float(part.abs().max()) > 0.1
    assert len(sound_of_clip(name, 1.2, 0.1)) == 1600


def test_pictures_alone_stay_as_they_are(tmp_path: Path) -> None:
    source = silent(tmp_path / "silent.mp4")
    add_tracks(source, tmp_path / "same.mp4")
    assert not probe(tmp_path / "same.mp4").has_audio
    assert torch.equal(read_clip(source).video, read_clip(tmp_path / "same.mp4").video)
    assert read_cues(tmp_path / "same.mp4") == [] == read_chapters(tmp_path / "same.mp4")


def test_what_cannot_be_leaves_nothing_behind(tmp_path: Path) -> None:
    source = silent(tmp_path / "silent.mp4")
    overlapping: Any = [Cue(0, 1, "one"), Cue(0.5, 2, "two")]
    with pytest.raises(ValueError, match="'two' begins before the last one has ended"):
        add_tracks(source, tmp_path / "a.mp4", cues=overlapping)
    with pytest.raises(ValueError, match="too long; split it"):
        add_tracks(source, tmp_path / "a.mp4", cues=[Cue(0, 1, "x" * 70_000)])
    (tmp_path / "no.mp4").write_bytes(b"no video")
    with pytest.raises(VideoError, match="cannot be copied"):
        add_tracks(tmp_path / "no.mp4", tmp_path / "a.mp4")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["no.mp4", "silent.mp4"]
