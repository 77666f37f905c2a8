"""What sellers, buyers, operators and carriers may ask of shipping."""

from __future__ import annotations

from typing import Any

from flask import request

from services.shipping import commands, queries
from services.shipping.domain import Shipment
from services.shipping.gateways import carrier
from services.shipping.schemas import (
    BatchBody,
    BatchView,
    FreightTemplateBody,
    FreightTemplateView,
    OfSeller,
    PackBody,
    ShipmentPage,
    ShipmentsQuery,
    ShipmentView,
    Taken,
)
from shared.kernel.errors import Forbidden, Invalid
from shared.messaging.clockwork import IntentRunner
from shared.storage.unit_of_work import Node, UnitOfWork
from shared.web.auth import OPERATOR, SELLER, Principal
from shared.web.door import ANYONE, SIGNATURE, SIGNED_IN, Door, Reading, expected_version

door = Door("shipping", __name__, description="Freight terms, shipments and their tracking")


class NoShop(Forbidden):
    """Your token does not speak for a shop."""


# --- freight ---------------------------------------------------------------------------------------------


@door.put("/freight-template", who={SELLER}, body=FreightTemplateBody, answer=FreightTemplateView)
def put_freight_template(tx: UnitOfWork, who: Principal, body: dict[str, Any]) -> Any:
    """Replace your shop's freight terms."""
    if not who.seller_id:
        raise NoShop()
    return queries.template_view(commands.set_freight_template(tx, who.seller_id, edition=expected_version(), **body))


@door.get("/freight-template", who=ANYONE, query=OfSeller, answer=FreightTemplateView)
def get_freight_template(reading: Reading, who: Principal | None, query: dict[str, Any]) -> Any:
    """A shop's freight terms; your own shop's when no `seller_id` is given."""
    seller_id = query.get("seller_id") or (who.seller_id if who else None)
    if seller_id is None:
        raise Invalid("say whose terms", field="seller_id")
    return queries.freight_template(reading, seller_id)


# --- shipments -------------------------------------------------------------------------------------------


@door.get("/shipments", who=SIGNED_IN, query=ShipmentsQuery, answer=ShipmentPage)
def list_shipments(reading: Reading, who: Principal, query: dict[str, Any]) -> Any:
    """Your shop's shipments, or those on their way to you, the oldest first."""
    return queries.shipments(reading, who, **query)


@door.get("/shipments/<shipment_id>", who=SIGNED_IN, answer=ShipmentView)
def get_shipment(reading: Reading, who: Principal, shipment_id: str) -> Any:
    """One shipment; `delivery` for its seller, while it is not delivered."""
    return queries.shipment(reading, who, shipment_id)


@door.post("/shipments/<shipment_id>/pick", who={SELLER}, answer=ShipmentView)
def pick_shipment(tx: UnitOfWork, who: Principal, shipment_id: str) -> Any:
    """Begin to pick."""
    return queries.view(commands.pick(tx, who.seller_id, shipment_id, who.account_id), who)


@door.post("/shipments/<shipment_id>/pack", who={SELLER}, body=PackBody, answer=ShipmentView)
def pack_shipment(tx: UnitOfWork, who: Principal, shipment_id: str, body: dict[str, Any]) -> Any:
    """Close the parcels. The carrier is booked at once if it answers, else as soon as it does."""
    packed = commands.pack(tx, who.seller_id, shipment_id, **body)
    return queries.view(packed, who), {}, lambda: _booked_now(tx.node, who, packed)


def _booked_now(node: Node, who: Principal, packed: Shipment) -> dict[str, Any]:
    """The answer after trying the booking in this thread; a worker goes on trying if it could not be had."""
    if packed.booking is not None and packed.booking.status == "asked":
        IntentRunner(node, commands.calls).run_now("book", packed.booking_ref)
    with node.database.read() as connection:
        return queries.shipment_without_address(Reading(node, connection), who, packed.shipment_id)


@door.post("/shipments/<shipment_id>/hand-over", who={SELLER}, answer=ShipmentView)
def hand_over_shipment(tx: UnitOfWork, who: Principal, shipment_id: str) -> Any:
    """The courier took it: it can no longer be stopped."""
    return queries.view(commands.hand_over(tx, who.seller_id, shipment_id), who)


@door.post("/shipments/<shipment_id>/declare-lost", who={OPERATOR}, answer=ShipmentView)
def declare_shipment_lost(tx: UnitOfWork, who: Principal, shipment_id: str) -> Any:
    """Say that a shipment will not come; its buyer is owed the money."""
    return queries.view(commands.declare_lost(tx, shipment_id), who)


@door.post("/shipments/batch", who={SELLER}, body=BatchBody, answer=BatchView)
def batch_shipments(tx: UnitOfWork, who: Principal, body: dict[str, Any]) -> Any:
    """One deed (`pick`, `pack` or `hand-over`) for up to 100 shipments.

    `pack` closes the `parcels` of each; carriers are booked soon after. Each item is answered by itself: what is
    refused bears the refusal's `code` and stays as it was, and the others are done.
    """
    outcomes = commands.batch(tx, who.seller_id, body["deed"], body["shipments"], who.account_id)
    return {"items": [queries.outcome(shipment_id, result) for shipment_id, result in outcomes]}


# --- carriers --------------------------------------------------------------------------------------------


@door.post("/callbacks/carriers/<carrier_name>", who=SIGNATURE, answer=Taken)
def post_carrier_callback(tx: UnitOfWork, who: None, carrier_name: str) -> Any:
    """A carrier's signed report, or a bundle of up to 100. Answered 200 once all are kept; a copy changes nothing."""
    callbacks = carrier(tx.node, carrier_name).read(request.headers, request.get_data())
    commands.take_reports(tx, carrier_name, callbacks)
    return {"status": "taken"}
