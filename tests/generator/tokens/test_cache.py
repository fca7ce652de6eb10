"""Tokenised clips: what is on disk is what the tokenizer says, however often the work was
interrupted."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from kinetoscope.data.datasets.source import FolderSource
from kinetoscope.generator import TextEncoder, VideoGenerator
from kinetoscope.generator.tokens import cache as token_cache
from kinetoscope.generator.tokens.cache import TokenSet, build_tokens
from kinetoscope.generator.tokens.long_captions import check_choice, fitting, shortened
from kinetoscope.tokenizer import VideoTokenizer
from kinetoscope.training import progress
from torch import Tensor

CLIPS = 11
CAPTIONS = ("a red ball", "", "a blue cube falls to the left", "slowly", " ")


class Noise:
    """Clips of noise, 8 x 12 pixels. `broken` is the first row that cannot be read."""

    def __init__(
        self,
        key: str = "noise",
        frames: int = 9,
        broken: int = CLIPS,
        foreground: Tensor | None = None,
    ) -> None:
        self.key = key
        self.frames = frames
        self.broken = broken
        self.foreground = foreground
        self.read: list[int] = []

    def __len__(self) -> int:
        return CLIPS

    def video(self, row: int) -> Tensor:
        generator = torch.Generator().manual_seed(row)
        return torch.randint(
            0, 256, (3, self.frames, 8, 12), generator=generator, dtype=torch.uint8
        )

    def clips(self, rows: range) -> dict[str, Any]:
        if rows.stop > self.broken:
            raise KeyboardInterrupt
        self.read += rows
        clips = {
            "video": torch.stack([self.video(row) for row in rows]),
            "caption": [CAPTIONS[r % 5] for r in rows],
        }
        return (
            clips
            if self.foreground is None
            else clips | {"foreground": self.foreground.expand(len(rows), -1, -1, -1, -1)}
        )


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_cache, "PART", 4)
    monkeypatch.setattr(token_cache, "BLOCK", 3)


@pytest.fixture
def tokenizer(generator: VideoGenerator, tmp_path: Path) -> VideoTokenizer:
    """One of its own for every test: 4 x 4 pixels and 4 frames to a code."""
    generator.tokenizer.save_pretrained(tmp_path / "tokenizer")
    return VideoTokenizer.from_pretrained(tmp_path / "tokenizer")


def same(a: TokenSet, b: TokenSet) -> bool:
    return all(
        torch.equal(getattr(a, name), getattr(b, name))
        for name in ("codes", "objects", "text", "text_length")
    )


def test_codes_are_those_of_the_tokenizer(
    tokenizer: VideoTokenizer, text_encoder: TextEncoder, tmp_path: Path
) -> None:
    source = Noise()
    tokens = build_tokens(source, tokenizer, text_encoder, tmp_path)
    assert len(tokens) == CLIPS and tokens.codes.shape == (CLIPS, 3, 2, 3)
    for row in (0, 5, 10):
        expected = tokenizer.encode(source.video(row)[None].float() / 127.5 - 1).indices
        assert torch.equal(tokens.codes[row].long(), expected[0])
    assert not tokens.objects.any()


def test_whoever_waits_sees_how_far_it_is(
    tokenizer: VideoTokenizer,
    text_encoder: TextEncoder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.0)
    with pytest.raises(KeyboardInterrupt):
        build_tokens(Noise(broken=9), tokenizer, text_encoder, tmp_path)
    assert capsys.readouterr().err.startswith("tokenising, once: 3/11 clips, ")
    build_tokens(Noise(), tokenizer, text_encoder, tmp_path)  # eight clips are there
    assert "tokenising, once: 3/3 clips, " in capsys.readouterr().err
    build_tokens(Noise(), tokenizer, text_encoder, tmp_path)
    assert not capsys.readouterr().err


def test_captions_are_those_of_the_encoder_and_no_caption_has_no_length(
    tokenizer: VideoTokenizer, text_encoder: TextEncoder, tmp_path: Path
) -> None:
    tokens = build_tokens(Noise(), tokenizer, text_encoder, tmp_path)
    assert tokens.text_length[:6].tolist() == [3, 0, 7, 1, 0, 3]
    for row in (0, 2, 7):
        states, _ = text_encoder.encode([CAPTIONS[row % 5]])
        torch.testing.assert_close(
            tokens.text[row, : states.shape[1]].float(), states[0], atol=2e-3, rtol=2e-3
        )
    assert not tokens.text[1].any()


def test_a_folder_without_any_caption_can_be_tokenised(
    tokenizer: VideoTokenizer,
    text_encoder: TextEncoder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(f"{__name__}.CAPTIONS", ("",) * 5)
    tokens = build_tokens(Noise(), tokenizer, text_encoder, tmp_path)
    assert not tokens.text_length.any()
    assert not tokens.batch(torch.arange(3), 3)["text_mask"].any()


def test_a_killed_run_goes_on_with_the_next_part(
    tokenizer: VideoTokenizer, text_encoder: TextEncoder, tmp_path: Path
) -> None:
    whole = build_tokens(Noise(), tokenizer, text_encoder, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        build_tokens(Noise(broken=7), tokenizer, text_encoder, tmp_path / "killed")
    rest = Noise()
    assert same(build_tokens(rest, tokenizer, text_encoder, tmp_path / "killed"), whole)
    assert rest.read == list(range(4, CLIPS))
    again = Noise(broken=0)
    assert same(build_tokens(again, tokenizer, text_encoder, tmp_path / "killed"), whole)


def test_a_half_written_part_is_not_read(
    tokenizer: VideoTokenizer, text_encoder: TextEncoder, tmp_path: Path
) -> None:
    whole = build_tokens(Noise(), tokenizer, text_encoder, tmp_path)
    last = sorted(tmp_path.glob("*-noise/*.safetensors"))[-1]
    last.rename(last.with_suffix(".part"))
    last.with_suffix(".part").write_bytes(b"half")
    assert same(build_tokens(Noise(), tokenizer, text_encoder, tmp_path), whole)


def test_a_changed_tokenizer_never_reads_old_codes(
    tokenizer: VideoTokenizer, text_encoder: TextEncoder, tmp_path: Path
) -> None:
    source = Noise()
    before = build_tokens(source, tokenizer, text_encoder, tmp_path)
    with torch.no_grad():
        tokenizer.embed.weight.neg_()
    after = build_tokens(source, tokenizer, text_encoder, tmp_path)
    assert not torch.equal(before.codes, after.codes)
    expected = tokenizer.encode(source.video(4)[None].float() / 127.5 - 1).indices
    assert torch.equal(after.codes[4].long(), expected[0])


def test_other_data_and_another_encoder_have_their_own_files(
    tokenizer: VideoTokenizer, text_encoder: TextEncoder, tmp_path: Path
) -> None:
    build_tokens(Noise(), tokenizer, text_encoder, tmp_path)
    with pytest.raises(KeyboardInterrupt):  # it is read anew
        build_tokens(Noise(key="other", broken=0), tokenizer, text_encoder, tmp_path)
    weight = next(text_encoder.model.parameters())
    weight.data.neg_()
    try:
        with pytest.raises(KeyboardInterrupt):
            build_tokens(Noise(broken=0), tokenizer, text_encoder, tmp_path)
    finally:
        weight.data.neg_()


@pytest.mark.parametrize(
    ("frames", "frame", "latent"),
    [(9, 0, 0), (9, 1, 1), (9, 4, 1), (9, 5, 2), (7, 6, 2), (7, 4, 1)],
)
def test_objects_are_marked_in_the_cell_that_shows_them(
    tokenizer: VideoTokenizer,
    text_encoder: TextEncoder,
    tmp_path: Path,
    frames: int,
    frame: int,
    latent: int,
) -> None:
    foreground = torch.zeros(1, 1, frames, 8, 12, dtype=torch.bool)
    foreground[0, 0, frame, 4, 7] = True
    tokens = build_tokens(
        Noise(frames=frames, foreground=foreground), tokenizer, text_encoder, tmp_path
    )
    expected = torch.zeros(3, 2, 3, dtype=torch.bool)
    expected[latent, 1, 1] = True
    assert torch.equal(tokens.objects[3], expected)


def test_a_batch_is_cut_to_its_latents_and_its_longest_caption(
    tokenizer: VideoTokenizer, text_encoder: TextEncoder, tmp_path: Path
) -> None:
    tokens = build_tokens(Noise(), tokenizer, text_encoder, tmp_path)
    batch = tokens.batch(torch.tensor([5, 1]), latents=2)
    assert (
        torch.equal(batch["codes"], tokens.codes[[5, 1], :2].long())
        and batch["codes"].dtype == torch.int64
    )
    assert batch["objects"].shape == (2, 2, 2, 3)
    assert batch["text"].shape == (2, 3, text_encoder.dim) and batch["text"].dtype == torch.float32
    assert batch["text_mask"].tolist() == [[True] * 3, [False] * 3]


# ---- captions with more tokens than the model takes ----


@pytest.fixture
def wordy(tmp_path: Path, write_clip: Callable[..., Path]) -> FolderSource:
    """Three videos: a short caption, a long one, and one of each."""
    captions = {"a": ["a red ball"], "b": ["a red ball rolls slowly"], "c": ["a", "a a a a a"]}
    for index, (name, own) in enumerate(captions.items()):
        write_clip(tmp_path / f"films/{name}.mp4", 50 * index)
        (tmp_path / f"films/{name}.txt").write_text("\n".join(own))
    return FolderSource(str(tmp_path / "films"), frames=5, size=8, held_out=0)


def changed(source: FolderSource, text: TextEncoder, choice: Any) -> Any:
    names = {row: source.folder.entries[row].path.name for row in source.rows}
    return fitting(source.captions(), names, text, 4, choice)


def test_long_captions_are_named_with_their_file(
    wordy: FolderSource, text_encoder: TextEncoder, caplog: pytest.LogCaptureFixture
) -> None:
    named = r"caption of 'b.mp4' has 5 tokens and the model takes 4, and 1 more .*long_captions"
    with pytest.raises(ValueError, match=named):
        changed(wordy, text_encoder, "stop")
    assert changed(wordy, text_encoder, "cut") == {1: ("a red ball rolls",), 2: ("a", "a a a a")}
    assert "cut to its first words" in caplog.text
    assert changed(wordy, text_encoder, "skip") == {1: None, 2: ("a",)}
    with pytest.raises(ValueError, match="long_captions must be stop or skip or cut; got 'drop'"):
        check_choice("drop")


def said(source: FolderSource) -> dict[int, str]:
    """The caption of each video's first clip, by its row in the folder."""
    return dict(zip(source.rows, source.clips(range(len(source.rows)))["caption"]))


def test_clips_of_a_folder_are_reworded_or_left_out(wordy: FolderSource) -> None:
    cut = wordy.reword({1: ("a red ball rolls",)}, "cut 4")
    assert said(cut)[1] == "a red ball rolls"
    assert said(wordy)[1] == "a red ball rolls slowly"
    skipped = wordy.reword({1: None}, "skip 4")
    assert len(skipped) == 2 * wordy.rounds and set(said(skipped)) == {0, 2}
    assert len({wordy.key, cut.key, skipped.key}) == 3
    with pytest.raises(ValueError, match="has a caption that is kept"):
        wordy.reword({0: None, 1: None, 2: None}, "skip")


def test_text_without_blanks_is_cut_too() -> None:
    shipped = TextEncoder.from_pretrained("physics-64")
    for caption in ("红" * 100, "a red ball " * 50, "x" * 90):
        short = shortened(caption, shipped, 20)
        assert caption.startswith(short) and short
        assert int(shipped.lengths([short])) <= 20 < int(shipped.lengths([caption]))
