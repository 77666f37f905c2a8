"""What inventory does when others have spoken: set goods aside, make them firm, let them go.

One batch locks all it will write before its first write: reservations, then the shelves of all their SKUs.
The handlers then decide in memory, and what they changed is written once, in bulk.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from services.inventory import store
from services.inventory.domain.plan import Wanted
from services.inventory.domain.reservation import FIRST_HOLD, REVIEW_GRACE, SAFETY, Reservation, sale
from services.inventory.domain.returned import Return
from services.inventory.timers import HOLD_ENDS
from shared.contracts.catalog import ProductDelisted, ProductListed, ProductSubmitted, ProductUpdated
from shared.contracts.event import Fact
from shared.contracts.order import (
    OrderCancelled,
    OrderClosed,
    OrderConfirmed,
    OrderHeldForReview,
    OrderLinesCancelled,
    OrderPaymentRequested,
    OrderPlaced,
)
from shared.contracts.payment import PaymentInitiated
from shared.contracts.shipping import ReturnedToSender, Shipped
from shared.kernel.errors import TooEarly
from shared.messaging.subscriptions import Subscriptions
from shared.storage.unit_of_work import UnitOfWork

on = Subscriptions("inventory")


@on.batch
def lock_stock(facts: Sequence[Fact], tx: UnitOfWork) -> None:
    """All reservations, returns and stock this batch may touch, with a statement for each whatever its size."""
    orders: set[str] = set()
    back: set[str] = set()
    skus: set[str] = set()
    for fact in facts:
        match fact:
            case OrderPlaced() | OrderConfirmed():
                orders.add(fact.order_no)
                skus.update(line.sku for line in fact.lines)
            case OrderCancelled() | OrderLinesCancelled() | OrderClosed() | OrderHeldForReview():
                orders.add(fact.order_no)
            case Shipped():
                orders.add(fact.order_no)
                skus.update(line.sku for line in fact.lines)
            case ReturnedToSender():
                orders.add(fact.order_no)
                back.add(fact.shipment_id)
            case OrderPaymentRequested():
                orders.update(share.order_no for share in fact.orders)
            case PaymentInitiated():
                orders.update(fact.order_nos)
            case ProductSubmitted() | ProductListed() | ProductUpdated():
                skus.update(offer.sku for offer in fact.skus)
            case _:
                pass
    if orders:
        for reservation in store.reservations.lock(tx, sorted(map(sale, orders))):
            skus |= reservation.skus
    if back:
        store.returns.lock(tx, sorted(back))
    if skus:
        store.lock_shelves(tx, skus)


# --- what there is to sell --------------------------------------------------------------------------------


@on(ProductSubmitted)
def learn_skus(event: ProductSubmitted, tx: UnitOfWork) -> None:
    """From now on the seller may put in stock of these."""
    _keep(tx, event, listed=False)


@on(ProductListed)
def note_listed(event: ProductListed, tx: UnitOfWork) -> None:
    _keep(tx, event, listed=True)


@on(ProductUpdated)
def note_updated(event: ProductUpdated, tx: UnitOfWork) -> None:
    """A product may have gained SKUs. One that it lost keeps its stock: what lies there does not vanish."""
    _keep(tx, event, listed=event.listed)


@on(ProductDelisted)
def note_delisted(event: ProductDelisted, tx: UnitOfWork) -> None:
    """Off sale; orders that were placed before keep what they were promised."""
    store.note_delisted(tx, event.product_id, event.seller_id)


def _keep(tx: UnitOfWork, event: ProductSubmitted | ProductListed | ProductUpdated, *, listed: bool) -> None:
    skus = [offer.sku for offer in event.skus]
    store.keep_skus(tx, event.product_id, event.seller_id, event.title, skus, listed=listed)


# --- an order is placed: hold, and hold on ----------------------------------------------------------------


@on(OrderPlaced)
def reserve(event: OrderPlaced, tx: UnitOfWork) -> None:
    """Set the goods of the whole order aside, or say which are short. Nothing for one that was cancelled
    before.
    """
    if store.reservations.find(tx, sale(event.order_no)) is not None:
        return
    reservation = store.reservations.add(tx, _empty(event))
    reservation.wanted = [Wanted(line_id=one.line_id, sku=one.sku, qty=one.qty) for one in event.lines]
    answer = reservation.take(store.shelves(tx), max(event.placed_at, tx.now()) + FIRST_HOLD)
    _watch(tx, reservation)
    _tell(tx, answer)


@on(OrderPaymentRequested)
def hold_while_payable(event: OrderPaymentRequested, tx: UnitOfWork) -> None:
    """The buyer may pay until `pay_by`, be it in minutes or, by bank transfer, in days."""
    _hold_on(tx, [share.order_no for share in event.orders], event.pay_by + SAFETY)


@on(PaymentInitiated)
def hold_while_paying(event: PaymentInitiated, tx: UnitOfWork) -> None:
    """Nobody loses the goods while on the payment page."""
    _hold_on(tx, event.order_nos, event.expires_at + SAFETY)


@on(OrderHeldForReview)
def hold_while_reviewed(event: OrderHeldForReview, tx: UnitOfWork) -> None:
    """Paid, or cash on delivery: a human decides, and the goods wait."""
    _hold_on(tx, [event.order_no], event.review_by + REVIEW_GRACE + SAFETY)


def _hold_on(tx: UnitOfWork, order_nos: Sequence[str], until: datetime) -> None:
    for reservation in [_known(tx, order_no) for order_no in order_nos]:
        if reservation.extend(until):
            _watch(tx, reservation)


# --- it is confirmed, shipped, or over --------------------------------------------------------------------


@on(OrderConfirmed)
def allocate(event: OrderConfirmed, tx: UnitOfWork) -> None:
    """The goods are firm now. If the hold had run out they are taken once more, or it is said that they are
    gone.
    """
    reservation = _known(tx, event.order_no)
    confirmed = [Wanted(line_id=one.line_id, sku=one.sku, qty=one.qty) for one in event.lines]
    answer = reservation.allocate(store.shelves(tx), confirmed, tx.now())
    _watch(tx, reservation)
    _tell(tx, answer)


@on(Shipped)
def deduct(event: Shipped, tx: UnitOfWork) -> None:
    """The units left the shelf. Only sold ones: a parcel sent back to its buyer never was in stock."""
    if event.kind != "sale":
        return
    reservation = _known(tx, event.order_no)
    _tell(tx, reservation.ship(store.shelves(tx), event.shipment_id, event.warehouse_id, event.lines))


@on(OrderLinesCancelled)
def release_lines(event: OrderLinesCancelled, tx: UnitOfWork) -> None:
    """A part of the order will not be shipped."""
    reservation = _known(tx, event.order_no)
    answer = reservation.release_lines(store.shelves(tx), event.lines, tx.cause.causation_id)
    _watch(tx, reservation)
    _tell(tx, answer)


@on(OrderCancelled)
def release(event: OrderCancelled, tx: UnitOfWork) -> None:
    """Everything may be sold again. If the order itself is still on its way, it will find that it is over."""
    reservation = store.reservations.find(tx, sale(event.order_no))
    if reservation is None:
        store.reservations.add(tx, _empty(event))
        return
    answer = reservation.release(store.shelves(tx), tx.cause.causation_id)
    _watch(tx, reservation)
    _tell(tx, answer)


@on(OrderClosed)
def close(event: OrderClosed, tx: UnitOfWork) -> None:
    """What was shipped is gone or comes back by inspection; what the order still waited for is not wanted any
    more.
    """
    _tell(tx, _known(tx, event.order_no).close(store.shelves(tx), tx.cause.causation_id))


@on(ReturnedToSender)
def await_inspection(event: ReturnedToSender, tx: UnitOfWork) -> None:
    """Sold goods are back in their warehouse, and on no shelf until their shop has looked at them."""
    if event.kind != "sale" or store.returns.find(tx, event.shipment_id) is not None:
        return
    if event.shipment_id not in _known(tx, event.order_no).shipments:
        raise TooEarly(f"{event.shipment_id} came back, but is not known to have left")
    store.returns.add(
        tx,
        Return(
            shipment_id=event.shipment_id,
            group_no=event.group_no,
            order_no=event.order_no,
            seller_id=event.seller_id,
            warehouse_id=event.warehouse_id,
            reason=event.reason,
            received_at=event.received_at,
            lines=list(event.lines),
        ),
    )


# --- the pieces -------------------------------------------------------------------------------------------


def _empty(event: OrderPlaced | OrderCancelled) -> Reservation:
    return Reservation(
        reservation_id=sale(event.order_no),
        group_no=event.group_no,
        order_no=event.order_no,
        seller_id=event.seller_id,
        state="RELEASED",
    )


def _known(tx: UnitOfWork, order_no: str) -> Reservation:
    """Raises TooEarly when OrderPlaced is still on its way."""
    reservation = store.reservations.find(tx, sale(order_no))
    if reservation is None:
        raise TooEarly(f"{order_no} is not known to be placed")
    return reservation


def _watch(tx: UnitOfWork, reservation: Reservation) -> None:
    """A hold has a timer, and nothing else has."""
    if reservation.state == "HELD" and reservation.expires_at is not None:
        tx.set_timer(reservation.reservation_id, HOLD_ENDS, reservation.expires_at)
    else:
        tx.cancel_timer(reservation.reservation_id, HOLD_ENDS)


def _tell(tx: UnitOfWork, *answers: Fact | None) -> None:
    tx.emit(*(fact for fact in answers if fact is not None), *store.shelves(tx).news())
