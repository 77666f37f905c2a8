"""A recording: the bytes of the facts of one story, when each was said, and when each service heard it.

It is read from the publishers' event logs, and kept as a file of one JSON line per fact: ``said`` and ``heard`` are
machine time, ``event`` is the envelope, byte for byte. Personal data stays sealed, as it is in the log. Answers of the
outside world, where they were noted, are further lines, ``call``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec

from deploy.replay.calls import Called
from shared.contracts.event import Envelope, decode_envelope
from shared.storage import inspect
from shared.storage.database import Database

Stores = Mapping[str, Database]
FORMAT, WITH_CALLS = 1, 2


class Unreadable(ValueError):
    """The file is no recording, or one of a format that this release does not know."""


class _Head(msgspec.Struct):
    recording: int
    group_no: str
    until: datetime


class _Line(msgspec.Struct):
    said: datetime
    heard: dict[str, datetime]
    event: msgspec.Raw


class _CallLine(msgspec.Struct):
    call: Called


@dataclass(frozen=True)
class Recorded:
    """One fact: its `body` as it was published, when it was `said`, and by consumer when it was `heard`."""

    body: bytes
    said: datetime
    heard: Mapping[str, datetime]

    @cached_property
    def envelope(self) -> Envelope:
        return decode_envelope(self.body)

    @property
    def routing_key(self) -> str:
        return self.envelope.type.removeprefix("caravan.")

    @property
    def data(self) -> dict[str, Any]:
        found: dict[str, Any] = msgspec.json.decode(self.envelope.data)
        return found


@dataclass(frozen=True)
class Recording:
    """The story of one group, `until` a business time. `facts` are in the order in which they were said."""

    group_no: str
    until: datetime
    facts: tuple[Recorded, ...] = field(repr=False)
    calls: tuple[Called, ...] = field(default=(), repr=False)

    def said_by(self, publisher: str) -> Iterator[Recorded]:
        return (one for one in self.facts if one.envelope.publisher == publisher)

    def save(self, path: Path) -> None:
        head = msgspec.json.encode(_Head(WITH_CALLS if self.calls else FORMAT, self.group_no, self.until))
        facts = (msgspec.json.encode(_Line(one.said, dict(one.heard), msgspec.Raw(one.body))) for one in self.facts)
        calls = (msgspec.json.encode(_CallLine(one)) for one in self.calls)
        path.write_bytes(b"\n".join((head, *facts, *calls)) + b"\n")


def load(path: Path) -> Recording:
    """Raises Unreadable, naming the line."""
    number = 1
    try:
        head, *lines = path.read_bytes().splitlines()
        first = msgspec.json.decode(head, type=_Head)
        if first.recording not in (FORMAT, WITH_CALLS):
            raise Unreadable(f"{path.name}: format {first.recording}; this release reads {FORMAT} and {WITH_CALLS}")
        facts, calls = [], []
        for line in lines:
            number += 1
            if line.startswith(b'{"call":'):
                calls.append(msgspec.json.decode(line, type=_CallLine).call)
                continue
            one = msgspec.json.decode(line, type=_Line)
            facts.append(Recorded(bytes(one.event), one.said, one.heard))
    except (msgspec.MsgspecError, ValueError) as error:
        raise (
            error if isinstance(error, Unreadable) else Unreadable(f"{path.name}, line {number}: {error}")
        ) from error
    return Recording(first.group_no, first.until, tuple(facts), tuple(calls))


def record(stores: Stores, order_no: str, calls: Iterable[Called] = ()) -> Recording:
    """The story of the group that `order_no` (or a group's own number) belongs to, with what the services had to know
    of its goods and shops before, and those of the `calls` that were about it.

    Raises LookupError when nobody ever spoke of it."""
    group_no = order_no.partition("-")[0]
    found: dict[str, tuple[bytes, datetime]] = {}
    for database in stores.values():
        found |= {one.event_id: (one.body, one.said) for one in inspect.said_in(database, [group_no])}
    if not found:
        raise LookupError(f"nobody ever spoke of {group_no}")
    about = _about(body for body, _ in found.values())
    for database in stores.values():
        found |= {one.event_id: (one.body, one.said) for one in inspect.said_in(database, about)}
    heard: dict[str, dict[str, datetime]] = {event_id: {} for event_id in found}
    for name, database in stores.items():
        for event_id, moment in inspect.heard(database, name, list(found)).items():
            heard[event_id][name] = moment
    facts = [Recorded(body, said, heard[event_id]) for event_id, (body, said) in found.items()]
    facts.sort(key=lambda one: (one.said, one.envelope.id))
    until = max(inspect.business_now(database) for database in stores.values())
    return Recording(group_no, until, tuple(facts), tuple(one for one in calls if group_no in one.groups))


def _about(bodies: Iterable[bytes]) -> list[str]:
    """Partitions of the products and shops that facts speak of."""
    wanted: set[str] = set()
    for body in bodies:
        data = msgspec.json.decode(decode_envelope(body).data)
        wanted.add(str(data.get("seller_id") or ""))
        wanted |= {str(line.get("product_id") or "") for line in data.get("lines") or () if isinstance(line, dict)}
    return sorted(wanted - {""})
