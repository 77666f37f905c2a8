"""Ids and numbers. UUIDv7 (RFC 9562) for ids, because time-ordered keys keep indexes and purges cheap."""

from __future__ import annotations

import secrets

import uuid_utils


def new_id() -> str:
    """A new UUIDv7 as text."""
    return str(uuid_utils.uuid7())


def born(one: str) -> float | None:
    """When this UUIDv7 was made, in seconds since the epoch on its maker's clock; None for what is none."""
    if len(one) != 36 or one[14] != "7":
        return None
    try:
        return int(one[:8] + one[9:13], 16) / 1000
    except ValueError:
        return None


def group_number() -> str:
    """``G`` and 16 digits, the last a Luhn check digit (ISO/IEC 7812-1): cannot be guessed, survives a typing slip."""
    digits = "".join(str(secrets.randbelow(10)) for _ in range(15))
    return f"G{digits}{luhn(digits)}"


def is_group_number(text: str) -> bool:
    """Whether `text` is well formed and its check digit right."""
    body = text[1:]
    return len(text) == 17 and text[0] == "G" and body.isdecimal() and body.isascii() and luhn(body[:-1]) == body[-1]


def luhn(digits: str) -> str:
    """The check digit for `digits`."""
    doubled = (sum(divmod(2 * int(d), 10)) if i % 2 == 0 else int(d) for i, d in enumerate(reversed(digits)))
    return str(-sum(doubled) % 10)
