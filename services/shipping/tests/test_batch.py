"""A warehouse works in waves: one request, one transaction, and each shipment answered by itself."""

import pytest

from services.shipping.tests.makers import PARCELS
from shared.contracts.shipping import PickingStarted, ShipmentPacked

NO = {"shipment_id": "no-such-shipment"}


def batch(shop, deed, *shipments):
    return shop.seller.post("/v1/shipments/batch", {"deed": deed, "shipments": list(shipments)})


def test_a_wave_is_picked_and_packed_and_its_carriers_are_booked_soon_after(shop):
    one = {"shipment_id": shop.sold()[0]}
    picked = batch(shop, "pick", one)
    assert [(item["state"], item["code"]) for item in picked.json["items"]] == [("PICKING", None)]
    packed = batch(shop, "pack", one | PARCELS)
    assert packed.json["items"][0]["state"] == "PACKED"
    shop.stage.call()
    shown = shop.see(one["shipment_id"])
    assert shown["booking"]["status"] == "booked"
    assert len(shop.stage.said(PickingStarted)) == len(shop.stage.said(ShipmentPacked)) == 1


def test_what_is_refused_stays_as_it_was_and_the_others_are_done(small_shop):
    one = {"shipment_id": small_shop.sold()[0]}
    first, second = batch(small_shop, "pick", NO, one).json["items"]
    assert (first["code"], first["state"]) == ("no_such_shipment", None)
    assert (second["code"], second["state"]) == (None, "PICKING")
    (refused,) = batch(small_shop, "hand-over", one).json["items"]
    assert refused["code"] == "wrong_shipment_state"
    assert small_shop.see(one["shipment_id"])["state"] == "PICKING"


def test_nobody_works_on_another_shops_shipments(small_shop):
    other = small_shop.stage.caller("seller", seller_id="shop-2")
    body = {"deed": "pick", "shipments": [{"shipment_id": small_shop.sold()[0]}]}
    (item,) = other.post("/v1/shipments/batch", body).json["items"]
    assert item["code"] == "no_such_shipment"
    assert small_shop.stage.said(PickingStarted) == []


@pytest.mark.parametrize(
    ("deed", "shipments", "field"),
    [
        ("pick", [NO, NO], "shipments"),
        ("pick", [NO | PARCELS], "shipments.0.parcels"),
        ("pack", [NO], "shipments.0.parcels"),
        ("pick", [], "shipments"),
        ("burn", [NO], "deed"),
        ("pick", [NO] * 101, "shipments"),
    ],
)
def test_a_batch_that_makes_no_sense_is_refused_as_a_whole(small_shop, deed, shipments, field):
    answer = batch(small_shop, deed, *shipments)
    assert (answer.status, answer.json["code"], answer.json["field"]) == (422, "invalid", field)
