"""The desk behind which a sandbox works: settings, transactions, idempotent answers, callbacks."""

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flask import Response, current_app, jsonify, request

from deploy.sandbox.desk import postman, switches
from deploy.sandbox.desk.bodies import Body, Field, Refusal, read, reference
from deploy.sandbox.desk.book import Book, Tx

Json = dict[str, Any]
SCHEMA = """
CREATE TABLE IF NOT EXISTS marks (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS answers (
    key TEXT PRIMARY KEY, digest TEXT NOT NULL, answer TEXT NOT NULL, given_at TEXT NOT NULL) STRICT;
"""


@dataclass(frozen=True)
class Settings:
    """Where a sandbox keeps its book, whom it calls, and the secrets it shares with its one merchant.

    `webhook_secret` is `whsec_<base64>`, or several parted by spaces while one is being rotated.
    `public_url` is where buyers reach it; None: where the merchant does. The pauses between tries of a
    callback are `retry_s`, the last one repeated, up to `max_tries` tries.
    """

    home: Path
    callback_url: str
    api_key: str = field(repr=False)
    webhook_secret: str = field(repr=False)
    public_url: str | None = None
    retry_s: tuple[float, ...] = (0.2, 1.0, 5.0, 15.0)
    max_tries: int = 40
    senders: int = 4


@dataclass(frozen=True)
class Trade:
    """What one sandbox adds to the desk.

    `sweep` lets everything happen that the business clock has made due, `next_due` says when the next such
    thing is, and `subject` gives the merchant's reference and the amount that a call is about, from its
    path and body, for the switches to match. `bundles`: callbacks of one moment come in one message.
    """

    name: str
    schema: str
    kinds: switches.Kinds
    sweep: Callable[[Tx], None]
    next_due: Callable[[Tx], str | None]
    subject: Callable[[Tx, Mapping[str, Any], Any], tuple[str, int]]
    bundles: bool = False


class Desk:
    """One sandbox at work: its book, its clock, its callbacks."""

    def __init__(self, trade: Trade, settings: Settings) -> None:
        if len(settings.api_key) < 16:
            raise ValueError("an API key has at least 16 characters")
        self.trade, self.settings = trade, settings
        schema = SCHEMA + switches.SCHEMA + postman.SCHEMA + trade.schema
        self._book = Book(settings.home / f"{trade.name}.sqlite3", schema)
        self.postman = postman.Postman(
            self.transaction,
            trade.next_due,
            settings.callback_url,
            settings.webhook_secret,
            settings.retry_s,
            settings.max_tries,
            settings.senders,
            trade.bundles,
        )
        self.postman.start()

    def stop(self) -> None:
        """Finish the callbacks in hand and close the book; the rest waits for the next start."""
        self.postman.stop()
        self._book.close()

    @contextmanager
    def transaction(self) -> Iterator[Tx]:
        """A transaction in which everything due by now has already happened."""
        with self._book.transaction() as tx:
            self.trade.sweep(tx)
            yield tx
        if tx.wake:
            self.postman.wake()

    def move_clock(self, offset_ms: int) -> str:
        """Set the business clock to the machine's plus an offset; the new time. What it makes due happens."""
        with self._book.transaction() as tx:
            tx.set_offset(offset_ms)
            self.trade.sweep(tx)
        self.postman.wake()
        return tx.now

    def next_due(self) -> str | None:
        """When the business clock next makes something happen: an expiry, a settlement, a held callback."""
        with self.transaction() as tx:
            return self.postman.next_due(tx)

    def once(self, shape: Mapping[str, Field], work: Callable[[Tx, Body, str], Json]) -> Response:
        """Answer a POST that carries an `Idempotency-Key`: 201 and the same answer however often it is asked.

        400 `idempotency_key_missing`; 422 `idempotency_key_reused` for another body or another operation.
        A refusal changes nothing and is not remembered: the same key may ask again.
        """
        key, given = request.headers.get("Idempotency-Key", ""), json_body()
        try:
            reference(key)
        except ValueError:
            message = "Idempotency-Key must be 1 to 100 visible characters."
            raise Refusal(400, "idempotency_key_missing", message) from None
        asked = json.dumps([request.endpoint, given], sort_keys=True)
        digest = hashlib.sha256(asked.encode()).hexdigest()
        with self.transaction() as tx:
            seen = tx.one("SELECT digest, answer FROM answers WHERE key = ?", key)
            if seen and seen["digest"] != digest:
                raise Refusal(422, "idempotency_key_reused", "This key was used with another body.")
            answer = seen["answer"] if seen else json.dumps(work(tx, read(shape, given), key))
            if not seen:
                tx.add("answers", key=key, digest=digest, answer=answer, given_at=tx.now)
        headers = {"Idempotent-Replayed": "true"} if seen else None
        return Response(answer, 201, headers, content_type="application/json")


def json_body() -> Any:
    """The request's JSON; 415 or 400 when it is none."""
    return request.get_json()


def shown(body: Json, status: int = 200) -> Response:
    """A JSON answer."""
    answer = jsonify(body)
    answer.status_code = status
    return answer


def desk() -> Desk:
    """The desk of the app that is answering."""
    found: Desk = current_app.extensions["desk"]
    return found


def refuse_production() -> None:
    """RuntimeError where CARAVAN_ENV is production: money and parcels must be real there."""
    if os.environ.get("CARAVAN_ENV", "").strip().lower() == "production":
        raise RuntimeError("the sandbox's provider and carrier do not run in production")
