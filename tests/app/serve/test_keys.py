"""Who may ask, and how often."""

import sqlite3
from pathlib import Path

import pytest
from kinetoscope.app.serve.errors import ApiError
from kinetoscope.app.serve.store.database import NAME, Database
from kinetoscope.app.serve.store.keys import Client, Keys


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return Keys(Database(tmp_path))


def test_without_keys_anybody_may_ask(keys):
    assert keys.client(None).name == "anybody"


def test_a_key_names_its_client_and_is_stored_nowhere(keys, tmp_path):
    key = keys.make(Client("ada", max_active=3, per_minute=7, max_priority=2))
    assert keys.client(f"Bearer {key}") == Client("ada", 3, 7, 2)
    stored = [tmp_path / name for name in (NAME, f"{NAME}-wal")]
    assert not any(key.encode() in path.read_bytes() for path in stored if path.exists())
    rows = sqlite3.connect(tmp_path / NAME).execute("SELECT * FROM keys").fetchall()
    assert len(rows) == 1 and key not in str(rows)


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Basic x", "Bearer ks_wrong"])
def test_others_are_refused(keys, header):
    keys.make(Client("ada"))
    with pytest.raises(ApiError) as caught:
        keys.client(header)
    assert caught.value.status == 401


def test_names_are_taken_once(keys):
    keys.make(Client("ada"))
    with pytest.raises(ValueError, match="there is a key named 'ada'; give another name"):
        keys.make(Client("ada"))
    for name in ("", "anybody", "a b", "x" * 65, "../x"):
        with pytest.raises(ValueError, match="the name of a key must be 1 to 64 letters"):
            keys.make(Client(name))


def test_requests_of_a_minute_are_counted(keys):
    client = Client("ada", per_minute=2)
    keys.count(client)
    keys.count(client)
    with pytest.raises(ApiError, match="at most 2 videos may be asked for in a minute") as caught:
        keys.count(client)
    assert 1 <= (caught.value.retry_after or 0) <= 61
    keys.count(Client("bob", per_minute=2))
