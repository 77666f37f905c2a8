"""Goods go from one warehouse to another: off one shelf at once, on the other when they are counted, never on both."""

import threading

import pytest

from services.inventory.domain.stock import MOST_ON_HAND
from services.inventory.tests import makers
from services.inventory.tests.makers import (
    check_books,
    confirmed,
    numbers,
    placed,
    receive,
    seller,
    send,
    stocked,
    terms,
)
from shared.contracts.inventory import BackorderFilled, StockDepleted, StockReplenished, StockTransferred


def two_warehouses(url, folder, **qty):
    on, east = stocked(url, folder, **qty)
    return on, east, makers.warehouse(on, "West")


def on_sale(on, sku):
    return seller(on).get(f"/v1/stock/{sku}").json["available"]


def test_goods_on_their_way_can_be_ordered_nowhere_and_what_does_not_arrive_is_missing(database_url, tmp_path):
    on, east, west = two_warehouses(database_url, tmp_path, A=5, B=2)
    sent = send(seller(on), east, west, A=5, B=2)
    assert (sent.status, sent.json["state"]) == (201, "IN_TRANSIT")
    assert (on_sale(on, "A"), on_sale(on, "B")) == (0, 0)
    assert [fact.sku for fact in on.said(StockDepleted)] == ["A", "B"]

    transfer_id = sent.json["transfer_id"]
    answer = receive(seller(on), transfer_id, A=3, B=0)
    assert (answer.status, answer.json["state"]) == (201, "RECEIVED")
    assert [(line["sku"], line["received"], line["missing"]) for line in answer.json["lines"]] == [
        ("A", 3, 2),
        ("B", 0, 2),
    ]
    assert answer.json == seller(on).get(f"/v1/transfers/{transfer_id}").json
    assert (numbers(on, "A", east), numbers(on, "A", west)) == ((0, 0, 0, 0), (3, 0, 0, 0))
    assert [fact.sku for fact in on.said(StockReplenished)][-1] == "A"
    ledger = seller(on).get("/v1/stock/A/movements").json["items"]
    assert [(one["kind"], one["on_hand"], one["warehouse_id"], one["reference"]) for one in ledger[:2]] == [
        ("transfer_in", 3, west, transfer_id),
        ("transfer_out", -5, east, transfer_id),
    ]
    told = [(fact.status, [(line.qty, line.missing, line.available) for line in fact.lines])
            for fact in on.said(StockTransferred)]  # fmt: skip
    assert told == [("shipped", [(5, 0, 0), (2, 0, 0)]), ("received", [(5, 2, 3), (2, 2, 0)])]
    check_books(on)


def test_what_orders_were_promised_stays_where_it_is(database_url, tmp_path):
    on, east, west = two_warehouses(database_url, tmp_path, A=5, B=3)
    unpaid, firm = placed(on, A=1), placed(on, A=2)
    on.hear(unpaid, firm, confirmed(firm))
    too_many = send(seller(on), east, west, B=3, A=3)
    refused = {"code": "units_not_available", "field": "lines.1.qty", "available": 2}
    assert (too_many.status, refused.items() <= too_many.json.items()) == (409, True)
    assert (numbers(on, "B", east), seller(on).get("/v1/transfers").json["items"]) == ((3, 0, 0, 0), [])
    assert send(seller(on), east, west, A=2).status == 201
    assert numbers(on, "A", east) == (3, 1, 2, 0)
    check_books(on)


def test_of_two_who_send_the_same_units_at_once_one_does(database_url, tmp_path):
    on, east, west = two_warehouses(database_url, tmp_path, A=3)
    start, statuses = threading.Barrier(2), []

    def somebody():
        start.wait()
        statuses.append(send(seller(on), east, west, A=2).status)

    both = [threading.Thread(target=somebody) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join()
    assert sorted(statuses) == [201, 409]
    assert numbers(on, "A", east) == (1, 0, 0, 0)
    check_books(on)


def test_what_arrives_goes_first_to_those_who_wait_for_it(database_url, tmp_path):
    on, east, west = two_warehouses(database_url, tmp_path, A=3)
    transfer_id = send(seller(on), east, west, A=3).json["transfer_id"]
    terms(on, "A", west, backorders=5)
    patient = placed(on, A=2)
    on.hear(patient, confirmed(patient))
    receive(seller(on), transfer_id, A=3)
    on.fire()
    (filled,) = on.said(BackorderFilled)
    assert (filled.order_no, filled.qty, filled.warehouse_id) == (patient.order_no, 2, west)
    assert numbers(on, "A", west) == (3, 0, 2, 0)
    check_books(on)


def test_a_transfer_is_sent_and_received_once_however_often_it_is_asked(sqlite_url, tmp_path):
    on, east, west = two_warehouses(sqlite_url, tmp_path, A=4)
    who = seller(on)
    first = send(who, east, west, "k1", A=2)
    assert send(who, east, west, "k1", A=2).json == first.json
    transfer_id = first.json["transfer_id"]
    counted = receive(who, transfer_id, "k2", A=1)
    assert receive(who, transfer_id, "k2", A=1).json == counted.json
    for units in (1, 2):
        again = receive(who, transfer_id, A=units)
        assert (again.status, again.json["code"]) == (409, "already_received")
    assert (numbers(on, "A", east), numbers(on, "A", west)) == ((2, 0, 0, 0), (1, 0, 0, 0))


@pytest.mark.parametrize(
    ("counted", "code", "field"),
    [
        ([("A", 3), ("B", 1)], "more_than_sent", "lines.0.received"),
        ([("A", 2)], "line_not_counted", "lines"),
        ([("A", 2), ("B", 1), ("C", 1)], "sku_not_transferred", "lines.2.sku"),
        ([("A", 1), ("B", 1), ("A", 1)], "repeated_sku", "lines.2.sku"),
        ([("A", -1), ("B", 1)], "invalid", "lines.0.received"),
    ],
)
def test_a_receipt_that_does_not_account_for_every_line_changes_nothing(sqlite_url, tmp_path, counted, code, field):
    on, east, west = two_warehouses(sqlite_url, tmp_path, A=2, B=1)
    transfer_id = send(seller(on), east, west, A=2, B=1).json["transfer_id"]
    lines = [{"sku": sku, "received": units} for sku, units in counted]
    answer = seller(on).post(f"/v1/transfers/{transfer_id}/receipt", {"lines": lines})
    assert (answer.status, answer.json["code"], answer.json["field"]) == (422, code, field)
    assert seller(on).get(f"/v1/transfers/{transfer_id}").json["state"] == "IN_TRANSIT"
    assert on_sale(on, "A") == 0


def test_a_transfer_goes_between_two_warehouses_of_the_shop_that_have_room(sqlite_url, tmp_path):
    on, east, west = two_warehouses(sqlite_url, tmp_path, A=1)
    theirs = makers.warehouse(on, "Theirs", makers.OTHER_SHOP)
    for start, end, code, field in (
        (east, east, "same_warehouse", "to_warehouse_id"),
        (east, theirs, "unknown_warehouse", "to_warehouse_id"),
        (theirs, west, "unknown_warehouse", "from_warehouse_id"),
    ):
        answer = send(seller(on), start, end, A=1)
        assert (answer.status, answer.json["code"], answer.json["field"]) == (422, code, field)
    assert send(seller(on), east, west, X=1).json["code"] == "unknown_sku"
    transfer_id = send(seller(on), east, west, A=1).json["transfer_id"]
    full = {"warehouse_id": west, "lines": [{"sku": "A", "counted": MOST_ON_HAND}]}
    assert seller(on).post("/v1/stocktakes", full).status == 201
    assert receive(seller(on), transfer_id, A=1).json["code"] == "too_much_stock"


def test_a_shop_sees_its_own_transfers_alone_and_operators_see_all(sqlite_url, tmp_path):
    on, east, west = two_warehouses(sqlite_url, tmp_path, A=3)
    sent = [send(seller(on), east, west, A=1).json["transfer_id"] for _ in range(3)]
    page = seller(on).get("/v1/transfers?limit=2").json
    rest = seller(on).get(f"/v1/transfers?cursor={page['next']}").json["items"]
    assert [one["transfer_id"] for one in page["items"] + rest] == sorted(sent)
    stranger, staff = seller(on, makers.OTHER_SHOP), on.caller("operator")
    assert stranger.get("/v1/transfers").json["items"] == []
    assert stranger.get(f"/v1/transfers/{sent[0]}").status == 404
    assert receive(stranger, sent[0], A=1).json["code"] == "no_such_transfer"
    assert staff.get(f"/v1/transfers/{sent[0]}").status == 200
    assert len(staff.get(f"/v1/transfers?seller_id={makers.SHOP}&state=IN_TRANSIT").json["items"]) == 3
    assert receive(staff, sent[0], A=1).status == 403
