"""`evaluate videos`: the same number whatever the batch, the workers and the order of files, no
work is done twice, and a result says all that it depends on."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from kinetoscope.app.cli.evaluate.options import NetworkOptions
from kinetoscope.app.cli.evaluate.videos import videos
from kinetoscope.app.cli.main import main
from kinetoscope.data.datasets.wanted import Wanted
from kinetoscope.data.video import read_clip, write_video
from kinetoscope.evaluation.clips import extraction
from kinetoscope.evaluation.clips.feature_store import FeatureStore
from kinetoscope.evaluation.clips.video_sets import choose_clips, first_frames
from kinetoscope.evaluation.compare import compare_results
from kinetoscope.evaluation.features import open_network
from kinetoscope.evaluation.metrics.fvd import network_input
from kinetoscope.evaluation.protocols import PROTOCOLS, Protocol
from kinetoscope.evaluation.videos import Settings, evaluate_sets, format_result

SMALL = Protocol(frames=9, network_size=32)


@pytest.fixture
def run(sets: Path, tmp_path: Path, i3d: str) -> Callable[..., dict[str, Any]]:
    """Compares the two sets; settings can be overridden."""

    def go(**changes: Any) -> dict[str, Any]:
        settings = {
            "reference": str(sets / "real"),
            "generated": str(sets / "made"),
            "metrics": ("fvd", "kvd"),
            "protocol": SMALL,
            "networks": {"video": i3d},
            "halves": 4,
            "cache": str(tmp_path / "cache"),
        }
        result = evaluate_sets(Settings(**settings | changes))
        assert result is not None
        return result

    return go


def test_fvd_is_the_distance_of_what_the_network_says(
    run: Callable[..., dict[str, Any]], sets: Path, i3d: str
) -> None:
    """By hand: read, resize, call the file as the reference does, and NumPy's covariance."""
    module = torch.jit.load(i3d)
    rows = []
    for side in ("real", "made"):
        clips = [read_clip(path, frames=9).video for path in sorted((sets / side).glob("*.mp4"))]
        given = torch.cat([network_input(clip[None], SMALL) for clip in clips])
        rows.append(module(given, rescale=False, resize=False, return_features=True).double())
    a, b = rows
    product = torch.linalg.eigvals(torch.cov(a.T) @ torch.cov(b.T)).sqrt().real.sum()
    spread = torch.cov(a.T).trace() + torch.cov(b.T).trace() - 2 * product
    slow = float((a.mean(0) - b.mean(0)).square().sum() + spread)
    result = run()
    assert result["fvd"] == pytest.approx(slow, rel=1e-5)
    assert result["metrics"]["fvd"]["clips"] == {"reference": 12, "generated": 12}
    low, high = result["metrics"]["fvd"]["interval"]
    assert 0 < low <= high


def test_the_number_does_not_depend_on_batch_workers_or_order(
    run: Callable[..., dict[str, Any]], sets: Path, tmp_path: Path
) -> None:
    once = run()
    names = sorted(path for path in (sets / "real").glob("*.mp4"))
    listed = tmp_path / "real.txt"
    listed.write_text("\n".join(map(str, reversed(names))) + "\n")
    for number, changes in enumerate(
        ({"batch": 1, "workers": 1}, {"batch": 5, "workers": 3}, {"reference": str(listed)})
    ):
        again = run(**changes, cache=str(tmp_path / f"cache{number}"))
        for name in ("fvd", "kvd"):
            assert again[name] == pytest.approx(once[name], rel=1e-4)
            assert again["metrics"][name]["interval"] == pytest.approx(
                once["metrics"][name]["interval"], rel=1e-4
            )


def test_a_second_run_decodes_nothing_and_a_killed_one_goes_on(
    run: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    read = extraction.read_frames
    count = 0

    def dying(*arguments: Any) -> torch.Tensor:
        nonlocal count
        count += 1
        if count > 9:
            raise KeyboardInterrupt
        return read(*arguments)

    monkeypatch.setattr(extraction, "read_frames", dying)
    with pytest.raises(KeyboardInterrupt):
        run(batch=2, workers=1)
    monkeypatch.setattr(extraction, "read_frames", read)
    first = run(batch=2)
    done = sum(work["new clips"] for work in first["work"].values())
    assert 0 < done < 24  # what was kept before was not made again
    second = run()
    assert all(work["new clips"] == 0 for work in second["work"].values())
    assert second["fvd"] == first["fvd"]


@pytest.mark.slow
def test_torchrun_shares_the_work_and_gives_the_same_number(
    run: Callable[..., dict[str, Any]], sets: Path, tmp_path: Path, i3d: str
) -> None:
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "--module"]
    words = ["evaluate", "videos", str(sets / "real"), str(sets / "made"), "--i3d", i3d]
    words += ["--metrics", "fvd", "--frames", "9", "--cache", str(tmp_path / "shared")]
    words += ["--device", "cpu", "--halves", "4", "--json", str(tmp_path / "out.json")]
    done = subprocess.run(
        [sys.executable, *launch, "kinetoscope.app.cli.main", *words],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("6 of 6 clips were new") == 4  # two sets, two ranks
    assert done.stdout.count("Fréchet") == 1  # the first rank alone prints
    found = json.loads((tmp_path / "out.json").read_text())["fvd"]
    alone = run(protocol=Protocol(frames=9))
    assert found == pytest.approx(alone["fvd"], rel=1e-4)


class RayStandIn:
    """As much of Ray's interface as is used; tasks run here, one after another, last first."""

    def __init__(self) -> None:
        self.given: list[tuple[int, int]] = []

    def is_initialized(self) -> bool:
        return True

    def cluster_resources(self) -> dict[str, float]:
        return {"CPU": 3.0}

    def remote(self, **_: Any) -> Callable[..., Any]:
        def decorate(function: Callable[..., Any]) -> Any:
            stand_in = self

            class Task:
                def remote(self, settings: Settings, rank: int, ranks: int) -> Any:
                    stand_in.given.append((rank, ranks))
                    return lambda: function(settings, rank, ranks)

            return Task()

        return decorate

    def get(self, tasks: list[Any]) -> None:
        for task in reversed(tasks):
            task()


def test_a_ray_cluster_makes_all_features_and_the_number_is_the_same(
    run: Callable[..., dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = run()
    stand_in = RayStandIn()
    monkeypatch.setitem(sys.modules, "ray", stand_in)  # type: ignore[arg-type]
    together = run(engine="ray", cache=str(tmp_path / "cluster"))
    assert stand_in.given == [(0, 3), (1, 3), (2, 3)]
    assert all(work["new clips"] == 0 for work in together["work"].values())
    assert together["fvd"] == pytest.approx(alone["fvd"], rel=1e-4)
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ValueError, match=r"pip install 'kinetoscope\[ray\]'"):
        run(engine="ray", cache=str(tmp_path / "other"))


@pytest.mark.slow
def test_a_real_ray_cluster_gives_the_same_number(
    run: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    ray = pytest.importorskip("ray")
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:
        together = run(engine="ray", cache=str(tmp_path / "cluster"))
    finally:
        ray.shutdown()
    assert together["fvd"] == pytest.approx(run()["fvd"], rel=1e-4)


def test_a_changed_file_is_seen(
    run: Callable[..., dict[str, Any]], tmp_path: Path, make_set: Callable[..., Path]
) -> None:
    made = make_set(tmp_path / "made", count=3, first=7)
    before = run(generated=str(made))
    make_set(tmp_path / "made", count=1, first=50)
    after = run(generated=str(made))
    assert before["sets"]["generated"]["sha256"] != after["sets"]["generated"]["sha256"]
    assert after["work"]["generated"]["new clips"] == 1
    assert before["fvd"] != after["fvd"]


def test_pairs_equal_sets_and_what_each_metric_says_of_them(
    run: Callable[..., dict[str, Any]], sets: Path, i3d: str, inception: str
) -> None:
    result = run(
        metrics=("fvd", "fid", "kid", "psnr", "ssim", "motion", "flicker"),
        generated=str(sets / "real"),
        networks={"picture": inception, "video": i3d},
    )
    assert result["fvd"] == pytest.approx(0, abs=1e-6)
    assert result["fid"] == pytest.approx(0, abs=1e-6)
    assert result["psnr"] == pytest.approx(100)
    assert result["ssim"] == pytest.approx(1)
    assert result["motion"] == result["metrics"]["motion"]["reference"] > 0
    assert result["pairs"] == "by name"


def test_pairs_that_differ_and_sets_that_do_not_fit(
    run: Callable[..., dict[str, Any]], sets: Path, tmp_path: Path, make_set: Callable[..., Path]
) -> None:
    result = run(metrics=("psnr", "ssim"))
    assert result["pairs"] == "by name"
    by_hand = []
    for path in sorted((sets / "real").glob("*.mp4")):
        a, b = (
            read_clip(folder / path.name, frames=9).video.double()
            for folder in (sets / "real", sets / "made")
        )
        mse = (a - b).square().mean((0, 2, 3))
        by_hand.append((10 * torch.log10(255**2 / mse)).mean())
    assert result["psnr"] == pytest.approx(float(torch.stack(by_hand).mean()), rel=1e-5)
    fewer = make_set(tmp_path / "fewer", count=2, first=3)
    (fewer / "000.mp4").rename(fewer / "other.mp4")
    with pytest.raises(ValueError, match="1 of 2 generated clips have no reference"):
        run(metrics=("psnr",), generated=str(fewer))
    small = tmp_path / "small"
    small.mkdir()
    for path in (sets / "real").glob("*.mp4"):
        write_video(small / path.name, read_clip(path).video[:, :, :16, :16], fps=8)
    with pytest.raises(ValueError, match="a generated clip is 9 x 16 x 16 and its reference 9 x"):
        run(metrics=("psnr",), generated=str(small))
    sized = run(metrics=("psnr",), generated=str(small), protocol=Protocol(frames=9, size=16))
    assert 5 < sized["psnr"] < 40


def test_broken_and_short_files_are_left_out_and_named(
    run: Callable[..., dict[str, Any]], sets: Path, tmp_path: Path
) -> None:
    made = tmp_path / "made"
    shutil.copytree(sets / "made", made)
    (made / "bad.mp4").write_bytes(b"no video")
    write_video(made / "short.mp4", torch.zeros(3, 4, 16, 16, dtype=torch.uint8), fps=8)
    result = run(generated=str(made))
    assert result["fvd"] == pytest.approx(run()["fvd"], rel=1e-6)
    left_out = dict(result["sets"]["generated"]["left out"])
    assert left_out["short.mp4"] == "has 4 frames and a clip needs 9"
    assert "bad.mp4" in left_out
    with pytest.raises(ValueError, match=r"none of the 12 videos .* choose another --frames"):
        run(protocol=Protocol(frames=40))


def test_the_reference_may_be_a_split_of_a_data_set(
    run: Callable[..., dict[str, Any]], sets: Path, tmp_path: Path
) -> None:
    for number, path in enumerate(sorted((sets / "real").glob("*.mp4"))):
        place = tmp_path / "data" / ("train" if number < 8 else "test") / f"c{number % 2}"
        place.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, place / path.name)
    whole = run(reference=str(tmp_path / "data"))
    assert whole["fvd"] == pytest.approx(run()["fvd"], rel=1e-4)
    train = run(reference=str(tmp_path / "data"), wanted=Wanted(split="train"))
    assert train["sets"]["reference"] == train["sets"]["reference"] | {"clips": 8, "split": "train"}
    with pytest.raises(ValueError, match="has no split 'dev'; there are test, train"):
        run(reference=str(tmp_path / "data"), wanted=Wanted(split="dev"))
    of_one = Wanted("classes", template="a {label}", filter="label == 'c1'")
    half = run(reference=str(tmp_path / "data"), wanted=of_one)
    about = half["sets"]["reference"]
    assert (about["clips"], about["filter"]) == (6, "label == 'c1'")
    assert about["found"].startswith("folders of 2 classes: 12 videos")
    half = run(generated=str(tmp_path / "data"), generated_wanted=of_one)
    assert half["sets"]["generated"]["clips"] == 6


def test_notes_say_what_a_number_suffers_from(run: Callable[..., dict[str, Any]]) -> None:
    protocol = PROTOCOLS["stylegan-v"].with_changes(frames=9, size=16)
    result = run(protocol=protocol)
    notes = " | ".join(result["metrics"]["fvd"]["notes"])
    assert "the protocol asks for 2048 reference clips; 12 are there" in notes
    assert "the network is not the file that protocol 'stylegan-v' names" in notes
    assert "singular" not in notes  # 12 clips, 6 features
    assert result["changed"] == {"frames": [16, 9], "size": [256, 16]}
    table = format_result(result)
    assert "protocol stylegan-v, changed: frames 9 instead of 16" in table
    few = run(protocol=Protocol(frames=9, clips=4))
    assert "singular: 4 clips for 6 features" in few["metrics"]["fvd"]["notes"][0]


def test_where_clips_begin() -> None:
    assert first_frames(20, 9, "first", "") == [0]
    assert first_frames(20, 9, "middle", "") == [5]
    assert first_frames(20, 9, "split", "") == [0, 9]
    assert first_frames(11, 9, "windows", "") == [0, 1, 2]
    places = {first_frames(20, 9, "random", f"0 {number}")[0] for number in range(200)}
    assert places == set(range(12))


def test_draws_depend_on_names_alone(sets: Path, tmp_path: Path) -> None:
    protocol = Protocol(frames=4, clips=10, reference_choice="windows", shuffled=True)
    with FeatureStore(tmp_path) as store:
        once, again = (
            choose_clips(str(sets / "real"), protocol, "reference", store) for _ in range(2)
        )
        other = choose_clips(str(sets / "real"), protocol.with_changes(seed=1), "reference", store)
        grouped = choose_clips(
            str(sets / "real"), protocol.with_changes(repeats=3), "reference", store
        )
    names = [clip.name for clip in once.clips]
    assert len(set(names)) == 10
    assert names == [clip.name for clip in again.clips] != [clip.name for clip in other.clips]
    assert [len(group) for group in grouped.groups] == [10, 10, 10]
    assert len({clip.name for clip in grouped.clips}) == 30


def test_few_clips_are_of_many_videos(sets: Path, tmp_path: Path) -> None:
    with FeatureStore(tmp_path) as store:
        chosen = choose_clips(str(sets / "real"), Protocol(frames=4, clips=14), "reference", store)
    names = [(clip.video.name, clip.first) for clip in chosen.clips]
    assert names == [(f"{n:03d}.mp4", 0) for n in range(12)] + [("000.mp4", 4), ("001.mp4", 4)]


def test_groups_are_measured_one_by_one(run: Callable[..., dict[str, Any]]) -> None:
    result = run(protocol=Protocol(frames=9, clips=5, repeats=2, shuffled=True))
    groups = result["metrics"]["fvd"]["groups"]
    assert len(groups) == 2
    assert result["fvd"] == pytest.approx(sum(groups) / 2)


def test_strides_take_other_frames(sets: Path, tmp_path: Path) -> None:
    protocol = Protocol(frames=3, reference_stride=4)
    with FeatureStore(tmp_path) as store:
        found = choose_clips(str(sets / "real"), protocol, "reference", store)
    clip = next(clip for clip in found.clips if clip.name == "000.mp4@0")
    whole = read_clip(sets / "real/000.mp4").video
    assert torch.equal(extraction.read_frames(clip, protocol), whole[:, 0:9:4])


def test_the_command_writes_numbers_at_the_top_and_says_why_two_differ(
    sets: Path, tmp_path: Path, i3d: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["evaluate", "videos", str(sets / "real"), str(sets / "made"), "--i3d", i3d]
    words += ["--frames", "9", "--halves", "4", "--cache", str(tmp_path / "cache")]
    words += ["--device", "cpu"]
    files = [str(tmp_path / name) for name in ("a.json", "b.json")]
    assert main([*words, "--json", files[0]]) == 0
    assert main([*words, "--covariance", "biased", "--size", "16", "--json", files[1]]) == 0
    first, second = (json.loads(Path(path).read_text()) for path in files)
    assert set(first["metrics"]) == {"fvd", "kvd", "motion", "flicker"}
    assert first["fvd"] == first["metrics"]["fvd"]["value"]
    assert first["protocol"]["name"] == ""
    assert "no protocol" in capsys.readouterr().out
    assert main(["evaluate", "compare", *files]) == 0
    said = capsys.readouterr().out
    assert "protocol, covariance: unbiased and biased" in said
    assert "protocol, size: None and 16" in said
    assert "reference set" not in said  # the same clips
    assert "nothing differs but the run" in compare_results(first, first)
    assert "nothing differs but the run" not in compare_results(first, second)


def test_the_words_of_the_command_line(
    sets: Path, here: Path, i3d: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["evaluate", "videos", str(sets / "real"), str(sets / "made"), "--metrics", "motion"]
    assert main([*words, "--frames", "9", "--cache", "kept", "--json", "out.json"]) == 0
    assert json.loads((here / "out.json").read_text())["motion"] > 0
    assert main([*words, "--protocol", "none"]) == 2
    assert "unknown protocol 'none'; there are stylegan-v" in capsys.readouterr().err
    assert main([*words, "--json", "out.txt"]) == 2
    assert "its name must end in .json" in capsys.readouterr().err
    assert main([*words, "--frames", "9", "--resize", "area"]) == 2
    assert "--resize is the filter of --size; give --size too" in capsys.readouterr().err
    assert main(["evaluate", "./videos"]) == 2  # a model that is called so
    assert "unknown model './videos'" in capsys.readouterr().err


def test_mistakes_are_named(run: Callable[..., dict[str, Any]], tmp_path: Path, sets: Path) -> None:
    with pytest.raises(ValueError, match="unknown metric 'fdv'; there are fvd"):
        run(metrics=("fdv",))
    with pytest.raises(ValueError, match=r"fid needs a network of yours: --network picture=FILE"):
        run(metrics=("fid",))
    with pytest.raises(ValueError, match=r"there is no file 'i3d\.pt'"):
        run(networks={"video": "i3d.pt"})
    with pytest.raises(ValueError, match="is no TorchScript file"):
        broken = tmp_path / "broken.pt"
        broken.write_bytes(b"nothing")
        run(networks={"video": str(broken)})
    with pytest.raises(ValueError, match="object 'nowhere:thing'"):
        open_network("nowhere:thing", "clips")
    with pytest.raises(ValueError, match="two networks are given for video"):
        videos("a", "b", networks=NetworkOptions("a.pt", "b.pt"), metrics="fvd")
    with pytest.raises(ValueError, match="MS-SSIM needs frames of at least 176 pixels"):
        run(metrics=("ms_ssim",))
