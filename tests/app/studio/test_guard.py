"""Who may talk to the studio."""

import asyncio
from collections.abc import MutableMapping
from typing import Any

import pytest
from kinetoscope.app.studio.guard import Guard
from kinetoscope.app.studio.launch import listen

HOST = "127.0.0.1:8000"


async def application(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})


def ask(guard: Guard, path: str = "/api/videos", kind: str = "http", **headers: str) -> Any:
    """The first message that answers a request; headers are named with underscores."""
    sent: list[MutableMapping[str, Any]] = []

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": b""}

    named = {"host": HOST} | {name.replace("_", "-"): value for name, value in headers.items()}
    path, _, query = path.partition("?")
    raw = [(name.encode(), value.encode()) for name, value in named.items()]
    scope = {"type": kind, "path": path, "query_string": query.encode(), "headers": raw}
    asyncio.run(guard(scope, receive, send))
    return sent[0]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"origin": f"http://{HOST}"}, 200),
        ({"sec_fetch_site": "same-origin"}, 200),
        ({"host": "attacker.example:8000"}, 421),
        ({"host": "127.0.0.1:8001"}, 421),
        ({"host": ""}, 421),
        ({"origin": "https://attacker.example"}, 403),
        ({"origin": "http://127.0.0.1:9999"}, 403),
        ({"origin": "null"}, 403),
        ({"sec_fetch_site": "cross-site"}, 403),
        ({"sec_fetch_site": "same-site"}, 403),  # another port of this machine
    ],
)
def test_only_our_own_page_may_ask(headers: dict[str, str], status: int) -> None:
    guard = Guard(application, {HOST})
    assert ask(guard, **headers)["status"] == status
    answer = ask(guard, "/live", "websocket", **headers)
    assert (answer["type"] == "websocket.close") == (status != 200)


def test_a_link_from_elsewhere_opens_the_page_and_nothing_else() -> None:
    guard = Guard(application, {HOST})
    assert ask(guard, "/", sec_fetch_site="cross-site")["status"] == 200
    assert ask(guard, "/api/disk", sec_fetch_site="cross-site")["status"] == 403


def test_the_page_may_load_nothing_from_elsewhere() -> None:
    headers = dict(ask(Guard(application, {HOST}))["headers"])
    policy = headers[b"content-security-policy"].decode()
    assert "default-src 'none'" in policy and "script-src 'self'" in policy
    assert "unsafe" not in policy and "*" not in policy and "http" not in policy


def test_other_addresses_need_the_token() -> None:
    guard = Guard(application, None, "secret")
    assert ask(guard, "/")["status"] == 401
    assert ask(guard, "/?token=wrong")["status"] == 401
    assert ask(guard, authorization="Bearer wrong")["status"] == 401
    assert ask(guard, "/live", "websocket")["type"] == "websocket.close"
    opened = ask(guard, "/?token=secret")
    headers = dict(opened["headers"])
    assert (opened["status"], headers[b"location"]) == (303, b"/")
    cookie = headers[b"set-cookie"].decode()
    assert "HttpOnly" in cookie and "SameSite=Strict" in cookie
    assert ask(guard, cookie=cookie.partition(";")[0])["status"] == 200
    assert ask(guard, authorization="Bearer secret")["status"] == 200
    stolen = {"cookie": cookie.partition(";")[0], "origin": "https://attacker.example"}
    assert ask(guard, **stolen)["status"] == 403


def test_any_host_without_a_token_is_refused() -> None:
    with pytest.raises(ValueError, match="token"):
        Guard(application, None)


def test_a_place_says_its_address() -> None:
    here = listen(None, None)
    port = here.listener.getsockname()[1]
    assert here.address == f"http://127.0.0.1:{port}/" and here.token is None
    assert here.hosts == {f"127.0.0.1:{port}", f"localhost:{port}"}
    with pytest.raises(ValueError, match=f"port {port} of 127.0.0.1 cannot be had"):
        listen(None, port)
    here.listener.close()
    everywhere = listen("0.0.0.0", None)
    assert everywhere.hosts is None and everywhere.token
    assert everywhere.address.endswith(f"/?token={everywhere.token}")
    everywhere.listener.close()
    with pytest.raises(ValueError, match="cannot be had"):
        listen("192.0.2.1", None)
