"""The sandbox's hold on a whole platform: one clock over all stores, and the wait until nothing moves.

It sees every store, which no service does. It is for demonstrations and tests and cannot be loaded in production.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
import requests

from deploy.sandbox.desk.desk import refuse_production
from shared.kernel import clock
from shared.kernel.errors import Conflict, Unavailable
from shared.messaging.quiet import Watch, nudge
from shared.storage.database import Database
from shared.storage.inspect import clock_ahead, move_clock

SETTLE_SECONDS = 60.0
SHORTEST, LONGEST = 0.005, 0.025
MARGIN = timedelta(milliseconds=1)


class NotQuiet(Unavailable):
    """The platform did not come to rest in time; `left` says what is still under way."""


class ClockGoesForward(Conflict):
    """Business time cannot be set back."""


class DeskRefused(Exception):
    """The provider or the carrier did not take what it was told; says why."""


class _Clock(msgspec.Struct):
    now: datetime
    offset_seconds: float
    next_due: datetime | None = None


class _Quiet(msgspec.Struct):
    quiet: bool
    pending: int


class Desk:
    """The fake provider or the fake carrier, as the sandbox drives it; `key` is its API key."""

    def __init__(self, name: str, url: str, key: str) -> None:
        self.name, self.url, self.key = name, url, key
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers["Authorization"] = f"Bearer {key}"

    def unrest(self) -> str:
        """What is under way there, in words."""
        found = msgspec.json.decode(self._ask("GET", "quiet"), type=_Quiet)
        return "" if found.quiet else f"{self.name}: {found.pending} callbacks"

    def clock(self) -> _Clock:
        return msgspec.json.decode(self._ask("GET", "clock"), type=_Clock)

    def set_offset(self, seconds: float) -> None:
        self._ask("POST", "clock", {"offset_seconds": seconds})

    def switches(self) -> list[dict[str, Any]]:
        """The misbehaviours that are on, each with its `id`."""
        return list(msgspec.json.decode(self._ask("GET", "switches"))["items"])

    def switch(self, wish: Mapping[str, Any]) -> dict[str, Any]:
        """Turn one on. Raises DeskRefused."""
        return dict(msgspec.json.decode(self._ask("POST", "switches", dict(wish))))

    def switch_off(self, number: int | None = None) -> bool:
        """Turn one off, or all. Answers whether any was on."""
        return bool(
            msgspec.json.decode(self._ask("DELETE", "switches" if number is None else f"switches/{number}"))["removed"]
        )

    def close(self) -> None:
        self._session.close()

    def _ask(self, method: str, what: str, body: object = None) -> bytes:
        answer = self._session.request(method, f"{self.url}/sandbox/{what}", json=body, timeout=10)
        if answer.status_code == 422:
            raise DeskRefused(answer.json().get("message", ""))
        answer.raise_for_status()
        return answer.content


class World:
    """All stores, the provider and the carrier under one clock. `wake` tells workers of this process to look.

    `stores` by service, `subscribers` as in `deploy.fleet.subscribers`. Thread safe: one thing at a time.
    """

    def __init__(
        self,
        stores: Mapping[str, Database],
        subscribers: Mapping[str, Sequence[str]],
        desks: Sequence[Desk] = (),
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        refuse_production()
        self.stores, self.desks, self.wake = dict(stores), list(desks), wake
        self.watch = Watch(stores, subscribers, [desk.unrest for desk in desks])
        self._lock = threading.RLock()
        self._checked = False

    def now(self) -> datetime:
        """Business time."""
        with self._lock:
            return clock.machine_now() + timedelta(seconds=self._shared_offset())

    @property
    def offset(self) -> float:
        """How many seconds business time is ahead of the machine's."""
        with self._lock:
            return self._shared_offset()

    def settle(self, seconds: float = SETTLE_SECONDS) -> dict[str, int]:
        """Return once nothing is under way or due. Answers, by store, how many facts are kept as failed.

        Raises NotQuiet after so many seconds.
        """
        with self._lock:
            deadline, pause = clock.monotonic() + seconds, SHORTEST
            while left := self._unrest():
                if clock.monotonic() > deadline:
                    raise NotQuiet(left=left)
                clock.pause(pause)
                pause = min(LONGEST, pause * 1.5)
            return self.watch.failing()

    def advance(self, span: timedelta, seconds: float = SETTLE_SECONDS) -> int:
        """Move business time on by `span`, stopping at each deadline on the way until what it sets off settled.

        The time that the work takes comes on top: what follows an hour after something slow is still within the hour.
        Answers the number of stops. Raises ClockGoesForward, NotQuiet (`seconds` is for each stop).
        """
        if span < timedelta():
            raise ClockGoesForward(field="advance")
        with self._lock:
            ahead = timedelta(seconds=self._shared_offset()) + span
            return self._advance(lambda: clock.machine_now() + ahead, seconds)

    def advance_to(self, goal: datetime, seconds: float = SETTLE_SECONDS) -> int:
        """Move business time to `goal`; otherwise as `advance`."""
        with self._lock:
            if goal < self.now():
                raise ClockGoesForward(field="to")
            return self._advance(lambda: goal, seconds)

    def _advance(self, goal: Callable[[], datetime], seconds: float) -> int:
        self.settle(seconds)
        stops = 0
        while (due := self._next_due()) is not None and due <= goal():
            self._set_clock(due)
            self.settle(seconds)
            stops += 1
        if self.now() < goal():
            self._set_clock(goal())
            self.settle(seconds)
        return stops

    def leap(self, **span: float) -> None:
        """Move business time without waiting for anything: for stories in which something stands still."""
        with self._lock:
            self._set_clock(self.now() + timedelta(**span))

    def close(self) -> None:
        for desk in self.desks:
            desk.close()

    def _unrest(self) -> list[str]:
        try:
            return self.watch.unrest()
        except requests.RequestException as error:
            return [f"provider or carrier away: {type(error).__name__}"]

    def _next_due(self) -> datetime | None:
        """The earliest thing to come, over all stores and both desks."""
        now = self.now()
        found = [self.watch.due(), *(desk.clock().next_due for desk in self.desks)]
        return min((due for due in found if due is not None and due > now), default=None)

    def _set_clock(self, moment: datetime) -> None:
        seconds = (moment + MARGIN - clock.machine_now()).total_seconds()
        self._write(max(seconds, self._shared_offset()))
        self.wake()

    def _shared_offset(self) -> float:
        """One offset for all. Somebody else may have moved it; a death in the middle of that left some behind."""
        if not self._checked:
            found = [clock_ahead(database) for database in self.stores.values()]
            found += [desk.clock().offset_seconds for desk in self.desks]
            if max(found, default=0.0) - min(found, default=0.0) > 0.5:
                self._write(max(found))
            self._checked = True
        return clock_ahead(next(iter(self.stores.values())))

    def _write(self, seconds: float) -> None:
        # The outside first: what it is asked by a timer that fires must not seem to lie in its future.
        for desk in self.desks:
            desk.set_offset(seconds)
        for database in self.stores.values():
            move_clock(database, seconds)
            nudge(database)
