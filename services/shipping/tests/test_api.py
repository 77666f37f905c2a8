"""What sellers, buyers and operators ask over HTTP."""

import pytest

from services.shipping.tests.makers import ADDRESS, ORDER, PARCELS, at, make_due
from shared.contracts.shipping import FreightTemplateChanged, PickingStarted, ShipmentPacked, Shipped

RULE = {
    "region_prefix": "CN", "first_weight_g": 1000, "first_fee": 800, "step_weight_g": 500, "step_fee": 200,
    "days_min": 2, "days_max": 4,
}  # fmt: skip


# --- freight


def test_a_seller_sets_freight_terms_that_anyone_may_read(shop):
    answer = shop.seller.put("/v1/freight-template", {"rules": [RULE], "free_over": 9900})
    assert (answer.status, answer.json["version"]) == (200, 1)
    (said,) = shop.stage.said(FreightTemplateChanged)
    assert (said.seller_id, said.free_over, said.rules[0].first_fee) == ("shop-1", 9900, 800)
    read = shop.stage.caller().get("/v1/freight-template?seller_id=shop-1")
    assert read.json["rules"] == [RULE]
    assert shop.seller.get("/v1/freight-template").json == read.json


def test_the_same_terms_again_change_nothing(small_shop):
    for _ in range(2):
        assert small_shop.seller.put("/v1/freight-template", {"rules": [RULE]}).json["version"] == 1
    assert len(small_shop.stage.said(FreightTemplateChanged)) == 1


def test_two_people_do_not_overwrite_each_others_terms(small_shop):
    tag = small_shop.seller.put("/v1/freight-template", {"rules": [RULE]}).headers["ETag"]
    dearer = [RULE | {"first_fee": 900}]
    assert small_shop.seller.put("/v1/freight-template", {"rules": dearer}, If_Match=tag).status == 200
    late = small_shop.seller.put("/v1/freight-template", {"rules": [RULE]}, If_Match=tag)
    assert (late.status, late.json["code"], late.json["version"]) == (409, "freight_template_outdated", 2)


@pytest.mark.parametrize(
    ("wrong", "code", "field"),
    [
        ({"rules": []}, "invalid", "rules"),
        ({"rules": [RULE, RULE]}, "freight_rule_repeated", "rules.1.region_prefix"),
        ({"rules": [RULE | {"days_min": 9}]}, "freight_days_reversed", "rules.0.days_min"),
        ({"rules": [RULE | {"first_fee": -1}]}, "invalid", "rules.0.first_fee"),
        ({"rules": [RULE | {"first_fee": 1.5}]}, "invalid", "rules.0.first_fee"),
        ({"rules": [RULE | {"region_prefix": "china"}]}, "invalid", "rules.0.region_prefix"),
        ({"rules": [RULE], "seller_id": "shop-2"}, "invalid", "seller_id"),
        ({"rules": [RULE], "currency": "yuan"}, "invalid", "currency"),
        ({"rules": [RULE], "free_over": True}, "invalid", "free_over"),
    ],
)
def test_bad_freight_terms_are_refused_and_change_nothing(small_shop, wrong, code, field):
    answer = small_shop.seller.put("/v1/freight-template", wrong)
    assert (answer.status, answer.json["code"], answer.json["field"]) == (422, code, field)
    assert small_shop.seller.get("/v1/freight-template").json["code"] == "no_freight_template"
    assert small_shop.stage.said() == []


def test_only_shops_have_freight_terms(small_shop):
    body = {"rules": [RULE]}
    assert small_shop.buyer.put("/v1/freight-template", body).status == 403
    assert small_shop.stage.caller("seller").put("/v1/freight-template", body).json["code"] == "no_shop"
    assert small_shop.stage.caller().put("/v1/freight-template", body).status == 401
    assert small_shop.stage.caller().get("/v1/freight-template").json["field"] == "seller_id"


# --- the warehouse


def test_a_shipment_is_picked_packed_and_handed_over(shop):
    (shipment_id,) = shop.sold()
    assert shop.see(shipment_id)["possible"] == ["pick"]
    assert shop.do("pick", shipment_id).json["state"] == "PICKING"
    packed = shop.do("pack", shipment_id, body=PARCELS | {"service": "express"}).json
    assert (packed["state"], packed["tracking_no"], packed["service"]) == (
        "PACKED",
        f"SBX{shipment_id}.1",
        "express",
    )
    assert packed["booking"] == {"status": "booked", "label_ref": "lb_1", "code": ""}
    shipped = shop.do("hand-over", shipment_id).json
    assert (shipped["state"], shipped["possible"]) == ("SHIPPED", [])
    (picking,) = shop.stage.said(PickingStarted)
    (labelled,) = shop.stage.said(ShipmentPacked)
    (said,) = shop.stage.said(Shipped)
    assert picking.by == shop.seller.account_id
    assert (labelled.label_ref, labelled.parcels[0].weight_g) == ("lb_1", 800)
    assert (said.tracking_no, said.lines[0].qty, said.eta is not None) == (f"SBX{shipment_id}.1", 2, True)
    (wish,) = shop.carrier.booked
    assert (wish.origin, wish.destination, wish.service) == ("CN-ZJ", "CN-SC", "express")


def test_doing_it_again_changes_nothing(shop):
    (shipment_id,) = shop.sold()
    for deed in ("pick", "pack", "hand-over"):
        first, second = (shop.do(deed, shipment_id) for _ in range(2))
        assert (first.status, second.status) == (200, 200)
        assert first.json | {"version": 0} == second.json | {"version": 0}
    assert [type(fact).__name__ for fact in shop.stage.said()][1:] == [
        "PickingStarted",
        "ShipmentPacked",
        "Shipped",
    ]
    assert len(shop.carrier.booked) == 1


@pytest.mark.parametrize(
    ("done", "deed", "possible"),
    [
        ((), "pack", ["pick"]),
        ((), "hand-over", ["pick"]),
        (("pick",), "hand-over", ["pack"]),
        (("pick", "pack"), "pick", ["hand-over"]),
        (("pick", "pack", "hand-over"), "pick", []),
        (("pick", "pack", "hand-over"), "pack", []),
    ],
)
def test_a_deed_out_of_turn_is_refused_and_says_what_is_possible(small_shop, done, deed, possible):
    (shipment_id,) = small_shop.sold()
    for before in done:
        small_shop.do(before, shipment_id)
    seen, said = small_shop.see(shipment_id), len(small_shop.stage.said())
    refusal = small_shop.do(deed, shipment_id)
    assert refusal.status == 409
    assert refusal.json["code"] in ("wrong_shipment_state", "packed_otherwise")
    assert refusal.json["possible"] == possible
    assert (small_shop.see(shipment_id), len(small_shop.stage.said())) == (seen, said)


def test_without_a_booking_nothing_is_handed_over(shop):
    (shipment_id,) = shop.sold()
    shop.carrier.down = True
    shop.do("pick", shipment_id)
    assert shop.do("pack", shipment_id).json["booking"]["status"] == "asked"
    refusal = shop.do("hand-over", shipment_id)
    assert (refusal.status, refusal.json["code"], refusal.headers["Retry-After"]) == (409, "booking_pending", "2")
    assert shop.stage.said(ShipmentPacked) == []
    shop.carrier.down = False
    assert shop.do("pack", shipment_id).status == 200  # asks for nothing new
    make_due(shop)
    shop.stage.call()
    assert shop.do("hand-over", shipment_id).json["state"] == "SHIPPED"
    assert len(shop.carrier.booked) == 1


def test_a_refused_booking_is_asked_for_otherwise(shop):
    (shipment_id,) = shop.sold()
    shop.carrier.refusal = "too_heavy"
    shop.do("pick", shipment_id)
    assert shop.do("pack", shipment_id).json["booking"] == {"status": "refused", "label_ref": "", "code": "too_heavy"}
    refusal = shop.do("hand-over", shipment_id)
    assert (refusal.json["code"], refusal.json["carrier_code"], refusal.json["possible"]) == (
        "booking_refused",
        "too_heavy",
        ["pack"],
    )
    shop.carrier.refusal = ""
    lighter = {"parcels": [{"weight_g": 400}, {"weight_g": 400}]}
    assert shop.do("pack", shipment_id, body=lighter).json["tracking_no"] == f"SBX{shipment_id}.2"
    assert shop.do("hand-over", shipment_id).status == 200


def test_a_booked_shipment_is_not_packed_otherwise(small_shop):
    (shipment_id,) = small_shop.sold()
    small_shop.packed(shipment_id)
    refusal = small_shop.do("pack", shipment_id, body={"parcels": [{"weight_g": 1}]})
    assert (refusal.status, refusal.json["code"]) == (409, "packed_otherwise")


def test_a_warehouse_that_is_not_known_yet_can_be_packed_in_a_moment(small_shop):
    (shipment_id,) = small_shop.sold(at("w9", "l1", 2))
    small_shop.do("pick", shipment_id)
    refusal = small_shop.do("pack", shipment_id)
    assert (refusal.status, refusal.json["code"]) == (409, "warehouse_unknown")
    assert small_shop.see(shipment_id)["state"] == "PICKING"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "parcels"),
        ({"parcels": []}, "parcels"),
        ({"parcels": [{"weight_g": 0}]}, "parcels.0.weight_g"),
        ({"parcels": [{"weight_g": "800"}]}, "parcels.0.weight_g"),
        ({"parcels": [{"weight_g": 8, "name": "Li"}]}, "parcels.0.name"),
        (PARCELS | {"service": "drone"}, "service"),
        (PARCELS | {"state": "SHIPPED"}, "state"),
    ],
)
def test_bad_parcels_are_refused(small_shop, body, field):
    (shipment_id,) = small_shop.sold()
    small_shop.do("pick", shipment_id)
    answer = small_shop.do("pack", shipment_id, body=body)
    assert (answer.status, answer.json["field"]) == (422, field)
    assert small_shop.see(shipment_id)["state"] == "PICKING"


# --- who sees what


def test_the_seller_sees_the_address_until_it_is_delivered(shop):
    (shipment_id,) = shop.sold()
    assert shop.see(shipment_id)["delivery"] == ADDRESS
    reference = shop.handed_over(shipment_id)
    assert shop.see(shipment_id)["delivery"] == ADDRESS
    shop.call_back(*shop.story(reference, "collect", "out", "deliver"))
    assert "delivery" not in shop.see(shipment_id)


def test_an_erased_buyers_address_is_gone(small_shop):
    (shipment_id,) = small_shop.sold()
    small_shop.stage.node.vault.destroy(small_shop.buyer.account_id)
    assert small_shop.see(shipment_id)["delivery"] is None


def test_the_buyer_sees_where_it_is_and_no_address(shop):
    (shipment_id,) = shop.sold()
    reference = shop.handed_over(shipment_id)
    shop.call_back(*shop.story(reference, "collect", "scan"))
    seen = shop.see(shipment_id, shop.buyer)
    assert (seen["state"], seen["tracking_status"], len(seen["scans"])) == ("SHIPPED", "in_transit", 2)
    assert not {"delivery", "parcels", "booking", "warehouse_id", "attention"} & seen.keys()
    (listed,) = shop.buyer.get(f"/v1/shipments?order_no={ORDER}").json["items"]
    assert listed["tracking_no"] == f"SBX{reference}"


def test_what_is_kept_for_a_retry_holds_no_address(small_shop):
    (shipment_id,) = small_shop.sold()
    small_shop.do("pick", shipment_id)
    packed = small_shop.do("pack", shipment_id)
    assert (packed.status, packed.json["state"]) == (200, "PACKED")
    assert "delivery" not in packed.json
    assert small_shop.see(shipment_id)["delivery"] == ADDRESS


def test_other_peoples_shipments_do_not_exist(small_shop):
    (shipment_id,) = small_shop.sold()
    strangers = [
        small_shop.stage.caller("seller", seller_id="shop-2"),
        small_shop.stage.caller("seller"),
        small_shop.stage.caller("buyer"),
        small_shop.stage.caller("buyer", "seller", seller_id="shop-2"),
    ]
    for stranger in strangers:
        assert small_shop.see(shipment_id, stranger)["code"] == "no_such_shipment"
        assert stranger.get(f"/v1/shipments?order_no={ORDER}").json["items"] == []
        answer = small_shop.do("pick", shipment_id, stranger)
        assert answer.status == (404 if "seller" in stranger.principal.roles else 403)
    assert small_shop.see(shipment_id)["state"] == "PLANNED"
    assert small_shop.do("pick", shipment_id, small_shop.operator).status == 403
    assert small_shop.do("declare-lost", shipment_id, small_shop.seller).status == 403
    assert small_shop.stage.caller().get("/v1/shipments").status == 401
    assert small_shop.do("pick", "no-such").json["code"] == "no_such_shipment"


def test_a_warehouse_pages_through_what_is_to_be_done(shop):
    ids = [shop.sold(order_no=f"{ORDER[:-1]}{n}")[0] for n in range(1, 6)]
    shop.do("pick", ids[2])
    seen, cursor = [], ""
    while True:
        answer = shop.seller.get(f"/v1/shipments?state=PLANNED&limit=2{cursor}").json
        seen += [item["shipment_id"] for item in answer["items"]]
        if answer["next"] is None:
            break
        cursor = f"&cursor={answer['next']}"
    assert seen == sorted(set(ids) - {ids[2]})


@pytest.mark.parametrize("query", ["state=LATE", "limit=0", "limit=101", "seller_id=shop-2"])
def test_a_malformed_question_is_refused(small_shop, query):
    assert small_shop.seller.get(f"/v1/shipments?{query}").status == 422
