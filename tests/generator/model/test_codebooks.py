"""A tokenizer with several codebooks under a decoder that draws the codes of a cell in depth."""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from kinetoscope.app.cli.main import main
from kinetoscope.data.video import read_clip
from kinetoscope.generator import (
    Decoder,
    DecoderConfig,
    SamplingParams,
    TextEncoder,
    VideoGenerator,
)
from kinetoscope.generator.model.codebooks import Codebooks
from kinetoscope.generator.tokens.cache import build_tokens
from kinetoscope.generator.training.module import GeneratorModule
from kinetoscope.tokenizer import QuantizerConfig, StackConfig, TokenizerConfig, VideoTokenizer
from kinetoscope.training.cli import run
from torch import nn

SIZE = 12
LEVELS = (4, 3)


@given(st.integers(1, 3), st.integers(1, 3), st.data(), st.integers(0, 2**32))
def test_what_is_taken_can_be_given_back(
    rates: int, block: int, data: st.DataObject, seed: int
) -> None:
    used = data.draw(st.integers(1, rates))
    books = Codebooks(SIZE, rates, used, block)
    count = used * block**2
    dice = torch.Generator().manual_seed(seed)
    last = (rates,) if rates > 1 else ()
    shape = (2, 3, 4 * block, 5 * block, *last)
    indices = torch.randint(SIZE, shape, generator=dice, dtype=torch.int32)
    codes = books.take(indices)
    assert codes.shape == (2, 3, 4, 5, *([count] if count > 1 else []))
    assert codes.dtype == torch.int64 and books.grid(*shape[2:4]) == (4, 5)
    assert torch.equal(books.give(codes), indices[..., :used] if rates > 1 else indices)


def test_a_square_of_cells_is_one_cell_of_the_decoder() -> None:
    books = Codebooks(SIZE, rates=2, used=2, block=2)
    indices = torch.arange(2 * 4 * 2).view(2, 4, 2)  # rows, columns, codebooks
    assert books.take(indices).tolist() == [
        [[0, 2, 8, 10, 1, 3, 9, 11], [4, 6, 12, 14, 5, 7, 13, 15]]
    ]
    seen = torch.tensor([[True, False, False, False], [False] * 4])
    assert books.any(seen).tolist() == [[True, False]]
    with pytest.raises(ValueError, match="3 x 4 cells cannot be divided into squares of 2 x 2"):
        books.grid(3, 4)


def test_levels_tell_codebooks_apart() -> None:
    books = Codebooks(SIZE, 3, 2)
    sizes: dict[str, Any] = dict(codebooks=2, dim=8, layers=1, heads=1, kv_heads=1)
    digits = Decoder(
        DecoderConfig(books.vocab_size, 8, books.levels(LEVELS), (2, 4), **sizes)
    ).codes.digits
    assert isinstance(digits, torch.Tensor)
    # the same code of both has the same levels
    assert torch.equal(digits[:SIZE, :7], digits[SIZE:, :7])
    assert torch.equal(digits[:, 7:], torch.eye(2).repeat_interleave(SIZE, 0))


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(
        ValueError, match="codebooks must be 1 to 2, as many as the tokenizer has; got 3"
    ):
        Codebooks(SIZE, 2, 3)
    with pytest.raises(ValueError, match="codes of 2 codebooks per cell are needed; these have 1"):
        Codebooks(SIZE, 3, 2).take(torch.zeros(1, 1, 2, 2, 1, dtype=torch.long))
    with pytest.raises(
        ValueError, match=r"codebooks must be at least 1 and divide vocab_size=25; got 2"
    ):
        DecoderConfig(25, 8, grid=(2, 3), codebooks=2)


@pytest.fixture(scope="module")
def tokenizer() -> VideoTokenizer:
    """Three codebooks; 4 x 4 pixels and 4 frames to a cell."""
    torch.manual_seed(3)
    stack = StackConfig(width=16, depth=1, kernel=3, spatial=(0,), temporal=(0,))
    quantizer = QuantizerConfig("FSQ", {"levels": list(LEVELS), "num_codebooks": 3})
    made = VideoTokenizer(
        TokenizerConfig(patch=4, encoder=stack, decoder=stack, quantizer=quantizer)
    ).eval()
    made.quantizer.project.weight.data.mul_(3)
    return made


@pytest.fixture(params=[(1, 1), (2, 1), (3, 1), (1, 2), (2, 2)])
def several(
    request: pytest.FixtureRequest, tokenizer: VideoTokenizer, text_encoder: TextEncoder
) -> VideoGenerator:
    """Uses the first codebooks of it, cell by cell or in squares of 2 x 2; 8 x 16 pixels."""
    torch.manual_seed(4)
    books = Codebooks.of(tokenizer, *request.param)
    sizes: dict[str, Any] = dict(
        dim=32, layers=2, heads=4, kv_heads=2, window=3, max_distance=4, max_text=6
    )
    sizes |= dict(codebooks=books.count, block=books.block)
    config = DecoderConfig(books.vocab_size, 16, books.levels(LEVELS), books.grid(2, 4), **sizes)
    decoder = Decoder(config)
    for block in decoder.blocks:
        nn.init.normal_(block.out.weight, std=0.3)
    nn.init.normal_(decoder.head.full, std=0.3)
    return VideoGenerator(decoder, tokenizer, text_encoder).eval()


def test_a_video_is_its_codes_decoded(several: VideoGenerator) -> None:
    video = several.generate("a red ball", frames=9, seed=1)
    assert video.shape == (1, 3, 9, 8, 16)
    session = several.session("a red ball", 1)
    pixels = torch.cat(list(itertools.islice(session, 3)), dim=2)
    rows = torch.stack(session.engine.past, 1).unflatten(2, several.decoder.config.grid)
    indices = several.codebooks.give(rows)
    assert indices.shape == (1, 3, 2, 4, several.codebooks.used)
    torch.testing.assert_close(
        torch.cat(list(several.tokenizer.stream_decode([indices])), dim=2), pixels
    )
    torch.testing.assert_close(pixels, video, atol=1e-5, rtol=0)
    slow = several.generate("a red ball", 9, 1, SamplingParams(accelerate="off"))
    assert torch.equal(slow, video)


def test_a_video_begins_as_it_is_told_to(several: VideoGenerator, tmp_path: Path) -> None:
    init = 2 * torch.rand(1, 3, 5, 8, 16, generator=torch.Generator().manual_seed(0)) - 1
    codes = several.tokenizer.encode(init)
    shown = several.tokenizer.decode(codes.prefix(several.codebooks.used))
    video = several.generate("a red ball", frames=9, init=init)
    torch.testing.assert_close(video[:, :, :5], shown, atol=1e-5, rtol=0)
    if several.codebooks.used > 1:
        with pytest.raises(ValueError, match="these have 1"):
            several.generate("a red ball", frames=9, init=codes.prefix(1))
    several.save_pretrained(tmp_path, half=False)
    again = VideoGenerator.from_pretrained(tmp_path)
    assert again.codebooks == several.codebooks
    assert torch.equal(again.generate("a red ball", frames=9, init=init), video)


def test_tokenised_clips_hold_the_codebooks_asked_for(
    tokenizer: VideoTokenizer, text_encoder: TextEncoder, tmp_path: Path
) -> None:
    class Source:
        key = "source"

        def __len__(self) -> int:
            return 2

        def clips(self, rows: range) -> dict[str, Any]:
            video = torch.randint(
                256, (2, 3, 5, 8, 12), generator=torch.Generator().manual_seed(0), dtype=torch.uint8
            )
            foreground = torch.zeros(2, 1, 5, 8, 12, dtype=torch.bool)
            foreground[:, :, :, :4, 4:8] = True
            return {"video": video, "caption": ["a red ball", ""], "foreground": foreground}

    video = Source().clips(range(2))["video"].float() / 127.5 - 1
    indices = tokenizer.encode(video).indices
    for used in (3, 2, 1):
        tokens = build_tokens(
            Source(), tokenizer, text_encoder, tmp_path, Codebooks.of(tokenizer, used)
        )
        assert torch.equal(tokens.codes.long(), Codebooks.of(tokenizer, used).take(indices))
        cells = torch.tensor([[False, True, False], [False] * 3])
        assert torch.equal(tokens.objects, cells.expand(2, 2, -1, -1))


@pytest.mark.parametrize("used", [None, 2])
def test_from_a_folder_to_a_sample(
    used: int | None,
    tokenizer: VideoTokenizer,
    parts: dict[str, str],
    write_clip: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """prepare, fit and sample, with all codebooks and with some."""
    monkeypatch.setattr("sys.argv", ["kinetoscope.generator"])
    for index in range(4):
        write_clip(tmp_path / f"films/{index}.mp4", index)
    tokenizer.save_pretrained(tmp_path / "tokenizer")
    films, shards, model = (str(tmp_path / name) for name in ("films", "shards", "model"))
    prepare = [
        "prepare",
        films,
        shards,
        "--tokenizer",
        str(tmp_path / "tokenizer"),
        "--size",
        "8",
        "--width",
        "12",
    ]
    assert main([*prepare, "--workers", "1", "--min-frames", "5"]) == 0, capsys.readouterr().err
    fit = [
        *("fit", "--model.tokenizer", str(tmp_path / "tokenizer"), "--model.text", parts["text"]),
        *(
            "--model.export_dir",
            model,
            "--model.warmup_steps=1",
            *([f"--model.codebooks={used}"] if used else []),
        ),
        '--model.size={"dim":32,"layers":1,"heads":2,"kv_heads":1,"window":2,"max_distance":2}',
        '--model.flaws={"clips":1.0,"random":0.1,"nearby":0.1,"own":0.5}',
        *("--data", "ShardTokens", "--data.root", shards, "--data.held_out=0.3"),
        '--data.stages=[{"steps":2,"latents":3,"batch_size":2}]',
        *(
            "--trainer.max_steps=2",
            "--trainer.default_root_dir",
            str(tmp_path),
            "--trainer.accelerator=cpu",
        ),
        *("--trainer.enable_progress_bar=false", "--trainer.enable_model_summary=false"),
    ]
    with pytest.raises(SystemExit):
        run(GeneratorModule, [*fit, "--model.grid=[4,4]"])
    wanted = (
        "the clips have 2 x 3 cells and the model 4 x 4; set model.grid=[2,3], "
        "or take clips of another size"
    )
    assert wanted in capsys.readouterr().err
    run(GeneratorModule, [*fit, "--model.grid=[2,3]"])
    generator = VideoGenerator.from_pretrained(model)
    assert generator.codebooks == Codebooks.of(tokenizer, used)
    out = str(tmp_path / "clip.mp4")
    assert (
        main(
            [
                "sample",
                "a red ball",
                "--model",
                model,
                "--frames",
                "6",
                "--out",
                out,
                "--scale",
                "1",
            ]
        )
        == 0
    )
    assert read_clip(out).video.shape == (3, 6, 8, 12)
    longer = [
        "sample",
        "a red ball",
        "--model",
        model,
        "--frames",
        "10",
        "--init",
        out,
        "--out",
        f"{out}.2.mp4",
    ]
    assert main([*longer, "--scale", "1"]) == 0, capsys.readouterr().err
    assert read_clip(f"{out}.2.mp4").video.shape == (3, 10, 8, 12)
