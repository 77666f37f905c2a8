"""What happens when nothing happens: one deadline for every state that waits."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from services.order import store
from services.order.domain.group import Facts, OrderGroup
from shared.contracts.order import OrderStalled
from shared.messaging.subscriptions import Timers
from shared.storage.unit_of_work import UnitOfWork
from shared.telemetry import logs

due = Timers()


def look_at_shipping(group: OrderGroup, number: str, now: datetime) -> Facts:
    """It should have left by now: shown to the buyer, and somebody is told."""
    logs.get("order").warning("not_shipped_in_time", order_no=number)
    return group.not_shipped_in_time(number, "ShipDeadline", now)


# What each deadline is called in the table of moves.
TRIGGERS = {
    "placement_alert": "PlacementAlert",
    "placement": "PlacementDeadline",
    "pay_by": "PaymentDeadline",
    "arbiter": "ArbiterDeadline",
    "review": "ReviewDeadline",
    "ship_by": "ShipDeadline",
    "cancel_answer": "CancelAnswerDeadline",
    "receipt": "ReceiptDeadline",
    "after_sale_window": "AfterSaleWindowClosed",
}

DEEDS: dict[str, Callable[[OrderGroup, str, datetime], Facts]] = {
    "placement_alert": lambda group, _, now: group.placement_unanswered(now),
    "placement": lambda group, _, now: group.placement_overdue(now),
    "pay_by": lambda group, _, now: group.payment_deadline(now),
    "arbiter": lambda group, _, now: group.ask_again(now),
    "review": lambda group, number, now: group.review_overdue(number, now),
    "ship_by": look_at_shipping,
    "cancel_answer": lambda group, number, now: group.cancel_unanswered(number, now),
    "receipt": lambda group, number, now: group.receipt_overdue(number, now),
    "after_sale_window": lambda group, number, now: group.window_closed(number, now),
}


def _install(name: str, deed: Callable[[OrderGroup, str, datetime], Facts]) -> None:
    @due(name, lock=store.lock_by_number)
    def fire(tx: UnitOfWork, number: str) -> None:
        group = store.heard_of(tx, store.group_number_of(number))
        group.fired(number, name)
        told = deed(group, number, tx.now())
        for fact in told:
            if isinstance(fact, OrderStalled):
                logs.get("order").warning(fact.code, order_no=fact.order_no, waiting_for=fact.waiting_for)
        tx.emit(*told)


for _name, _deed in DEEDS.items():
    _install(_name, _deed)


@due("sweep_quotes", lock=lambda tx, days: None)
def sweep_quotes(tx: UnitOfWork, day: str) -> None:
    """Promises of prices that nobody can take up any more, with the addresses in them, are not kept."""
    if store.forget_quotes(tx):
        tx.set_timer(day, "sweep_quotes", tx.now())
