"""The life of an order, told by the facts that carry it along. Read from top to bottom: this is the story.

Each handler finds the group the fact speaks of, lets it decide, and tells what it decided.
"""

from __future__ import annotations

from collections.abc import Sequence

from services.order import store
from services.order.domain.pricing import Freight, SellerTerms
from services.order.domain.states import State
from shared.contracts.account import SellerApproved, SellerSuspended
from shared.contracts.catalog import (
    PriceChanged,
    ProductDelisted,
    ProductListed,
    ProductUpdated,
    ReviewPosted,
)
from shared.contracts.event import Fact
from shared.contracts.inventory import StockReservationExpired, StockReservationFailed, StockReserved
from shared.contracts.payment import (
    LatePaymentReceived,
    PaymentConfirmed,
    PaymentExpired,
    PaymentFailed,
    PaymentInitiated,
    RefundCompleted,
    RiskAssessed,
)
from shared.contracts.shipping import (
    Delivered,
    DeliveryFailed,
    DeliveryRefused,
    FreightTemplateChanged,
    PickingStarted,
    ReturnedToSender,
    ShipmentCancellationRejected,
    ShipmentCancelled,
    ShipmentLost,
    ShipmentOverdue,
    ShipmentPacked,
    ShipmentPlanned,
    Shipped,
)
from shared.messaging.subscriptions import Subscriptions
from shared.storage.unit_of_work import UnitOfWork
from shared.telemetry import logs

on = Subscriptions("order")
_OfParcel = ShipmentPlanned | ShipmentCancelled | Shipped | Delivered | ReturnedToSender | ShipmentLost


@on.batch
def lock_groups(facts: Sequence[Fact], tx: UnitOfWork) -> None:
    """The group rows, first and alone, in one sorted order."""
    store.lock_by_number(tx, {fact.group_no for fact in facts if hasattr(fact, "group_no")})


# --- placed: stock and risk answer ----------------------------------------------------------------------------------


@on(StockReserved)
def note_stock(event: StockReserved, tx: UnitOfWork) -> None:
    """The goods are set aside; once every answer is in, the money is asked for."""
    if event.purpose == "sale":
        tx.emit(*store.heard_of(tx, event.group_no).stock_reserved(event.order_no, tx.now()))


@on(StockReservationFailed)
def cancel_for_stock(event: StockReservationFailed, tx: UnitOfWork) -> None:
    """There is not enough: nobody pays for what is not there."""
    if event.purpose == "sale":
        tx.emit(*store.heard_of(tx, event.group_no).stock_failed(event.order_no, tx.now()))


@on(RiskAssessed)
def note_risk(event: RiskAssessed, tx: UnitOfWork) -> None:
    """Payment weighed the risk: go on, let a human look, or stop."""
    tx.emit(*store.heard_of(tx, event.group_no).risk_assessed(event.order_no, event.decision, tx.now()))


# --- awaiting payment: payment is the arbiter -----------------------------------------------------------------------


@on(PaymentInitiated)
def note_attempt(event: PaymentInitiated, tx: UnitOfWork) -> None:
    """The buyer stands at the till."""
    tx.emit(*store.heard_of(tx, event.group_no).payment_opened(event.order_nos, event.expires_at))


@on(PaymentFailed)
def note_failed_attempt(event: PaymentFailed, tx: UnitOfWork) -> None:
    """It did not work; there is time for another try."""
    tx.emit(*store.heard_of(tx, event.group_no).payment_failed(event.order_nos))


@on(PaymentConfirmed)
def confirm_orders(event: PaymentConfirmed, tx: UnitOfWork) -> None:
    """Paid: the orders go to the warehouse, or to a human first."""
    group = store.heard_of(tx, event.group_no)
    for split in event.splits:
        order = group.order(split.order_no)
        if order.state is State.AWAITING_PAYMENT and split.amount < order.payable:
            logs.get("order").warning("paid_less", order_no=order.order_no, payable=order.payable, paid=split.amount)
    tx.emit(*group.paid({split.order_no: split.amount for split in event.splits}, event.method, tx.now()))


@on(PaymentExpired)
def cancel_unpaid(event: PaymentExpired, tx: UnitOfWork) -> None:
    """Payment is sure that nothing was captured: now, and only now, the orders end."""
    tx.emit(*store.heard_of(tx, event.group_no).payment_expired(event.order_nos, tx.now()))


@on(StockReservationExpired)
def ask_for_the_money(event: StockReservationExpired, tx: UnitOfWork) -> None:
    """Inventory's safety net rang before our own timer did: ask payment now."""
    tx.emit(*store.heard_of(tx, event.group_no).stock_expired(event.order_no, tx.now()))


@on(LatePaymentReceived)
def note_late_money(event: LatePaymentReceived, tx: UnitOfWork) -> None:
    """Money after the end; payment sends it back."""
    tx.emit(*store.heard_of(tx, event.group_no).late_payment(event.order_nos))


# --- confirmed: the warehouse at work -------------------------------------------------------------------------------


@on(ShipmentPlanned)
def note_plan(event: ShipmentPlanned, tx: UnitOfWork) -> None:
    """A parcel will leave this warehouse."""
    if event.kind == "sale":
        group = store.heard_of(tx, event.group_no)
        tx.emit(*group.shipment_planned(event.order_no, event.shipment_id, _units(event)))


@on(PickingStarted)
def note_picking(event: PickingStarted, tx: UnitOfWork) -> None:
    """Somebody walks along the shelves."""
    tx.emit(*store.heard_of(tx, event.group_no).picking_started(event.order_no, event.shipment_id))


@on(ShipmentPacked)
def note_packing(event: ShipmentPacked, tx: UnitOfWork) -> None:
    """The parcel is closed and labelled."""
    tx.emit(*store.heard_of(tx, event.group_no).shipment_packed(event.order_no, event.shipment_id))


@on(ShipmentOverdue)
def note_overdue(event: ShipmentOverdue, tx: UnitOfWork) -> None:
    """It should have left by now."""
    if event.kind == "sale":
        tx.emit(*store.heard_of(tx, event.group_no).not_shipped_in_time(event.order_no, "ShipmentOverdue", tx.now()))


@on(ShipmentCancelled)
def note_stopped(event: ShipmentCancelled, tx: UnitOfWork) -> None:
    """Shipping answers a wish to cancel: this much stays."""
    group, gone = store.heard_of(tx, event.group_no), event.gone_shipment_ids
    tx.emit(*group.shipments_stopped(event.order_no, event.shipment_ids, _units(event), gone, tx.now()))


@on(ShipmentCancellationRejected)
def note_gone(event: ShipmentCancellationRejected, tx: UnitOfWork) -> None:
    """Shipping answers a wish to cancel: too late."""
    tx.emit(*store.heard_of(tx, event.group_no).shipments_gone(event.order_no, event.shipment_ids))


# --- on the way -----------------------------------------------------------------------------------------------------


@on(Shipped)
def note_shipped(event: Shipped, tx: UnitOfWork) -> None:
    """The carrier has it."""
    if event.kind == "sale":
        group = store.heard_of(tx, event.group_no)
        tx.emit(*group.shipped(event.order_no, event.shipment_id, _units(event), tx.now()))


@on(Delivered)
def note_delivered(event: Delivered, tx: UnitOfWork) -> None:
    """It arrived."""
    if event.kind == "sale":
        group, lines = store.heard_of(tx, event.group_no), _units(event)
        tx.emit(*group.delivered(event.order_no, event.shipment_id, tx.now(), lines))


@on(DeliveryFailed)
def pause_receipt(event: DeliveryFailed, tx: UnitOfWork) -> None:
    """Nobody was there; the time to confirm receipt stands still."""
    group = store.heard_of(tx, event.group_no)
    tx.emit(*group.delivery_troubled(event.order_no, event.shipment_id, "DeliveryFailed", "failed", tx.now()))


@on(DeliveryRefused)
def note_refused(event: DeliveryRefused, tx: UnitOfWork) -> None:
    """Refused at the door; it comes back."""
    group = store.heard_of(tx, event.group_no)
    tx.emit(*group.delivery_troubled(event.order_no, event.shipment_id, "DeliveryRefused", "refused", tx.now()))


@on(ReturnedToSender)
def note_returned(event: ReturnedToSender, tx: UnitOfWork) -> None:
    """It is back in the warehouse; the money goes back."""
    if event.kind == "sale":
        group, lines = store.heard_of(tx, event.group_no), _units(event)
        refused = event.cod and event.reason == "refused"
        tx.emit(*group.returned(event.order_no, event.shipment_id, refused, tx.now(), lines))


@on(ShipmentLost)
def note_lost(event: ShipmentLost, tx: UnitOfWork) -> None:
    """It will not arrive; the money goes back."""
    if event.kind == "sale":
        group, lines = store.heard_of(tx, event.group_no), _units(event)
        tx.emit(*group.lost(event.order_no, event.shipment_id, tx.now(), lines))


# --- afterwards -----------------------------------------------------------------------------------------------------


@on(RefundCompleted)
def count_refund(event: RefundCompleted, tx: UnitOfWork) -> None:
    """Money went back to the buyer."""
    if event.order_no is not None:
        group = store.heard_of(tx, event.group_no)
        tx.emit(
            *group.refunded(
                event.order_no, event.refund_id, event.amount, event.order_fully_refunded, tx.now(),
                event.lines, event.freight_amount,
            )
        )  # fmt: skip


@on(ReviewPosted)
def mark_reviewed(event: ReviewPosted, tx: UnitOfWork) -> None:
    """The buyer said what they think."""
    tx.emit(*store.heard_of(tx, event.group_no).reviewed(event.order_no, event.line_id))


# --- what order must know to quote without asking -------------------------------------------------------------------


@on(ProductListed)
def keep_offer(event: ProductListed, tx: UnitOfWork) -> None:
    """On sale."""
    _keep(event, tx, listed=True)


@on(ProductUpdated)
def keep_new_offer(event: ProductUpdated, tx: UnitOfWork) -> None:
    """The same product, other words or prices."""
    _keep(event, tx, listed=event.listed)


@on(ProductDelisted)
def drop_offer(event: ProductDelisted, tx: UnitOfWork) -> None:
    """Off sale: refused even where it was quoted."""
    store.delist(tx, event.product_id)


@on(PriceChanged)
def keep_price(event: PriceChanged, tx: UnitOfWork) -> None:
    """Another price for new quotes; given ones keep theirs."""
    store.keep_price(tx, event.sku, event.new)


@on(SellerApproved)
def keep_terms(event: SellerApproved, tx: UnitOfWork) -> None:
    """A shop may sell, on these terms."""
    store.keep_seller(
        tx,
        SellerTerms(
            event.seller_id,
            event.shop_name,
            event.review_orders,
            event.review_over,
            event.auto_approve,
            event.cod_allowed,
        ),
    )


@on(SellerSuspended)
def stop_selling(event: SellerSuspended, tx: UnitOfWork) -> None:
    """A shop may not sell."""
    store.suspend_seller(tx, event.seller_id)


@on(FreightTemplateChanged)
def keep_freight(event: FreightTemplateChanged, tx: UnitOfWork) -> None:
    """What a shop asks for sending."""
    store.keep_freight(tx, Freight(event.seller_id, event.rules, event.free_over))


def _units(event: _OfParcel) -> dict[str, int]:
    return {line.line_id: line.qty for line in event.lines}


def _keep(event: ProductListed | ProductUpdated, tx: UnitOfWork, *, listed: bool) -> None:
    rows = [
        {
            "sku": one.sku,
            "product_id": event.product_id,
            "seller_id": event.seller_id,
            "title": event.title,
            "price": one.price,
            "currency": event.currency,
            "weight_g": one.weight_g,
            "return_terms": event.return_terms,
            "listed": listed,
        }
        for one in event.skus
    ]
    store.keep_offers(tx, event.product_id, rows)
