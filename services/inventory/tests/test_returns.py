"""What comes back: nothing of it is stock before the shop has looked at it, and each unit is at most once."""

import pytest

from services.inventory.domain.stock import MOST_ON_HAND
from services.inventory.tests import makers
from services.inventory.tests.makers import (
    check_books,
    confirmed,
    finding,
    inspect,
    numbers,
    placed,
    seller,
    stocked,
    terms,
)
from shared.contracts.inventory import (
    BackorderFilled,
    ReturnInspected,
    StockDepleted,
    StockReplenished,
    StockRestocked,
)


def sent_back(on, main, **qty):
    """An order that was sent from there and refused at the door; its parcel."""
    order = placed(on, **qty)
    parcel = makers.shipped(order, main)
    on.hear(order, confirmed(order), parcel, makers.came_back(parcel))
    assert not on.kept()
    return parcel


def test_what_comes_back_is_sold_again_only_as_far_as_it_was_found_fit(database_url, tmp_path):
    on, main = stocked(database_url, tmp_path, A=4, B=2)
    parcel = sent_back(on, main, A=4, B=2)
    assert len(on.said(StockDepleted)) == 2
    (waiting,) = seller(on).get("/v1/returns?state=AWAITING_INSPECTION").json["items"]
    assert (waiting["shipment_id"], waiting["reason"], waiting["findings"]) == (parcel.shipment_id, "refused", [])
    assert numbers(on, "A", main) == (0, 0, 0, 0), "back in the house, and on no shelf"

    findings = [finding("l-A", 2), finding("l-A", 1, 1, "refurbish"), finding("l-B", 0, 2, "scrap")]
    answer = inspect(seller(on), parcel.shipment_id, *findings)
    assert (answer.status, answer.json["state"]) == (201, "INSPECTED")
    assert answer.json == seller(on).get(f"/v1/returns/{parcel.shipment_id}").json
    kept = [(line["qty_accepted"], line["qty_rejected"]) for line in answer.json["findings"]]
    assert kept == [(2, 0), (1, 1), (0, 2)]

    assert (numbers(on, "A", main), numbers(on, "B", main)) == ((2, 0, 0, 0), (0, 0, 0, 0))
    (said,) = on.said(ReturnInspected)
    assert [(line.sku, line.qty_accepted, line.disposition) for line in said.lines] == [
        ("A", 2, "resellable"),
        ("A", 1, "refurbish"),
        ("B", 0, "scrap"),
    ]
    (again,) = on.said(StockRestocked)
    assert (again.sku, again.qty, again.on_hand, again.available) == ("A", 2, 2, 2)
    assert [fact.sku for fact in on.said(StockReplenished)][-1] == "A", "who waits for it to be sold again is told"
    (line,) = (one for one in seller(on).get("/v1/stock/A/movements").json["items"] if one["kind"] == "restock")
    assert (line["on_hand"], line["shipment_id"]) == (2, parcel.shipment_id)
    assert seller(on).get("/v1/returns?state=AWAITING_INSPECTION").json["items"] == []
    check_books(on)


def test_a_parcel_is_inspected_once_whatever_is_said_later(database_url, tmp_path):
    on, main = stocked(database_url, tmp_path, A=2)
    parcel = sent_back(on, main, A=2)
    who = seller(on)
    first = inspect(who, parcel.shipment_id, finding("l-A", 2), Idempotency_Key="k1")
    assert inspect(who, parcel.shipment_id, finding("l-A", 2), Idempotency_Key="k1").json == first.json
    for again in (finding("l-A", 2), finding("l-A", 0, 2)):
        answer = inspect(seller(on), parcel.shipment_id, again)
        assert (answer.status, answer.json["code"]) == (409, "already_inspected")
    on.hear(makers.came_back(parcel))  # told a second time, under another id
    assert inspect(seller(on), parcel.shipment_id, finding("l-A", 2)).status == 409
    assert numbers(on, "A", main) == (2, 0, 0, 0)
    assert len(on.said(ReturnInspected)) == len(on.said(StockRestocked)) == 1


@pytest.mark.parametrize(
    ("findings", "code", "field"),
    [
        ([finding("l-A", 2)], "units_do_not_add_up", "lines"),
        ([finding("l-A", 2, 1), finding("l-B", 1)], "units_do_not_add_up", "lines.0"),
        ([finding("l-A", 1), finding("l-B", 1), finding("l-A", 2)], "units_do_not_add_up", "lines.2"),
        ([finding("l-A", 2), finding("l-B", 1), finding("l-B", 0)], "units_do_not_add_up", "lines.2"),
        ([finding("l-A", 2), finding("l-C", 1)], "line_not_returned", "lines.1.line_id"),
        ([finding("l-A", -1, 3), finding("l-B", 1)], "invalid", "lines.0.qty_accepted"),
        ([finding("l-A", True, 1), finding("l-B", 1)], "invalid", "lines.0.qty_accepted"),
        ([finding("l-A", 2, disposition="gift"), finding("l-B", 1)], "invalid", "lines.0.disposition"),
        ([], "invalid", "lines"),
    ],
)
def test_an_inspection_that_does_not_account_for_every_unit_changes_nothing(
    sqlite_url, tmp_path, findings, code, field
):
    on, main = stocked(sqlite_url, tmp_path, A=2, B=1)
    parcel = sent_back(on, main, A=2, B=1)
    answer = inspect(seller(on), parcel.shipment_id, *findings)
    assert (answer.status, answer.json["code"], answer.json["field"]) == (422, code, field)
    assert seller(on).get(f"/v1/returns/{parcel.shipment_id}").json["state"] == "AWAITING_INSPECTION"
    assert (numbers(on, "A", main), on.said(ReturnInspected)) == ((0, 0, 0, 0), [])


def test_a_return_ahead_of_its_shipment_waits_for_it(database_url, tmp_path):
    on, main = stocked(database_url, tmp_path, A=1)
    order = placed(on, A=1)
    parcel = makers.shipped(order, main)
    on.hear(makers.came_back(parcel))
    on.hear(order, confirmed(order))
    assert [row.status for row in on.kept()] == ["early"], "ordered and packed, but not known to have left"
    assert seller(on).get("/v1/returns").json["items"] == []
    on.hear(parcel)
    assert not on.kept()
    assert len(seller(on).get("/v1/returns").json["items"]) == 1


def test_only_goods_that_were_sold_are_inspected(sqlite_url, tmp_path):
    on, main = stocked(sqlite_url, tmp_path, A=1)
    order = placed(on, A=1)
    parcel = makers.shipped(order, main, kind="replacement")
    on.hear(order, confirmed(order), parcel, makers.came_back(parcel))
    assert (on.kept(), seller(on).get("/v1/returns").json["items"]) == ([], [])


def test_who_waits_for_the_goods_gets_those_that_came_back_first(database_url, tmp_path):
    on, main = stocked(database_url, tmp_path, A=2)
    parcel = sent_back(on, main, A=2)
    terms(on, "A", main, backorders=5)
    patient = placed(on, A=1)
    on.hear(patient, confirmed(patient))
    inspect(seller(on), parcel.shipment_id, finding("l-A", 2))
    on.fire()
    (filled,) = on.said(BackorderFilled)
    assert (filled.order_no, filled.qty) == (patient.order_no, 1)
    assert numbers(on, "A", main) == (2, 0, 1, 0)
    check_books(on)


def test_a_full_warehouse_takes_nothing_back(sqlite_url, tmp_path):
    on, main = stocked(sqlite_url, tmp_path, A=1)
    parcel = sent_back(on, main, A=1)
    everything = {"warehouse_id": main, "lines": [{"sku": "A", "counted": MOST_ON_HAND}]}
    assert seller(on).post("/v1/stocktakes", everything).status == 201
    answer = inspect(seller(on), parcel.shipment_id, finding("l-A", 1))
    assert (answer.status, answer.json["code"]) == (409, "too_much_stock")
    assert inspect(seller(on), parcel.shipment_id, finding("l-A", 1, disposition="scrap")).status == 201


def test_a_shop_inspects_its_own_returns_alone_and_operators_see_all(sqlite_url, tmp_path):
    on, main = stocked(sqlite_url, tmp_path, A=3)
    first, second, third = (sent_back(on, main, A=1).shipment_id for _ in range(3))
    for shop, found in ((makers.SHOP, [first, second, third]), (makers.OTHER_SHOP, [])):
        page = seller(on, shop).get("/v1/returns?limit=2").json
        rest = seller(on, shop).get(f"/v1/returns?cursor={page['next']}").json["items"] if page["next"] else []
        assert [one["shipment_id"] for one in page["items"] + rest] == sorted(found)
    stranger = inspect(seller(on, makers.OTHER_SHOP), first, finding("l-A", 1))
    nothing = inspect(seller(on), "no-such", finding("l-A", 1))
    assert (stranger.status, stranger.json["code"]) == (nothing.status, nothing.json["code"]) == (404, "no_such_return")
    assert seller(on, makers.OTHER_SHOP).get(f"/v1/returns/{first}").status == 404
    staff = on.caller("operator")
    assert staff.get(f"/v1/returns/{first}").status == 200
    assert len(staff.get(f"/v1/returns?seller_id={makers.SHOP}").json["items"]) == 3
    assert staff.get(f"/v1/returns?seller_id={makers.OTHER_SHOP}").json["items"] == []
    assert inspect(staff, first, finding("l-A", 1)).status == 403
