"""The tape of a story: every fact in the order in which it was said, and what caused it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from shared.contracts.event import Envelope, decode_envelope
from shared.storage import inspect
from shared.storage.database import Database


@dataclass(frozen=True)
class Said:
    """One fact: business time, publisher, name, subject, data, and in words what caused it."""

    at: datetime
    publisher: str
    fact: str
    subject: str
    cause: str
    data: dict[str, Any]
    event_id: str

    @property
    def order(self) -> str:
        """The order (or group) it speaks of, if any."""
        return str(self.data.get("order_no") or self.data.get("group_no") or "")


class Tape:
    """Reads the event logs of all stores from where it stopped."""

    def __init__(self, stores: Mapping[str, Database]) -> None:
        self.stores = stores
        self._after = dict.fromkeys(stores, 0)
        self._names: dict[str, str] = {}

    def news(self) -> list[Said]:
        """What was said since the last call. Within one aggregate in order; across services by the ids' time."""
        fresh: list[Envelope] = []
        for store, database in self.stores.items():
            for pos, body in inspect.logged(database, self._after[store]):
                self._after[store] = max(self._after[store], pos)
                fresh.append(decode_envelope(body))
        fresh.sort(key=lambda envelope: envelope.id)  # UUIDv7: time-ordered
        self._names |= {envelope.id: envelope.fact_name for envelope in fresh}
        return [self._said(envelope) for envelope in fresh]

    def _said(self, envelope: Envelope) -> Said:
        return Said(
            at=envelope.time,
            publisher=envelope.publisher,
            fact=envelope.fact_name,
            subject=envelope.subject,
            cause=self._cause(envelope.causationid),
            data=msgspec.json.decode(envelope.data),
            event_id=envelope.id,
        )

    def _cause(self, causation_id: str) -> str:
        kind, _, rest = causation_id.partition(":")
        if kind == "request":
            return "a request"
        if kind in ("timer", "intent"):
            return f"{kind} {rest.split(':')[0]}"
        return self._names.get(causation_id, "an earlier fact")


class Ticker:
    """Hands every new fact to `show`, in the background, until closed."""

    def __init__(self, stores: Mapping[str, Database], show: Callable[[Said], None], every: float = 0.1) -> None:
        self._tape, self._show, self._every = Tape(stores), show, every
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="ticker", daemon=True)

    def __enter__(self) -> Ticker:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self.catch_up()

    def catch_up(self) -> None:
        """Show all that was said until now."""
        with self._lock:
            for said in self._tape.news():
                self._show(said)

    def _run(self) -> None:
        while not self._stop.wait(self._every):
            self.catch_up()
