"""What becomes of orders that never reach the warehouse: nobody pays for what is not there, nothing stays on hold."""

from __future__ import annotations

import requests

from tests.golden import matches_tape
from tests.journeys.conftest import Town


def test_out_of_stock_ends_the_whole_wish_and_asks_nobody_for_money(town: Town, request) -> None:
    group = town.place(town.skus[0], qty=11)
    (order,) = group["orders"]

    assert town.state(order["order_no"]) == "CANCELLED"
    assert town.buyer.order(order["order_no"])["end_reason"] == "out_of_stock"
    assert town.available() == 10
    matches_tape("out_of_stock", town.tape.news(), group["group_no"], request.config)


def test_out_of_stock_in_one_shop_frees_what_the_other_had_set_aside(town: Town) -> None:
    town.sellers[1].do(
        "POST",
        "/v1/stock-adjustments",
        {"warehouse_id": town.warehouses[1], "reason": "damage", "lines": [{"sku": town.skus[1], "delta": -10}]},
    )
    group = town.place(*town.skus)

    assert [order["state"] for order in _orders(town, group)] == ["CANCELLED"] * 2
    assert town.available(0) == 10


def test_a_buyer_who_takes_what_there_is_pays_for_that_only(town: Town) -> None:
    town.sellers[1].do(
        "POST",
        "/v1/stock-adjustments",
        {"warehouse_id": town.warehouses[1], "reason": "damage", "lines": [{"sku": town.skus[1], "delta": -10}]},
    )
    group = town.place(*town.skus, stock_policy="ship_available")
    states = [order["state"] for order in _orders(town, group)]
    refused = town.buyer.ask(
        "POST",
        f"/v1/groups/{group['group_no']}/payments",
        {"method": "online", "channel": "sandbox", "expected_amount": group["payable"]},
    )

    assert states == ["AWAITING_PAYMENT", "CANCELLED"]
    assert refused.status == 409
    town.pay(group)
    assert _orders(town, group)[0]["state"] == "CONFIRMED"


def test_an_order_nobody_pays_is_cancelled_and_its_goods_are_for_sale_again(town: Town, request) -> None:
    group = town.place()
    (order,) = group["orders"]
    assert town.available() == 9
    town.grounds.advance(minutes=31)

    assert town.state(order["order_no"]) == "CANCELLED"
    assert town.buyer.order(order["order_no"])["end_reason"] == "payment_timeout"
    assert town.available() == 10
    matches_tape("unpaid_expiry", town.tape.news(), group["group_no"], request.config)


def test_an_open_payment_page_is_closed_when_the_time_is_up(town: Town) -> None:
    group = town.place()
    attempt = town.buyer.open_payment(group["group_no"], group["payable"])
    town.grounds.advance(minutes=31)
    late = requests.post(attempt["display"]["value"], json={"outcome": "succeed"}, timeout=20)

    assert town.state(group["orders"][0]["order_no"]) == "CANCELLED"
    assert late.status_code == 409


def test_an_order_is_cancelled_before_it_is_paid(town: Town, request) -> None:
    group = town.place()
    (order,) = group["orders"]
    town.buyer.cancel(order["order_no"])
    town.grounds.settle()

    assert town.state(order["order_no"]) == "CANCELLED"
    assert town.buyer.order(order["order_no"])["end_reason"] == "buyer"
    assert town.available() == 10
    matches_tape("cancel_before_payment", town.tape.news(), group["group_no"], request.config)


def test_one_order_of_a_group_is_cancelled_and_the_other_is_paid(town: Town) -> None:
    group = town.place(*town.skus)
    first, second = (order["order_no"] for order in group["orders"])
    town.buyer.cancel(first)
    town.grounds.settle()
    town.pay(group)

    assert [town.state(first), town.state(second)] == ["CANCELLED", "CONFIRMED"]


def test_money_whose_callback_was_lost_is_found_by_asking(town: Town) -> None:
    group = town.place()
    town.provider.switch("callback_lost", scope={"reference": f"*{group['group_no']}*"}, times="always")
    town.pay(group)
    assert town.state(group["orders"][0]["order_no"]) == "AWAITING_PAYMENT"
    town.grounds.advance(minutes=6)

    assert town.state(group["orders"][0]["order_no"]) == "CONFIRMED"


def test_money_that_came_at_the_last_moment_saves_the_order(town: Town) -> None:
    group = town.place()
    town.provider.switch("callback_lost", scope={"reference": f"*{group['group_no']}*"}, times="always")
    attempt = town.buyer.open_payment(group["group_no"], group["payable"])
    town.grounds.advance(minutes=29, seconds=30)
    town.buyer.pay(attempt)
    town.grounds.advance(minutes=2)

    assert town.state(group["orders"][0]["order_no"]) == "CONFIRMED"


def test_a_payment_told_three_times_is_booked_once(town: Town) -> None:
    group = town.place()
    town.provider.switch("callback_duplicate", scope={"reference": f"*{group['group_no']}*"}, copies=2)
    town.pay(group)

    assert town.said("PaymentConfirmed", "FundsHeld") == ["PaymentConfirmed", "FundsHeld"]


def _orders(town: Town, group: dict) -> list[dict]:
    return town.buyer.do("GET", f"/v1/groups/{group['group_no']}")["orders"]
