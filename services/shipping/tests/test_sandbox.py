"""The client and the real thing: the sandbox's carrier over HTTP, its callbacks and its faults."""

import base64
import importlib
import threading
from types import SimpleNamespace

import pytest
import requests
from werkzeug.serving import make_server

from services.shipping.tests.makers import ORDER, PARCELS, SECRET, Shop, cancel_wish, make_due
from shared.contracts.shipping import CashCollected, Delivered, ShipmentPacked, Shipped, TrackingUpdated


@pytest.fixture
def street(sqlite_url, tmp_path):
    """A shop served on a port of its own, and the sandbox's carrier that calls it back."""
    # Only by name: a service does not build on `deploy`, its test meets the carrier on the street.
    carrier, desk = (importlib.import_module(f"deploy.sandbox.{name}") for name in ("carrier", "desk"))
    shop = Shop(sqlite_url, tmp_path)
    server = make_server("127.0.0.1", 0, shop.stage.app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    settings = desk.Settings(
        tmp_path / "carrier", f"http://127.0.0.1:{server.port}/v1/callbacks/carriers/sandbox", SECRET,
        "whsec_" + base64.b64encode(SECRET.encode()).decode(), retry_s=(0.05, 0.1),
    )  # fmt: skip
    with desk.Local(carrier.create_app(settings)) as outside, requests.Session() as http:
        del shop.stage.node.outside["sandbox"]
        object.__setattr__(shop.stage.node.settings, "carrier_url", outside.url)
        http.trust_env = False
        http.headers["Authorization"] = f"Bearer {SECRET}"

        def ask(method, path, **body):
            answer = http.request(method, outside.url + path, json=body or None, timeout=20)
            assert answer.ok, answer.text
            return answer.json()

        def courier(tracking_no, *deeds, **more):
            for deed in deeds:
                ask("POST", f"/courier/{tracking_no}/{deed}", **({"location": "Wuhan"} | more))
            assert ask("GET", "/sandbox/quiet?timeout=20")["quiet"]

        yield SimpleNamespace(shop=shop, ask=ask, courier=courier)
    server.shutdown()
    thread.join()
    server.server_close()
    shop.stage.close()


def packed(shop, **sold):
    (shipment_id,) = shop.sold(**sold)
    shop.do("pick", shipment_id)
    return shipment_id, shop.do("pack", shipment_id).json


def test_from_the_shelf_to_the_door_with_cash(street):
    shipment_id, seen = packed(street.shop, cod=12900)
    assert street.shop.do("hand-over", shipment_id).status == 200
    street.courier(seen["tracking_no"], "collect", "scan", "out-for-delivery", "collect-cash", "deliver")
    (cash,) = street.shop.stage.said(CashCollected)
    assert cash.amount == 12900
    assert len(street.shop.stage.said(TrackingUpdated)) == 3
    assert street.shop.see(shipment_id)["state"] == "DELIVERED"
    (booked,) = street.ask("GET", "/v1/book")["items"]
    assert booked["destination"] == {"country": "CN", "city": "CN-SC"}


def test_lost_doubled_and_reordered_callbacks_end_alike(street):
    shipment_id, seen = packed(street.shop)
    street.shop.do("hand-over", shipment_id)
    street.ask("POST", "/sandbox/switches", kind="callback_duplicate", times="always", copies=2)
    street.ask("POST", "/sandbox/switches", kind="callback_reorder")
    street.courier(seen["tracking_no"], "collect", "scan")
    street.ask("POST", "/sandbox/switches", kind="callback_lost", scope={"what": "tracking.updated"})
    street.courier(seen["tracking_no"], "out-for-delivery", "deliver")
    street.shop.stage.call()
    assert street.shop.see(shipment_id)["state"] == "DELIVERED"
    assert (len(street.shop.stage.said(TrackingUpdated)), len(street.shop.stage.said(Delivered))) == (3, 1)


def test_a_delivery_nobody_told_us_of_is_found_within_a_day(street):
    shipment_id, seen = packed(street.shop)
    street.shop.do("hand-over", shipment_id)
    street.ask("POST", "/sandbox/switches", kind="callback_lost", times="always")
    street.courier(seen["tracking_no"], "collect", "out-for-delivery", "deliver")
    assert street.shop.see(shipment_id)["state"] == "SHIPPED"
    street.shop.stage.advance(days=1, minutes=1)
    street.shop.stage.call()
    assert street.shop.see(shipment_id)["state"] == "DELIVERED"


def test_cash_nobody_told_us_of_is_found_and_cash_nobody_took_is_shown(street):
    told, untold = (packed(street.shop, order_no=order_no, cod=12900) for order_no in (ORDER, f"{ORDER[:-1]}2"))
    for shipment_id, seen in (told, untold):
        street.shop.do("hand-over", shipment_id)
        street.courier(seen["tracking_no"], "collect", "out-for-delivery", "deliver")
    street.ask("POST", "/sandbox/switches", kind="callback_lost", scope={"what": "cash_collected"})
    street.courier(told[1]["tracking_no"], "collect-cash")
    assert street.shop.stage.said(CashCollected) == []
    street.shop.stage.advance(days=1, minutes=1)
    street.shop.stage.call()
    assert [cash.shipment_id for cash in street.shop.stage.said(CashCollected)] == [told[0]]
    assert [street.shop.see(number, street.shop.operator)["attention"] for number, _ in (told, untold)] == [
        None,
        "cash_missing",
    ]
    street.courier(untold[1]["tracking_no"], "collect-cash")
    assert street.shop.see(untold[0], street.shop.operator)["attention"] is None


@pytest.mark.parametrize("kind", ["error_after", "garbage", "error_before"])
def test_an_unknown_outcome_books_one_parcel(street, kind):
    shop = street.shop
    street.ask("POST", "/sandbox/switches", kind=kind, scope={"what": "create_shipment"})
    shipment_id, seen = packed(shop)
    assert seen["booking"]["status"] == "asked"
    make_due(shop)
    shop.stage.call()
    assert shop.do("hand-over", shipment_id).status == 200
    assert len(street.ask("GET", "/v1/book")["items"]) == 1
    assert len(shop.stage.said(ShipmentPacked)) == 1


def test_a_cancelled_shipments_booking_is_withdrawn(street):
    shipment_id, _ = packed(street.shop)
    street.shop.stage.hear(cancel_wish())
    street.shop.stage.call()
    (booked,) = street.ask("GET", "/v1/book")["items"]
    assert booked["status"] == "cancelled"
    assert street.shop.see(shipment_id)["attention"] is None


def test_a_courier_who_came_too_early_is_noticed(street):
    """The courier took the parcel before anybody noted the hand-over: the scan decides, not the wish."""
    shipment_id, seen = packed(street.shop)
    street.courier(seen["tracking_no"], "collect")
    street.shop.stage.hear(cancel_wish())
    assert len(street.shop.stage.said(Shipped)) == 1
    assert street.shop.see(shipment_id)["state"] == "SHIPPED"


def test_a_parcel_the_carrier_does_not_take_is_refused(street):
    street.ask("POST", "/sandbox/switches", kind="error_before", status=422, code="no_such_route")
    shipment_id, seen = packed(street.shop)
    assert seen["booking"] == {"status": "refused", "label_ref": "", "code": "no_such_route"}
    assert street.shop.do("pack", shipment_id, body=PARCELS).json["booking"]["status"] == "booked"
