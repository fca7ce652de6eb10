"""The folder of everything that was made."""

import hashlib
import json
from pathlib import Path

import pytest
from kinetoscope.app.studio.gallery import DiskRule, Gallery
from kinetoscope.files.errors import UnreadableFile


@pytest.fixture
def gallery(tmp_path: Path) -> Gallery:
    return Gallery(tmp_path / "studio")


def put(gallery: Gallery, number: int, prompt: str = "a red ball", size: int = 100) -> str:
    """A video of so many bytes, made in this order."""
    video = f"20260101-0000{number:02}-a-red-ball-{number}-abcd"
    gallery.folder.mkdir(exist_ok=True)
    gallery.path(video).write_bytes(b"v" * size)
    settings = {"conditions": {"prompt": prompt}, "seed": number, "model": "physics-64"}
    gallery.add({"id": video, "settings": settings, "frames": 33}, b"jpeg")
    return video


def test_the_newest_comes_first_and_a_search_finds_all_its_words(gallery: Gallery) -> None:
    assert gallery.videos() == []
    first = put(gallery, 1)
    second = put(gallery, 2, "a blue cube falls")
    assert [record["id"] for record in gallery.videos()] == [second, first]
    assert [record["id"] for record in gallery.videos("CUBE blue")] == [second]
    assert [record["id"] for record in gallery.videos("physics")] == [second, first]
    assert gallery.videos("cube yellow") == []
    again = Gallery(gallery.folder)
    assert again.videos() == gallery.videos()


def test_names_are_in_order_and_safe(gallery: Gallery) -> None:
    name = gallery.new_id("../../Ein <b>Ball</b>\n" + "x" * 500, 7)
    assert gallery.path(name).parent == gallery.folder
    assert gallery.new_id("赤いボール", 7).split("-")[2] == "video"
    within_a_second = [gallery.new_id(prompt, 9 - n) for n, prompt in enumerate("zyxwvutsr")]
    assert within_a_second == sorted(within_a_second)
    older = put(gallery, 1)
    assert gallery.path(older) and older < gallery.new_id("a", 0)
    for wrong in ("../secret", "a", "", name + "/..", name.upper(), "20260101-000000-a\n"):
        with pytest.raises(ValueError, match="there is no video"):
            gallery.path(wrong)


def test_what_is_deleted_can_come_back_until_the_bin_is_emptied(gallery: Gallery) -> None:
    video = put(gallery, 1)
    gallery.delete(video)
    assert gallery.videos() == [] and gallery.path(video).exists()
    gallery.restore(video)
    assert [record["id"] for record in gallery.videos()] == [video]
    gallery.delete(video)
    gallery.empty_bin()
    assert list(gallery.folder.glob(f"{video}*")) == []
    with pytest.raises(ValueError, match="there is no video"):
        gallery.restore(video)


def test_what_is_given_is_kept_once_by_its_content(gallery: Gallery) -> None:
    kept = gallery.keep([b"pic", b"ture"], "../../Holiday.PNG")
    assert kept == hashlib.sha256(b"picture").hexdigest() + ".png"
    assert gallery.keep([b"picture"], "other.png") == kept
    assert gallery.given(kept).read_bytes() == b"picture"
    assert len(list((gallery.folder / "given").iterdir())) == 1
    for wrong in (None, 3, "", "../studio.json", kept + "/x", "0" * 64):
        with pytest.raises(ValueError, match="give it again"):
            gallery.given(wrong)
    with pytest.raises(ValueError, match="empty"):
        gallery.keep([], "nothing.png")


def test_a_record_that_cannot_be_read_is_counted_and_the_others_are_shown(gallery: Gallery) -> None:
    video = put(gallery, 1)
    broken = put(gallery, 2)
    gallery.path(broken, ".json").write_text("{")
    assert [record["id"] for record in gallery.videos()] == [video]
    assert gallery.damaged == [f"{broken}.json"]


def test_a_full_gallery_stops_or_lets_the_oldest_go(gallery: Gallery) -> None:
    videos = [put(gallery, number, size=1000) for number in range(1, 5)]
    gallery.delete(videos[3])
    gallery.set_rule(DiskRule(5e-6, "stop"))  # 5,000 bytes
    assert gallery.make_room() == [] and gallery.path(videos[3]).exists()
    gallery.set_rule(DiskRule(2.5e-6, "stop"))
    with pytest.raises(ValueError, match=r"the gallery takes .* delete videos, raise the limit"):
        gallery.make_room()
    assert not gallery.path(videos[3]).exists()  # what is deleted goes first
    assert len(gallery.videos()) == 3
    gallery.set_rule(DiskRule(2e-6, "remove_oldest"))
    assert gallery.make_room() == [videos[0], videos[1]]
    assert [record["id"] for record in gallery.videos()] == [videos[2]]


def test_the_rule_stays_with_the_folder(gallery: Gallery) -> None:
    gallery.set_rule(DiskRule(2.0, "remove_oldest"))
    assert Gallery(gallery.folder, DiskRule(9.0)).rule == DiskRule(2.0, "remove_oldest")
    (gallery.folder / "studio.json").write_text(json.dumps({"limit": 3}))
    with pytest.raises(UnreadableFile, match="no rule"):
        Gallery(gallery.folder)
    for wrong in (0, -1, True, "5"):
        with pytest.raises(ValueError, match="limit_gb must be"):
            DiskRule(wrong)  # type: ignore[arg-type]


def test_what_was_given_for_nothing_that_is_there_goes_with_the_bin(gallery: Gallery) -> None:
    import os

    kept = [gallery.keep([name.encode()], "a.png") for name in ("used", "unused", "young")]
    video = put(gallery, 1)
    record = gallery.record(video)
    record["settings"]["conditions"]["init"] = {"file": kept[0], "name": "a.png"}
    gallery.add(record, b"jpeg")
    for name in kept[:2]:
        os.utime(gallery.given(name), (0, 0))
    gallery.empty_bin()
    there = {path.name for path in (gallery.folder / "given").iterdir()}
    assert there == {kept[0], kept[2]}
