"""What happens when nothing happens: one deadline for every state that waits."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from services.order import store
from services.order.domain import policy
from services.order.domain.group import Facts, OrderGroup
from services.order.domain.states import State
from shared.messaging.subscriptions import Timers
from shared.storage.unit_of_work import UnitOfWork
from shared.telemetry import logs

due = Timers()


def placement_alert(group: OrderGroup, number: str, now: datetime) -> Facts:
    """Half a minute and not every answer is in: shown as `blocked_because`, and somebody is told."""
    logs.get("order").warning("placement_unanswered", group_no=number)
    return []


def look_at_review(group: OrderGroup, number: str, now: datetime) -> Facts:
    """Nobody reviewed it in a day: it goes on, is refused, or somebody is told."""
    told = group.review_overdue(number, now)
    if group.order(number).state is State.AWAITING_REVIEW:
        logs.get("order").warning("review_unanswered", order_no=number)
    return told


def ask_again(group: OrderGroup, number: str, now: datetime) -> Facts:
    """Payment did not answer: ask again; after a while somebody is told."""
    if group.asked_since and now - group.asked_since >= policy.ALERT_ARBITER_AFTER:
        logs.get("order").error("arbiter_unanswered", group_no=number, since=str(group.asked_since))
    return group.ask_again(now)


def ask_shipping_again(group: OrderGroup, number: str, now: datetime) -> Facts:
    """Shipping did not answer: ask again, and say so."""
    told = group.cancel_unanswered(number, now)
    if told:
        logs.get("order").warning("cancel_unanswered", order_no=number)
    return told


def look_at_shipping(group: OrderGroup, number: str, now: datetime) -> Facts:
    """It should have left by now: shown to the buyer, and somebody is told."""
    logs.get("order").warning("not_shipped_in_time", order_no=number)
    return group.not_shipped_in_time(number, "ShipDeadline", now)


# What each deadline is called in the table of moves; `placement_alert` moves nothing.
TRIGGERS = {
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
    "placement_alert": placement_alert,
    "placement": lambda group, _, now: group.placement_overdue(now),
    "pay_by": lambda group, _, now: group.payment_deadline(now),
    "arbiter": ask_again,
    "review": look_at_review,
    "ship_by": look_at_shipping,
    "cancel_answer": ask_shipping_again,
    "receipt": lambda group, number, now: group.receipt_overdue(number, now),
    "after_sale_window": lambda group, number, now: group.window_closed(number, now),
}


def _install(name: str, deed: Callable[[OrderGroup, str, datetime], Facts]) -> None:
    @due(name, lock=store.lock_by_number)
    def fire(tx: UnitOfWork, number: str) -> None:
        group = store.heard_of(tx, store.group_number_of(number))
        group.fired(number, name)
        tx.emit(*deed(group, number, tx.now()))


for _name, _deed in DEEDS.items():
    _install(_name, _deed)


@due("sweep_quotes", lock=lambda tx, days: None)
def sweep_quotes(tx: UnitOfWork, day: str) -> None:
    """Promises of prices that nobody can take up any more, with the addresses in them, are not kept."""
    if store.forget_quotes(tx):
        tx.set_timer(day, "sweep_quotes", tx.now())
