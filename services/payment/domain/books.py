"""Double-entry book-keeping: every movement of money is a posting whose entries sum to zero.

Credits are positive, debits negative: an entry says what came into an account. The accounts of the outside
(`channel`, `cash`, `bank`) go down when money comes to us, so that minus their balance is what we hold there.
"""

from __future__ import annotations

from dataclasses import dataclass

CHANNEL, CASH, BANK = "channel", "cash", "bank"
ESCROW, SUSPENSE, REFUNDS = "escrow", "suspense", "refunds"
SELLER, COMMISSION, PAYOUTS = "seller", "commission", "payouts"


@dataclass(frozen=True)
class Entry:
    """`amount` minor units into (positive) or out of an account; `owner` is "" where there is only one."""

    family: str
    owner: str
    amount: int
    seller_id: str | None = None
    """The seller whose money this is, where it is one seller's."""


@dataclass(frozen=True)
class Posting:
    """Entries that are booked together, once per `key`. Raises ValueError when they do not sum to zero."""

    key: str
    kind: str
    payment_id: str
    currency: str
    entries: tuple[Entry, ...]
    order_no: str | None = None

    def __post_init__(self) -> None:
        if sum(entry.amount for entry in self.entries) != 0:
            raise ValueError(f"posting {self.key} is out of balance")


def posting(
    key: str, kind: str, payment_id: str, currency: str, *entries: Entry, order_no: str | None = None
) -> Posting:
    """A posting without its empty entries."""
    return Posting(key, kind, payment_id, currency, tuple(e for e in entries if e.amount), order_no)
