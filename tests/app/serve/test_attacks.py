"""What a server must withstand from strangers: other sites, tricks with paths and headers, bodies
that are too large or too slow."""

import socket
import time

import pytest
from kinetoscope.app.serve import main


def say(server, *parts: bytes, pause: float = 0.0) -> bytes:
    """Bytes on a connection of its own, and all that comes back."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        for part in parts:
            try:
                connection.sendall(part)
            except (BrokenPipeError, ConnectionResetError):
                break
            time.sleep(pause)
        answer = b""
        while True:
            try:
                piece = connection.recv(65536)
            except ConnectionResetError:
                return answer
            if not piece:
                return answer
            answer += piece


def request(head: str, body: bytes = b"") -> bytes:
    return head.replace("\n", "\r\n").encode() + b"\r\n\r\n" + body


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "127.0.0.1.evil.example:80"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
    ],
    ids=str,
)
def test_other_sites_cannot_use_it(server, headers):
    answer = server.client.post("/v1/videos", data={"prompt": "a ball"}, headers=headers)
    assert answer.status_code == 403 and answer.json()["error"]["code"] == "forbidden_origin"
    assert server.client.get("/v1/videos").json()["data"] == []
    own = {"Origin": server.url}
    assert server.client.get("/v1/videos", headers=own).status_code == 200


@pytest.mark.parametrize(
    "name",
    ["../../queue.sqlite", "..%2f..%2fqueue.sqlite", "%2e%2e/server.lock", "a%00b", "x" * 3000],
)
def test_names_are_no_paths(server, name):
    video = server.make(frames=1)
    server.wait(video["id"])
    for method, end in (("GET", ""), ("GET", "/content"), ("POST", "/cancel"), ("DELETE", "")):
        answer = say(server, request(f"{method} /v1/videos/{name}{end} HTTP/1.1\nHost: localhost"
                                     "\nContent-Length: 0\nConnection: close"))  # fmt: skip
        assert answer.split()[1] in (b"404", b"405")
    assert server.state.video_path(video["id"]).is_file()


def test_bodies_have_a_limit_whatever_they_say_of_themselves(run_server):
    server = run_server(max_upload=10_000)
    large = {"prompt": "x" * 20_000}
    answer = server.client.post("/v1/videos", json=large)
    assert answer.status_code == 413 and "at most 10000 bytes" in answer.text

    def pieces():
        for _ in range(20):
            yield b"x" * 1000

    headers = {"Content-Type": "application/json"}
    assert server.client.post("/v1/videos", content=pieces(), headers=headers).status_code == 413
    many = {f"field{number}": "x" for number in range(200)}
    form = server.client.post("/v1/videos", data=many, headers={})
    assert form.status_code == 400
    assert server.state.queue.counts()["queued"] == 0


def test_slow_bodies_are_given_up(run_server):
    server = run_server(upload_time=0.5)
    head = "POST /v1/videos HTTP/1.1\nHost: localhost\nContent-Type: application/json"
    begin = time.monotonic()
    answer = say(server, request(f"{head}\nContent-Length: 100\nConnection: close", b"{"))
    assert b" 408 " in answer and b"did not arrive within 0.5 seconds" in answer
    assert time.monotonic() - begin < 15


def test_slow_heads_are_given_up(run_server, monkeypatch):
    monkeypatch.setattr(main, "FIRST_WORDS", 0.5)
    server = run_server()
    assert say(server, b"GET /healthz HTTP/1.1\r\nHost: loc") == b""
    assert server.client.get("/healthz").status_code == 200


@pytest.mark.parametrize(
    "message",
    [
        b"GET /healthz HTTP/1.1\r\n\r\n",
        b"GARBAGE\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01" + bytes(200),
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 200_000 + b"\r\n\r\n",
        b"POST /v1/videos HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n",
        b"POST /v1/videos HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n"
        b"Content-Length: 6\r\n\r\nhello",
    ],
    ids=["no host", "garbage", "tls", "huge header", "negative length", "two lengths"],
)
def test_broken_requests_are_refused_and_leave_the_server_up(server, message):
    answer = say(server, message)
    assert answer == b"" or answer.split()[1].startswith(b"4")
    assert server.client.get("/healthz").status_code == 200


def test_scripts_in_prompts_stay_text(server):
    script = "<script>alert(1)</script>"
    video = server.make(script, frames=1)
    answer = server.client.get(f"/v1/videos/{video['id']}")
    assert answer.json()["prompt"] == script
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    wrong = server.client.post("/v1/videos", json={"prompt": "a", script: 1})
    assert wrong.headers["content-type"] == "application/json"
