"""The `kinetoscope` command: what it writes and prints, and how it ends when something is wrong."""

import errno
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from kinetoscope.app.cli.main import COMMANDS, load, main
from kinetoscope.app.cli.parser import build_parser
from kinetoscope.app.runs.jobs import plan_jobs, read_prompts
from kinetoscope.app.runs.written_batch import STEP, work
from kinetoscope.data.video import VideoWriter, probe, read_clip, read_metadata, to_float, to_uint8
from kinetoscope.generator import (
    Decoder,
    DecoderConfig,
    SamplingParams,
    TextEncoder,
    VideoGenerator,
)
from kinetoscope.tokenizer import QuantizerConfig, StackConfig, TokenizerConfig, VideoTokenizer
from kinetoscope.training.progress import Progress, duration, gentle_interrupt
from torch import Tensor

WORDS = ["[PAD]", "[UNK]", "a", "red", "ball", "rolls", "blue", "cube"]
FRAMES = 6


def tiny_generator() -> VideoGenerator:
    """Random weights; videos of 8 x 16 pixels."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    torch.manual_seed(0)
    split = Tokenizer(
        models.WordLevel({word: index for index, word in enumerate(WORDS)}, unk_token="[UNK]")
    )
    split.pre_tokenizer = pre_tokenizers.Whitespace()
    words = PreTrainedTokenizerFast(
        tokenizer_object=split, pad_token="[PAD]", unk_token="[UNK]", model_max_length=8
    )
    sizes: dict[str, Any] = {
        "hidden_size": 8,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 8,
    }
    text = TextEncoder(
        BertModel(BertConfig(vocab_size=len(WORDS), max_position_embeddings=8, **sizes)), words
    )
    stack = StackConfig(width=8, depth=1, spatial=(), temporal=())
    quantizer = QuantizerConfig("FSQ", {"levels": [4, 4]})
    tokenizer = VideoTokenizer(
        TokenizerConfig(encoder=stack, decoder=stack, refine_channels=0, quantizer=quantizer)
    )
    tokenizer.fit_whitening([2 * torch.rand(2, 3, 5, 16, 16) - 1])
    decoder = Decoder(
        DecoderConfig(16, text_dim=8, grid=(1, 2), dim=16, layers=1, heads=2, kv_heads=1)
    )
    for parameter in decoder.parameters():  # a fresh decoder does not read its caption yet
        torch.nn.init.normal_(parameter, std=0.5)
    return VideoGenerator(decoder, tokenizer, text)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("model") / "tiny"
    tiny_generator().save_pretrained(folder)
    return folder


def shown(path: Path | str) -> Tensor:
    """The pixels of a tiny model's video, from the enlarged MP4."""
    return read_clip(path, size=(8, 16)).video.float()


def apart(a: Tensor, b: Tensor) -> float:
    return float((a - b).abs().mean())


def test_help_explains_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    overview = capsys.readouterr().out
    for name in COMMANDS:
        assert re.search(rf"^  {name} +[A-Z].*\.$", overview, re.MULTILINE)
        for action in build_parser(name, load(name))._actions:
            assert action.help, f"{name}: {action.dest} is not explained"
    assert main(["--version"]) == 0
    assert re.fullmatch(r"kinetoscope \d+\.\d+\.\d+\S*\n", capsys.readouterr().out)


def test_help_and_mistakes_load_nothing_heavy() -> None:
    code = (
        "import sys; from kinetoscope.app.cli.main import main; main(['--help']); "
        "main(['sample', 'a', '--frames', '0']); main(['sample', ' ']); "
        "main(['reconstruct', 'a.mp4', '-o', 'no/b.avi']); "
        "print([name for name in ('torch', 'transformers', 'lightning', 'av') if name in "
        "sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert done.stderr.count("kinetoscope: error: ") == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["paint"], "unknown command 'paint'; the commands are sample, reconstruct"),
        (["sample"], "there is no prompt"),
        (["sample", ""], "the prompt is empty"),
        (["sample", "a", "  "], "prompt 2 of 2 is empty"),
        (["sample", os.fsdecode(b"a \xff")], "the prompt holds bytes that are no UTF-8 text"),
        (["sample", "a", "b\0c"], "prompt 2 of 2 holds bytes that are no UTF-8 text"),
        (["sample", "a", "--frames", "0"], "--frames must be at least 1; got 0"),
        (["sample", "a", "--frames", "many"], "--frames must be a whole number; got many"),
        (["sample", "a", "--guidance", "much"], "--guidance must be a number; got much"),
        (["sample", "a", "--fps", "0"], "--fps must be from 0.001 to 1000; got 0"),
        (["sample", "a", "--window", "0"], "--window must be at least 1; got 0"),
        (["sample", "a", "--guidance-frames", "0"], "--guidance-frames must be at least 1; got 0"),
        (["sample", "a", "--scale", "0"], "--scale must be at least 1; got 0"),
        (["sample", "a", "--num-samples", "0"], "--num-samples must be at least 1; got 0"),
        (["sample", "a", "--seed", "-1"], "--seed must be 0 to"),
        (["sample", "a", "--sed", "1"], "unrecognized arguments: --sed"),
        (["sample", "a", "--fps", "0.0001"], "--fps must be from 0.001 to 1000; got 0.0001"),
        (["sample", "a", "--fps", "60", "-o", "a.gif"], "fps must be at most 50 for a GIF"),
        (["sample", "a", "-o", "ball.avi"], "end in .mp4, .mov, .mkv, .webm, .gif or .webp, or be"),
        (["sample", "a", "-o", "ball.png"], "numbered pictures such as 'frames/%05d.png'"),
        (["sample", "a", "b", "-o", "ball.mp4"], "several videos cannot share the name"),
        (["sample", "a", "-o", "{name}.mp4"], "may hold {index}, {seed} and {prompt} only"),
        (["sample", "a", "--grid-out", "grid.avi"], "must end in .mp4"),
        (["sample", "--prompts", "no.txt"], "'no.txt' does not exist"),
        (["sample", "a", "--model", "nobody"], "unknown model 'nobody'; shipped models: "),
        (["sample", "a", "--model", "weights.ckpt"], "is a pickle"),
        (
            ["sample", "a", "--model", "<model>", "--window", "999"],
            "--window must be 1 to 32 frames for this model",
        ),
        (
            ["sample", "a", "--model", "<model>", "--accelerate", "fast"],
            "--accelerate must be exact or distribution or off",
        ),
        (
            ["sample", "a", "--model", "<model>", "--top-p", "2"],
            "--top-p must be above 0 and at most 1",
        ),
        (["sample", "a " * 30, "--model", "<model>"], "has 30 tokens; the model takes 8"),
        (["sample", "a", "--model", "<model>", "--init", "no.mp4"], "'no.mp4' does not exist"),
        (
            ["sample", "a", "--model", "<model>", "--init", "<clip>", "--frames", "9"],
            "give --frames 10 or more",
        ),
        (
            ["sample", "a", "--model", "<model>", "--device", "moon"],
            "device 'moon' cannot be used here",
        ),
    ],
)
def test_mistakes_end_in_one_line(
    here: Path,
    model: Path,
    clip: Path,
    arguments: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    names = {"model": model, "clip": clip}
    words = [re.sub(r"<(\w+)>", lambda match: str(names[match[1]]), word) for word in arguments]
    assert main(words) == 2
    printed = capsys.readouterr().err
    error = printed.splitlines()[-1]
    assert error.startswith("kinetoscope: error: ")
    assert message in error
    assert "Traceback" not in printed
    assert os.listdir(here) == []


def test_a_sentence_becomes_a_video(
    here: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [
        "sample",
        "a red ball",
        "-m",
        str(model),
        "--frames",
        "6",
        "--seed",
        "5",
        "--top-k",
        "9",
        "-o",
    ]
    assert main([*arguments, "ball.mp4"]) == 0
    printed = capsys.readouterr()
    assert "ball.mp4: 6 frames, seed 5" in printed.out
    assert "seed 5" in printed.err
    info = probe("ball.mp4")
    assert (info.frames, info.width, info.height, info.fps) == (6, 512, 256, 12)
    tags = read_metadata("ball.mp4")
    assert tags["comment"] == "made by a generative model"
    assert (tags["prompt"], tags["seed"], tags["model"], tags["top_k"]) == (
        "a red ball",
        "5",
        model.name,
        "9",
    )
    assert tags["version"].startswith("kinetoscope ")
    generator = VideoGenerator.from_pretrained(model)
    made = to_uint8(
        generator.generate("a red ball", frames=6, seed=5, params=SamplingParams(top_k=9))
    )[0].float()
    other = to_uint8(
        generator.generate("a red ball", frames=6, seed=6, params=SamplingParams(top_k=9))
    )[0].float()
    assert apart(shown("ball.mp4"), made) < 6 < apart(shown("ball.mp4"), other)
    assert main([*arguments, "again.mp4"]) == 0
    assert torch.equal(shown("again.mp4"), shown("ball.mp4"))


def test_several_videos_go_to_a_folder_and_a_grid(
    here: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "out").mkdir()
    (here / "list.txt").write_text("# two things\na red ball\n\na blue cube\n")
    options = [
        "--prompts",
        "list.txt",
        "--num-samples",
        "2",
        "--seed",
        "3",
        "--frames",
        "2",
        "-m",
        str(model),
    ]
    assert main(["sample", *options, "-o", "out", "--grid-out", "grid.mp4", "--scale", "16"]) == 0
    assert sorted(os.listdir("out")) == [
        "a-blue-cube-5.mp4",
        "a-blue-cube-6.mp4",
        "a-red-ball-3.mp4",
        "a-red-ball-4.mp4",
    ]
    assert probe("out/a-red-ball-3.mp4").width == 16 * 16
    assert probe("grid.mp4").frames == 2
    assert probe("grid.mp4").width > 2 * 256
    assert "seed 3 to 6" in capsys.readouterr().err
    alone = VideoGenerator.from_pretrained(model).generate("a blue cube", frames=2, seed=6)
    assert apart(shown("out/a-blue-cube-6.mp4"), to_uint8(alone)[0].float()) < 6


def test_a_video_goes_on_from_a_clip(
    here: Path, model: Path, clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [
        "sample",
        "a ball",
        "-m",
        str(model),
        "--init",
        str(clip),
        "--frames",
        "12",
        "-o",
        "on.mp4",
    ]
    assert main(words) == 0
    given = to_float(read_clip(clip, size=(8, 16)).video)[None]
    tokenizer = VideoTokenizer.from_pretrained(model)
    begin = to_uint8(tokenizer.decode(tokenizer.encode(given)))[0].float()
    assert apart(shown("on.mp4")[:, :9], begin) < 6
    assert shown("on.mp4").shape[1] == 12


def test_ctrl_c_keeps_the_frames_so_far(
    here: Path, model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(progress: Progress, frames: int, work: float) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(Progress, "update", interrupt)
    words = [
        "sample",
        "a ball",
        "a cube",
        "-m",
        str(model),
        "--frames",
        "500",
        "-o",
        "{index}.mp4",
        "--grid-out",
        "grid.mp4",
    ]
    assert main(words) == 130
    assert sorted(os.listdir()) == ["0.mp4", "1.mp4", "grid.mp4"]
    assert [read_clip(name).video.shape[1] for name in os.listdir()] == [1, 1, 1]
    assert "interrupted" in capsys.readouterr().err


def test_a_full_disk_ends_in_one_line_and_leaves_nothing(
    here: Path, model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write = VideoWriter.write

    def write_until_full(writer: VideoWriter, chunk: Tensor) -> None:
        write(writer, chunk)
        if writer.frames > 1:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(writer.path))

    monkeypatch.setattr(VideoWriter, "write", write_until_full)
    assert main(["sample", "a ball", "-m", str(model), "-o", "ball.mp4"]) == 2
    assert (
        "ball.mp4: No space left on device; free some space"
        in capsys.readouterr().err.splitlines()[-1]
    )
    assert os.listdir(here) == []


def test_models_that_do_not_fit_are_refused(
    here: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("wrong", "pickled"):
        shutil.copytree(model, tmp_path / name)
    config: dict[str, Any] = json.loads((model / "config.json").read_text())
    (tmp_path / "wrong/config.json").write_text(json.dumps({**config, "dim": 32}))
    (tmp_path / "pickled/model.safetensors").rename(tmp_path / "pickled/model.pt")
    for name, message in (("wrong", "does not fit"), ("pickled", "only pickles")):
        assert main(["sample", "a ball", "-m", str(tmp_path / name), "-o", "ball.mp4"]) == 2
        assert message in capsys.readouterr().err.splitlines()[-1]
    assert os.listdir(here) == []


def test_seeds_count_up_and_random_ones_differ(tmp_path: Path) -> None:
    jobs = plan_jobs(["a", "b"], 2, 7, str(tmp_path))
    assert [(job.prompt, job.seed) for job in jobs] == [("a", 7), ("a", 8), ("b", 9), ("b", 10)]
    assert len({plan_jobs(["a"], 1, None, str(tmp_path))[0].seed for _ in range(5)}) > 1
    with pytest.raises(ValueError, match="gives several videos the same name"):
        plan_jobs(["a", "a"], 1, 7, str(tmp_path / "{prompt}.mp4"))


def test_files_of_prompts_that_cannot_be_used_say_why(tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_text("# nothing\n\n")
    with pytest.raises(ValueError, match="holds no prompts"):
        read_prompts(tmp_path / "empty.txt")
    (tmp_path / "picture.txt").write_bytes(b"\x89PNG\xff\xfe")
    with pytest.raises(ValueError, match=r"picture.txt' is not UTF-8 text \(line 1\)"):
        read_prompts(tmp_path / "picture.txt")
    with pytest.raises(ValueError, match="cannot be read as a text file"):
        read_prompts(tmp_path)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le"])
def test_files_of_prompts_may_be_utf_8_or_utf_16(tmp_path: Path, encoding: str) -> None:
    sentences = [f"ein roter Ball für {i}, 红色" for i in range(3000)]
    path = tmp_path / "prompts.txt"
    path.write_bytes("\r\n".join(["# none", *sentences, ""]).encode(encoding))
    assert read_prompts(path) == sentences
    jobs = plan_jobs(sentences, 1, 0, str(tmp_path / "out"))
    assert len({job.path for job in jobs}) == 3000


@pytest.mark.parametrize(
    "prompt",
    [
        "红色的球向左滚动",
        "a ball\nrolls\r\n\tand rests",
        "\u202eright to left, e\u0301, 🐱\u200d👩, \x07",
        "a " * 8,
        '"; rm -rf / $(x) {prompt} %05d ../..',
    ],
)
def test_any_text_is_a_prompt(
    here: Path, model: Path, prompt: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The file's own metadata gives it back, and its name is one that any system has."""
    words = ["sample", prompt, "--frames", "2", "--seed", "1", "--model", str(model)]
    tokens = TextEncoder.from_pretrained(model).lengths([prompt])
    if tokens > 8:
        words[1] = prompt = prompt[:12]
    assert main(words) == 0, capsys.readouterr().err
    (path,) = here.iterdir()
    assert re.fullmatch(r"[\w-]+-1\.mp4", path.name)
    assert read_metadata(path)["prompt"] == prompt.strip()


def test_a_sentence_too_long_is_found_before_the_first_video(
    here: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("prompts.txt").write_text("\n".join([*["a red ball"] * 40, "a " * 9]))
    assert main(["sample", "--prompts", "prompts.txt", "--out", "out", "--model", str(model)]) == 2
    assert "has 9 tokens; the model takes 8" in capsys.readouterr().err
    assert not Path("out").exists() or not any(Path("out").iterdir())


def test_unknown_words_are_said_once(
    here: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    many = [f"a ball {'x' * n}" for n in range(4, 20)]
    Path("prompts.txt").write_text("\n".join(many))
    words = ["sample", "红色", "--prompts", "prompts.txt", "--frames", "1", "--out", "out"]
    assert main([*words, "--model", str(model)]) == 0
    said = [line for line in capsys.readouterr().err.splitlines() if "may not know" in line]
    assert len(said) == 1
    assert "红色, xxxx, xxxxx" in said[0] and said[0].endswith("and 5 more")


def test_the_time_left_follows_the_work_and_not_the_frames() -> None:
    """A short and a long video in one batch: frames come fast at first and slowly later."""
    needed = work([33, 65], k=4)
    assert needed == STEP * 17 + 9 + 17
    times = iter([0.0, 4.0, 4.0])
    progress = Progress(98, io.StringIO(), clock=lambda: next(times), work=needed)
    progress.update(66, work=9 * (STEP + 2))
    left = 8 * (STEP + 1) * 4 / (9 * (STEP + 2))
    assert progress.text().endswith(f", {duration(left)} left")
    assert duration(left) != duration(4 / 66 * 32)


def test_progress_speaks_of_frames_and_time() -> None:
    times = iter([0.0, 4.0, 4.0, 9.0])
    progress = Progress(20, clock=lambda: next(times))
    progress.update(8)
    assert progress.text() == "8/20 frames, 0.5 s per frame, 6 s left"
    assert [duration(seconds) for seconds in (8.2, 200, 7500)] == ["8 s", "3 min 20 s", "2 h 5 min"]


def test_the_second_ctrl_c_interrupts_at_once() -> None:
    with gentle_interrupt() as stopped:
        assert not stopped()
        os.kill(os.getpid(), signal.SIGINT)
        assert stopped()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize("name", ["x.png", "x.jpg", "x.JPEG", "x.webp"])
def test_one_frame_is_one_picture_with_its_credentials(
    model: Path, here: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["sample", "red ball", "--model", str(model), "--seed", "3", "--frames", "1"]
    assert main([*words, "--out", name]) == 0
    assert capsys.readouterr().out.startswith(f"{name}: 1 frame, seed 3")
    assert sorted(path.name for path in here.iterdir()) == [name]
    picture = read_clip(name).video
    assert picture.shape == (3, 1, 256, 512)
    assert main(["sample", *words[1:], "--out", "x.mp4", "--no-watermark"]) == 0
    assert apart(shown(name), shown("x.mp4")) < 12
    assert main(["inspect", name]) == 0
    said = capsys.readouterr().out
    assert "a model made it, by its content credentials" in said and "red ball" in said


def test_several_frames_are_no_picture(
    model: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("x.png", "x.jpg"):
        words = ["sample", "red ball", "--model", str(model), "--frames", "5", "--out", name]
        assert main(words) != 0
        said = capsys.readouterr().err
        assert f"cannot write a video as '{name}', which is one picture; give numbered" in said
        assert not list(here.iterdir())
