"""When something is to be done about a payment if nothing happens: it follows from the payment's state."""

from __future__ import annotations

from datetime import datetime, timedelta

from services.payment.domain.model import Payment

POLLS = (timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=15), timedelta(minutes=60))
POLLS_LATER = timedelta(days=1)
RETRIES = (
    timedelta(minutes=1),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=12),
)
RELEASE_AFTER = timedelta(hours=1)
CASH_GRACE = timedelta(days=2)
"""So long after the receipt cash may still be told of: a day after a delivery without it the carrier is asked."""


def next_poll(since: datetime, polls: int) -> datetime:
    """When to ask the channel for the (`polls` + 1)-th time about something that began at `since`."""
    later = polls - len(POLLS) + 1
    return since + (POLLS[polls] if later <= 0 else POLLS[-1] + later * POLLS_LATER)


def deadlines(payment: Payment) -> dict[str, datetime]:
    """The moment of each timer that has to run, by name."""
    moments: dict[str, list[datetime]] = {
        "poll": [
            next_poll(attempt.opened_at, attempt.polls)
            for attempt in payment.attempts
            if attempt.state == "open" and attempt.opened_at
        ]
        + [refund.next_at for refund in payment.refunds if refund.state == "INITIATED" and refund.next_at],
        "retry_refund": [r.next_at for r in payment.refunds if r.state == "FAILED" and r.next_at],
        "release": [split.release_at for split in payment.splits if split.releasable and split.release_at],
        "settle_cash": [payment.settle_at] if payment.settle_at else [],
    }
    return {name: min(found) for name, found in moments.items() if found}
