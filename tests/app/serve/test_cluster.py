"""Workers on other machines: replicas that are asked for over a handle and draw over a line. A
stand-in of the handle runs them in threads."""

import asyncio
import contextlib
import json
import socket
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from kinetoscope.app.cli.main import main
from kinetoscope.app.serve.cluster.line import WORD_BYTES, MeetingPlace, as_pipe, call_back
from kinetoscope.app.serve.cluster.model_replica import ModelReplica
from kinetoscope.app.serve.cluster.remote_jobs import JobsOffice, Line, RemoteJobs
from kinetoscope.app.serve.cluster.replicas import Replica, ReplicaPool
from kinetoscope.app.serve.settings import ServeSettings
from kinetoscope.app.serve.store.database import Database
from kinetoscope.app.serve.store.places import video_path
from kinetoscope.app.serve.store.queue import VideoQueue
from kinetoscope.app.serve.workers.jobs import QueueJobs
from kinetoscope.data.video import read_clip

from .test_uploads import png

HERE = "127.0.0.1"


class Call:
    """What a call of a handle gives back."""

    def __init__(self, work: Callable[[], None]) -> None:
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(work,), daemon=True)
        self._thread.start()

    def _run(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:
            self._error = error

    def result(self) -> None:
        self._thread.join()
        if self._error is not None:
            raise self._error

    def cancel(self) -> None:
        return


class Handle:
    """Of so many replicas, each of which takes one call at a time."""

    def __init__(self, settings: ServeSettings, count: int) -> None:
        self._free = [ModelReplica(settings) for _ in range(count)]
        self._lock = threading.Condition()
        self.work = self

    def remote(self, *arguments: Any) -> Call:
        return Call(partial(self._work, arguments))

    def _work(self, arguments: tuple[Any, ...]) -> None:
        with self._lock:
            self._lock.wait_for(lambda: self._free)
            replica = self._free.pop()
        try:
            asyncio.run(replica.work(*arguments))
        finally:
            with self._lock:
                self._free.append(replica)
                self._lock.notify()


@pytest.fixture
def cluster(run_server, make_settings) -> Callable[..., Any]:
    """Starts a server whose workers are replicas in threads."""

    def run(count: int = 1, **options: Any) -> Any:
        handle = Handle(make_settings(folder="/nowhere", **options), count)
        make_pool = partial(ReplicaPool, handle=handle, host=HERE)
        return run_server(make_pool=make_pool, workers=count, **options)

    return run


# ---- the line ----


def test_who_does_not_say_the_word_is_turned_away(monkeypatch):
    monkeypatch.setattr("kinetoscope.app.serve.cluster.line.FIRST_WORD", 1.0)
    with MeetingPlace(HERE) as meeting:
        for said in (b"x" * WORD_BYTES, meeting.word[:-1], b""):
            with socket.create_connection(meeting.address) as stranger:
                stranger.sendall(said)
                assert meeting.wait(5) is None
        with contextlib.closing(call_back(meeting.address, meeting.word)) as its:
            caller = meeting.wait(5)
            assert caller is not None
            with contextlib.closing(as_pipe(caller)) as mine:
                its.send("hello")
                assert mine.recv() == "hello"
            caller.close()


def test_messages_that_come_before_an_answer_are_kept_in_order():
    (mine, its) = (socket_pair := socket.socketpair())
    with contextlib.ExitStack() as open_ones:
        for each in socket_pair:
            open_ones.callback(each.close)
        server = open_ones.enter_context(as_pipe(mine))
        line = Line(open_ones.enter_context(as_pipe(its)))
        for message in (("wake",), ("stop", 5.0), ("answer", 7, None)):
            server.send(message)
        assert line.ask("claim", 1) == 7
        assert line.poll(0) and line.recv() == ("wake",)
        assert line.recv() == ("stop", 5.0)
        assert not line.poll(0)
        server.send(("answer", None, "the disk is full"))
        with pytest.raises(OSError, match="the disk is full"):
            line.ask("deliver", "video_1", b"")
        assert server.recv()[0] == "ask"


# ---- the queue over the line ----


class DirectLine:
    """A line to an office that answers at once."""

    def __init__(self, office: JobsOffice) -> None:
        self.office = office

    def ask(self, method: str, *arguments: Any) -> Any:
        (_, result, error) = self.office.answer(method, arguments)
        if error is not None:
            raise OSError(error)
        return result


def remote(queue: VideoQueue, worker: str, server: Path, own: Path) -> RemoteJobs:
    return RemoteJobs(DirectLine(JobsOffice(QueueJobs(queue, worker, server))), own)


def test_a_file_of_a_replica_that_was_given_up_does_not_replace_the_delivered_one(tmp_path):
    server = tmp_path / "server"
    queue = VideoQueue(Database(server))
    (slow, quick) = (remote(queue, name, server, tmp_path / name) for name in ("slow", "quick"))
    video = queue.accept("ada", {}, 1)
    assert [each.id for each in slow.claim(1)] == [video.id]
    queue.hand_back("slow", died=True)
    assert [each.id for each in quick.claim(1)] == [video.id]
    for jobs, content in ((quick, b"from quick"), (slow, b"from slow")):
        path = video_path(jobs.folder, video.id)
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
        jobs.deliver(video.id)
        assert not path.exists(), "a replica keeps nothing"
    assert video_path(server, video.id).read_bytes() == b"from quick"
    found = queue.get(video.id)
    assert found.status == "completed" and found.bytes == len(b"from quick")
    assert not slow.renew(video.id, 1)


# ---- a server with replicas ----


def test_replicas_draw_what_a_worker_of_this_machine_draws(cluster, run_server, tmp_path):
    here = run_server(folder=str(tmp_path / "here"))
    there = cluster(2)
    files = {"input_reference": ("x.png", png(12, 8), "image/png")}
    form = {"prompt": "a red ball", "frames": "9", "seed": "3"}
    contents = []
    for server in (here, there):
        asked = server.client.post("/v1/videos", data=form, files=files).json()
        assert server.wait(asked["id"])["status"] == "completed"
        content = server.client.get(f"/v1/videos/{asked['id']}/content").content
        path = tmp_path / f"{len(contents)}.mp4"
        path.write_bytes(content)
        contents.append(read_clip(path).video)
        assert not any(server.state.folder.glob("uploads/*")), "uploads go when it is done"
    assert torch.equal(contents[0], contents[1])


def test_a_mistake_that_the_model_finds_fails_the_video_with_its_reason(cluster):
    server = cluster(1)
    asked = server.make("a red ball", frames=5, weights={"init": 2.0})
    failed = server.wait(asked["id"])
    assert failed["status"] == "failed" and failed["error"]["code"] == "invalid_request"


def test_what_a_lost_replica_drew_is_drawn_by_another_one(cluster):
    server = cluster(2)
    asked = server.make(frames=160)
    while (video := server.state.queue.get(asked["id"])).frames_done == 0:
        time.sleep(0.01)
    connection = server.state.queue.database.connection
    words = "SELECT worker FROM videos WHERE id = ?"
    (first,) = connection.execute(words, (asked["id"],)).fetchone()
    (seat,) = [each for each in server.state.pool.seats if each.name == first]
    seat.process.kill()
    done = server.wait(asked["id"])
    assert done["status"] == "completed" and server.state.pool.deaths == 1
    assert server.state.queue.get(video.id).attempts == 2
    content = server.client.get(f"/v1/videos/{asked['id']}/content").content
    assert len(content) == server.state.queue.get(video.id).bytes


def test_a_seat_whose_replica_cannot_be_had_asks_again(make_settings, monkeypatch, tmp_path):
    asked = []

    def refuse(*arguments: Any) -> Call:
        asked.append(arguments)
        return Call(partial(_raise, RuntimeError("no machine")))

    handle = type("Handle", (), {"work": type("Method", (), {"remote": staticmethod(refuse)})})
    monkeypatch.setattr("kinetoscope.app.serve.workers.pool.LONGEST_WAIT", 0.1)
    queue = VideoQueue(Database(tmp_path))
    pool = ReplicaPool(make_settings(), queue, handle, HERE)
    pool.start()
    end = time.monotonic() + 20
    while len(asked) < 3 and time.monotonic() < end:
        time.sleep(0.05)
    pool.stop(0)
    assert len(asked) >= 3
    assert len({name for name, _, _ in asked}) == len(asked), "names are used once"


def _raise(error: Exception) -> None:
    raise error


def test_a_live_video_stays_with_its_replica_and_ends_with_it(cluster):
    connect = pytest.importorskip("websockets.sync.client", reason="websockets is missing").connect
    server = cluster(2)
    url = server.url.replace("http", "ws") + "/v1/videos/live"
    with connect(url) as socket_:
        socket_.send(json.dumps({"prompt": "a red ball"}))
        assert socket_.recv()[:1] == b"\x01"
        (seat,) = [each for each in server.state.pool.seats if each.listeners]
        for _ in range(8):
            assert socket_.recv()[:1] == b"\x01"
        assert [each for each in server.state.pool.seats if each.listeners] == [seat]
        seat.process.kill()
        message = socket_.recv()
        while message[:1] == b"\x01":
            message = socket_.recv()
        assert "died" in json.loads(message[1:])["error"]["message"]


def test_a_replica_that_is_lost_ends_the_line(monkeypatch):
    """Ray knows of the death of a machine, which a line does not show at once."""
    (mine, its) = socket.socketpair()
    dying = threading.Event()

    def work() -> None:
        dying.wait()
        raise RuntimeError("the machine is gone")

    replica = Replica(Call(work))
    with its, as_pipe(its) as far, contextlib.ExitStack() as opened:
        far.send(1234)
        pipe = opened.enter_context(replica.connect(mine))
        assert replica.pid == 1234
        assert not pipe.poll(0)
        dying.set()
        with pytest.raises((EOFError, OSError)):
            pipe.recv()
        assert replica.has_ended and replica.exitcode == 1


# ---- the command ----


def test_the_extra_is_named_where_ray_is_missing(here, capsys, monkeypatch):
    for name in [each for each in sys.modules if each.startswith("kinetoscope.app.serve.cluster")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "ray", None)
    assert main(["serve", "--folder", "q", "--ray"]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.endswith("install it with: pip install 'kinetoscope[serve,ray]'")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"folder": "q", "workers": 1, "prot": 8000}, "there is no argument 'prot'; there are"),
        ({"folder": "q"}, "the argument 'workers' must be given"),
        (
            {"folder": "q", "workers": 1, "limits": {"x": 1}},
            "'limits' must be a mapping of max",
        ),
        ({"folder": "q", "workers": "two"}, "the argument 'workers' must be a number; got 'two'"),
    ],
)
def test_a_mistake_in_the_file_of_a_cluster_is_told(arguments, message):
    pytest.importorskip("ray.serve", reason="the extra 'ray' is not installed")
    from kinetoscope.app.serve.cluster.application import build

    with pytest.raises(ValueError, match=message):
        build(arguments)
