"""What has ended and who has not been told of it yet.

An event is written in the transaction that ends its video and is removed when the receiver has
taken it, so a kill loses none. One may come twice: it has the same `webhook-id` then.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import sqlite3
import time
from typing import Any

from ..logs import log
from ..store.database import Database
from .receiver import Webhook, deliver

WAITS = (5.0, 30.0, 300.0, 1800.0, 7200.0)  # seconds before each further try
LOOK = 1.0  # seconds between two looks for events
WRITE_DOWN = """
CREATE TRIGGER IF NOT EXISTS ended AFTER UPDATE OF status ON videos
WHEN NEW.status IN ('completed', 'failed') AND OLD.status <> NEW.status
BEGIN
    INSERT INTO events (id, kind, video_id, created_at, next_at)
    VALUES ('evt_' || lower(hex(randomblob(16))), 'video.' || NEW.status, NEW.id,
            NEW.completed_at, 0);
END
"""


class Webhooks:
    """Sends the events of a database.

    Args:
        webhook: the receiver; None to write down no events, and send none.
    """

    def __init__(self, database: Database, webhook: Webhook | None) -> None:
        self.database = database
        self.webhook = webhook

    def start(self) -> None:
        """From now on each video that ends is an event, or none is."""
        with self.database.write() as connection:
            connection.execute("DROP TRIGGER IF EXISTS ended")
            if self.webhook is not None:
                connection.execute(WRITE_DOWN)

    async def run(self) -> None:
        """Send events for ever."""
        while self.webhook is not None:
            try:
                has_sent = await asyncio.to_thread(self.send_next)
            except Exception as error:  # the next look may do better
                log("webhook failed", message=str(error))
                has_sent = False
            await asyncio.sleep(0.0 if has_sent else LOOK)

    def send_next(self) -> bool:
        """Send the event that has been due longest; whether one was due."""
        words = "SELECT * FROM events WHERE next_at <= ? ORDER BY next_at, number LIMIT 1"
        event = self.database.connection.execute(words, (time.time(),)).fetchone()
        if self.webhook is None or event is None:
            return False
        try:
            status = deliver(self.webhook, event["id"], event_body(event))
            problem = None if 200 <= status < 300 else f"the receiver answered {status}"
        except (OSError, http.client.HTTPException) as error:
            problem = f"the receiver cannot be reached: {error}"
        if problem is None:
            self._forget(event["id"])
        else:
            self._put_off(event, problem)
        return True

    def _forget(self, event_id: str) -> None:
        with self.database.write() as connection:
            connection.execute("DELETE FROM events WHERE id = ?", (event_id,))

    def _put_off(self, event: sqlite3.Row, problem: str) -> None:
        tries = event["attempts"] + 1
        is_last = tries > len(WAITS)
        log("webhook failed", message=problem, event_id=event["id"], tries=tries, given_up=is_last)
        if is_last:
            self._forget(event["id"])
            return
        next_at = time.time() + WAITS[tries - 1]
        with self.database.write() as connection:
            words = "UPDATE events SET attempts = ?, next_at = ? WHERE id = ?"
            connection.execute(words, (tries, next_at, event["id"]))


def event_body(event: sqlite3.Row) -> bytes:
    """The message of an event: which video, and no word of what is in it."""
    told: dict[str, Any] = {
        "id": event["id"],
        "object": "event",
        "type": event["kind"],
        "created_at": int(event["created_at"]),
        "data": {"id": event["video_id"]},
    }
    return json.dumps(told).encode()
