"""Everything in any order, each thing perhaps twice: after every step the books are right, on either database."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, consumes, initialize, invariant, rule

from services.inventory.tests import makers
from shared.contracts.inventory import (
    ReturnInspected,
    StockAllocated,
    StockDeducted,
    StockReleased,
    StockReservationExpired,
    StockReservationFailed,
    StockReserved,
    StockTransferred,
)
from shared.contracts.order import OrderPlaced
from shared.contracts.shipping import Shipped
from shared.testing.machines import StoreMachine, play

SKUS = st.sampled_from(["A", "B"])
UNITS = st.integers(1, 4)
FATES = st.sampled_from(["resellable", "resellable", "scrap"])


class Shop(StoreMachine):
    """Facts are told with their bytes kept, so that any of them can be told again."""

    orders = Bundle("orders")

    @initialize(
        stock=st.lists(st.tuples(SKUS, UNITS, st.booleans()), max_size=4), room=st.integers(0, 3), back=st.booleans()
    )
    def open(self, stock: list[tuple[str, int, bool]], room: int, back: bool) -> None:
        self.fresh_store()
        self.on = makers.stage(self.url, self.folder, vault_url="sqlite://")
        self.told: list[bytes] = []
        self.parcels: list[Shipped] = []
        self.east, self.west = makers.warehouse(self.on, "East"), makers.warehouse(self.on, "West")
        for sku, units, east in stock:
            makers.put_in(self.on, self.east if east else self.west, **{sku: units})
        makers.terms(self.on, "A", self.west, low=2, backorders=room)
        if back:  # or hardly any parcel would come back in so few steps
            makers.put_in(self.on, self.east, A=3)
            order = makers.placed(self.on, A=3)
            self.tell(order, makers.confirmed(order))
            self.send(makers.shipped(order, self.east))
            self.tell(makers.came_back(self.parcels[0]))

    def tell(self, *facts: object) -> None:
        bodies = [self.on.bytes_of(fact) for fact in facts]  # type: ignore[arg-type]
        self.told += bodies
        self.on.hear_bytes(*bodies)

    @rule(target=orders, qty=st.dictionaries(SKUS, UNITS, min_size=1), heard=st.booleans())
    def place(self, qty: dict[str, int], heard: bool) -> OrderPlaced:
        order = makers.placed(self.on, lines={f"l-{sku}": (sku, units) for sku, units in qty.items()})
        if heard:
            self.tell(order)
        return order

    @rule(order=orders)
    def hear_of_it_again_or_late(self, order: OrderPlaced) -> None:
        self.tell(order)

    @rule(order=orders, minutes=st.integers(0, 200))
    def ask_for_money(self, order: OrderPlaced, minutes: int) -> None:
        self.tell(makers.payment_requested(order, pay_by=self.on.now() + timedelta(minutes=minutes)))

    @rule(order=orders, minutes=st.integers(0, 200))
    def somebody_is_paying(self, order: OrderPlaced, minutes: int) -> None:
        self.tell(makers.payment_initiated(order, expires_at=self.on.now() + timedelta(minutes=minutes)))

    @rule(order=orders)
    def confirm(self, order: OrderPlaced) -> None:
        self.tell(makers.confirmed(order))

    @rule(order=orders)
    def cancel(self, order: OrderPlaced) -> None:
        self.tell(makers.cancelled(order))

    @rule(order=consumes(orders))
    def place_and_cancel_in_the_wrong_order(self, order: OrderPlaced) -> None:
        self.tell(makers.cancelled(order), order)

    @rule(order=orders, sku=SKUS, units=UNITS)
    def cancel_units(self, order: OrderPlaced, sku: str, units: int) -> None:
        if fact := makers.lines_cancelled(order, **{sku: units}):
            self.tell(fact)

    @rule(order=orders)
    def close(self, order: OrderPlaced) -> None:
        self.tell(makers.closed(order))

    @rule(order=orders, east=st.booleans())
    def ship_what_is_firm(self, order: OrderPlaced, east: bool) -> None:
        where = self.east if east else self.west
        answer = self.on.caller("operator").get(f"/v1/reservations/{order.order_no}")
        parts = answer.json["parts"] if answer.status == 200 else []
        qty = {part["sku"]: part["allocated"] for part in parts if part["warehouse_id"] == where and part["allocated"]}
        if qty:
            self.send(makers.shipped(order, where, **qty))

    @rule(order=orders, east=st.booleans())
    def ship_whatever_the_books_say(self, order: OrderPlaced, east: bool) -> None:
        self.send(makers.shipped(order, self.east if east else self.west))

    def send(self, parcel: Shipped) -> None:
        self.parcels.append(parcel)
        self.tell(parcel)

    @rule(data=st.data(), heard=st.booleans())
    def a_parcel_comes_back(self, data: st.DataObject, heard: bool) -> None:
        if self.parcels:
            parcel = data.draw(st.sampled_from(self.parcels))
            if not heard:  # of a parcel of which nothing else was heard
                parcel = replace(parcel, shipment_id=f"{parcel.shipment_id}-other")
            self.tell(makers.came_back(parcel))

    @rule(data=st.data(), fate=FATES, off=st.sampled_from([0, 0, 0, -1, 1]))
    def inspect(self, data: st.DataObject, fate: str, off: int) -> None:
        """Whatever came back, again too, and counted wrong at times."""
        who = makers.seller(self.on)
        if back := who.get("/v1/returns").json["items"]:
            one = data.draw(st.sampled_from(back))
            fit = [(line, data.draw(st.integers(0, line["qty"]))) for line in one["lines"]]
            found = [makers.finding(line["line_id"], good, line["qty"] - good + off, fate) for line, good in fit]
            statuses = {"INSPECTED": (409, 422), "AWAITING_INSPECTION": (422,) if off else (201,)}
            assert makers.inspect(who, one["shipment_id"], *found).status in statuses[one["state"]]

    @rule(sku=SKUS, units=UNITS, east=st.booleans())
    def receive(self, sku: str, units: int, east: bool) -> None:
        makers.put_in(self.on, self.east if east else self.west, **{sku: units})

    @rule(sku=SKUS, delta=st.integers(-4, 4).filter(bool), east=st.booleans())
    def adjust(self, sku: str, delta: int, east: bool) -> None:
        body = {
            "warehouse_id": self.east if east else self.west,
            "reason": "manual",
            "lines": [{"sku": sku, "delta": delta}],
        }
        assert makers.seller(self.on).post("/v1/stock-adjustments", body).status in (201, 409)

    @rule(sku=SKUS, counted=st.integers(0, 8), east=st.booleans())
    def count(self, sku: str, counted: int, east: bool) -> None:
        line = {"sku": sku, "counted": counted}
        body = {"warehouse_id": self.east if east else self.west, "lines": [line]}
        assert makers.seller(self.on).post("/v1/stocktakes", body).status in (201, 409)

    @rule(sku=SKUS, units=UNITS, east=st.booleans())
    def send_to_the_other_warehouse(self, sku: str, units: int, east: bool) -> None:
        start, end = (self.east, self.west) if east else (self.west, self.east)
        assert makers.send(makers.seller(self.on), start, end, **{sku: units}).status in (201, 409)

    @rule(data=st.data(), off=st.sampled_from([0, 0, 1]))
    def receive_what_was_sent(self, data: st.DataObject, off: int) -> None:
        """Whatever is known, again too, and counted too much at times."""
        who = makers.seller(self.on)
        if known := who.get("/v1/transfers").json["items"]:
            one = data.draw(st.sampled_from(known))
            counted = {line["sku"]: line["qty"] + 1 if off else data.draw(st.integers(0, line["qty"]))
                       for line in one["lines"]}  # fmt: skip
            due = 409 if one["state"] == "RECEIVED" else 422 if off else 201
            assert makers.receive(who, one["transfer_id"], **counted).status == due

    @rule(sku=SKUS, room=st.integers(0, 4), east=st.booleans())
    def agree(self, sku: str, room: int, east: bool) -> None:
        makers.terms(self.on, sku, self.east if east else self.west, low=1, backorders=room)

    @rule(minutes=st.sampled_from([1, 20, 60]))
    def wait(self, minutes: int) -> None:
        self.on.advance(minutes=minutes)

    @rule(data=st.data())
    def hear_something_twice(self, data: st.DataObject) -> None:
        if self.told:
            self.on.hear_bytes(data.draw(st.sampled_from(self.told)))

    @rule()
    def try_again_what_was_kept(self) -> None:
        for row in self.on.kept():
            self.on.consumer.retry(row.no)

    @invariant()
    def the_books_are_right(self) -> None:
        makers.check_books(self.on)

    @invariant()
    def each_answer_is_given_once(self) -> None:
        for fact in (StockReservationExpired, StockAllocated):
            orders = [one.order_no for one in self.on.said(fact)]
            assert len(orders) == len(set(orders)), fact
        asked = [one.order_no for one in self.on.said(StockReserved)]
        assert len(asked) == len(set(asked)), "an order is told of its hold once"
        assert all(line.qty + line.backordered_qty for one in self.on.said(StockReleased) for line in one.lines)
        shipments = [one.shipment_id for one in self.on.said(StockDeducted)]
        assert len(shipments) == len(set(shipments))
        inspected = [one.shipment_id for one in self.on.said(ReturnInspected)]
        assert len(inspected) == len(set(inspected))
        moved = [(one.transfer_id, one.status) for one in self.on.said(StockTransferred)]
        assert len(moved) == len(set(moved))
        assert all(one.shortages for one in self.on.said(StockReservationFailed))

    @invariant()
    def nothing_lies_idle_while_somebody_waits(self) -> None:
        self.on.fire()
        for row in self.on.caller("operator").get("/v1/stock").json["items"]:
            free = row["on_hand"] - row["held"] - row["allocated"]
            assert not (free and row["backordered"]), row

    def teardown(self) -> None:
        self.on.close()
        makers.opened.remove(self.on)
        self.forget_store()


def test_stock_is_never_promised_twice() -> None:
    play(Shop, None, examples=20, steps=25)


@pytest.mark.servers
def test_stock_is_never_promised_twice_on_postgres(postgres_server) -> None:
    play(Shop, postgres_server, examples=3, steps=25)
