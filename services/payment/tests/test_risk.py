"""Risk: explainable rules, the same for everybody."""

import pytest

from services.payment.domain.risk import RULES, Habits, assess
from services.payment.tests.makers import cod_order, placed
from shared.contracts.account import UserRegistered
from shared.contracts.event import Sealed
from shared.contracts.payment import RiskAssessed
from shared.contracts.shipping import DeliveryRefused
from shared.kernel import clock
from shared.kernel.ids import new_id


def register(market, account_id):
    market.hear(
        UserRegistered(
            account_id=account_id, roles=("buyer",), locale="zh-CN", full_name=Sealed("s"), email=Sealed("s")
        )
    )


def refuse_at_the_door(market, order, *reasons):
    """A parcel of the order is refused for each of these reasons."""
    market.hear(
        *(
            DeliveryRefused(
                shipment_id=new_id(), group_no=order.group_no, order_no=order.order_no, seller_id=order.seller_id,
                buyer_id=order.buyer_id, reason=reason, cod=True, at=clock.machine_now(),
            )
            for reason in reasons
        )
    )  # fmt: skip


def test_an_ordinary_order_goes_through_and_says_why(market):
    order = placed("anna")
    market.hear(order)
    (risk,) = market.said(RiskAssessed)
    assert (risk.order_no, risk.decision, risk.score, risk.rules_hit) == (order.order_no, "allow", 0, ())
    shown = market.operator.get(f"/v1/risk/{order.order_no}").json
    assert (shown["decision"], shown["buyer_id"], shown["rules_hit"]) == ("allow", "anna", [])
    assert market.buyer.get(f"/v1/risk/{order.order_no}").status == 403
    assert market.operator.get("/v1/risk/none").json["code"] == "no_such_assessment"


def test_a_new_account_that_spends_much_is_looked_at(market):
    register(market, "anna")
    order = placed("anna", 20_000_00)
    market.hear(order)
    (risk,) = market.said(RiskAssessed)
    assert (risk.decision, risk.rules_hit) == ("review", ("amount_high", "new_and_expensive"))
    shown = market.operator.get(f"/v1/risk/{order.order_no}").json
    assert [(rule["code"], rule["weight"]) for rule in shown["rules_hit"]] == [
        ("amount_high", 20),
        ("new_and_expensive", 25),
    ]
    assert sum(rule["weight"] for rule in shown["rules_hit"]) == shown["score"]
    market.stage.advance(days=4)
    market.hear(placed("anna", 20_000_00))
    assert market.said(RiskAssessed)[1].decision == "allow"


def test_checkouts_are_counted_over_batches_and_within_one(market):
    for batch in range(4):
        market.hear(*(placed("bot") for _ in range(17)))
        market.stage.advance(minutes=1 if batch < 3 else 0)
    hits = [bool(fact.rules_hit) for fact in market.said(RiskAssessed)]
    assert (hits.index(True), hits.count(True)) == (60, 8)
    market.stage.advance(hours=2)
    market.hear(placed("bot"))
    assert market.said(RiskAssessed)[-1].rules_hit == ()


def test_the_orders_of_one_checkout_count_once(small):
    first = placed("anna")
    many = [placed("anna", group_no=first.group_no, order_no=f"{first.group_no}-{n}") for n in range(1, 80)]
    small.hear(*many)
    assert not any(fact.rules_hit for fact in small.said(RiskAssessed))


@pytest.mark.parametrize(("refusals", "decision"), [(0, "allow"), (1, "review"), (2, "deny")])
def test_who_refuses_at_the_door_gets_no_more_cash_orders(market, refusals, decision):
    for _ in range(refusals):
        order = cod_order("anna", 10000)
        market.hear(order)
        refuse_at_the_door(market, order, "changed_mind", "changed_mind")  # two parcels of it, one refusal
    market.hear(placed("anna", payment_method="cod"), placed("anna"))
    assert [fact.decision for fact in market.said(RiskAssessed)] == [decision, "allow"]


def test_refusing_damaged_goods_is_everybodys_right(small):
    order = cod_order("anna", 10000)
    small.hear(order)
    refuse_at_the_door(small, order, "damaged")
    small.hear(placed("anna", payment_method="cod"))
    assert small.said(RiskAssessed)[0].decision == "allow"


def test_a_refusal_heard_of_before_the_order_waits_for_it(small):
    order = cod_order("anna", 10000)
    refuse_at_the_door(small, order, "changed_mind")
    small.hear(order)
    small.hear(placed("anna", payment_method="cod"))
    assert small.said(RiskAssessed)[0].rules_hit == ("cod_refused_once",)


@pytest.mark.parametrize(
    ("region", "decision"), [("CN-ZJ", "allow"), ("CN-XJ", "review"), ("CN-XZ-01", "review"), ("KR-11", "deny")]
)
def test_cash_is_collected_near_looked_at_far_and_refused_abroad(small, region, decision):
    small.hear(placed("anna", payment_method="cod", region=region), placed("anna", region=region))
    assert [fact.decision for fact in small.said(RiskAssessed)] == [decision, "allow"]


def test_the_score_is_the_sum_of_the_rules_and_at_most_100():
    habits = Habits(this_hour=500, today=500, cod_refusals=5)
    order = placed("bot", 60_000_00, payment_method="cod", qty=500, region="CN-XZ", currency="USD")
    risk = assess(order, habits, clock.machine_now())
    assert (risk.score, risk.decision) == (100, "deny")
    assert set(risk.rules_hit) == {rule.code for rule in RULES}
