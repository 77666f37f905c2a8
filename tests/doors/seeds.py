"""What must be there, and in which state, so that every operation can do its work at least once."""

from __future__ import annotations

from typing import Any

import msgspec

from deploy.story import shop
from deploy.story.people import PASSWORD, Provider
from shared.kernel.ids import new_id
from shared.storage.inspect import logged
from tests.doors.house import SELLERS, House
from tests.doors.operations import body_for, operations

Asked = dict[str, Any]
ORDERS = (
    "approve", "reject", "receipt", "extend", "pick", "pack", "hand-over", "batch", "lost", "refund", "review",
)  # fmt: skip
"""Paid, each for one operation; what comes after ``reject`` is confirmed, to be packed and sent."""
UNPAID = ("price", "address", "cancel", "pay")


def sow(house: House) -> dict[str, list[Asked]]:
    """By operation (``POST /v1/orders``), what to ask so that it is done: `person`, `path`, `body`, `query` and, where
    it matters, of which `session`. In the order in which to ask.

    What needs nothing special is asked with the person's own things and the least body the document allows.
    """
    found: dict[str, list[Asked]] = {}
    for one in operations():
        for person in house.all_who_may(one.who):
            own = {name: owned[person] for name, owned in house.things.items() if owned.get(person)}
            if set(one.arguments) <= own.keys():
                ids = {name: own[name][0] for name in one.arguments}
                body = body_for(one.body, {name: things[0] for name, things in own.items()})
                found[str(one)] = [{"person": person, "path": ids, "body": body}]
                break
    for name, asked in _special(house).items():
        found.setdefault(name, []).insert(0, asked)
    found["POST /v1/me/password"] = found.pop("POST /v1/me/password")  # it ends all other sessions
    return {_documented(name): asked for name, asked in found.items()}


def _documented(name: str) -> str:
    return name.replace("<", "{").replace(">", "}")


def _special(house: House) -> dict[str, Asked]:
    parts = (_of_orders, _of_shops, _of_goods, _of_people, _of_operations)
    return {name: asked for part in parts for name, asked in part(house).items()}


def _of_orders(house: House) -> dict[str, Asked]:
    one, settle = house.families[0], house.platform.settle
    groups = {name: one.place() for name in ORDERS}
    cash = one.place(payment_method="cod")[1]
    settle()
    for name in ORDERS:
        one.pay(groups[name][0])
    settle()
    order = {name: order_no for name, (_, order_no) in groups.items()}
    for number in [cash, *(order[name] for name in ORDERS[2:])]:
        one.seller.do("POST", f"/v1/orders/{number}/approve", {})
    settle()
    provider = Provider(house.platform)
    provider.switch("refund_fail", scope={"reference": f"*{groups['refund'][0]}"}, times="always")
    one.buyer.cancel(order["refund"])
    parcel = {name: one.seller.shipments(order[name])[0]["shipment_id"] for name in ORDERS[2:] if name != "refund"}
    for name in ("hand-over", "receipt", "extend", "lost"):
        one.seller.pick(parcel[name])
        one.seller.pack(parcel[name])
    one.seller.pick(parcel["pack"])
    settle()
    for name in ("receipt", "extend", "lost"):
        one.seller.hand_over(parcel[name])
    house.send(one, order["review"])
    one.buyer.confirm_receipt(order["review"])
    (tracking_no,) = house.hand_over(one, cash)
    for deed in ("collect", "out-for-delivery", "collect-cash", "deliver"):
        house.courier.deed(tracking_no, deed)
    settle()
    house.platform.advance(hours=16)  # the refund was tried often enough
    refunds = one.buyer.do("GET", f"/v1/orders/{order['refund']}/refunds")["items"]
    placed = {name: one.place() for name in UNPAID}  # what was not paid has run out meanwhile
    settle()
    payable = one.buyer.do("GET", f"/v1/groups/{placed['pay'][0]}")["payable"]
    address = {name: value for name, value in shop.ADDRESS.items() if name != "country"}
    wish = {"lines": [{"sku": one.sku, "qty": 1}], "delivery": address}
    quoted = house.ask(SELLERS[0], "POST", "/v1/quotes", wish).get_json(force=True)

    def about(name: str, body: Any) -> Asked:
        return {"path": {"order_no": (groups | placed)[name][1]}, "body": body}

    found = {
        "POST /v1/quotes": {"body": wish},
        "POST /v1/orders": {"body": {"quote_token": quoted["quote_token"], "expected_amount": quoted["payable"]}},
        "POST /v1/orders/<order_no>/approve": about("approve", {}),
        "POST /v1/orders/<order_no>/reject": about("reject", {}),
        "POST /v1/orders/<order_no>/receipt": about("receipt", {}),
        "POST /v1/orders/<order_no>/receipt/extend": about("extend", {}),
        "POST /v1/orders/<order_no>/price": about("price", {"payable": 5_000}),
        "POST /v1/orders/<order_no>/address": about("address", {"delivery": address}),
        "POST /v1/orders/<order_no>/cancel": about("cancel", {}),
        "POST /v1/groups/<group_no>/payments": {
            "path": {"group_no": placed["pay"][0]},
            "body": {"method": "online", "channel": "sandbox", "expected_amount": payable},
        },
        "POST /v1/refunds/<refund_id>/settlement": {
            "path": {"refund_id": refunds[0]["refund_id"]},
            "body": {"route": "bank"},
        },
        "POST /v1/cash-statements": {
            "body": {"carrier": "sandbox", "period": "2027-01", "currency": "CNY", "remitted": 0, "order_nos": [cash]}
        },
        "POST /v1/reviews": {"body": {"order_no": order["review"], "line_id": "1", "stars": 5}},
        "POST /v1/shipments/batch": {"body": {"deed": "pick", "shipments": [{"shipment_id": parcel["batch"]}]}},
        "POST /v1/shipments/<shipment_id>/pack": {
            "path": {"shipment_id": parcel["pack"]},
            "body": {"parcels": [{"weight_g": 900}]},
        },
        "POST /v1/returns/<shipment_id>/inspection": {
            "path": {"shipment_id": house.traded["shipment_id"][0][0]},
            "body": {"lines": [{"line_id": "1", "qty_accepted": 1, "disposition": "resellable"}]},
        },
    }
    found |= {
        "PUT /v1/payout-account": {
            "body": {"currency": "CNY", "holder": "Tea Ltd", "bank": "Bank of Tea", "number": "CN00TEA0001234"}
        },
        "POST /v1/payouts": {"body": {"amount": 200, "currency": "CNY"}},
        "GET /v1/payouts/<payout_id>": {"path": {"payout_id": one.payout_id}},
        "POST /v1/transfers": {
            "body": {
                "from_warehouse_id": one.warehouse_id,
                "to_warehouse_id": one.branch_id,
                "lines": [{"sku": one.sku, "qty": 1}],
            }
        },
        "POST /v1/transfers/<transfer_id>/receipt": {
            "path": {"transfer_id": one.send_to_branch()},
            "body": {"lines": [{"sku": one.sku, "received": 1}]},
        },
    }
    for deed, name in (("pick", "pick"), ("hand-over", "hand-over"), ("declare-lost", "lost")):
        found[f"POST /v1/shipments/<shipment_id>/{deed}"] = {"path": {"shipment_id": parcel[name]}}
    return found


def _of_shops(house: House) -> dict[str, Asked]:
    one = house.families[0]
    house.staff.do("POST", f"/v1/shops/{one.pending_shop}/reject", {"reason": "Too soon."})  # its owner may try again
    new = [shop.new_buyer(house.platform, f"Applicant {number}") for number in range(2)]
    pending = [person.do("POST", "/v1/shops", {"shop_name": "Soon"})["seller_id"] for person in new]
    return {
        "POST /v1/shops/<seller_id>/approve": {"path": {"seller_id": pending[0]}, "body": {}},
        "POST /v1/shops/<seller_id>/reject": {"path": {"seller_id": pending[1]}, "body": {"reason": "Too soon."}},
        "POST /v1/shops/<seller_id>/suspend": {
            "path": {"seller_id": house.families[1].seller.seller_id},
            "body": {"reason": "Too late."},
        },
        "PATCH /v1/shops/<seller_id>": {"path": {"seller_id": one.seller.seller_id}, "body": {"description": "Open."}},
    }


def _of_goods(house: House) -> dict[str, Asked]:
    one = house.families[0]
    names = ("draft", "submitted", "approved", "listed", "shown")
    goods = {name: shop.simple_product(f"{one.mark}-{name}-book") for name in names}
    made = {name: one.seller.do("POST", "/v1/products", body)["product_id"] for name, body in goods.items()}
    for name in names[1:]:
        one.seller.do("POST", f"/v1/products/{made[name]}/submit", {})
    house.platform.settle()
    one.seller.receive_stock(one.warehouse_id, {f"{one.mark}-{name}-book": 5 for name in names[1:]})
    house.platform.settle()
    for name in names[2:]:
        house.staff.approve_product(made[name])
    for name in names[3:]:
        one.seller.put_on_sale(made[name])
    house.staff.do("POST", "/v1/categories", {"category_id": f"c{one.mark}", "names": {"en": "Empty"}})
    lines = {"warehouse_id": one.warehouse_id}
    found: dict[str, Asked] = {
        f"POST /v1/products/<product_id>/{deed}": {"path": {"product_id": made[name]}, "body": body}
        for deed, name, body in (
            ("submit", "draft", None),
            ("review", "submitted", {"decision": "approved"}),
            ("list", "approved", None),
            ("delist", "listed", None),
        )
    }
    return found | {
        "GET /v1/products/<product_id>": {"path": {"product_id": made["shown"]}},
        "GET /v1/products/<product_id>/reviews": {"path": {"product_id": made["shown"]}},
        "PATCH /v1/products/<product_id>": {"path": {"product_id": one.draft}, "body": {"tax_class": "books"}},
        "PUT /v1/products/<product_id>/prices": {
            "path": {"product_id": one.draft},
            "body": {"prices": [{"sku": f"{one.mark}-draft", "price": 900}]},
        },
        "POST /v1/products": {"body": shop.simple_product(f"{one.mark}-new")},
        "POST /v1/categories": {"body": {"category_id": f"d{one.mark}", "names": {"en": "New"}}},
        "DELETE /v1/categories/<category_id>": {"path": {"category_id": f"c{one.mark}"}},
        "GET /v1/freight-template": {"query": {"seller_id": one.seller.seller_id}},
        "PUT /v1/freight-template": {"body": {"rules": list(shop.FREIGHT)}},
        "GET /v1/search": {"query": {"q": "thing"}},
        "POST /v1/stock-receipts": {"body": lines | {"lines": [{"sku": one.sku, "qty": 1}]}},
        "POST /v1/stock-adjustments": {"body": lines | {"reason": "damage", "lines": [{"sku": one.sku, "delta": -1}]}},
        "POST /v1/stocktakes": {"body": lines | {"lines": [{"sku": one.sku, "counted": 9_000}]}},
    }


def _of_people(house: House) -> dict[str, Asked]:
    one = house.families[1]
    token = house.families[0].buyer.refresh_token
    for _ in range(2):
        house.families[0].seller.sign_in(house.families[0].seller.email)
    signed_in = house.ask(SELLERS[0], "GET", "/v1/sessions").get_json(force=True)["items"]
    return {
        "POST /v1/accounts": {"body": {"email": f"{new_id()}@example.com", "password": PASSWORD, "name": "New"}},
        "POST /v1/sessions": {"body": {"email": one.buyer.email, "password": PASSWORD}},
        "POST /v1/sessions/refresh": {"body": {"refresh_token": token}},
        "POST /v1/me/password": {"body": {"present": PASSWORD, "new": "three unusual words"}},
        "POST /v1/shops": {"body": {"shop_name": "Another"}},
        "GET /v1/shops/<seller_id>": {"path": {"seller_id": house.families[0].seller.seller_id}},
        "PATCH /v1/me": {"body": {"locale": "en"}},
        "GET /v1/events/catalog/<kind>": {"path": {"kind": "caravan.order.OrderPlaced.v1"}},
        "DELETE /v1/sessions/<session_id>": {"path": {"session_id": signed_in[0]["session_id"]}},
        "DELETE /v1/sessions/current": {"session": signed_in[1]["session_id"]},
    }


def _of_operations(house: House) -> dict[str, Asked]:
    """A letter for each thing that can be done with one; what is put into its place every service may hear twice."""
    letters = house.plant_letters(4)
    bodies = (msgspec.json.decode(body) for _, body in logged(house.platform.stores["account"]))
    key = next(body for body in bodies if "SigningKeyPublished" in body["type"])
    why = {"why": "It was never a fact."}
    name = "/v1/ops/dead-letters/<letter_id>"
    return {
        f"GET {name}": {"path": {"letter_id": letters[0]}},
        f"POST {name}/retry": {"path": {"letter_id": letters[1]}, "body": why},
        f"POST {name}/edit": {"path": {"letter_id": letters[2]}, "body": why | {"message": key}},
        f"POST {name}/discard": {"path": {"letter_id": letters[3]}, "body": why},
        "POST /v1/ops/dead-letters/retry": {"body": why | {"service": "support"}},
    }
