"""Webhooks: OpenAI's client verifies them, a kill loses none, and no other address is spoken to."""

import base64
import http.server
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from kinetoscope.app.cli.main import main
from kinetoscope.app.serve.store.database import Database
from kinetoscope.app.serve.store.queue import VideoQueue
from kinetoscope.app.serve.webhooks import events as events_file
from kinetoscope.app.serve.webhooks import receiver as receiver_file
from kinetoscope.app.serve.webhooks.events import WAITS, Webhooks
from kinetoscope.app.serve.webhooks.receiver import Webhook, deliver

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()


class Receiver:
    """Keeps what it is sent; `statuses` are its next answers, and 200 after them."""

    def __init__(self) -> None:
        self.messages: list[tuple[bytes, dict[str, str], str]] = []
        self.statuses: list[int] = []
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.messages.append((body, dict(self.headers), self.path))
                self.send_response(receiver.statuses.pop(0) if receiver.statuses else 200)
                self.send_header("Location", "/elsewhere")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                return

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/videos"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.server.shutdown()
    made.server.server_close()


def ended_video(folder: Path, webhook: Webhook | None) -> Webhooks:
    """Events of a queue in which one video has failed."""
    database = Database(folder)
    made = Webhooks(database, webhook)
    made.start()
    queue = VideoQueue(database)
    video = queue.accept("ada", {}, 1)
    queue.cancel(video.id, "ada")
    queue.cancel(video.id, "ada")
    return made


def events(folder: Path) -> list[dict[str, Any]]:
    return [dict(row) for row in Database(folder).connection.execute("SELECT * FROM events")]


def test_the_openai_client_verifies_what_a_server_sends(run_server, receiver):
    openai = pytest.importorskip("openai", reason="OpenAI's client is not installed")
    server = run_server(webhook=Webhook(receiver.url, SECRET))
    video = server.wait(server.make(frames=5)["id"])
    end = time.monotonic() + 20
    while not receiver.messages and time.monotonic() < end:
        time.sleep(0.05)
    ((body, headers, path),) = receiver.messages
    client = openai.OpenAI(api_key="none", webhook_secret=SECRET)
    event = client.webhooks.unwrap(body, headers)
    assert path == "/videos"
    assert (event.type, event.data.id, event.object) == ("video.completed", video["id"], "event")
    assert event.created_at == video["completed_at"]
    with pytest.raises(openai.InvalidWebhookSignatureError):
        client.webhooks.unwrap(body.replace(b"completed", b"cancelled"), headers)


def test_nothing_is_written_down_unless_there_is_a_receiver(tmp_path):
    assert not ended_video(tmp_path, None).send_next()
    assert events(tmp_path) == []


def test_a_video_that_ends_is_one_event_which_survives_a_new_start(tmp_path, receiver):
    ended_video(tmp_path, Webhook(receiver.url, SECRET))
    again = Webhooks(Database(tmp_path), Webhook(receiver.url, SECRET))
    again.start()
    assert again.send_next()
    assert not again.send_next()
    ((body, _, _),) = receiver.messages
    assert json.loads(body)["type"] == "video.failed"


def test_a_receiver_that_fails_is_asked_again_later_with_the_same_id(
    tmp_path, receiver, monkeypatch
):
    made = ended_video(tmp_path, Webhook(receiver.url, SECRET))
    receiver.statuses = [500] * 9
    clock = [time.time()]
    monkeypatch.setattr(events_file.time, "time", lambda: clock[0])
    for wait in WAITS:
        assert made.send_next()
        assert not made.send_next()
        assert events(tmp_path)[0]["next_at"] == pytest.approx(clock[0] + wait)
        clock[0] += wait
    assert made.send_next()
    assert events(tmp_path) == []
    assert len(receiver.messages) == len(WAITS) + 1
    assert len({headers["webhook-id"] for _, headers, _ in receiver.messages}) == 1


@pytest.mark.slow
def test_a_kill_of_the_server_loses_no_event(
    tmp_path, model_folder, receiver, running, monkeypatch
):
    monkeypatch.setenv(receiver_file.SECRET, SECRET)
    receiver.statuses = [500] * 1000
    options = ("--workers", "1", "--webhook", receiver.url)
    with running(tmp_path, str(model_folder), *options) as server:
        body = {"prompt": "a red ball rolls", "frames": 5}
        url = f"{server.url}/v1/videos"
        asked = {httpx.post(url, json=body, timeout=60).json()["id"] for _ in range(3)}
        wait_for(lambda: receiver.messages)
        server.kill()
        refused = list(receiver.messages)
        receiver.messages.clear()
        receiver.statuses = []
        server.start()
        wait_for(lambda: len({told(body) for body, _, _ in receiver.messages}) == 3)
        ids = {told(body): headers["webhook-id"] for body, headers, _ in receiver.messages}
    assert set(ids) == asked
    assert len(set(ids.values())) == 3, "each event has an id of its own"
    for body, headers, _ in refused:
        assert headers["webhook-id"] == ids[told(body)], "and keeps it"
    assert events(tmp_path) == []


def told(body: bytes) -> str:
    """The video that a message is about."""
    return json.loads(body)["data"]["id"]


def wait_for(is_true: Callable[[], Any], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < end, "nothing came"
        time.sleep(0.1)


def test_a_redirection_is_not_followed(tmp_path, receiver):
    made = ended_video(tmp_path, Webhook(receiver.url, SECRET))
    receiver.statuses = [307]
    assert made.send_next()
    assert [path for _, _, path in receiver.messages] == ["/videos"]
    assert len(events(tmp_path)) == 1


def test_a_name_that_leads_to_a_private_address_is_refused(tmp_path, receiver, monkeypatch):
    port = receiver.server.server_port
    found = [(2, 1, 6, "", ("127.0.0.1", port))]
    monkeypatch.setattr(receiver_file.socket, "getaddrinfo", lambda *_, **__: found)
    with pytest.raises(OSError, match=r"leads to the private address 127\.0\.0\.1"):
        deliver(Webhook(f"https://example.org:{port}/", SECRET), "evt_1", b"{}")
    assert receiver.messages == []


@pytest.mark.parametrize(
    ("url", "secret", "message"),
    [
        ("ftp://example.org", SECRET, "--webhook must be an address such as https://"),
        ("https://example.org:x/", SECRET, "--webhook must be an address such as https://"),
        ("https://ada@example.org", SECRET, "--webhook must have no user name"),
        ("http://example.org", SECRET, "--webhook must be https"),
        ("https://example.org", "", "KINETOSCOPE_WEBHOOK_SECRET must be 'whsec_' and base64"),
        ("https://example.org", "whsec_c2hvcnQ=", "of 24 to 64 bytes"),
    ],
)
def test_mistakes_are_told_in_one_line(here, capsys, monkeypatch, url, secret, message):
    monkeypatch.setenv(receiver_file.SECRET, secret)
    assert main(["serve", "--folder", "q", "--webhook", url]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert message in line


def test_the_secret_is_in_no_text_of_the_settings():
    assert SECRET not in repr(Webhook("https://example.org", SECRET))
