"""Accepted means kept: order, leases, limits and expiry of the queue."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from kinetoscope.app.serve.errors import ApiError
from kinetoscope.app.serve.store.database import Database
from kinetoscope.app.serve.store.queue import ATTEMPTS, QueueLimits, Video, VideoQueue

REQUEST = {"prompt": "a red ball"}


@pytest.fixture
def queue(tmp_path: Path) -> VideoQueue:
    return VideoQueue(Database(tmp_path))


def ask(queue: VideoQueue, owner: str = "ada", priority: int = 0, **options) -> Video:
    return queue.accept(owner, REQUEST, 9, priority, **options)


def test_higher_priorities_come_first_and_then_the_older_ones(queue):
    first, urgent, second = (ask(queue, priority=p).id for p in (0, 5, 0))
    assert [video.id for video in queue.claim("one", 2)] == [urgent, first]
    assert [video.id for video in queue.claim("two", 2)] == [second]
    assert queue.claim("three", 2) == []


def test_what_was_accepted_is_there_for_the_next_process(queue, tmp_path):
    video = ask(queue)
    assert VideoQueue(Database(tmp_path)).get(video.id) == video


def test_only_the_holder_of_a_lease_delivers(queue):
    video = ask(queue)
    queue.claim("one", 1)
    assert queue.hand_back("one") == 1
    queue.claim("two", 1)
    assert not queue.renew(video.id, "one", 5)
    assert not queue.complete(video.id, "one", 100)
    assert queue.renew(video.id, "two", 5)
    assert queue.complete(video.id, "two", 200)
    assert not queue.complete(video.id, "two", 300)
    done = queue.get(video.id)
    assert done is not None and (done.status, done.bytes, done.frames_done) == ("completed", 200, 9)


def test_a_video_goes_back_when_its_lease_ends(queue, monkeypatch):
    video = ask(queue)
    queue.claim("one", 1)
    assert queue.hand_back_expired() == 0
    later = time.time() + 3600
    monkeypatch.setattr(time, "time", lambda: later)
    assert queue.hand_back_expired() == 1
    assert queue.claim("two", 1)[0].id == video.id


def test_a_video_that_kills_its_workers_is_given_up(queue):
    video = ask(queue)
    for attempt in range(ATTEMPTS):
        assert queue.claim(f"worker {attempt}", 1)
        queue.hand_back(f"worker {attempt}", died=True)
    ended = queue.get(video.id)
    assert ended is not None and (ended.status, ended.error_code) == ("failed", "worker_died")
    assert queue.claim("another", 1) == []


def test_a_server_that_ends_often_gives_nothing_up(queue):
    video = ask(queue)
    for attempt in range(2 * ATTEMPTS):
        assert queue.claim(f"worker {attempt}", 1)[0].id == video.id
        assert queue.hand_back() == 1


def test_the_same_retry_key_is_the_same_video(queue):
    first = ask(queue, retry_key="once")
    assert ask(queue, retry_key="once").id == first.id
    assert ask(queue, owner="bob", retry_key="once").id != first.id
    assert queue.counts()["queued"] == 2


def test_cancelled_and_deleted_videos_are_not_drawn(queue):
    waiting, running = ask(queue), ask(queue)
    (claimed,) = queue.claim("one", 1)
    assert claimed.id == waiting.id
    cancelled = queue.cancel(waiting.id, "ada")
    assert cancelled is not None and cancelled.error_code == "cancelled"
    assert not queue.renew(waiting.id, "one", 3)
    assert not queue.delete(running.id, "bob")
    assert queue.delete(running.id, "ada")
    assert queue.get(running.id) is None and queue.claim("one", 5) == []


def test_pages_hold_the_owners_videos(queue):
    mine = [ask(queue).id for _ in range(5)]
    ask(queue, owner="bob")
    assert [video.id for video in queue.page("ada", 10)] == mine[::-1]
    assert [video.id for video in queue.page("ada", 2, after=mine[3])] == [mine[2], mine[1]]
    oldest = queue.page("ada", 2, after=mine[0], newest_first=False)
    assert [video.id for video in oldest] == mine[1:3]
    with pytest.raises(ApiError, match="no video 'video_0' to go on after"):
        queue.page("ada", 2, after="video_0")


def test_limits_are_told_with_the_time_to_come_back(tmp_path):
    queue = VideoQueue(Database(tmp_path), QueueLimits(max_active=2, max_waiting=3, disk=500))
    done = ask(queue)
    ask(queue)
    with pytest.raises(ApiError, match="2 of your videos wait or are drawn") as caught:
        ask(queue)
    assert caught.value.status == 429 and caught.value.retry_after
    ask(queue, owner="bob")
    with pytest.raises(ApiError, match="3 videos wait already") as caught:
        ask(queue, owner="eve")
    assert caught.value.status == 503
    queue.claim("one", 3)
    queue.complete(done.id, "one", 500)
    with pytest.raises(ApiError, match="finished videos take 500 bytes of 500; delete some"):
        ask(queue)


def test_time_ends_waiting_and_keeping(tmp_path, monkeypatch):
    queue = VideoQueue(Database(tmp_path), QueueLimits(wait=10, keep=100))
    done = ask(queue)
    queue.claim("one", 1)
    queue.complete(done.id, "one", 5)
    waiting = ask(queue)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 11)
    assert queue.claim("one", 1) == []
    assert queue.give_up_waiting() == 1
    late = queue.get(waiting.id)
    assert late is not None and late.error_code == "expired"
    assert queue.forget_expired() == []
    monkeypatch.setattr(time, "time", lambda: now + 120)
    assert sorted(queue.forget_expired()) == sorted([done.id, waiting.id])
    assert queue.known_ids() == set()


CLIENT = """
import sys
from kinetoscope.app.serve.store.database import Database
from kinetoscope.app.serve.store.queue import VideoQueue
queue = VideoQueue(Database(sys.argv[1]))
while True:
    print(queue.accept("ada", {"prompt": "a ball"}, 9, max_active=10**6).id, flush=True)
"""


@pytest.mark.slow
def test_a_kill_loses_nothing_that_was_accepted(tmp_path):
    accepted: set[str] = set()
    for _ in range(3):
        command = [sys.executable, "-c", CLIENT, str(tmp_path)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        told = [process.stdout.readline().strip() for _ in range(20)]
        os.kill(process.pid, signal.SIGKILL)
        told += process.stdout.read().split()
        process.wait()
        accepted |= {name for name in told if len(name) == len(told[0])}
        known = VideoQueue(Database(tmp_path)).known_ids()
        assert accepted <= known
        accepted = known  # with the one whose name was not told in time
