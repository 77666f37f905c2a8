"""What a carrier's report does to a shipment that has left: one small rule for each kind of report."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from services.shipping.domain.reports import Report
from services.shipping.domain.shipment import Shipment
from shared.contracts.event import Fact
from shared.contracts.shipping import (
    CashCollected,
    Delivered,
    DeliveryFailed,
    DeliveryRefused,
    ReturnedToSender,
    TrackingUpdated,
)

Rule = Callable[[Shipment, Report, datetime], list[Fact]]


def hear(shipment: Shipment, report: Report, now: datetime) -> list[Fact]:
    """Take a report, in the carrier's order; one that was heard before says nothing."""
    if report.sequence > shipment.heard and all(report.sequence != one.sequence for one in shipment.waiting):
        shipment.waiting.append(report)
    return catch_up(shipment, now)


def catch_up(shipment: Shipment, now: datetime) -> list[Fact]:
    """Take the waiting reports whose turn it is."""
    facts: list[Fact] = []
    if shipment.booking is None or shipment.booking.status != "booked":
        return facts
    while due := [one for one in shipment.waiting if one.sequence == shipment.heard + 1]:
        shipment.waiting.remove(due[0])
        shipment.scans.append(due[0])
        shipment.heard += 1
        shipment.news_at = now
        facts += _apply(shipment, due[0], now)
    return facts


def _apply(shipment: Shipment, report: Report, now: datetime) -> list[Fact]:
    """The facts of one report, taken in its turn.

    A scan of a packed shipment proves that the carrier has it: it counts as the hand-over nobody noted. A
    report about a shipment that ended otherwise is kept, and an operator looks at it.
    """
    facts: list[Fact] = []
    if shipment.state == "PACKED":
        facts.append(shipment.leave(now))
    shipment.tracking_status = report.status
    if shipment.attention == "no_scan":
        shipment.attention = ""
    if report.kind == "cash":
        return facts + _cash(shipment, report, now)
    if not shipment.underway:
        shipment.attention = "moving_after_end"
        return facts
    return facts + RULES[report.kind](shipment, report, now)


def _moved(shipment: Shipment, report: Report, now: datetime) -> list[Fact]:
    return [
        TrackingUpdated(
            **shipment.names("buyer_id", "carrier"),
            tracking_no=shipment.tracking_no, status=report.status, location=report.location,
            at=report.at, raw_ref=f"{shipment.booking_ref}#{report.sequence}", eta=shipment.eta,
        )
    ]  # fmt: skip


def _delivered(shipment: Shipment, report: Report, now: datetime) -> list[Fact]:
    # A carrier whose clock is wrong must not shorten or lengthen the buyer's time to look at the goods.
    shipment.ended_at = min(max(report.at, shipment.shipped_at or now), now)
    shipment.state = "DELIVERED"
    if shipment.attention == "carrier_reports_lost":
        shipment.attention = ""
    names = shipment.names("buyer_id", "kind", "lines")
    return [Delivered(**names, delivered_at=shipment.ended_at, signed_by=report.signed_by)]


def _failed(shipment: Shipment, report: Report, now: datetime) -> list[Fact]:
    shipment.attempts += 1
    names = shipment.names("buyer_id")
    return [DeliveryFailed(**names, attempt=shipment.attempts, reason=report.reason, at=report.at)]


def _refused(shipment: Shipment, report: Report, now: datetime) -> list[Fact]:
    shipment.state, shipment.refused = "RETURNING", True
    cod = shipment.cod_amount > 0
    return [DeliveryRefused(**shipment.names("buyer_id"), reason=report.reason, cod=cod, at=report.at)]


def _returned(shipment: Shipment, report: Report, now: datetime) -> list[Fact]:
    shipment.state, shipment.ended_at = "RETURNED_TO_SENDER", now
    return [
        ReturnedToSender(
            **shipment.names("buyer_id", "kind", "warehouse_id", "lines"),
            reason="refused" if shipment.refused else "undeliverable",
            cod=shipment.cod_amount > 0, received_at=now,
        )
    ]  # fmt: skip


def _lost(shipment: Shipment, report: Report, now: datetime) -> list[Fact]:
    """The carrier's word alone moves nothing: an operator declares the loss."""
    shipment.attention = "carrier_reports_lost"
    return _moved(shipment, report, now)


def _cash(shipment: Shipment, report: Report, now: datetime) -> list[Fact]:
    """Payment compares the sum: what was taken is said as it was taken, once."""
    if shipment.cash or not shipment.cod_amount or report.currency != shipment.currency:
        shipment.attention = "unexpected_cash"
        return []
    shipment.cash = report.amount
    if shipment.attention == "cash_missing":
        shipment.attention = ""
    return [
        CashCollected(
            **shipment.names("buyer_id", "currency", "carrier"),
            amount=report.amount, method=report.method, collected_at=report.at,
        )
    ]  # fmt: skip


RULES: dict[str, Rule] = {
    "moved": _moved,
    "delivered": _delivered,
    "failed": _failed,
    "refused": _refused,
    "returned": _returned,
    "lost": _lost,
}
