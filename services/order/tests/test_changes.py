"""What may be changed before an order is paid, and by whom: its price, and where it goes."""

import pytest

from services.order.app import service
from services.order.tests import makers
from shared.contracts.order import OrderAddressChanged, OrderConfirmed, OrderPlaced, OrderPriceAdjusted
from shared.contracts.refunds import RefundRequested
from shared.contracts.shipping import FreightRule, FreightTemplateChanged
from shared.testing.stage import Stage

BEIJING = makers.ADDRESS | {"region": "CN-BJ", "city": "北京"}


@pytest.fixture
def stage(sqlite_url, tmp_path):
    stage = Stage(service, sqlite_url, tmp_path)
    makers.open_shops(stage, "red")
    dear = FreightRule(
        region_prefix="CN-BJ", first_weight_g=1000, first_fee=2_000, step_weight_g=500, step_fee=0, days_min=1,
        days_max=2,
    )  # fmt: skip
    stage.hear(FreightTemplateChanged(seller_id="red", currency="CNY", rules=(*makers.freight("red").rules, dear)))
    yield stage
    stage.close()


@pytest.fixture
def buyer(stage):
    return makers.buyer(stage)


@pytest.fixture
def shop(stage):
    return stage.caller("seller", seller_id="red")


@pytest.fixture
def red(stage, buyer):
    """An order that waits for its 108.00 CNY."""
    makers.place(buyer, "p-red-1")
    (placed,) = stage.said(OrderPlaced)
    stage.hear(makers.reserved(placed), makers.risk(placed))
    return placed


def test_a_shop_lowers_the_price_of_an_unpaid_order(stage, shop, buyer, red):
    lowered = shop.post(f"/v1/orders/{red.order_no}/price", {"payable": 9_800, "reason": "loyal_customer"})

    assert (lowered.status, lowered.json["payable"], lowered.json["discount"]) == (202, 9_800, 1_000)
    (told,) = stage.said(OrderPriceAdjusted)
    assert (told.old_payable, told.new_payable, told.by, told.reason) == (10_800, 9_800, "seller", "loyal_customer")
    assert buyer.get(f"/v1/groups/{red.group_no}").json["payable"] == 9_800


@pytest.mark.parametrize("payable", [10_801, 800, 0])
def test_a_price_is_not_raised_and_not_given_away(stage, shop, red, payable):
    refused = shop.post(f"/v1/orders/{red.order_no}/price", {"payable": payable})

    assert (refused.status, refused.json["code"], refused.json["field"]) == (422, "price_out_of_range", "payable")
    assert (refused.json["least"], refused.json["most"]) == (801, 10_800)
    assert stage.said(OrderPriceAdjusted) == []


def test_only_the_shop_whose_order_it_is_changes_its_price(stage, buyer, red):
    rival = stage.caller("seller", seller_id="blue")

    assert rival.post(f"/v1/orders/{red.order_no}/price", {"payable": 1_000}).status == 404
    assert buyer.post(f"/v1/orders/{red.order_no}/price", {"payable": 1_000}).status == 403


def test_a_price_stands_while_the_buyer_is_paying_and_once_it_is_paid(stage, shop, red):
    stage.hear(makers.opened(red))
    paying = shop.post(f"/v1/orders/{red.order_no}/price", {"payable": 9_800})
    stage.hear(makers.paid(red))
    paid = shop.post(f"/v1/orders/{red.order_no}/price", {"payable": 9_800})

    assert (paying.status, paying.json["code"]) == (409, "attempt_in_flight")
    assert (paid.status, paid.json["code"]) == (409, "action_not_possible")


def test_a_price_that_fell_while_the_old_one_was_paid_gives_the_difference_back(stage, shop, red):
    shop.post(f"/v1/orders/{red.order_no}/price", {"payable": 9_800})
    stage.hear(makers.paid(red))  # 108.00, by an attempt that was opened before

    assert [(fact.reason, fact.amount) for fact in stage.said(RefundRequested)] == [("overpaid", 1_000)]


def test_two_who_edit_at_once_do_not_overwrite_each_other(stage, shop, buyer, red):
    seen = shop.get(f"/v1/orders/{red.order_no}").headers["ETag"]
    buyer.post(f"/v1/orders/{red.order_no}/address", {"delivery": BEIJING}, If_Match=seen)
    stale = shop.post(f"/v1/orders/{red.order_no}/price", {"payable": 9_800}, If_Match=seen)
    fresh = shop.get(f"/v1/orders/{red.order_no}").headers["ETag"]
    again = shop.post(f"/v1/orders/{red.order_no}/price", {"payable": 9_800}, If_Match=fresh)

    assert (stale.status, stale.json["code"]) == (412, "precondition_failed")
    assert again.status == 202


def test_an_unpaid_order_goes_elsewhere_for_the_freight_of_that_place(stage, buyer, red):
    moved = buyer.post(f"/v1/orders/{red.order_no}/address", {"delivery": BEIJING})

    assert (moved.status, moved.json["region"]) == (202, "CN-BJ")
    assert (moved.json["freight"], moved.json["payable"]) == (2_000, 12_000)
    (told,) = stage.said(OrderAddressChanged)
    assert (told.freight_delta, told.old_payable, told.new_payable) == (1_200, 10_800, 12_000)
    stage.hear(makers.paid(red))
    (confirmed,) = stage.said(OrderConfirmed)
    assert confirmed.region == "CN-BJ"
    assert stage.node.vault.open(confirmed.delivery, "delivery")["city"] == "北京"


def test_an_address_the_shop_does_not_send_to_is_refused_and_changes_nothing(stage, buyer, red):
    abroad = makers.ADDRESS | {"region": "FR"}
    refused = buyer.post(f"/v1/orders/{red.order_no}/address", {"delivery": abroad})

    assert (refused.status, refused.json["code"], refused.json["field"]) == (422, "no_freight_there", "delivery.region")
    assert buyer.get(f"/v1/orders/{red.order_no}").json["region"] == "CN-ZJ"


def test_an_address_stands_once_the_order_is_on_its_way_to_the_warehouse(stage, buyer, red):
    stage.hear(makers.paid(red))
    refused = buyer.post(f"/v1/orders/{red.order_no}/address", {"delivery": BEIJING})

    assert (refused.status, refused.json["possible"]) == (409, ["cancel", "ship"])


def test_an_order_that_is_being_closed_is_not_changed_any_more(stage, buyer, shop, red):
    buyer.post(f"/v1/orders/{red.order_no}/cancel")
    answers = [
        shop.post(f"/v1/orders/{red.order_no}/price", {"payable": 9_800}),
        buyer.post(f"/v1/orders/{red.order_no}/address", {"delivery": BEIJING}),
    ]

    assert [answer.json["code"] for answer in answers] == ["action_not_possible"] * 2
    assert buyer.get(f"/v1/orders/{red.order_no}").json["next_actions"] == []


def test_what_can_be_changed_is_offered_to_who_may_change_it(buyer, red):
    actions = buyer.get(f"/v1/orders/{red.order_no}").json["next_actions"]

    assert {(action["action"], action["who"]) for action in actions} == {
        ("pay", "buyer"),
        ("cancel", "buyer"),
        ("address", "buyer"),
        ("price", "seller"),
    }
