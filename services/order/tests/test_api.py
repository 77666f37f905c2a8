"""What a buyer and a shop see of an order, through the HTTP door."""

import pytest

from services.order.app import service
from services.order.tests import makers
from shared.contracts.catalog import PriceChanged, ProductDelisted
from shared.contracts.order import OrderCancellationRequested, OrderCancelled, OrderPlaced
from shared.kernel.clock import machine_now
from shared.testing.stage import Stage


@pytest.fixture
def stage(sqlite_url, tmp_path):
    stage = Stage(service, sqlite_url, tmp_path)
    makers.open_shops(stage, "red", "blue")
    yield stage
    stage.close()


def test_a_quote_splits_the_cart_by_shop_and_adds_freight(stage):
    quote = makers.ask_quote(makers.buyer(stage), "p-red-1", "p-blue-1", qty=3).json

    assert [order["seller_id"] for order in quote["orders"]] == ["red", "blue"]
    assert [order["freight"] for order in quote["orders"]] == [
        800 + 200,
        800 + 200,
    ]  # 1.2 kg: one step over the first
    assert quote["payable"] == 2 * (30_000 + 1_000)


def test_a_quote_keeps_its_price_when_the_shop_raises_it(stage):
    buyer = makers.buyer(stage)
    quote = makers.ask_quote(buyer, "p-red-1").json
    stage.hear(
        PriceChanged(
            product_id="p-red",
            seller_id="red",
            sku="p-red-1",
            old=10_000,
            new=99_000,
            currency="CNY",
            from_at=machine_now(),
        )
    )
    placed = buyer.post("/v1/orders", {"quote_token": quote["quote_token"], "expected_amount": quote["payable"]})

    assert placed.status == 202
    assert placed.json["payable"] == quote["payable"]
    assert makers.ask_quote(buyer, "p-red-1").json["payable"] == 99_000  # over 500.00: freight is free


def test_an_order_is_placed_once_however_often_the_button_is_pressed(stage):
    buyer = makers.buyer(stage)
    token = makers.ask_quote(buyer, "p-red-1").json["quote_token"]
    first = buyer.post("/v1/orders", {"quote_token": token}, Idempotency_Key="k1")
    again = buyer.post("/v1/orders", {"quote_token": token}, Idempotency_Key="k1")
    other = buyer.post("/v1/orders", {"quote_token": token}, Idempotency_Key="k2")

    assert (first.status, again.status) == (202, 202)
    assert again.json == first.json
    assert again.headers["Idempotency-Replayed"] == "true"
    assert (other.status, other.json["code"], other.json["group_no"]) == (
        409,
        "quote_used",
        first.json["group_no"],
    )
    assert len(stage.said(OrderPlaced)) == 1


def test_a_quote_outlives_the_secret_it_was_signed_with_while_that_is_changed(stage):
    buyer = makers.buyer(stage)
    token = makers.ask_quote(buyer, "p-red-1").json["quote_token"]
    was = stage.node.settings.secret
    object.__setattr__(stage.node.settings, "secret", "n" * 32)
    assert buyer.post("/v1/orders", {"quote_token": token}).json["code"] == "quote_forged"
    object.__setattr__(stage.node.settings, "secret", f"{'n' * 32},{was}")
    assert buyer.post("/v1/orders", {"quote_token": token}).status == 202


def test_a_quote_is_not_for_others_not_for_later_and_not_to_be_forged(stage):
    buyer, thief = makers.buyer(stage), makers.buyer(stage)
    token = makers.ask_quote(buyer, "p-red-1").json["quote_token"]

    assert thief.post("/v1/orders", {"quote_token": token}).json["code"] == "no_such_quote"
    assert buyer.post("/v1/orders", {"quote_token": token[:-1] + "x"}).json["code"] == "quote_forged"
    assert buyer.post("/v1/orders", {"quote_token": token, "expected_amount": 1}).json["code"] == "amount_changed"
    stage.advance(minutes=11)
    assert buyer.post("/v1/orders", {"quote_token": token}).json["code"] == "quote_expired"
    assert stage.said() == []


def test_what_is_off_sale_is_refused_even_where_it_was_quoted(stage):
    buyer = makers.buyer(stage)
    token = makers.ask_quote(buyer, "p-red-1").json["quote_token"]
    stage.hear(ProductDelisted(product_id="p-red", seller_id="red", reason="seller"))
    refused = buyer.post("/v1/orders", {"quote_token": token})

    assert (refused.status, refused.json["code"], refused.json["skus"]) == (422, "not_on_sale", ["p-red-1"])
    assert makers.ask_quote(buyer, "p-red-1").json["code"] == "not_on_sale"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"lines": []}, "lines"),
        ({"lines": [{"sku": "p-red-1", "qty": 0}]}, "lines.0.qty"),
        ({"lines": [{"sku": "p-red-1", "qty": -1}]}, "lines.0.qty"),
        ({"lines": [{"sku": "p-red-1", "qty": 1, "unit_price": 1}]}, "lines.0.unit_price"),
        ({"lines": [{"sku": "p-red-1", "qty": "1"}]}, "lines.0.qty"),
        ({"payment_method": "barter"}, "payment_method"),
        ({"delivery": {**makers.ADDRESS, "region": "Zhejiang"}}, "delivery.region"),
        ({"payable": 1}, "payable"),
    ],
)
def test_a_bad_wish_is_refused_by_the_name_of_its_field(stage, change, field):
    refused = makers.buyer(stage).post(
        "/v1/quotes", {"lines": [{"sku": "p-red-1", "qty": 1}], "delivery": makers.ADDRESS} | change
    )

    assert (refused.status, refused.json["code"], refused.json["field"]) == (422, "invalid", field)


def test_an_order_is_seen_by_its_buyer_its_shop_and_operators_only(stage):
    buyer = makers.buyer(stage)
    group = makers.place(buyer, "p-red-1", "p-blue-1")
    red, blue = (order["order_no"] for order in group["orders"])
    shop = stage.caller("seller", seller_id="red")

    assert buyer.get(f"/v1/orders/{red}").status == 200
    assert shop.get(f"/v1/orders/{red}").status == 200
    assert stage.caller("operator").get(f"/v1/orders/{red}").status == 200
    assert shop.get(f"/v1/orders/{blue}").status == 404
    assert makers.buyer(stage).get(f"/v1/orders/{red}").json["code"] == "no_such_order"
    assert makers.buyer(stage).get(f"/v1/groups/{group['group_no']}").status == 404
    assert buyer.get("/v1/orders/G0000000000000000-1").status == 404
    assert [row["order_no"] for row in shop.get("/v1/shop/orders").json["items"]] == [red]
    assert [row["order_no"] for row in buyer.get("/v1/orders").json["items"]] == [blue, red]


def test_lists_come_in_pages_newest_first(stage):
    buyer = makers.buyer(stage)
    placed = [makers.place(buyer, "p-red-1")["orders"][0]["order_no"] for _ in range(5)]
    first = buyer.get("/v1/orders?limit=3").json
    rest = buyer.get(f"/v1/orders?limit=3&after={first['next']}").json

    assert [row["order_no"] for row in first["items"] + rest["items"]] == placed[::-1]
    assert rest["next"] is None
    assert buyer.get("/v1/orders?after=nonsense").json["field"] == "after"


def test_an_order_says_what_can_be_done_and_what_it_waits_for(stage):
    buyer = makers.buyer(stage)
    group = makers.place(buyer, "p-red-1")
    order_no = group["orders"][0]["order_no"]
    fresh = buyer.get(f"/v1/orders/{order_no}").json
    stage.advance(seconds=31)
    waiting = buyer.get(f"/v1/orders/{order_no}").json

    assert fresh["blocked_because"] is None
    assert [action["action"] for action in fresh["next_actions"]] == ["cancel"]
    assert waiting["blocked_because"]["code"] == "placement_unanswered"
    assert waiting["blocked_because"]["waiting_for"] == ["inventory", "payment"]


def test_an_order_can_be_cancelled_before_it_is_paid_and_payment_decides(stage):
    buyer = makers.buyer(stage)
    order_no = makers.place(buyer, "p-red-1")["orders"][0]["order_no"]
    placed = stage.said(OrderPlaced)[0]
    stage.hear(makers.reserved(placed), makers.risk(placed))
    asked = buyer.post(f"/v1/orders/{order_no}/cancel", {"reason": "changed_mind"})
    again = buyer.post(f"/v1/orders/{order_no}/cancel")

    assert (asked.status, asked.json["state"]) == (202, "AWAITING_PAYMENT")
    assert "cancel" not in [action["action"] for action in asked.json["next_actions"]]
    assert again.status == 202
    assert [fact.stage for fact in stage.said(OrderCancellationRequested)] == ["unpaid"]
    stage.hear(makers.unpaid(placed))
    assert buyer.get(f"/v1/orders/{order_no}").json["state"] == "CANCELLED"
    assert [fact.reason for fact in stage.said(OrderCancelled)] == ["buyer"]


def test_what_the_state_does_not_allow_is_refused_with_what_it_does_allow(stage):
    buyer = makers.buyer(stage)
    order_no = makers.place(buyer, "p-red-1")["orders"][0]["order_no"]
    refused = buyer.post(f"/v1/orders/{order_no}/receipt")

    assert (refused.status, refused.json["code"]) == (409, "action_not_possible")
    assert refused.json["possible"] == ["cancel"]


def test_a_held_get_answers_as_soon_as_the_order_moves(stage):
    import threading

    buyer = makers.buyer(stage)
    order_no = makers.place(buyer, "p-red-1")["orders"][0]["order_no"]
    placed = stage.said(OrderPlaced)[0]
    seen = []
    waiting = threading.Thread(
        target=lambda: seen.append(buyer.get(f"/v1/orders/{order_no}?wait_for=AWAITING_PAYMENT&timeout=20").json)
    )
    waiting.start()
    stage.hear(makers.reserved(placed), makers.risk(placed))
    waiting.join(timeout=15)

    assert seen[0]["state"] == "AWAITING_PAYMENT"


def test_a_state_that_there_is_not_is_refused_rather_than_waited_for(stage):
    buyer = makers.buyer(stage)
    order_no = makers.place(buyer, "p-red-1")["orders"][0]["order_no"]
    refused = buyer.get(f"/v1/orders/{order_no}?wait_for=CONFIRMED,PAYED")
    assert (refused.status, refused.json["field"]) == (422, "wait_for")


def test_a_stream_begins_with_the_present_and_resumes_where_it_broke_off(stage):
    buyer = makers.buyer(stage)
    order_no = makers.place(buyer, "p-red-1")["orders"][0]["order_no"]
    placed = stage.said(OrderPlaced)[0]
    stream = buyer.client.get(f"/v1/orders/{order_no}/stream", headers=buyer.headers, buffered=False).response
    first = next(stream)
    stage.hear(makers.reserved(placed))
    second = next(stream)

    assert b"event: order" in first
    assert b'"PLACED"' in first
    assert b"event: moved" in second
    assert b"StockReserved" in second
    number = first.split(b"id: ")[1].split(b"\n")[0].decode()
    resumed = buyer.client.get(
        f"/v1/orders/{order_no}/stream", headers=buyer.headers | {"Last-Event-ID": number}, buffered=False
    ).response
    assert b"event: order" in next(resumed)
    assert next(resumed) == second
