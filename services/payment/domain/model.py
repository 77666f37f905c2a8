"""A payment: what is owed for which orders, the attempts to pay it, the money that came, and where it is now.

One payment belongs to one order group (its orders are its splits), or, with cash on delivery, to one order.
It is one aggregate: whoever moves a group's money holds this row, so that a callback, a query, a deadline and
a refund that come together take turns. Its status follows from what it holds, so it cannot contradict it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from services.payment.domain.books import Posting
from services.payment.domain.refusals import AnotherSum
from shared.contracts.event import Fact
from shared.contracts.lines import PaidMethod, RefundLine
from shared.contracts.payment import RefundCause

Status = Literal[
    "INITIATED", "PENDING", "CONFIRMED", "PARTIALLY_REFUNDED", "REFUNDED", "EXPIRED", "SUSPENSE",
    "COD_PENDING", "COD_VOID",
]  # fmt: skip
Display = Literal["redirect", "qr", "app", "form", "none"]
AttemptState = Literal["opening", "open", "paid", "mismatched", "failed", "closed"]
RefundState = Literal["INITIATED", "FAILED", "COMPLETED", "NEEDS_OTHER_ROUTE", "REFUSED"]


@dataclass(frozen=True)
class Money:
    """A capture as a channel tells it: `txn` is the channel's number for it and occurs once."""

    txn: str
    amount: int
    currency: str
    at: datetime


Asked = tuple[int, str]
"""Minor units and currency that a channel says it was asked for; None where we answer in its place."""


def is_about(asked: Asked | None, amount: int, currency: str) -> None:
    """Raises AnotherSum where the channel speaks of something else than it was asked for."""
    if asked is not None and asked != (amount, currency):
        raise AnotherSum()


@dataclass(frozen=True)
class Charge:
    """The true state of one attempt at its channel."""

    charge_id: str
    key: str
    status: Literal["pending", "paid", "failed", "closed"]
    display: Display
    display_value: str
    captures: tuple[Money, ...]
    code: str = ""
    """Why it failed or was closed."""
    asked: Asked | None = None


@dataclass(frozen=True)
class Refused:
    """A channel's final no; nothing was done."""

    code: str


@dataclass(frozen=True)
class SentBack:
    """The true state of one refund at its channel; `key` is the one it was asked for with."""

    key: str
    status: Literal["succeeded", "failed", "pending"]
    code: str = ""
    asked: Asked | None = None


@dataclass(frozen=True)
class Call:
    """An outside call to be made once this is committed."""

    kind: str
    key: str
    data: dict[str, object]


@dataclass
class Attempt:
    """`shares` (minor units by order number) are frozen: an open attempt never asks for another sum."""

    no: int
    method: PaidMethod
    channel: str
    instrument: str
    amount: int
    shares: dict[str, int]
    expires_at: datetime
    state: AttemptState = "opening"
    unwanted: bool = False
    """Replaced by another, or the payment is closing: it is closed at the channel, or paid if that was first.
    """
    charge_id: str = ""
    display: Display = "none"
    display_value: str = ""
    opened_at: datetime | None = None
    polls: int = 0
    code: str = ""

    @property
    def live(self) -> bool:
        return self.state in ("opening", "open")


@dataclass
class Capture:
    """Money that came. `kept`: it paid the splits; otherwise it went to suspense and is sent back."""

    txn: str
    attempt_no: int
    amount: int
    currency: str
    at: datetime
    kept: bool


@dataclass
class Split:
    """One order's share, and its escrow. Amounts are minor units of the payment's currency."""

    order_no: str
    seller_id: str
    payable: int
    due: bool = True
    """Still to be paid; not any more once paid or dropped."""
    paid: bool = False
    captured: int = 0
    refunding: int = 0
    refunded: int = 0
    commission_bp: int | None = None
    holdback_bp: int = 0
    cash_in: bool = True
    """False while a courier's cash has not been remitted."""
    received: bool = False
    completed: bool = False
    release_at: datetime | None = None
    released_at: datetime | None = None
    gross: int = 0
    commission: int = 0
    """Of what was released and has not gone back since."""
    net: int = 0
    """Paid to the seller so far, a later holdback included."""
    holdback: int = 0
    """Still in escrow after the release."""
    debited: int = 0
    """Taken back from the seller's balance for refunds after the release."""

    @property
    def refundable(self) -> int:
        return self.captured - self.refunding - self.refunded

    @property
    def releasable(self) -> bool:
        return self.paid and self.cash_in and self.release_at is not None and self.released_at is None

    @property
    def in_escrow(self) -> int:
        return self.holdback if self.released_at else self.refundable


@dataclass
class Refund:
    """`tries` calls were asked for; each after a definite failure has a key of its own."""

    refund_id: str
    amount: int
    currency: str
    channel: str
    cause: RefundCause
    initiated_at: datetime
    reason: str = ""
    txn: str = ""
    """The capture it is paid back from."""
    charge_id: str = ""
    order_no: str | None = None
    seller_id: str | None = None
    case_id: str | None = None
    lines: list[RefundLine] = field(default_factory=list)
    freight: int = 0
    state: RefundState = "INITIATED"
    tries: int = 1
    code: str = ""
    next_at: datetime | None = None
    """When it is tried again (failed) or asked about (pending at its channel)."""
    pending_since: datetime | None = None
    polls: int = 0
    to: Literal["original", "wallet", "bank"] = "original"
    ended_at: datetime | None = None

    @property
    def key(self) -> str:
        return f"refund:{self.refund_id}" + (f":{self.tries}" if self.tries > 1 else "")


@dataclass
class Ask:
    """The order asked whether these were paid; it is answered once every attempt has ended at its channel."""

    order_nos: list[str]
    event_id: str


@dataclass
class Payment:
    """See the module. `deadlines` are the timers as they are set now, by name."""

    payment_id: str
    group_no: str
    buyer_id: str
    currency: str
    splits: list[Split]
    cod: bool = False
    pay_by: datetime | None = None
    methods: list[PaidMethod] = field(default_factory=list)
    attempts: list[Attempt] = field(default_factory=list)
    captures: list[Capture] = field(default_factory=list)
    refunds: list[Refund] = field(default_factory=list)
    asks: list[Ask] = field(default_factory=list)
    collections: list[str] = field(default_factory=list)
    """Shipments whose courier took money at the door."""
    carrier: str = ""
    settle_at: datetime | None = None
    """When what couriers have told of by then is taken for all of it."""
    settled: bool = False
    refused: bool = False
    """At the door, for no fault of the goods."""
    confirmed: bool = False
    deadlines: dict[str, datetime] = field(default_factory=dict)

    def split(self, order_no: str | None) -> Split | None:
        return next((split for split in self.splits if split.order_no == order_no), None)

    def attempt(self, no: int) -> Attempt | None:
        return next((attempt for attempt in self.attempts if attempt.no == no), None)

    def refund(self, refund_id: str) -> Refund | None:
        return next((refund for refund in self.refunds if refund.refund_id == refund_id), None)

    @property
    def due(self) -> list[Split]:
        return [split for split in self.splits if split.due]

    @property
    def payable(self) -> int:
        """What is still to be paid, minor units."""
        return sum(split.payable for split in self.due)

    @property
    def captured(self) -> int:
        """What came for its orders, minor units."""
        return sum(split.captured for split in self.splits)

    @property
    def refunded(self) -> int:
        return sum(split.refunded for split in self.splits)

    @property
    def live(self) -> list[Attempt]:
        return [attempt for attempt in self.attempts if attempt.live]

    @property
    def kept(self) -> Capture | None:
        return next((capture for capture in self.captures if capture.kept), None)

    @property
    def in_suspense(self) -> bool:
        """Odd money is on its way back."""
        return any(r.order_no is None and r.state not in ("COMPLETED", "REFUSED") for r in self.refunds)

    @property
    def status(self) -> Status:
        return next(status for status, holds in _STATUS if holds(self))


_STATUS: tuple[tuple[Status, Callable[[Payment], bool]], ...] = (
    ("COD_PENDING", lambda p: p.cod and not p.confirmed and bool(p.due)),
    ("COD_VOID", lambda p: p.cod and not p.captured),
    ("REFUNDED", lambda p: p.confirmed and 0 < p.captured == p.refunded),
    ("PARTIALLY_REFUNDED", lambda p: p.confirmed and p.refunded > 0),
    ("CONFIRMED", lambda p: p.confirmed or p.cod),
    ("EXPIRED", lambda p: not p.due),
    ("PENDING", lambda p: any(a.state == "open" for a in p.attempts)),
    ("SUSPENSE", lambda p: p.in_suspense),
    ("INITIATED", lambda p: True),
)
"""The first that holds."""


@dataclass
class Outcome:
    """What a decision leads to beside the changed payment; carried out in the same transaction."""

    facts: list[Fact] = field(default_factory=list)
    postings: list[Posting] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    refunds: list[Refund] = field(default_factory=list)
    """Those that are new or moved."""

    def tell(self, *facts: Fact) -> None:
        self.facts += facts


def online_id(group_no: str) -> str:
    """The one payment of an order group."""
    return f"pay_{group_no}"


def cod_id(order_no: str) -> str:
    """The one payment of an order that is paid in cash at the door."""
    return f"pay_{order_no}"
