"""Data as it lies: each test makes a layout as it is unpacked or downloaded, and reads it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from kinetoscope.data.datasets.layouts import LaidVideo, Options, Source, list_source
from kinetoscope.data.datasets.layouts.base import words_of
from kinetoscope.data.datasets.layouts.read import measure, read_frames
from kinetoscope.data.datasets.layouts.table import seconds_of
from kinetoscope.data.video import VideoError, read_clip, write_video

WriteClip = Callable[..., Path]


def by_name(source: Source) -> dict[str, LaidVideo]:
    return {video.name: video for video in source.videos}


def test_ucf101_with_its_lists(tmp_path: Path, write_clip: WriteClip) -> None:
    names = ["ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01", "ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01"]
    names += ["Archery/v_Archery_g08_c01"]
    for name in names:
        write_clip(tmp_path / "UCF-101" / f"{name}.mp4")
    lists = tmp_path / "ucfTrainTestlist"
    lists.mkdir()
    (lists / "trainlist01.txt").write_text(f"{names[0]}.mp4 1\n{names[2]}.mp4 2\n")
    (lists / "testlist01.txt").write_text(f"{names[1]}.mp4\nArchery/gone.mp4\n")
    found = list_source(tmp_path / "UCF-101")
    assert found.layout == "classes"
    assert "with the lists of UCF-101: 3 videos" in found.line()
    videos = by_name(found)
    assert videos[f"{names[0]}.mp4"].words.captions == ("apply eye makeup",)
    assert [videos[f"{name}.mp4"].split for name in names] == ["train", "test", "train"]
    assert found.problems[0][0] == "Archery/gone.mp4"
    train = list_source(tmp_path / "UCF-101", split="train")
    assert {video.label for video in train.videos} == {"ApplyEyeMakeup", "Archery"}
    with pytest.raises(ValueError, match="has no split 'validation'; there are test, train"):
        list_source(tmp_path / "UCF-101", split="validation")


def test_hmdb51_with_its_lists(tmp_path: Path, write_clip: WriteClip) -> None:
    for number in range(3):
        write_clip(tmp_path / f"videos/brush_hair/April_{number}.mp4")
    write_clip(tmp_path / "videos/cartwheel/(Rad)Schlag.mp4")
    lists = tmp_path / "testTrainMulti_7030_splits"
    lists.mkdir()
    (lists / "brush_hair_test_split1.txt").write_text("April_0.mp4 1\nApril_1.mp4 2\nApril_2.mp4 0")
    (lists / "cartwheel_test_split1.txt").write_text("(Rad)Schlag.mp4 1 \n")
    videos = by_name(list_source(tmp_path / "videos"))
    splits = [videos[f"brush_hair/April_{number}.mp4"].split for number in range(3)]
    assert splits == ["train", "test", ""]
    assert videos["cartwheel/(Rad)Schlag.mp4"].split == "train"


def test_kinetics_by_folders_and_another_template(tmp_path: Path, write_clip: WriteClip) -> None:
    for name in ("train/riding a bike/a", "train/yoga/b", "val/yoga/c"):
        write_clip(tmp_path / f"{name}.mp4")
    found = list_source(tmp_path, options=Options(template="a video of {label}"))
    videos = by_name(found)
    assert found.layout == "classes"
    assert videos["train/riding a bike/a.mp4"].words.captions == ("a video of riding a bike",)
    assert videos["val/yoga/c.mp4"].split == "validation"


def test_tables_with_the_usual_columns(tmp_path: Path, write_clip: WriteClip) -> None:
    write_clip(tmp_path / "clips/one.mp4")
    write_clip(tmp_path / "clips/two.mp4")
    (tmp_path / "data.csv").write_text(
        "clip_id,text,score\none,a red ball,5.5\ntwo,a blue cube,4\none,a ball,5.5\nlost,x,1\n"
    )
    found = list_source(tmp_path)
    videos = by_name(found)
    assert found.layout == "table"
    assert videos["clips/one.mp4"].words.captions == ("a red ball", "a ball")
    assert videos["clips/two.mp4"].facts["score"] == "4"
    assert found.problems == (("lost", "is in 'data.csv' but not there"),)
    assert len(list_source(tmp_path / "data.csv").videos) == 2


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_video_folder_of_hugging_face(tmp_path: Path, write_clip: WriteClip, kind: str) -> None:
    write_clip(tmp_path / "train/0001.mp4")
    write_clip(tmp_path / "train/0002.mp4")
    rows = [
        {"file_name": "0001.mp4", "text": "a dog, running"},
        {"file_name": "0002.mp4", "text": "a cat"},
    ]
    lines = [json.dumps(row) for row in rows]
    if kind == "csv":
        lines = ["file_name,text", '0001.mp4,"a dog, running"', "0002.mp4,a cat"]
    (tmp_path / f"train/metadata.{kind}").write_text("\n".join(lines))
    videos = by_name(list_source(tmp_path))
    assert videos["train/0001.mp4"].words.captions == ("a dog, running",)
    assert videos["train/0002.mp4"].split == "train"


def test_start_and_end_times(tmp_path: Path, write_clip: WriteClip) -> None:
    write_clip(tmp_path / "abc.mp4")  # 9 frames at 12 a second
    (tmp_path / "panda.csv").write_text(
        "videoID,timestamp,caption\n"
        "abc,\"[['0:00:00.000', '0:00:00.250'], ['0:00:00.250', '0:00:00.750']]\","
        "\"['first part', 'second part']\"\n"
    )
    videos = by_name(list_source(tmp_path))
    assert list(videos) == ["abc.mp4#0-0.25", "abc.mp4#0.25-0.75"]
    second = videos["abc.mp4#0.25-0.75"]
    assert second.words.captions == ("second part",)
    assert measure(second).frames == 6
    whole = read_clip(tmp_path / "abc.mp4").video
    assert torch.equal(read_frames(second, 1, 3, 1, 12.0), whole[:, 4:7])
    (tmp_path / "panda.csv").write_text("video,start,end,caption\nabc.mp4,5,6,late\n")
    late = list_source(tmp_path).videos[0]
    with pytest.raises(VideoError, match=r"begins at 5 seconds, and its file ends after 0\.75"):
        measure(late)


def test_times_in_all_forms() -> None:
    assert [seconds_of(text) for text in ("12.5", "1:02", "0:01:02.5")] == [12.5, 62, 62.5]
    with pytest.raises(ValueError, match="'soon' is no time"):
        seconds_of("soon")


def test_prompts_beside_videos(tmp_path: Path, write_clip: WriteClip) -> None:
    write_clip(tmp_path / "videos/00000.mp4")
    write_clip(tmp_path / "videos/00001.mp4")
    (tmp_path / "videos.txt").write_text("videos/00000.mp4\nvideos/00001.mp4\n")
    (tmp_path / "prompts.txt").write_text("a bear\nan elephant\n")
    found = list_source(tmp_path)
    assert found.layout == "prompts"
    assert by_name(found)["videos/00001.mp4"].words.captions == ("an elephant",)
    (tmp_path / "prompts.txt").write_bytes("ein Bär\nan elephant\n".encode("utf-16"))
    assert by_name(list_source(tmp_path))["videos/00000.mp4"].words.captions == ("ein Bär",)
    (tmp_path / "prompts.txt").write_bytes("ein Bär\nan elephant\n".encode("latin-1"))
    with pytest.raises(ValueError, match=r"prompts\.txt' is not UTF-8 text \(line 1\)"):
        list_source(tmp_path)
    (tmp_path / "prompts.txt").write_text("a bear\n")
    with pytest.raises(ValueError, match=r"1 lines and .* 2; each line of one belongs"):
        list_source(tmp_path)


def test_something_something(tmp_path: Path, write_clip: WriteClip) -> None:
    write_clip(tmp_path / "videos/78687.mp4")
    entries = [
        {
            "id": "78687",
            "label": "holding potato next to vicks bottle",
            "template": "Holding [something] next to [something]",
            "placeholders": ["potato", "vicks bottle"],
        },
        {"id": "1", "label": "x", "template": "x", "placeholders": []},
    ]
    (tmp_path / "something-something-v2-train.json").write_text(json.dumps(entries))
    found = list_source(tmp_path)
    video = found.videos[0]
    assert found.layout == "something-something"
    assert video.words.captions == ("holding potato next to vicks bottle",)
    assert (video.label, video.split) == ("Holding something next to something", "train")
    assert found.problems[0][0] == "1"


def test_folders_of_frames(tmp_path: Path) -> None:
    from PIL import Image

    for clip in ("a", "b"):
        (tmp_path / clip).mkdir()
        for number in range(11):
            colour = (number * 20, 0, 0)
            Image.new("RGB", (8, 6), colour).save(tmp_path / clip / f"frame_{number}.png")
    found = list_source(tmp_path)
    assert found.layout == "frames"
    video = found.videos[0]
    assert [path.stem for path in video.pictures[:3]] == ["frame_0", "frame_1", "frame_2"]
    assert measure(video).frames == 11
    reds = read_frames(video, 2, 3, 4, 25.0)[0, :, 0, 0].tolist()
    assert reds == [40, 120, 200]  # frames 2, 6 and 10, not in the order of letters


def test_webdataset_and_plain_folders(tmp_path: Path, write_clip: WriteClip) -> None:
    import tarfile

    clip = write_clip(tmp_path / "one.mp4")
    clip.with_suffix(".txt").write_text("a caption\n")
    plain = list_source(tmp_path)
    assert (plain.layout, plain.videos[0].words.captions) == ("plain", ("a caption",))
    shards = tmp_path / "shards"
    shards.mkdir()
    with tarfile.open(shards / "000.tar", "w") as tar:
        tar.add(clip, "one.mp4")
        tar.add(clip.with_suffix(".txt"), "one.txt")
    inside = list_source(shards).videos[0]
    assert torch.equal(read_frames(inside, 0, 9, 1, 12.0), read_clip(clip).video)
    with pytest.raises(ValueError, match="unknown layout 'ucf'; there are lerobot"):
        list_source(tmp_path, layout="ucf")


def test_gymnasium_recordings_in_the_order_of_episodes(
    tmp_path: Path, write_clip: WriteClip
) -> None:
    for number in (2, 10, 1):
        write_clip(tmp_path / f"rl-video-episode-{number}.mp4")
    (tmp_path / "rl-video-episode-1.meta.json").write_text('{"env_id": "CartPole-v1"}')
    found = list_source(tmp_path)
    assert found.layout == "gymnasium"
    assert [video.facts["episode"] for video in found.videos] == [1, 2, 10]
    assert found.videos[0].words.captions == ("cart pole v1",)


FEATURES = {
    "observation.images.top": {"dtype": "video", "shape": [16, 24, 3]},
    "action": {"dtype": "float32", "shape": [2]},
}


def test_lerobot_2_1(tmp_path: Path, write_clip: WriteClip) -> None:
    info = {
        "codebase_version": "v2.1",
        "chunks_size": 1000,
        "splits": {"train": "0:1", "test": "1:2"},
        "data_path": "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet",
        "video_path": "videos/chunk-{episode_chunk:03d}/{video_key}/"
        "episode_{episode_index:06d}.mp4",
        "features": FEATURES,
    }
    (tmp_path / "meta").mkdir()
    (tmp_path / "meta/info.json").write_text(json.dumps(info))
    lines = [
        json.dumps({"episode_index": index, "tasks": ["pick up the cube"], "length": 9})
        for index in range(2)
    ]
    (tmp_path / "meta/episodes.jsonl").write_text("\n".join(lines))
    camera = "videos/chunk-000/observation.images.top"
    write_clip(tmp_path / f"{camera}/episode_000000.mp4")
    found = list_source(tmp_path)
    assert found.layout == "lerobot"
    assert "of version v2.1" in found.why
    video = found.videos[0]
    assert video.name == "episode_000000/observation.images.top"
    assert (video.words.captions, video.split) == (("pick up the cube",), "train")
    assert "but not there" in found.problems[0][1]  # the video of episode 1


def test_lerobot_3_with_many_episodes_in_a_file(tmp_path: Path, write_clip: WriteClip) -> None:
    arrow = pytest.importorskip("pyarrow")
    from kinetoscope.data.datasets.layouts.lerobot import numbers
    from pyarrow import parquet

    info = {
        "codebase_version": "v3.0",
        "splits": {"train": "0:2"},
        "data_path": "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet",
        "video_path": "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4",
        "features": FEATURES,
    }
    (tmp_path / "meta/episodes/chunk-000").mkdir(parents=True)
    (tmp_path / "data/chunk-000").mkdir(parents=True)
    (tmp_path / "meta/info.json").write_text(json.dumps(info))
    key = "videos/observation.images.top"
    rows = [
        {
            "episode_index": index,
            "tasks": [task],
            "length": length,
            "data/chunk_index": 0,
            "data/file_index": 0,
            f"{key}/chunk_index": 0,
            f"{key}/file_index": 0,
            f"{key}/from_timestamp": begin,
            f"{key}/to_timestamp": end,
        }
        for index, task, length, begin, end in (
            (0, "open the drawer", 3, 0.0, 0.25),
            (1, "close it", 6, 0.25, 0.75),
        )
    ]
    episodes = tmp_path / "meta/episodes/chunk-000/file-000.parquet"
    parquet.write_table(arrow.Table.from_pylist(rows), episodes)
    frames = [
        {
            "episode_index": int(frame >= 3),
            "action": [float(frame), 0.5],
            "observation.state": [float(-frame)],
        }
        for frame in range(9)
    ]
    parquet.write_table(
        arrow.Table.from_pylist(frames), tmp_path / "data/chunk-000/file-000.parquet"
    )
    whole = read_clip(write_clip(tmp_path / f"{key}/chunk-000/file-000.mp4")).video
    first, second = list_source(tmp_path).videos
    assert second.words.captions == ("close it",)
    assert (measure(first).frames, measure(second).frames) == (3, 6)
    assert torch.equal(read_frames(second, 0, 6, 1, 12.0), whole[:, 3:9])
    assert numbers(second, "action")[0] == [3.0, 0.5]
    assert len(numbers(second, "action")) == 6
    assert numbers(second, "observation.state")[0] == [-3.0]
    with pytest.raises(ValueError, match="there is no column 'state'; there are episode_index"):
        numbers(second, "state")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"data_path": None}, "'data_path'"),
        ({"video_path": "{nothing}"}, "KeyError: 'nothing'"),
        ({"video_path": "{video_key:>99999999999}"}, "video_path in meta/info.json is no pattern"),
        ({"features": []}, "AttributeError"),
        ({"features": {"a": 3}}, "AttributeError"),
        ({"chunks_size": "many"}, "many"),
        ({"splits": [1]}, "AttributeError"),
    ],
)
def test_a_lerobot_set_that_does_not_go_together_is_named(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    info: dict[str, Any] = {"codebase_version": "v2.1", "features": FEATURES}
    info |= {"data_path": "d/{episode_index}", "video_path": "v/{episode_index}.mp4"} | change
    info = {name: value for name, value in info.items() if value is not None}
    (tmp_path / "meta").mkdir()
    (tmp_path / "meta/info.json").write_text(json.dumps(info))
    (tmp_path / "meta/episodes.jsonl").write_text(json.dumps({"episode_index": 0}))
    (tmp_path / "v").mkdir()
    (tmp_path / "v/0.mp4").write_bytes(b"")
    with pytest.raises(ValueError, match=message) as caught:
        list_source(tmp_path)
    assert "\n" not in str(caught.value)


def test_what_is_said_of_a_recording_is_named_if_it_is_damaged(
    tmp_path: Path, write_clip: WriteClip
) -> None:
    write_clip(tmp_path / "rl-video-episode-0.mp4")
    for content in ("{", "[" * 5000):
        (tmp_path / "rl-video-episode-0.meta.json").write_text(content)
        with pytest.raises(ValueError, match=r"rl-video-episode-0\.meta\.json' is n"):
            list_source(tmp_path)


def test_names_become_words() -> None:
    assert words_of("ApplyEyeMakeup") == "apply eye makeup"
    assert words_of("brush_hair") == "brush hair"
    assert words_of("YoYo") == "yo yo"


def test_an_empty_folder_says_so(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds no videos"):
        list_source(tmp_path)
    with pytest.raises(ValueError, match="does not exist"):
        list_source(tmp_path / "nowhere")
    write_video(tmp_path / "a.mp4", torch.zeros(3, 2, 16, 16, dtype=torch.uint8), fps=8)
    with pytest.raises(ValueError, match="layout table, holds no videos"):
        list_source(tmp_path, layout="table")
