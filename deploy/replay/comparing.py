"""What is compared at the end of a replay: the state of a group, and what was said of it, as lines of text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

import msgspec

from shared.contracts.event import Envelope
from shared.storage.copies import Tables

COUNTED = ("no", "id", "generation", "version", "causation_id", "cause", "placed_at")
"""Columns that say how something was written down, not what is true."""
SEALED = ("delivery",)
"""Sealed values are in no fact before they are needed."""
UNTOLD = ("quote",)
"""Tables that are not compared: nobody is told of what they hold."""
HISTORIES = ("order_history",)
"""Tables that are not compared when facts were shuffled: another order of the same facts is another history."""


def state_of(held: Tables, group_no: str, *, histories: bool = True) -> list[str]:
    """Every value of every row that has to do with the group, one a line, moments apart."""
    lines = []
    aside = UNTOLD if histories else UNTOLD + HISTORIES
    for table, rows in held.items():
        for row in rows if table not in aside else ():
            plain = {name: _read(value) for name, value in row.items() if name not in COUNTED}
            if group_no in _text(plain):
                key = next((one for one in plain.values() if isinstance(one, str) and group_no in one), "")
                lines += [f"{table} {key}{path} = {value}" for path, value in _leaves(_plain(plain))]
    return sorted(lines)


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if not inner:
        yield path, _text(value)
        return
    for name, one in inner:
        yield from _leaves(one, f"{path}.{name}" if isinstance(name, str) else f"{path}[{name}]")


def facts_of(said: Iterable[Envelope], group_no: str) -> list[str]:
    """What was said of the group: by subject, in no order, since independent facts have none; moments apart."""
    return sorted(
        f"{one.subject} {one.fact_name} {_text(_plain(msgspec.json.decode(one.data)))}"
        for one in said
        if one.partitionkey == group_no
    )


def as_text(value: Any) -> str:
    """A value in a form that can be compared, moments and counters apart."""
    return _text(_plain(value))


def _read(value: Any) -> Any:
    return msgspec.json.decode(value) if isinstance(value, bytes) else value


def _plain(value: Any, name: str = "") -> Any:
    if name in SEALED:
        return "<sealed>"
    if isinstance(value, dict):
        return {key: _plain(inner, key) for key, inner in value.items() if key not in COUNTED}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, datetime) or (isinstance(value, str) and _is_moment(value)):
        return "<moment>"
    return value


def _is_moment(text: str) -> bool:
    if len(text) < 20 or text[4] != "-" or "T" not in text:
        return False
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


def _text(value: Any) -> str:
    return msgspec.json.encode(value, order="deterministic").decode()


def changed(before: Sequence[str], after: Sequence[str]) -> list[str]:
    were, are = Counter(before), Counter(after)
    return [f"- {line}" for line in sorted((were - are).elements())] + [
        f"+ {line}" for line in sorted((are - were).elements())
    ]
