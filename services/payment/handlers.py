"""The event door: what payment does when others have spoken."""

from __future__ import annotations

from collections.abc import Sequence

from services.payment import store
from services.payment.commands import assessing, holding, paying, refunding
from services.payment.commands.carrying import of_order
from shared.contracts.account import SellerApproved, UserRegistered
from shared.contracts.event import Fact
from shared.contracts.order import (
    OrderAddressChanged,
    OrderCancellationRequested,
    OrderCancelled,
    OrderClosed,
    OrderCompleted,
    OrderConfirmed,
    OrderPaymentDeadlineReached,
    OrderPaymentRequested,
    OrderPlaced,
    OrderPriceAdjusted,
    ReceiptConfirmed,
)
from shared.contracts.refunds import RefundRequested
from shared.contracts.shipping import CashCollected, DeliveryRefused
from shared.messaging.subscriptions import Subscriptions
from shared.storage.unit_of_work import UnitOfWork

on = Subscriptions("payment")
_ABOUT_THE_GROUP = (OrderPaymentRequested, OrderPaymentDeadlineReached)
_ABOUT_AN_ORDER = (
    OrderPriceAdjusted, OrderAddressChanged, OrderCancellationRequested, OrderCancelled, OrderClosed,
    OrderCompleted,
    ReceiptConfirmed, RefundRequested, OrderConfirmed, CashCollected, DeliveryRefused,
)  # fmt: skip


@on.batch
def lock_payments(batch: Sequence[Fact], tx: UnitOfWork) -> None:
    """Every payment the batch may move, in one order; and what its new payments and assessments have to know."""
    wanted: set[str] = set()
    for fact in batch:
        if isinstance(fact, _ABOUT_THE_GROUP):
            wanted.update(store.candidates(fact.group_no))
        elif isinstance(fact, _ABOUT_AN_ORDER):
            wanted.update(store.candidates(fact.group_no, fact.order_no))
    store.payments.lock(tx, sorted(wanted))
    store.load_habits(tx, (fact.buyer_id for fact in batch if isinstance(fact, OrderPlaced)))
    store.load_terms(
        tx,
        [share.seller_id for fact in batch if isinstance(fact, OrderPaymentRequested) for share in fact.orders]
        + [fact.seller_id for fact in batch if isinstance(fact, OrderConfirmed) and fact.cod_amount],
    )


@on(OrderPlaced)
def assess_risk(event: OrderPlaced, tx: UnitOfWork) -> None:
    """Weigh the order; it waits for our word."""
    assessing.assess(tx, event)


@on(OrderPaymentRequested)
def expect_payment(event: OrderPaymentRequested, tx: UnitOfWork) -> None:
    """The group may be paid from now on."""
    paying.expect_payment(tx, event)


@on(OrderPriceAdjusted, OrderAddressChanged)
def ask_another_price(event: OrderPriceAdjusted | OrderAddressChanged, tx: UnitOfWork) -> None:
    """Another sum is due; an open attempt keeps its own."""
    paying.adjust(tx, event.group_no, event.order_no, event.new_payable)


@on(OrderPaymentDeadlineReached)
def answer_deadline(event: OrderPaymentDeadlineReached, tx: UnitOfWork) -> None:
    """Close what is open, then say which it is: paid, or never any more."""
    paying.arbitrate(tx, event.group_no, list(event.order_nos))


@on(OrderCancellationRequested)
def answer_cancellation(event: OrderCancellationRequested, tx: UnitOfWork) -> None:
    """The same for one order of a group; a paid one is shipping's business."""
    if event.stage == "unpaid":
        paying.arbitrate(tx, event.group_no, [event.order_no])


@on(OrderCancelled, OrderClosed)
def drop_order(event: OrderCancelled | OrderClosed, tx: UnitOfWork) -> None:
    """The order ended: nobody is to pay for it any more, here or at the door."""
    payment = of_order(tx, event.group_no, event.order_no)
    if payment is None:
        return
    if payment.cod:
        holding.void(tx, payment)
    else:
        paying.drop(tx, payment, event.order_no)


@on(OrderConfirmed)
def expect_cash(event: OrderConfirmed, tx: UnitOfWork) -> None:
    """A cash order is on its way: its couriers will collect."""
    if event.cod_amount:
        holding.expect_cash(tx, event)


@on(CashCollected)
def count_cash(event: CashCollected, tx: UnitOfWork) -> None:
    """A courier took money; the order is paid when all of them have."""
    holding.collect(tx, event)


@on(ReceiptConfirmed)
def release_soon(event: ReceiptConfirmed, tx: UnitOfWork) -> None:
    """The seller is paid an hour from now."""
    holding.receive(tx, event.group_no, event.order_no)


@on(OrderCompleted)
def release_holdback(event: OrderCompleted, tx: UnitOfWork) -> None:
    """Nothing can come back any more; the rest is the seller's."""
    holding.complete(tx, event.group_no, event.order_no)


@on(RefundRequested)
def give_money_back(event: RefundRequested, tx: UnitOfWork) -> None:
    """Once per refund id, whoever asks and however often."""
    refunding.give_back(tx, event)


@on(SellerApproved)
def keep_terms(event: SellerApproved, tx: UnitOfWork) -> None:
    """The commission and holdback of the orders this shop sells from now on."""
    store.keep_terms(tx, event.seller_id, event.commission_bp, event.holdback_bp)


@on(UserRegistered)
def note_newcomer(event: UserRegistered, tx: UnitOfWork) -> None:
    """New accounts are watched more closely."""
    store.note_buyer(tx, event.account_id)


@on(DeliveryRefused)
def note_refusal(event: DeliveryRefused, tx: UnitOfWork) -> None:
    """Who refuses cash orders at the door gets no more of them."""
    if event.cod:
        holding.refuse(tx, event)
