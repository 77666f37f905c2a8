"""One trace, from the client who began it to the last who heard of it: what operators follow an order by."""

from __future__ import annotations

import json
import secrets

from deploy import fleet
from deploy.stack import Stack
from shared.contracts.event import Envelope, decode_envelope
from shared.kernel.ids import new_id
from shared.storage.inspect import logged
from tests.journeys.market import Market
from tests.journeys.test_operating import caravan


def told(market: Market, group_no: str) -> list[Envelope]:
    bodies = (decode_envelope(body) for store in market.grounds.stores.values() for _, body in logged(store))
    return sorted((one for one in bodies if one.partitionkey == group_no), key=lambda one: one.id)


def test_the_trace_of_who_placed_an_order_is_on_all_that_came_of_it(market: Market) -> None:
    trace = secrets.token_hex(16)
    market.buyer.http.headers["traceparent"] = f"00-{trace}-{secrets.token_hex(8)}-01"
    group = market.place(market.tea)
    market.pay(group)  # the provider, who tells us of the money, has never heard of our trace

    facts = told(market, group["group_no"])
    names = [one.fact_name for one in facts]
    assert {"OrderPlaced", "StockReserved", "PaymentInitiated", "PaymentConfirmed", "OrderConfirmed"} <= set(names)
    assert {one.fact_name: one.traceparent[3:35] for one in facts} == dict.fromkeys(names, trace)

    for name in (trace, group["group_no"], group["orders"][0]["order_no"], facts[0].correlationid):
        found = market.staff.do("GET", f"/v1/ops/traces/{name}")
        assert found["trace_ids"] == [trace], name
        spans = found["spans"]
        assert (spans[0]["fact"], spans[0]["deed"], spans[0]["depth"], spans[0]["because"]) == (
            "OrderPlaced", "told", 0, "request"
        )  # fmt: skip
        where = {(span["fact"], span["service"], span["deed"]): number for number, span in enumerate(spans)}
        placed, reserved = where["OrderPlaced", "inventory", "heard"], where["StockReserved", "inventory", "told"]
        assert (spans[placed]["depth"], spans[reserved]["depth"], reserved) == (1, 2, placed + 1)
        assert all(span["state"] in ("published", "handled") and span["at"] for span in spans)
        assert all(span["lag_seconds"] >= 0 for span in spans if span["deed"] == "heard")
    assert len(market.staff.do("GET", f"/v1/ops/traces/{trace}")["spans"]) > len(facts)
    assert "payment told PaymentConfirmed" in caravan(market.grounds, "trace", trace).stdout
    for unknown in (secrets.token_hex(16), new_id(), "G0000000000000000"):
        assert market.staff.ask("GET", f"/v1/ops/traces/{unknown}").json["code"] == "nothing_told"

    if isinstance(market.grounds, Stack):
        heard = fleet.subscribers()
        ids = {one.id for one in facts if one.type.removeprefix("caravan.") in heard}
        lines = [
            json.loads(line)
            for path in (market.grounds.home / "logs").glob("*.worker.*.log")
            for line in path.read_text().splitlines()
            if '"event":"handled"' in line and trace in line
        ]
        assert {line["event_id"] for line in lines if line["trace_id"] == trace} == ids
