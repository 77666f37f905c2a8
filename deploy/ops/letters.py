"""The dead letters of all services in one list; one is named by its service and number, ``order-17``.

Errors and messages are shown to operators as they are: what is personal in a message is sealed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from deploy.fleet import FLEET
from deploy.ops.platform import Platform
from shared.kernel.errors import Invalid
from shared.messaging.dead_letters import PER_SECOND, NoSuchDeadLetter

Report = dict[str, Any]

STATUSES = ("dead", "failed", "held", "early", "started")
CHUNK = 500
MOST = 100_000


class SaysNothing(Invalid):
    """Name letters, or say which by service, fact or reason."""


def find(
    platform: Platform, *, service: str = "", status: str = "dead", fact: str = "", reason: str = "",
    limit: int = 50, after: str = "",
) -> list[Report]:  # fmt: skip
    """Without their messages, by service, oldest first; `after` is the last letter of the page before."""
    found: list[Report] = []
    last_service, last_no = _parted(after) if after else ("", 0)
    for one in FLEET:
        if (service and one.name != service) or one.name < last_service or len(found) >= limit:
            continue
        found += [
            _shown(one.name, row)
            for row in platform.letters(one.name).rows(
                statuses=(status,), kind=fact, reason=reason, limit=limit - len(found),
                after=last_no if one.name == last_service else 0,
            )
        ]  # fmt: skip
    return found


def show(platform: Platform, letter_id: str) -> Report:
    """With its message as text. Raises NoSuchDeadLetter."""
    service, no = _parted(letter_id)
    return _shown(service, platform.letters(service).show(no))


def retry(platform: Platform, letter_id: str, *, actor: str, why: str, request_id: str = "") -> Report:
    """Have it tried at once. Raises NoSuchDeadLetter."""
    service, no = _parted(letter_id)
    if not platform.letters(service, actor, why, request_id).retry([no]):
        raise NoSuchDeadLetter()
    return show_or_gone(platform, letter_id)


def retry_all(
    platform: Platform, *, actor: str, why: str, service: str = "", fact: str = "", reason: str = "",
    per_second: float = PER_SECOND, request_id: str = "",
) -> dict[str, int]:  # fmt: skip
    """Have all dead ones that match tried, so many a second in each service; answers how many, by service.

    Raises SaysNothing when nothing limits which.
    """
    if not (service or fact or reason):
        raise SaysNothing(field="reason")
    return {
        one.name: count
        for one in FLEET
        if one.name == service or not service
        if (count := _retry_of(platform, one.name, actor, why, fact, reason, per_second, request_id))
    }


def _retry_of(
    platform: Platform, service: str, actor: str, why: str, fact: str, reason: str, per_second: float, request_id: str
) -> int:
    letters = platform.letters(service, actor, why, request_id)
    done, after = 0, 0
    while done < MOST:
        rows = letters.rows(kind=fact, reason=reason, limit=CHUNK, after=after)
        if not rows:
            break
        done += letters.retry([row["no"] for row in rows], per_second=per_second, start=done / per_second)
        after = rows[-1]["no"]
    return done


def discard(platform: Platform, letter_id: str, *, actor: str, why: str, request_id: str = "") -> None:
    """Give up on it. Raises NoSuchDeadLetter."""
    service, no = _parted(letter_id)
    platform.letters(service, actor, why, request_id).discard(no)


def edit(
    platform: Platform, letter_id: str, *, actor: str, why: str, data: Any = None, message: Any = None,
    request_id: str = "",
) -> Report:  # fmt: skip
    """Put other data into it, or another whole message in its place, and have it tried.

    Raises NoSuchDeadLetter, NotDead, EditedMessageInvalid, SaysNothing unless exactly one of the two is given.
    """
    if (data is None) == (message is None):
        raise SaysNothing("give data or message", field="data")
    service, no = _parted(letter_id)
    letters = platform.letters(service, actor, why, request_id)
    if message is None:
        message = _decoded(letters.show(no)["body"]) | {"data": data}
    event_id = letters.edit(no, msgspec.json.encode(message))
    return {"letter_id": letter_id, "event_id": event_id}


def show_or_gone(platform: Platform, letter_id: str) -> Report:
    """The letter; or only its name and `handled`, when a worker was faster than we."""
    try:
        return show(platform, letter_id)
    except NoSuchDeadLetter:
        return {"letter_id": letter_id, "status": "handled"}


def _decoded(body: str) -> dict[str, Any]:
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.MsgspecError as error:
        raise SaysNothing("this message cannot be read: give a whole one", field="message") from error


def _shown(service: str, row: Report) -> Report:
    shown = {"letter_id": f"{service}-{row['no']}", "service": service} | row
    shown["fact"] = shown.pop("type")
    shown["subject"] = shown.pop("agg")
    return shown


def _parted(letter_id: str) -> tuple[str, int]:
    """``(service, number)``. Raises NoSuchDeadLetter."""
    service, _, number = letter_id.rpartition("-")
    if not (number.isascii() and number.isdecimal() and len(number) < 19) or service not in _names():
        raise NoSuchDeadLetter()
    return service, int(number)


def _names() -> Iterator[str]:
    return (one.name for one in FLEET)
