"""What a shopkeeper can do with warehouses and stock over HTTP, and what is refused."""

import pytest

from services.inventory.tests import makers
from services.inventory.tests.makers import check_books, confirmed, numbers, placed, put_in, stage, stocked, warehouse
from shared.contracts.inventory import StockAdjusted, WarehouseOpened


def receipt(warehouse_id, *lines):
    return {"warehouse_id": warehouse_id, "lines": [{"sku": sku, "qty": qty} for sku, qty in lines]}


def test_a_seller_opens_a_warehouse_and_sees_it(database_url, tmp_path):
    on = stage(database_url, tmp_path)
    answer = makers.seller(on).post("/v1/warehouses", {"title": "Main", "region": "CN-ZJ"})
    assert answer.status == 201
    shown = makers.seller(on).get(answer.headers["Location"])
    assert (shown.json["title"], shown.json["region"], shown.json["seller_id"]) == ("Main", "CN-ZJ", makers.SHOP)
    assert [fact.warehouse_id for fact in on.said(WarehouseOpened)] == [answer.json["warehouse_id"]]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"region": "CN"}, "title"),
        ({"title": " ", "region": "CN"}, "title"),
        ({"title": "x" * 121, "region": "CN"}, "title"),
        ({"title": "Main", "region": "China"}, "region"),
        ({"title": "Main", "region": "CN\n"}, "region"),
        ({"title": "Main", "region": "CN", "seller_id": "shop-2"}, "seller_id"),
    ],
)
def test_a_warehouse_with_a_wrong_field_is_not_opened(sqlite_url, tmp_path, body, field):
    on = stage(sqlite_url, tmp_path)
    answer = makers.seller(on).post("/v1/warehouses", body)
    assert (answer.status, answer.json["code"], answer.json["field"]) == (422, "invalid", field)
    assert makers.seller(on).get("/v1/warehouses").json["items"] == []


def test_goods_are_put_in_and_shown(database_url, tmp_path):
    on = stage(database_url, tmp_path)
    main = warehouse(on)
    answer = makers.seller(on).post("/v1/stock-receipts", {**receipt(main, ("A", 5), ("B", 2)), "reference": "note 7"})
    assert answer.status == 201
    assert [(line["sku"], line["on_hand"], line["available"]) for line in answer.json["lines"]] == [
        ("A", 5, 5),
        ("B", 2, 2),
    ]
    said = on.said(StockAdjusted)
    assert [(fact.sku, fact.delta, fact.on_hand, fact.available, fact.reason) for fact in said] == [
        ("A", 5, 5, 5, "received"),
        ("B", 2, 2, 2, "received"),
    ]
    shown = makers.seller(on).get("/v1/stock/A").json
    assert (shown["on_hand"], shown["available"], shown["listed"], len(shown["warehouses"])) == (5, 5, False, 1)
    (line,) = makers.seller(on).get("/v1/stock/A/movements").json["items"]
    assert (line["kind"], line["on_hand"], line["reference"]) == ("receive", 5, "note 7")
    assert line["cause"].startswith("request:")


def test_a_retried_receipt_puts_the_goods_in_once(database_url, tmp_path):
    on = stage(database_url, tmp_path)
    main, who = warehouse(on), makers.seller(on)
    first = who.post("/v1/stock-receipts", receipt(main, ("A", 5)), Idempotency_Key="k1")
    again = who.post("/v1/stock-receipts", receipt(main, ("A", 5)), Idempotency_Key="k1")
    assert first.json == again.json
    assert numbers(on, "A", main) == (5, 0, 0, 0)


@pytest.mark.parametrize(
    ("lines", "code", "field"),
    [
        ([("A", 1), ("nonsense", 1)], "unknown_sku", "lines.1.sku"),
        ([("X", 1)], "unknown_sku", "lines.0.sku"),
        ([("A", 1), ("A", 2)], "repeated_sku", "lines.1.sku"),
        ([("A", 0)], "invalid", "lines.0.qty"),
        ([("A", -3)], "invalid", "lines.0.qty"),
        ([("A", True)], "invalid", "lines.0.qty"),
        ([("A", "7")], "invalid", "lines.0.qty"),
        ([("A", 1.5)], "invalid", "lines.0.qty"),
        ([("A", 10**30)], "invalid", "lines.0.qty"),
        ([("", 1)], "invalid", "lines.0.sku"),
        ([], "invalid", "lines"),
    ],
)
def test_a_receipt_with_a_wrong_line_puts_nothing_in(database_url, tmp_path, lines, code, field):
    on = stage(database_url, tmp_path)
    main = warehouse(on)
    answer = makers.seller(on).post("/v1/stock-receipts", receipt(main, *lines))
    assert (answer.status, answer.json["code"], answer.json["field"]) == (422, code, field)
    assert not on.said(StockAdjusted)
    assert makers.seller(on).get("/v1/stock").json["items"] == []


def test_stock_goes_only_into_ones_own_warehouse(sqlite_url, tmp_path):
    on = stage(sqlite_url, tmp_path)
    theirs = warehouse(on, shop=makers.OTHER_SHOP)
    for where in (theirs, "nowhere"):
        answer = makers.seller(on).post("/v1/stock-receipts", receipt(where, ("A", 1)))
        assert (answer.status, answer.json["code"], answer.json["field"]) == (422, "unknown_warehouse", "warehouse_id")


def test_the_books_are_corrected_with_a_reason(database_url, tmp_path):
    on, main = stocked(database_url, tmp_path, A=5)
    body = {"warehouse_id": main, "reason": "damage", "lines": [{"sku": "A", "delta": -2}]}
    assert makers.seller(on).post("/v1/stock-adjustments", body).status == 201
    assert numbers(on, "A", main) == (3, 0, 0, 0)
    fact = on.said(StockAdjusted)[-1]
    assert (fact.delta, fact.on_hand, fact.reason) == (-2, 3, "damage")


def test_what_is_promised_to_orders_cannot_be_written_off(database_url, tmp_path):
    on, main = stocked(database_url, tmp_path, A=5, B=5)
    unpaid, paid = placed(on, A=2), placed(on, A=2)
    on.hear(unpaid, paid, confirmed(paid))
    body = {
        "warehouse_id": main,
        "reason": "manual",
        "lines": [{"sku": "B", "delta": -1}, {"sku": "A", "delta": -2}],
    }
    answer = makers.seller(on).post("/v1/stock-adjustments", body)
    assert (answer.status, answer.json["code"], answer.json["field"]) == (409, "stock_promised", "lines.1")
    assert (answer.json["on_hand"], answer.json["promised"]) == (5, 4)
    assert numbers(on, "B", main) == (5, 0, 0, 0)
    check_books(on)


def test_a_stocktake_makes_the_books_say_what_was_counted(database_url, tmp_path):
    on, main = stocked(database_url, tmp_path, A=5, B=5)
    lines = [{"sku": "A", "counted": 4, "expected": 5}, {"sku": "B", "counted": 5}]
    answer = makers.seller(on).post("/v1/stocktakes", {"warehouse_id": main, "lines": lines})
    assert [line["on_hand"] for line in answer.json["lines"]] == [4, 5]
    assert [(fact.sku, fact.delta) for fact in on.said(StockAdjusted) if fact.reason == "stocktake"] == [("A", -1)]


def test_counting_while_goods_move_is_noticed(sqlite_url, tmp_path):
    on, main = stocked(sqlite_url, tmp_path, A=5)
    put_in(on, main, A=1)
    lines = [{"sku": "A", "counted": 4, "expected": 5}]
    answer = makers.seller(on).post("/v1/stocktakes", {"warehouse_id": main, "lines": lines})
    assert (answer.status, answer.json["code"], answer.json["on_hand"]) == (409, "stock_moved", 6)
    assert numbers(on, "A", main) == (6, 0, 0, 0)


def test_no_warehouse_is_bottomless(sqlite_url, tmp_path):
    on, main = stocked(sqlite_url, tmp_path, A=1)
    lines = [{"sku": "A", "counted": 1_000_000_000}]
    assert makers.seller(on).post("/v1/stocktakes", {"warehouse_id": main, "lines": lines}).status == 201
    answer = makers.seller(on).post("/v1/stock-receipts", receipt(main, ("A", 1)))
    assert (answer.status, answer.json["code"]) == (409, "too_much_stock")


def test_terms_are_set_before_the_first_goods_come(database_url, tmp_path):
    on = stage(database_url, tmp_path)
    main = warehouse(on)
    path = f"/v1/stock/A/warehouses/{main}"
    answer = makers.seller(on).put(path, {"low_threshold": 3, "backorder_limit": 9})
    assert (answer.status, answer.json["low_threshold"], answer.json["backorder_limit"]) == (200, 3, 9)
    assert answer.json["low"] is True
    for body in ({"low_threshold": -1, "backorder_limit": 0}, {"low_threshold": 1}, {"on_hand": 7}):
        assert makers.seller(on).put(path, body).status == 422
    for path in (f"/v1/stock/X/warehouses/{main}", "/v1/stock/A/warehouses/nowhere"):
        assert makers.seller(on).put(path, {"low_threshold": 1, "backorder_limit": 1}).status == 404


def test_stock_is_listed_page_by_page_and_filtered(database_url, tmp_path):
    on = stage(database_url, tmp_path)
    east, west = warehouse(on, "East"), warehouse(on, "West")
    put_in(on, east, A=1, B=2, C=3)
    put_in(on, west, A=4)
    makers.terms(on, "B", east, low=5)
    who = makers.seller(on)
    cursor: str | None = ""
    seen = []
    while cursor is not None:
        answer = who.get(f"/v1/stock?limit=2{cursor and f'&cursor={cursor}'}").json
        seen += [(row["sku"], row["on_hand"]) for row in answer["items"]]
        cursor = answer["next"]
    assert sorted(seen) == [("A", 1), ("A", 4), ("B", 2), ("C", 3)]
    assert [row["sku"] for row in who.get("/v1/stock?low=true").json["items"]] == ["B"]
    assert len(who.get("/v1/stock?low=false").json["items"]) == 3
    assert [row["on_hand"] for row in who.get(f"/v1/stock?warehouse_id={west}").json["items"]] == [4]
    assert len(who.get(f"/v1/stock?product_id=p-{makers.SHOP}").json["items"]) == 4
    assert who.get("/v1/stock?product_id=other").json["items"] == []
    for wrong in ("limit=0", "limit=101", "limit=x", "cursor=x", "low=perhaps", "on_hand=1"):
        assert who.get(f"/v1/stock?{wrong}").status == 422, wrong


def test_the_ledger_is_read_newest_first_page_by_page(database_url, tmp_path):
    on, main = stocked(database_url, tmp_path, A=5)
    order = placed(on, A=2)
    on.hear(order, confirmed(order), makers.shipped(order, main, "s-1"))
    who = makers.seller(on)
    first = who.get("/v1/stock/A/movements?limit=3").json
    assert [(row["kind"], row["on_hand"], row["held"], row["allocated"]) for row in first["items"]] == [
        ("deduct", -2, 0, -2),
        ("allocate", 0, -2, 2),
        ("hold", 0, 2, 0),
    ]
    assert first["items"][0]["shipment_id"] == "s-1"
    assert {row["reservation_id"] for row in first["items"]} == {f"R-{order.order_no}"}
    rest = who.get(f"/v1/stock/A/movements?limit=3&cursor={first['next']}").json
    assert [row["kind"] for row in rest["items"]] == ["receive"]
    assert rest["next"] is None
    assert who.get("/v1/stock/A/movements?warehouse_id=elsewhere").json["items"] == []


def test_a_reservation_says_what_is_promised_to_an_order(sqlite_url, tmp_path):
    on, main = stocked(sqlite_url, tmp_path, A=5)
    order = placed(on, A=2)
    on.hear(order)
    answer = makers.seller(on).get(f"/v1/reservations/{order.order_no}").json
    assert (answer["state"], answer["parts"][0]["held"], answer["parts"][0]["warehouse_id"]) == ("HELD", 2, main)
    assert answer["expires_at"]
    assert makers.seller(on).get("/v1/reservations/G0-1").json["code"] == "no_such_reservation"


def test_a_shop_sees_nothing_of_another_and_operators_see_all(database_url, tmp_path):
    on, main = stocked(database_url, tmp_path, A=5)
    order = placed(on, A=2)
    on.hear(order)
    ours = [
        f"/v1/warehouses/{main}", "/v1/stock/A", "/v1/stock/A/movements", f"/v1/reservations/{order.order_no}",
    ]  # fmt: skip
    other, operator = makers.seller(on, makers.OTHER_SHOP), on.caller("operator")
    for path in ours:
        assert other.get(path).status == 404, path
        assert operator.get(path).status == 200, path
        assert on.caller("buyer").get(path).status == 403, path
        assert on.caller().get(path).status == 401, path
    for path in ("/v1/warehouses", "/v1/stock"):
        assert other.get(path).json["items"] == []
        assert other.get(f"{path}?seller_id={makers.SHOP}").json["items"] == []
        assert len(operator.get(path).json["items"]) == 1
        assert operator.get(f"{path}?seller_id={makers.OTHER_SHOP}").json["items"] == []


def test_only_a_seller_with_a_shop_changes_stock(sqlite_url, tmp_path):
    on, main = stocked(sqlite_url, tmp_path, A=5)
    body = receipt(main, ("A", 1))
    assert on.caller("operator").post("/v1/stock-receipts", body).status == 403
    assert on.caller("seller").post("/v1/stock-receipts", body).json["code"] == "no_shop"
    assert on.caller("seller").get("/v1/stock").json["code"] == "no_shop"
