"""Faults turned on while a platform runs: what the provider and the carrier do wrong, and services that hear nothing.

A fault is `{fault_id, where, kind, …}`. At `provider` and `carrier` the kinds are their switches; of a service there is
one, `silent`: its workers get no messages, and people may still ask it. It ends when lifted, at the latest after
`SILENCE_LASTS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from deploy.sandbox.world import Desk, DeskRefused
from shared.kernel.errors import Invalid, NotFound
from shared.kernel.ids import new_id
from shared.messaging import leases
from shared.messaging.quiet import nudge
from shared.storage.database import Database

SILENT = "silent"
SILENCE_LASTS = timedelta(minutes=15)

Undo = Callable[[], None]


class NoSuchFault(NotFound):
    """No such fault is on."""


class FaultRefused(Invalid):
    """There is no such place or kind of fault, or its parameters are not what the kind takes."""


def usurper(stores: Mapping[str, Database]) -> Callable[[str], Undo]:
    """Silences a service, whose workers may be anywhere, by taking their leases."""

    def silence(service: str) -> Undo:
        database, owner = stores[service], f"sandbox-{new_id()[-8:]}"
        leases.usurp(database, "shard.", owner, SILENCE_LASTS)

        def undo() -> None:
            leases.give_back(database, owner)
            nudge(database)

        return undo

    return silence


class Faults:
    """Those that are on. `silence` makes one service deaf and answers how to undo it."""

    def __init__(self, desks: Sequence[Desk], services: Sequence[str], silence: Callable[[str], Undo]) -> None:
        self.desks = {desk.name: desk for desk in desks}
        self.services, self._silence = tuple(services), silence
        self._silenced: dict[str, Undo] = {}

    def listed(self) -> list[dict[str, Any]]:
        on = [_shown(desk, switch) for desk in self.desks.values() for switch in desk.switches()]
        return on + [_silent(service) for service in sorted(self._silenced)]

    def turn_on(self, where: str, wish: Mapping[str, Any]) -> dict[str, Any]:
        """Raises FaultRefused."""
        desk = self.desks.get(where)
        if desk is not None:
            try:
                return _shown(desk, desk.switch(wish))
            except DeskRefused as refused:
                raise FaultRefused(str(refused), field="kind") from refused
        if where not in self.services:
            raise FaultRefused(f"where is one of {', '.join([*self.desks, *self.services])}", field="where")
        if dict(wish) != {"kind": SILENT}:
            raise FaultRefused(f"a service can be {SILENT}, and that takes nothing else", field="kind")
        self._undo(where)
        self._silenced[where] = self._silence(where)
        return _silent(where)

    def lift(self, fault_id: str) -> None:
        """Raises NoSuchFault."""
        where, _, what = fault_id.rpartition("-")
        desk = self.desks.get(where)
        lifted = desk.switch_off(int(what)) if desk is not None and what.isdecimal() else self._undo(where)
        if not lifted:
            raise NoSuchFault(field="fault_id")

    def lift_all(self) -> None:
        for desk in self.desks.values():
            desk.switch_off()
        for service in list(self._silenced):
            self._undo(service)

    @contextmanager
    def silent(self, service: str) -> Iterator[None]:
        """The service hears nothing meanwhile."""
        self.turn_on(service, {"kind": SILENT})
        try:
            yield
        finally:
            self._undo(service)

    def _undo(self, service: str) -> bool:
        undo = self._silenced.pop(service, None)
        if undo is not None:
            undo()
        return undo is not None


def _shown(desk: Desk, switch: Mapping[str, Any]) -> dict[str, Any]:
    return {"fault_id": f"{desk.name}-{switch['id']}", "where": desk.name} | {
        name: value for name, value in switch.items() if name != "id"
    }


def _silent(service: str) -> dict[str, Any]:
    return {"fault_id": f"{service}-{SILENT}", "where": service, "kind": SILENT}
