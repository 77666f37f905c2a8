"""Dead letters for stories: as the event door would have kept them."""

from __future__ import annotations

import hashlib

from shared.kernel import clock
from shared.messaging.consumer import read
from shared.storage.database import Database
from shared.storage.types import inbox_retry


def keep_dead(database: Database, consumer: str, body: bytes, reason: str = "schema") -> int:
    """The number of a dead row of `consumer` with this message."""
    message = read(body)
    row = {
        "consumer": consumer, "event_id": message.event_id, "type": message.type, "agg": message.agg,
        "partition_key": message.partition_key, "body": body, "status": "dead", "attempts": 0, "reason": reason,
        "error": "planted by a test", "created_at": clock.machine_now(),
    }  # fmt: skip
    with database.begin() as connection:
        return int(connection.execute(inbox_retry.insert().values(row).returning(inbox_retry.c.no)).scalar_one())


def drop_kept(database: Database, consumer: str, body: bytes) -> None:
    """Whatever became of the message, it is gone."""
    ids = (read(body).event_id, hashlib.sha256(body).hexdigest())
    with database.begin() as connection:
        connection.execute(
            inbox_retry.delete().where(inbox_retry.c.consumer == consumer, inbox_retry.c.event_id.in_(ids))
        )
