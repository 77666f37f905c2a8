"""Signed callbacks: written with the change they tell of, carried until somebody answers 2xx.

A callback is `pending` (on its way), `held` or `lost` (by a switch), `delivered`, or `given_up`. The row is
there before the change is visible and goes only on a 2xx, so a kill -9 anywhere leads to a repeat at worst.

A trade that sends `bundles` puts what happened while the last one was under way into one message, each callback with
the `event_id` it would have had alone. What is not taken together is sent again alone.
"""

import json
import logging
import queue
import secrets
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import requests

from deploy.sandbox.desk import clock, signing, switches
from deploy.sandbox.desk.bodies import Body
from deploy.sandbox.desk.book import Row, Tx

log = logging.getLogger("sandbox.postman")
SCHEMA = """
CREATE TABLE IF NOT EXISTS callbacks (
    n INTEGER PRIMARY KEY AUTOINCREMENT, event_id TEXT NOT NULL UNIQUE, type TEXT NOT NULL,
    reference TEXT NOT NULL, body TEXT NOT NULL, state TEXT NOT NULL, created_at TEXT NOT NULL,
    due_ms INTEGER NOT NULL, release_at TEXT, behind INTEGER NOT NULL, copies INTEGER NOT NULL,
    tries INTEGER NOT NULL DEFAULT 0, last_answer TEXT) STRICT;
CREATE INDEX IF NOT EXISTS callbacks_by_state ON callbacks (state, due_ms);
CREATE INDEX IF NOT EXISTS callbacks_by_reference ON callbacks (reference, state);
"""
BATCH = 50
GATHER_S = 0.1
"""After a bundle of several: what happens meanwhile goes with the next one."""
TIMEOUT_S = (2.0, 10.0)  # to connect, to answer
LONGEST_S = 3600.0  # a thread can't wait until the year 9000 in one go


def post(tx: Tx, event_type: str, reference: str, amount: int, data: Body) -> None:
    """Write a callback beside the change it tells of; the switches decide its fate now."""

    def switch(kind: str) -> Body | None:
        return switches.used(tx, kind, event_type, reference, amount)

    state, release_at, behind = "pending", None, False
    if switch("callback_lost") is not None:
        state = "lost"
    elif (delay := switch("callback_delay")) is not None:
        state = "held"
        if delay["seconds"] is not None:
            release_at = clock.stamp(tx.now_ms + round(delay["seconds"] * 1000))
    elif switch("callback_reorder") is not None:
        state, behind = "held", True
    copies = (switch("callback_duplicate") or {"copies": 0})["copies"]
    event_id = f"evt_{secrets.token_hex(12)}"
    body = {"event_id": event_id, "type": event_type, "created": tx.now, "data": data}
    tx.add(
        "callbacks",
        event_id=event_id,
        type=event_type,
        reference=reference,
        state=state,
        created_at=tx.now,
        body=json.dumps(body, ensure_ascii=False, separators=(",", ":")),
        due_ms=clock.machine_ms(),
        release_at=release_at,
        behind=int(behind),
        copies=copies,
    )
    tx.wake = True


def listed(tx: Tx, state: str | None) -> list[Body]:
    """The callbacks in `state`, or all that are not delivered, oldest first, 1,000 at most."""
    return tx.all(
        "SELECT event_id, type, reference, state, created_at, release_at, copies, tries, last_answer"
        " FROM callbacks WHERE CASE WHEN ? IS NULL THEN state <> 'delivered' ELSE state = ? END"
        " ORDER BY n LIMIT 1000",
        state,
        state,
    )


def send(tx: Tx, held: bool, event_id: str | None, type: str | None, reference: str | None) -> int:
    """Put the callbacks that are held, or those that have ended, on their way; None stands for any."""
    tx.wake = True
    return tx.run(
        "UPDATE callbacks SET state = 'pending', tries = 0, release_at = NULL, behind = 0, due_ms = ?"
        " WHERE state <> 'pending' AND (state = 'held') = ?"
        " AND event_id = coalesce(?, event_id) AND type = coalesce(?, type)"
        " AND reference = coalesce(?, reference)",
        clock.machine_ms(),
        held,
        event_id,
        type,
        reference,
    )


class Postman:
    """One thread that knows what is due and sleeps until then; a few that carry it."""

    def __init__(
        self,
        transaction: Callable[[], AbstractContextManager[Tx]],
        next_due: Callable[[Tx], str | None],
        url: str,
        secret: str,
        retry_s: tuple[float, ...],
        max_tries: int,
        senders: int,
        bundles: bool = False,
    ) -> None:
        self._transaction, self._next_due = transaction, next_due
        self._url, self._keys = url, signing.keys(secret)
        self._retry_s, self._max_tries, self._bundles = retry_s, max_tries, bundles
        self._wake, self._stopping = threading.Event(), False
        self._ended = threading.Condition()  # told whenever a callback came to an end
        self._in_flight: set[str] = set()  # references: about one thing, one callback at a time, in order
        self._bag: queue.SimpleQueue[list[Row] | None] = queue.SimpleQueue()
        self._bundle_out, self._bundle_after = False, 0.0  # one at a time, and not before this moment
        work = [self._mind, *[self._carry] * senders]
        self._threads = [threading.Thread(target=run, name="postman", daemon=True) for run in work]

    def start(self) -> None:
        """Begin with what a predecessor left undelivered."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End after the callbacks in hand; the others stay in the book."""
        self._stopping = True
        self.wake()
        for _ in self._threads[1:]:
            self._bag.put(None)
        for thread in self._threads:
            thread.join(sum(TIMEOUT_S) + 1)

    def pending(self, wait_s: float) -> int:
        """How many are on their way, once there are none or `wait_s` seconds have passed."""
        until = time.monotonic() + wait_s
        with self._ended:  # held while counting, so that no end slips in before the wait
            while (count := self._count()) and (left := until - time.monotonic()) > 0:
                self._ended.wait(left)
        return count

    def _count(self) -> int:
        with self._transaction() as tx:
            row = tx.one(
                "SELECT count(*) AS n FROM callbacks WHERE state = 'pending' OR (state = 'held' AND release_at <= ?)",
                tx.now,
            )
        return row["n"] if row else 0

    def next_due(self, tx: Tx) -> str | None:
        """When the business clock next makes something due: a held callback, or what the trade foresees."""
        held = tx.one("SELECT min(release_at) AS at FROM callbacks WHERE state = 'held'")
        moments: list[str | None] = [held["at"] if held else None, self._next_due(tx)]
        return min((at for at in moments if at is not None), default=None)

    def wake(self) -> None:
        """There may be something new to do."""
        self._wake.set()

    def _mind(self) -> None:
        while not self._stopping:
            try:
                pause = self._hand_out()
            except Exception:  # such as a full disk: what is written stays due
                log.exception("the outbox could not be read")
                pause = 1.0
            self._wake.wait(pause)
            self._wake.clear()

    def _hand_out(self) -> float | None:
        """Give the senders all that is due; seconds until more is, None when nothing is foreseen."""
        busy = set(self._in_flight)  # as of before the rows are read: one that ends meanwhile wakes us anyway
        with self._transaction() as tx:
            tx.run(
                "UPDATE callbacks SET state = 'pending', due_ms = ? WHERE state = 'held' AND release_at <= ?",
                clock.machine_ms(),
                tx.now,
            )
            waiting = tx.all("SELECT * FROM callbacks WHERE state = 'pending' ORDER BY due_ms, n LIMIT ?", BATCH)
            next_due = self.next_due(tx)
            pauses = [clock.parse(next_due) - tx.now_ms] if next_due is not None else []
        now, bundle = clock.machine_ms(), list[Row]()
        gathering = round((self._bundle_after - time.monotonic()) * 1000)
        for row in waiting:
            if row["reference"] in busy:
                continue
            if row["due_ms"] > now:
                pauses.append(row["due_ms"] - now)
                break
            if together := self._bundles and row["tries"] == 0:
                if self._bundle_out:
                    continue
                if gathering > 0:
                    pauses.append(gathering)
                    continue
            busy.add(row["reference"])
            self._in_flight.add(row["reference"])
            if together:
                bundle.append(row)
            else:
                self._bag.put([row])
        if bundle:
            self._bundle_out = True
            self._bag.put(bundle)
        return min(max(min(pauses), 1) / 1000, LONGEST_S) if pauses else None

    def _carry(self) -> None:
        with requests.Session() as session:
            session.trust_env = False
            while (rows := self._bag.get()) is not None and not self._stopping:
                try:
                    self._settle(rows, *self._deliver(session, rows))
                except Exception:  # the rows are as they were, hence still due
                    log.exception("a callback's outcome could not be written")
                finally:
                    for row in rows:
                        self._in_flight.discard(row["reference"])
                    if rows[0]["tries"] == 0:
                        self._bundle_after = time.monotonic() + GATHER_S if len(rows) > 1 else 0.0
                        self._bundle_out = False
                    self.wake()
                    with self._ended:
                        self._ended.notify_all()

    def _deliver(self, session: requests.Session, rows: list[Row]) -> tuple[bool, str]:
        """Whether they were taken, and the answer in a word."""
        event_id, text = (rows[0]["event_id"], rows[0]["body"]) if len(rows) == 1 else _bundled(rows)
        body, timestamp_s = text.encode(), clock.machine_ms() // 1000
        headers = {
            "content-type": "application/json",
            "webhook-id": event_id,
            "webhook-timestamp": str(timestamp_s),
            "webhook-signature": signing.sign(self._keys, event_id, timestamp_s, body),
        }
        try:
            answer = session.post(self._url, data=body, headers=headers, timeout=TIMEOUT_S, allow_redirects=False)
        except requests.RequestException as problem:
            return False, type(problem).__name__
        return answer.ok and answer.status_code < 300, str(answer.status_code)

    def _settle(self, rows: list[Row], taken: bool, answer: str) -> None:
        """Write down how it went."""
        with self._transaction() as tx:
            for row in rows:
                self._end(tx, row, taken, answer)

    def _end(self, tx: Tx, row: Row, taken: bool, answer: str) -> None:
        """One callback's outcome, and let what was held back behind it follow."""
        now, change = clock.machine_ms(), dict[str, Any](last_answer=answer, tries=row["tries"] + 1)
        if taken and row["copies"]:
            change |= {"copies": row["copies"] - 1, "due_ms": now, "tries": 0}
        elif taken:
            change |= {"state": "delivered"}
        elif change["tries"] >= self._max_tries:
            change |= {"state": "given_up"}
        else:
            pause_s = self._retry_s[min(row["tries"], len(self._retry_s) - 1)]
            change |= {"due_ms": now + round(pause_s * 1000)}
        tx.change("callbacks", row["n"], **change)
        if taken:
            tx.run(
                "UPDATE callbacks SET state = 'pending', behind = 0, due_ms = ?"
                " WHERE reference = ? AND state = 'held' AND behind = 1 AND n < ?",
                now,
                row["reference"],
                row["n"],
            )


def _bundled(rows: list[Row]) -> tuple[str, str]:
    """The id and the body of one message with these callbacks, each as it would have been alone."""
    event_id = f"bdl_{secrets.token_hex(12)}"
    events = ",".join(row["body"] for row in rows)
    created = json.dumps(rows[-1]["created_at"])
    return event_id, f'{{"event_id":"{event_id}","type":"bundle","created":{created},"data":{{"events":[{events}]}}}}'
