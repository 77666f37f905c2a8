"""Keys that sign access tokens: one at a time signs, its successor is made known before it does."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

ROTATE_AFTER = timedelta(days=29)
"""A successor is made when the newest key is this old."""
KNOWN_BEFORE_USE = timedelta(hours=1)
"""How long a successor is known to all services before it signs."""
SIGNS_FOR = timedelta(days=30)
VERIFIES_FOR = timedelta(days=31)


@dataclass(frozen=True)
class KeyRow:
    """A signing key as kept. `generation` counts up from 1; `sealed` is its private part, encrypted."""

    generation: int
    key_id: str
    created_at: datetime
    sealed: str

    def age(self, now: datetime) -> timedelta:
        return now - self.created_at


def signing_order(rows: list[KeyRow], now: datetime) -> list[KeyRow]:
    """Keys that may sign now, the one to take first; a key too young to be known everywhere comes last."""
    alive = sorted((row for row in rows if row.age(now) < SIGNS_FOR), key=lambda row: -row.generation)
    known = [row for row in alive if row.age(now) >= KNOWN_BEFORE_USE]
    return known + [row for row in alive[::-1] if row not in known]


def needs_successor(rows: list[KeyRow], now: datetime) -> bool:
    return not rows or max(rows, key=lambda row: row.generation).age(now) >= ROTATE_AFTER
