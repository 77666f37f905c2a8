"""What can be looked up: freight terms and shipments, each only by whom they concern."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from services.shipping import store
from services.shipping.domain import FreightTemplate, Shipment
from services.shipping.domain.shipment import NoSuchShipment
from shared.kernel.errors import Refusal
from shared.storage.vault import Erased
from shared.web.auth import BUYER, OPERATOR, SELLER, Principal
from shared.web.door import Reading, page

_T = store.shipment_table.c
_ADDRESS_SHOWN = ("PLANNED", "PICKING", "PACKED", "SHIPPED", "RETURNING")


def template_view(template: FreightTemplate) -> dict[str, Any]:
    """A shop's freight terms; `version` counts their editions."""
    return {
        "seller_id": template.seller_id,
        "currency": template.currency,
        "rules": template.rules,
        "free_over": template.free_over,
        "version": template.edition,
    }


def freight_template(reading: Reading, seller_id: str) -> dict[str, Any]:
    """Raises NoFreightTemplate."""
    return template_view(store.templates.peek(reading.connection, seller_id))


def shipments(
    reading: Reading, who: Principal, *, limit: int, cursor: str | None = None, state: str | None = None,
    order_no: str | None = None, attention: bool | None = None,
) -> dict[str, Any]:  # fmt: skip
    """A page of the caller's shipments, the oldest first."""
    statement = sa.select(_T.body).where(_scope(who)).order_by(_T.shipment_id).limit(limit + 1)
    if state is not None:
        statement = statement.where(_T.state == state)
    if order_no is not None:
        statement = statement.where(_T.order_no == order_no)
    if attention:
        statement = statement.where(_T.attention != "")
    if cursor is not None:
        statement = statement.where(_T.shipment_id > cursor)
    found = [store.shipments.decode(bytes(body)) for body in reading.execute(statement).scalars()]
    answer = page(found, limit, lambda shipment: shipment.shipment_id)
    return answer | {"items": [view(shipment, who) for shipment in answer["items"]]}


def shipment(reading: Reading, who: Principal, shipment_id: str) -> dict[str, Any]:
    """One shipment; its seller sees the address while it is not delivered. Raises NoSuchShipment."""
    found, shown = _found(reading, who, shipment_id)
    if _is_sellers(found, who) and found.state in _ADDRESS_SHOWN:
        shown["delivery"] = _delivery(reading, found.order_no)
    return shown


def shipment_without_address(reading: Reading, who: Principal, shipment_id: str) -> dict[str, Any]:
    """The same with nothing personal, for answers that are stored for a retry. Raises NoSuchShipment."""
    return _found(reading, who, shipment_id)[1]


def _found(reading: Reading, who: Principal, shipment_id: str) -> tuple[Shipment, dict[str, Any]]:
    row = reading.execute(
        sa.select(_T.body, _T.version).where(_T.shipment_id == shipment_id, _scope(who))
    ).one_or_none()
    if row is None:
        raise NoSuchShipment()
    found = store.shipments.decode(bytes(row.body))
    return found, view(found, who) | {"version": row.version}


def outcome(shipment_id: str, result: Shipment | Refusal) -> dict[str, Any]:
    """What one item of a batch came to."""
    if isinstance(result, Refusal):
        detail = result.detail or result.title()
        return {"shipment_id": shipment_id, "state": None, "tracking_no": None, "code": result.code, "detail": detail}
    booked = result.booking is not None and result.booking.status == "booked"
    tracking_no = result.booking.tracking_no if result.booking and booked else None
    done = {"code": None, "detail": None}
    return {"shipment_id": shipment_id, "state": result.state, "tracking_no": tracking_no, **done}


def view(shipment: Shipment, who: Principal) -> dict[str, Any]:
    """A shipment as this caller may see it; nobody's name or address."""
    booking = shipment.booking
    booked = booking is not None and booking.status == "booked"
    shown = {
        name: getattr(shipment, name)
        for name in (
            "shipment_id", "group_no", "order_no", "seller_id", "kind", "index", "of", "state", "lines",
            "carrier", "service", "ship_by", "overdue", "cod_amount", "currency", "shipped_at",
            "tracking_status",
        )
    }  # fmt: skip
    shown |= {
        "tracking_no": booking.tracking_no if booking and booked else None,
        "eta": booking.eta if booking and booked else None,
        "delivered_at": shipment.ended_at if shipment.state == "DELIVERED" else None,
        "scans": [
            {"sequence": scan.sequence, "status": scan.status, "location": scan.location, "at": scan.at}
            for scan in shipment.scans
        ],
    }
    seller, losable = _is_sellers(shipment, who), who.has(OPERATOR) and shipment.underway
    if seller or who.has(OPERATOR):
        shown |= {
            "warehouse_id": shipment.warehouse_id,
            "parcels": shipment.parcels,
            "booking": booking and {"status": booking.status, "label_ref": booking.label_ref, "code": booking.code},
            "attention": shipment.attention or None,
            "possible": [*(shipment.possible if seller else ()), *(["declare-lost"] if losable else ())],
        }
    return shown


def _scope(who: Principal) -> sa.ColumnElement[bool]:
    if who.has(OPERATOR):
        return sa.true()
    scope: list[sa.ColumnElement[bool]] = [sa.false()]
    if who.has(SELLER) and who.seller_id:
        scope.append(_T.seller_id == who.seller_id)
    if who.has(BUYER):
        scope.append(_T.buyer_id == who.account_id)
    return sa.or_(*scope)


def _is_sellers(shipment: Shipment, who: Principal) -> bool:
    return who.has(SELLER) and who.seller_id is not None and who.seller_id == shipment.seller_id


def _delivery(reading: Reading, order_no: str) -> Any:
    """The opened address, or None when the buyer's data were erased."""
    sealed = store.dispatches.peek(reading.connection, order_no).delivery
    try:
        return reading.vault.open(sealed, "delivery")
    except Erased:
        return None
