"""Carriers: one Protocol, a client for each. No transaction is open here; no name or street is handed out."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, Literal, Protocol

import msgspec

from services.shipping.domain import Booking, Report
from services.shipping.domain.reports import Kind, SignedBy
from shared.contracts.shipping import Parcel, TrackingStatus
from shared.kernel.errors import BadRequest, Invalid, NotFound, OutsideUnavailable
from shared.kernel.settings import Settings, secrets_in
from shared.storage.unit_of_work import Node
from shared.web import signatures
from shared.web.outbound import Outbound


class NoSuchCarrier(NotFound):
    """We do not work with a carrier of this name."""


class UnreadableReport(Invalid):
    """A signed carrier report does not have the agreed shape."""


class Wish(msgspec.Struct, frozen=True):
    """A booking to be made. Regions are ISO 3166-2 codes, the cash to collect is in minor units."""

    no: int
    reference: str
    service: str
    origin: str
    destination: str
    parcels: tuple[Parcel, ...]
    cod_amount: int
    currency: str


class Callback(msgspec.Struct, frozen=True):
    """A verified report: which booking it is about, and what it says."""

    event_id: str
    reference: str
    tracking_no: str
    report: Report


class Carrier(Protocol):
    """Whom we hand parcels to. Every call raises OutsideUnavailable when its outcome is unknown."""

    def book(self, wish: Wish) -> Booking:
        """Book under the key `wish.reference`, once however often it is called; a refusal is an answer."""

    def void(self, carrier_ref: str) -> bool:
        """Withdraw a booking; False when the parcel was collected already."""

    def tracking(self, tracking_no: str) -> list[Report] | None:
        """Every report so far; None when the carrier does not know the number."""

    def read(self, headers: Any, body: bytes) -> list[Callback]:
        """Verify and read a callback, or a bundle of several. Raises BadSignature, UnreadableReport."""


def carrier(node: Node, name: str) -> Carrier:
    """The client of a carrier, made on first use. Raises NoSuchCarrier."""
    if name not in CARRIERS:
        raise NoSuchCarrier()
    found: Carrier = node.outside.get(name) or node.outside.setdefault(name, CARRIERS[name](node.settings))
    return found


# --- the sandbox's carrier -------------------------------------------------------------------------------


class _Cod(msgspec.Struct):
    amount: int
    currency: str


class _Booked(msgspec.Struct):
    id: str
    reference: str
    tracking_no: str
    label_ref: str
    eta: datetime
    cod: _Cod | None = None


class _Withdrawn(msgspec.Struct):
    id: str


class _Refusal(msgspec.Struct):
    code: str = "refused"


class _Cash(msgspec.Struct):
    amount: int
    currency: str
    method: Literal["cash", "qr_at_door"] = "cash"


class _Scan(msgspec.Struct):
    sequence: int
    status: str
    at: datetime
    location: str | None = None
    signed_by: str | None = None
    reason: str | None = None
    cash: _Cash | None = None
    type: str = ""
    reference: str = ""
    tracking_no: str = ""


class _Told(msgspec.Struct):
    event_id: str
    type: str
    data: _Scan


class _Message(msgspec.Struct):
    event_id: str
    type: str
    data: msgspec.Raw


MOST_TOGETHER = 100


class _Bundle(msgspec.Struct):
    events: Annotated[list[_Told], msgspec.Meta(min_length=1, max_length=MOST_TOGETHER)]


class _Tracking(msgspec.Struct):
    tracking_no: str
    scans: list[_Scan]


LONGEST = 100
"""Characters of an id or a reference."""
# msgspec learns a type when it first meets it, and two threads that do so at once crash the process: so, here.
_message = msgspec.json.Decoder(_Message)
_scan = msgspec.json.Decoder(_Scan)
_bundle = msgspec.json.Decoder(_Bundle)
for _shape in (Wish, _Booked, _Withdrawn, _Refusal, _Tracking):
    msgspec.json.Decoder(_shape)
_KINDS: dict[str, Kind] = {
    "tracking.updated": "moved",
    "delivered": "delivered",
    "delivery_failed": "failed",
    "refused": "refused",
    "returned_to_sender": "returned",
    "lost": "lost",
    "cash_collected": "cash",
}
_STATUSES: dict[str, TrackingStatus] = {
    "collected": "accepted",
    "in_transit": "in_transit",
    "out_for_delivery": "out_for_delivery",
    "delivered": "delivered",
    "delivery_failed": "attempt_failed",
    "refused": "refused",
    "returning": "returning",
    "returned": "returned",
    "lost": "exception",
}
_SIGNED: dict[str, SignedBy] = {"neighbour": "neighbour", "locker": "locker", "front_desk": "front_desk"}
_REASONS = frozenset({"nobody_home", "wrong_address", "unreachable", "changed_mind", "damaged", "no_cash", "closed"})
_SIZES = ((300, "S"), (600, "M"), (1_000, "L"))


class SandboxCarrier:
    """Speaks the sandbox carrier's protocol. The carrier's secret is its API key and signs its callbacks."""

    def __init__(self, settings: Settings) -> None:
        self.secret = settings.carrier_secret
        self.http = Outbound(settings.carrier_url, {"Authorization": f"Bearer {secrets_in(self.secret)[0]}"})

    def book(self, wish: Wish) -> Booking:
        body: dict[str, Any] = {
            "reference": wish.reference,
            "service": wish.service,
            "origin": _place(wish.origin),
            "destination": _place(wish.destination),
            "parcels": [{"weight_g": max(1, parcel.weight_g), "size": _size(parcel)} for parcel in wish.parcels],
            "label_payload": wish.reference,
        }
        if wish.cod_amount:
            body["cod"] = {"amount": wish.cod_amount, "currency": wish.currency}
        status, answer = self.http.call("POST", "/v1/shipments", body, key=f"shipment:{wish.reference}:book")
        if status in (400, 422):
            return Booking(wish.no, "refused", code=_read(answer, _Refusal).code[:60])
        booked = _read(_expect(status, answer, 201), _Booked)
        cash = (booked.cod.amount, booked.cod.currency) if booked.cod else None
        wanted = (wish.cod_amount, wish.currency) if wish.cod_amount else None
        _same("booking", (booked.reference, cash), (wish.reference, wanted))
        return Booking(wish.no, "booked", booked.id, booked.tracking_no, booked.label_ref, booked.eta)

    def void(self, carrier_ref: str) -> bool:
        status, answer = self.http.call("POST", f"/v1/shipments/{carrier_ref}/cancel", {})
        if status == 409:
            return False
        _same("shipment", _read(_expect(status, answer, 200), _Withdrawn).id, carrier_ref)
        return True

    def tracking(self, tracking_no: str) -> list[Report] | None:
        status, answer = self.http.call("GET", f"/v1/tracking/{tracking_no}")
        if status == 404:
            return None
        told = _read(_expect(status, answer, 200), _Tracking)
        _same("parcel", told.tracking_no, tracking_no)
        try:
            return [_report(scan.type, scan) for scan in told.scans]
        except UnreadableReport as error:
            raise OutsideUnavailable("the tracking has a scan of an unknown kind") from error

    def read(self, headers: Any, body: bytes) -> list[Callback]:
        event_id = signatures.verify(self.secret, headers, body)
        try:
            message = _message.decode(body)
            if message.type == "bundle":
                events = _bundle.decode(message.data).events
            else:
                events = [_Told(message.event_id, message.type, _scan.decode(message.data))]
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise UnreadableReport() from error
        if any(not 0 < len(told.event_id) <= LONGEST or len(told.data.reference) > LONGEST for told in events):
            raise UnreadableReport(field="event_id")
        if message.event_id != event_id:
            raise BadRequest("the event id differs from the signed one", field="event_id")
        return [
            Callback(told.event_id, told.data.reference, told.data.tracking_no, _report(told.type, told.data))
            for told in events
        ]


CARRIERS: dict[str, Callable[[Settings], Carrier]] = {"sandbox": SandboxCarrier}


def _report(kind: str, scan: _Scan) -> Report:
    """In our own words. Raises UnreadableReport for a kind, status or time that was not agreed on."""
    if kind not in _KINDS or scan.status not in _STATUSES or scan.sequence < 1 or scan.at.tzinfo is None:
        raise UnreadableReport(field="type")
    if kind == "cash_collected" and (scan.cash is None or scan.cash.amount < 1):
        raise UnreadableReport(field="cash")
    reason = scan.reason or ""
    cash = scan.cash or _Cash(0, "")
    # Who signed and what was said at the door are other people's words: only known codes are kept.
    return Report(
        sequence=scan.sequence, kind=_KINDS[kind], status=_STATUSES[scan.status], at=scan.at,
        location=(scan.location or "")[:100], signed_by=_SIGNED.get(scan.signed_by or "", "recipient"),
        reason=reason if reason in _REASONS else "unspecified",
        amount=cash.amount, currency=cash.currency, method=cash.method,
    )  # fmt: skip


def _place(region: str) -> dict[str, str]:
    return {"country": region[:2].upper(), "city": region}


def _size(parcel: Parcel) -> str:
    longest = max(parcel.length_mm, parcel.width_mm, parcel.height_mm)
    return next((size for most, size in _SIZES if longest <= most), "XL")


def _expect(status: int, answer: Any, wanted: int) -> Any:
    if status != wanted:
        raise OutsideUnavailable(f"the carrier answered {status}")
    return answer


def _same(what: str, told: object, asked: object) -> None:
    if told != asked:
        raise OutsideUnavailable(f"the carrier speaks of another {what} than it was asked about")


def _read(answer: Any, shape: Any) -> Any:
    try:
        return msgspec.convert(answer, shape)
    except msgspec.ValidationError as error:
        raise OutsideUnavailable("the carrier's answer does not have the agreed shape") from error
