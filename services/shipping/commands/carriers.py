"""What carriers are asked and what they say: bookings, withdrawals, reports, the search for lost ones."""

from __future__ import annotations

from datetime import timedelta

import msgspec

from services.shipping import store
from services.shipping.commands.planning import void_booking
from services.shipping.commands.warehouse import CASH_WITHIN, LOOK_AFTER, watched
from services.shipping.domain import Booking, Report, Shipment, underway
from services.shipping.domain.shipment import Attention
from services.shipping.gateways import Callback, Wish, carrier
from shared.messaging.subscriptions import Intent, Intents
from shared.storage.unit_of_work import Node, UnitOfWork
from shared.telemetry import logs

NO_SCAN = timedelta(days=10)
"""So long without news, and an operator is told."""

calls = Intents()


# --- bookings --------------------------------------------------------------------------------------------


def note_booking(tx: UnitOfWork, intent: Intent, answer: Booking) -> None:
    """Write down what the carrier answered; a booking nobody wants any more is withdrawn."""
    shipment = store.shipments.get(tx, intent.data["shipment_id"])
    if not shipment.wants(answer):
        if answer.status == "booked":
            void_booking(tx, shipment, answer)
        return
    watched(tx, shipment, lambda: tx.emit(*shipment.booked(answer), *underway.catch_up(shipment, tx.now())))
    _ask_for_missing(tx, shipment)


@calls("book", settle=note_booking)
def book(node: Node, intent: Intent) -> Booking:
    """Book under the packing's own key: asked again after a crash, it is the same booking."""
    return carrier(node, intent.data["carrier"]).book(msgspec.convert(intent.data["wish"], Wish))


def note_void(tx: UnitOfWork, intent: Intent, withdrawn: bool) -> None:
    """A parcel that the carrier has although it was stopped needs a person."""
    if not withdrawn:
        _alert(store.shipments.get(tx, intent.data["shipment_id"]), "left_after_cancel")


@calls("void_booking", settle=note_void)
def withdraw(node: Node, intent: Intent) -> bool:
    """Tell the carrier not to come."""
    return carrier(node, intent.data["carrier"]).void(intent.data["carrier_ref"])


# --- reports ---------------------------------------------------------------------------------------------


def take_reports(tx: UnitOfWork, carrier_name: str, callbacks: list[Callback]) -> None:
    """Verified callbacks' effects, each once for its event id; one about nothing of ours is noted and logged."""
    told = {callback.event_id: callback for callback in callbacks}
    new = store.new_callbacks(tx, carrier_name, {event_id: told[event_id].reference for event_id in told})
    fresh = [callback for event_id, callback in told.items() if event_id in new]
    known = store.shipments.lock(tx, {callback.reference.rpartition(".")[0] for callback in fresh})
    if known:
        tx.recall("shipment", [shipment.shipment_id for shipment in known])
    cause = tx.cause
    for callback in fresh:
        tx.cause = cause  # each goes on in its own shipment's trace, or in none
        _take(tx, carrier_name, callback)


def _take(tx: UnitOfWork, carrier_name: str, callback: Callback) -> None:
    shipment_id, _, packing = callback.reference.rpartition(".")
    shipment = store.shipments.find(tx, shipment_id)
    if shipment is None or shipment.carrier != carrier_name or not packing.isdecimal():
        logs.get("shipping").warning("report_of_nothing_of_ours", carrier=carrier_name, event_id=callback.event_id)
        return
    tx.rejoin("shipment", shipment_id)
    if int(packing) != shipment.packings or shipment.state == "PICKING":
        _alert(shipment, "left_after_cancel")  # a parcel that was unpacked again is on its way all the same
        return
    if shipment.tracking_no and callback.tracking_no != shipment.tracking_no:
        logs.get("shipping").warning("report_of_another_parcel", shipment_id=shipment_id, event_id=callback.event_id)
        return
    if shipment.state == "CANCELLED":
        _alert(shipment, "left_after_cancel")
    _hear(tx, shipment, [callback.report])
    _ask_for_missing(tx, shipment)


def _hear(tx: UnitOfWork, shipment: Shipment, reports: list[Report]) -> None:
    before = shipment.attention

    def change() -> None:
        for report in reports:
            tx.emit(*underway.hear(shipment, report, tx.now()))

    watched(tx, shipment, change)
    if shipment.attention and shipment.attention != before:
        _alert(shipment, shipment.attention)


def _ask_for_missing(tx: UnitOfWork, shipment: Shipment) -> None:
    if shipment.has_gap:
        last = max(report.sequence for report in shipment.waiting)
        _ask_for_tracking(tx, shipment, f"gap:{last}")


def _ask_for_tracking(tx: UnitOfWork, shipment: Shipment, why: str) -> None:
    data = {
        "shipment_id": shipment.shipment_id,
        "carrier": shipment.carrier,
        "packing": shipment.packings,
        "tracking_no": shipment.tracking_no,
    }
    tx.intend("fetch_tracking", f"{shipment.booking_ref}:{why}", data)


def note_tracking(tx: UnitOfWork, intent: Intent, reports: list[Report] | None) -> None:
    """Take what had not reached us."""
    shipment = store.shipments.get(tx, intent.data["shipment_id"])
    if shipment.packings != intent.data["packing"]:
        return
    if reports is None:
        _alert(shipment, "tracking_refused")
        return
    _hear(tx, shipment, reports)
    if shipment.cash_owed and shipment.ended_at is not None and tx.now() - shipment.ended_at >= CASH_WITHIN:
        _alert(shipment, "cash_missing")


@calls("fetch_tracking", settle=note_tracking)
def fetch_tracking(node: Node, intent: Intent) -> list[Report] | None:
    """Ask the carrier for the whole story."""
    return carrier(node, intent.data["carrier"]).tracking(intent.data["tracking_no"])


def chase(tx: UnitOfWork, shipment_id: str) -> None:
    """Once a day under way: ask the carrier; after ten days without news tell an operator. No guess."""
    shipment = store.shipments.find(tx, shipment_id)
    if shipment is None or not shipment.underway:
        return
    if shipment.news_at is not None and tx.now() - shipment.news_at >= NO_SCAN and not shipment.attention:
        _alert(shipment, "no_scan")
    _ask_for_tracking(tx, shipment, "daily")
    tx.set_timer(shipment_id, "tracking", tx.now() + LOOK_AFTER)


def ask_for_cash(tx: UnitOfWork, shipment_id: str) -> None:
    """Delivered a day ago and not paid for, as far as we were told: ask the carrier; it may have told us in vain."""
    shipment = store.shipments.find(tx, shipment_id)
    if shipment is not None and shipment.cash_owed:
        _ask_for_tracking(tx, shipment, "cash")


def declare_lost(tx: UnitOfWork, shipment_id: str) -> Shipment:
    """An operator's word that a shipment will not come. Raises NoSuchShipment, WrongShipmentState."""
    shipment = store.shipments.get(tx, shipment_id)
    watched(tx, shipment, lambda: tx.emit(*shipment.declare_lost("operator", tx.now())))
    return shipment


def _alert(shipment: Shipment, why: Attention) -> None:
    shipment.attention = why
    logs.get("shipping").error("shipment_needs_attention", shipment_id=shipment.shipment_id, why=why)
