"""How a story ended: every row of every service that has to do with it, told alike whichever world it happened in.

Ids, moments and the order of things are another's each time; names are given to those that the story knows.
"""

from __future__ import annotations

import fcntl
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from deploy.fleet import FLEET
from deploy.replay.comparing import COUNTED, HISTORIES, UNTOLD, changed
from deploy.story.people import Grounds
from shared.storage.copies import copy

SECRET = ("password_hash", "fingerprint", "token_hash")
"""Columns in which everybody has something else."""
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:?\d\d)?")
_OPAQUE = re.compile(r"(?=(?:[^\W\d]*[.:-]*\d){4})[\w.:-]{10,}=*")
"""What nobody made up: ten signs or more, four of them digits."""


def names_of(groups: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """By which to find all that has to do with these groups and their orders, in the order of their placing."""
    names = {}
    for number, group in enumerate(groups, 1):
        names[group["group_no"]] = f"GROUP {number}"
        names |= {order["order_no"]: f"ORDER {number}.{index}" for index, order in enumerate(group["orders"], 1)}
    return names


def end_of(grounds: Grounds, known: Mapping[str, str], others: Mapping[str, str]) -> list[str]:
    """One line a row, sorted. `known`: the ids by which the story's rows are found, with a name for each; `others`:
    names of more that may stand in them. Facts may come in another order, so histories are left out, and quotes, which
    are forgotten at any time."""
    names = {**known, **others}
    lines = []
    for member in FLEET:
        tables = [one for one in member.service.metadata.sorted_tables if one.name not in HISTORIES + UNTOLD]
        for table, rows in copy(grounds.stores[member.name], tables).items():
            for row in rows:
                read = {name: _read(value) for name, value in row.items() if name not in COUNTED + SECRET}
                text = msgspec.json.encode(read).decode()
                if any(one in text for one in known):
                    lines.append(f"{member.name} {table} {_text(_alike(read, names))}")
    return sorted(lines)


def _read(value: Any) -> Any:
    if not isinstance(value, bytes):
        return value
    try:
        return msgspec.json.decode(value)
    except msgspec.MsgspecError:
        return "<bytes>"


def _alike(value: Any, known: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {_alike(key, known): _alike(one, known) for key, one in value.items() if key not in COUNTED}
    if isinstance(value, list | tuple):
        return sorted((_alike(one, known) for one in value), key=_text)
    if isinstance(value, datetime):
        return "<moment>"
    if not isinstance(value, str):
        return value
    for one, name in known.items():
        value = value.replace(one, name)
    return _OPAQUE.sub("<id>", _MOMENT.sub("<moment>", value))


def _text(value: Any) -> str:
    return msgspec.json.encode(value, order="deterministic").decode()


def compare_ends(
    folder: Path, grounds: Grounds, name: str, known: Mapping[str, str], others: Mapping[str, str] | None = None
) -> None:
    """The story ended as it did in the other world, if that was told in this run; else it is remembered for it in the
    run's `folder`. `known`, `others`: see `end_of`."""
    world, lines = type(grounds).__name__, end_of(grounds, known, others or {})
    assert lines, "nothing is left of the story"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{name}.json").open("a+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        told = msgspec.json.decode(file.read() or b"{}")
        for other in told.keys() - {world}:
            differences = changed(told[other], lines)
            assert not differences, "\n".join([f"{other} (-) and {world} (+) ended differently:", *differences])
        file.truncate(0)
        file.write(msgspec.json.encode(told | {world: lines}))
