"""The people and papers in these tests: a shop, its buyer, their order, and a carrier one can steer."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from services.shipping.app import service
from services.shipping.domain import Booking, Report
from services.shipping.gateways import SandboxCarrier, Wish
from shared.contracts.inventory import StockAllocated, WarehouseOpened
from shared.contracts.lines import StockLine
from shared.contracts.order import ConfirmedLine, OrderCancellationRequested, OrderCancelled, OrderConfirmed
from shared.contracts.shipping import ShipmentPlanned
from shared.kernel import clock
from shared.kernel.errors import OutsideUnavailable
from shared.kernel.ids import new_id
from shared.storage.types import intent
from shared.testing.stage import Answer, Caller, Stage
from shared.web import signatures

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
GROUP, ORDER = "G0000000000000018", "G0000000000000018-1"
PRICES = {"dear": 300}
"""What a unit of a line costs; of others 100."""
PARCELS = {"parcels": [{"weight_g": 800, "length_mm": 200}]}
ADDRESS = {"name": "Li Wei", "phone": "+8613800000000", "city": "Chengdu", "lines": ["Chunxi Road 1"]}
SECRET = "a-carrier-secret-for-tests-that-is-long"
SCANS: dict[str, tuple[str, str]] = {
    "collect": ("tracking.updated", "collected"),
    "scan": ("tracking.updated", "in_transit"),
    "out": ("tracking.updated", "out_for_delivery"),
    "deliver": ("delivered", "delivered"),
    "fail": ("delivery_failed", "delivery_failed"),
    "refuse": ("refused", "refused"),
    "return": ("returned_to_sender", "returned"),
    "lose": ("lost", "lost"),
    "cash": ("cash_collected", "out_for_delivery"),
}


@dataclass
class FakeCarrier(SandboxCarrier):
    """Books at once unless told otherwise, and remembers; callbacks are read as the sandbox's client reads them."""

    secret: str = SECRET
    booked: list[Wish] = field(default_factory=list)
    voided: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    down: bool = False
    refusal: str = ""
    collected: bool = False
    story: list[Report] | None = field(default_factory=list)

    def book(self, wish: Wish) -> Booking:
        if self.down:
            raise OutsideUnavailable("the carrier is away")
        self.booked.append(wish)
        if self.refusal:
            return Booking(wish.no, "refused", code=self.refusal)
        eta = NOON + timedelta(days=3)
        return Booking(wish.no, "booked", f"sh_{wish.reference}", f"SBX{wish.reference}", f"lb_{wish.no}", eta)

    def void(self, carrier_ref: str) -> bool:
        self.voided.append(carrier_ref)
        return not self.collected

    def tracking(self, tracking_no: str) -> list[Report] | None:
        self.asked.append(tracking_no)
        if self.down:
            raise OutsideUnavailable("the carrier is away")
        return self.story


class Shop:
    """A stage with a shop that has sold something."""

    def __init__(self, database_url: str, tmp_path: Any, **settings: Any) -> None:
        self.stage = Stage(service, database_url, tmp_path, carrier_secret=SECRET, **settings)
        self.carrier = FakeCarrier()
        self.stage.node.outside["sandbox"] = self.carrier
        self.buyer = self.stage.caller("buyer")
        self.seller = self.stage.caller("seller", seller_id="shop-1")
        self.operator = self.stage.caller("operator")
        self.stage.node.vault.create(self.buyer.account_id)
        self.stage.hear(
            *(WarehouseOpened(warehouse_id=w, seller_id="shop-1", title=w, region="CN-ZJ") for w in ("w1", "w2"))
        )

    # -- what others say

    def confirmed(self, order_no: str = ORDER, *, cod: int = 0, **lines: int) -> OrderConfirmed:
        """The order, with so many units of each line."""
        wanted = lines or {"l1": 2}
        return OrderConfirmed(
            group_no=GROUP, order_no=order_no, seller_id="shop-1", buyer_id=self.buyer.account_id,
            lines=tuple(
                ConfirmedLine(
                    line_id=line, product_id="p", sku=f"sku-{line}", title="Tea", qty=qty, weight_g=500,
                    amount=qty * PRICES.get(line, 100),
                )
                for line, qty in wanted.items()
            ),
            delivery=self.stage.node.vault.seal(self.buyer.account_id, "delivery", ADDRESS),
            region="CN-SC", payment_method="cod" if cod else "online", paid_amount=0 if cod else 12900,
            cod_amount=cod, currency="CNY", ship_by=self.stage.now() + timedelta(hours=48),
        )  # fmt: skip

    def sold(self, *allocations: StockLine, order_no: str = ORDER, cod: int = 0, **lines: int) -> list[str]:
        """An order confirmed and allocated; the ids of its shipments."""
        self.stage.hear(self.confirmed(order_no, cod=cod, **lines))
        self.stage.hear(allocated(*(allocations or (at("w1", "l1", 2),)), order_no=order_no))
        return [said.shipment_id for said in self.stage.said(ShipmentPlanned) if said.order_no == order_no]

    # -- what people do

    def do(self, deed: str, shipment_id: str, who: Caller | None = None, body: Any = None) -> Answer:
        body = PARCELS if deed == "pack" and body is None else body
        return (who or self.seller).post(f"/v1/shipments/{shipment_id}/{deed}", body)

    def packed(self, shipment_id: str) -> str:
        """Picked and packed; answers the carrier's reference."""
        assert self.do("pick", shipment_id).status == 200
        answer = self.do("pack", shipment_id)
        assert answer.status == 200, answer
        return f"{shipment_id}.1"

    def handed_over(self, shipment_id: str) -> str:
        reference = self.packed(shipment_id)
        assert self.do("hand-over", shipment_id).status == 200
        return reference

    def see(self, shipment_id: str, who: Caller | None = None) -> Any:
        return (who or self.seller).get(f"/v1/shipments/{shipment_id}").json

    def story(self, reference: str, *deeds: str, start: int = 1, **more: Any) -> list[bytes]:
        """The carrier's callbacks for what its courier does."""
        bodies = []
        for sequence, deed in enumerate(deeds, start):
            kind, status = SCANS[deed]
            cash = {"amount": 12900, "currency": "CNY", "method": "cash", "courier": "Wang"}
            data = {
                "shipment": "sh_1", "reference": reference, "tracking_no": f"SBX{reference}", "sequence": sequence,
                "status": status, "location": "Wuhan", "at": self.stage.now().isoformat(), "signed_by": "Li",
                "reason": "nobody_home", "cash": (cash | more) if deed == "cash" else None,
            }  # fmt: skip
            event_id = f"evt_{reference}_{sequence}"
            bodies.append(json.dumps({"event_id": event_id, "type": kind, "created": "x", "data": data}).encode())
        return bodies

    def bundle(self, *bodies: bytes) -> bytes:
        """These callbacks in one message."""
        data = {"events": [json.loads(body) for body in bodies]}
        return json.dumps({"event_id": f"bdl_{new_id()}", "type": "bundle", "created": "x", "data": data}).encode()

    def call_back(self, *bodies: bytes, secret: str = SECRET, age: int = 0, carrier: str = "sandbox") -> list[int]:
        """Send callbacks; their answers' statuses."""
        return [self.send(body, secret=secret, age=age, carrier=carrier) for body in bodies]

    def send(self, body: bytes, *, secret: str = SECRET, age: int = 0, carrier: str = "sandbox") -> int:
        event_id, moment = json.loads(body)["event_id"], int(time.time()) - age  # noqa: TID251 - a real age
        headers = {
            "webhook-id": event_id,
            "webhook-timestamp": str(moment),
            "webhook-signature": signatures.sign(secret, event_id, moment, body),
        }
        client = self.stage.app.test_client()
        return int(client.post(f"/v1/callbacks/carriers/{carrier}", data=body, headers=headers).status_code)


def at(warehouse: str, line: str, qty: int, backordered: int = 0) -> StockLine:
    return StockLine(line_id=line, sku=f"sku-{line}", warehouse_id=warehouse, qty=qty, backordered_qty=backordered)


def allocated(*lines: StockLine, order_no: str = ORDER, **more: Any) -> StockAllocated:
    return StockAllocated(
        reservation_id="r1", group_no=GROUP, order_no=order_no, seller_id="shop-1", allocations=lines,
        **{"purpose": "sale"} | more,
    )  # fmt: skip


def cancel_wish(*lines: str, order_no: str = ORDER, asked: int = 1, **more: Any) -> OrderCancellationRequested:
    return OrderCancellationRequested(
        group_no=GROUP, order_no=order_no, seller_id="shop-1", buyer_id="b", line_ids=lines, asked=asked,
        **{"stage": "paid", "by": "buyer", "reason": "changed_mind"} | more,
    )  # fmt: skip


def cancelled(order_no: str = ORDER) -> OrderCancelled:
    return OrderCancelled(
        group_no=GROUP, order_no=order_no, seller_id="shop-1", buyer_id="b", reason="buyer", was_paid=True, lines=()
    )


def make_due(shop):
    """Let the next try of every outside call be now."""
    with shop.stage.node.database.begin() as connection:
        connection.execute(intent.update().values(next_at=clock.machine_now()))
