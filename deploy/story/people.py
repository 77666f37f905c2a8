"""Operators, sellers, buyers and couriers. Each speaks HTTP to the gateway, as a shop's own clients do; a buyer pays at
the provider's page and a courier reports to the carrier, as in the world outside."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import requests
from requests.adapters import HTTPAdapter

from shared.kernel.ids import new_id
from shared.storage.database import Database

PASSWORD = "correct horse battery staple"  # noqa: S105  (of people who live for one story)


class Grounds:
    """Where a story takes place: the embedded platform or the stack, as its clients and its sandbox see it."""

    def __init__(self, url: str, sandbox_key: str, operator: tuple[str, str], stores: Mapping[str, Database]) -> None:
        """`operator`: the e-mail address and password of one; `stores`: every service's store, to look into."""
        self.url, self.operator, self.stores = url, operator, stores
        self._http = requests.Session()
        self._http.trust_env = False
        self._http.headers["Authorization"] = f"Bearer {sandbox_key}"
        sandbox = self._ask("GET", "")
        self.provider_url, self.provider_key = sandbox["provider"]["url"], sandbox["provider"]["key"]
        self.carrier_url, self.carrier_key = sandbox["carrier"]["url"], sandbox["carrier"]["key"]

    def settle(self) -> None:
        """Wait until nothing is under way or due."""
        self._ask("POST", "/settle", {})

    def advance(self, span: str) -> None:
        """Move business time on by e.g. ``15d`` or ``31m``, from deadline to deadline."""
        self._ask("POST", "/clock", {"advance": span})

    def switch(self, kind: str, *, desk: str = "provider", **options: Any) -> None:
        """Turn on one of the provider's or the carrier's misbehaviours."""
        self.desk(desk, "POST", "switches", {"kind": kind} | options)

    def desk(self, desk: str, method: str, path: str, body: Any = None) -> Any:
        """Speak to the provider's or the carrier's own sandbox doors."""
        url, key = (
            (self.provider_url, self.provider_key) if desk == "provider" else (self.carrier_url, self.carrier_key)
        )
        answer = requests.request(
            method, f"{url}/sandbox/{path}", json=body, headers={"Authorization": f"Bearer {key}"}, timeout=40
        )
        if not answer.ok:
            raise Unexpected(f"{desk} {path}: {answer.status_code} {answer.text}")
        return answer.json() if answer.content else None

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        answer = self._http.request(method, f"{self.url}/v1/sandbox{path}", json=body, timeout=120)
        if not answer.ok:
            raise Unexpected(f"sandbox {path}: {answer.status_code} {answer.text}")
        return answer.json()


class Unexpected(AssertionError):
    """An answer the story did not expect."""


@dataclass(frozen=True)
class Answer:
    status: int
    json: Any
    headers: Mapping[str, str]


class Person:
    """Somebody with a connection to the shop, signed in or not."""

    def __init__(self, grounds: Grounds) -> None:
        self.grounds = grounds
        self.http = requests.Session()
        self.http.trust_env = False
        self.http.mount("http", HTTPAdapter(pool_maxsize=4))
        self.account_id = ""
        self.refresh_token = ""

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """Any answer. POSTs carry a fresh Idempotency-Key unless `Idempotency_Key=` is given."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        if method == "POST":
            given = {"Idempotency-Key": new_id()} | given
        answer = self.http.request(method, self.grounds.url + path, json=body, headers=given, timeout=40)
        return Answer(answer.status_code, answer.json() if answer.content else None, answer.headers)

    def do(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """The JSON of a 2xx answer. Raises Unexpected."""
        answer = self.ask(method, path, body, **headers)
        if not 200 <= answer.status < 300:
            raise Unexpected(f"{method} {path}: {answer.status} {answer.json}")
        return answer.json

    def sign_in(self, email: str, password: str = PASSWORD) -> None:
        self._take(self.do("POST", "/v1/sessions", {"email": email, "password": password}))

    def register(self, name: str, locale: str = "zh-CN") -> None:
        """Open an account and sign in."""
        email = f"{secrets.token_hex(6)}@example.com"
        self.do("POST", "/v1/accounts", {"email": email, "password": PASSWORD, "name": name, "locale": locale})
        self.sign_in(email)

    def renew(self) -> None:
        """Trade the refresh token for a new access token, which knows one's present roles."""
        self._take(self.do("POST", "/v1/sessions/refresh", {"refresh_token": self.refresh_token}))

    def _take(self, tokens: dict[str, Any]) -> None:
        self.account_id, self.refresh_token = tokens["account_id"], tokens["refresh_token"]
        self.http.headers["Authorization"] = f"Bearer {tokens['access_token']}"


class Operator(Person):
    """The platform's own staff."""

    def approve_shop(self, seller_id: str) -> None:
        self.do("POST", f"/v1/shops/{seller_id}/approve", {})

    def approve_product(self, product_id: str) -> None:
        self.do("POST", f"/v1/products/{product_id}/review", {"decision": "approved"})


class Seller(Person):
    """A shop: lists goods, fills warehouses, sends parcels."""

    seller_id = ""

    def apply_for_shop(self, shop_name: str, **settings: Any) -> None:
        shop = self.do("POST", "/v1/shops", {"shop_name": shop_name} | settings)
        self.seller_id = shop["seller_id"]

    def set_freight(self, *rules: dict[str, Any], free_over: int | None = None) -> None:
        self.do("PUT", "/v1/freight-template", {"rules": list(rules), "free_over": free_over})

    def open_warehouse(self, title: str, region: str) -> str:
        return str(self.do("POST", "/v1/warehouses", {"title": title, "region": region})["warehouse_id"])

    def create_product(self, product: dict[str, Any]) -> dict[str, Any]:
        """A draft, handed in for review."""
        made: dict[str, Any] = self.do("POST", "/v1/products", product)
        self.do("POST", f"/v1/products/{made['product_id']}/submit", {})
        return made

    def receive_stock(self, warehouse_id: str, quantities: dict[str, int]) -> None:
        lines = [{"sku": sku, "qty": qty} for sku, qty in quantities.items()]
        self.do("POST", "/v1/stock-receipts", {"warehouse_id": warehouse_id, "lines": lines})

    def put_on_sale(self, product_id: str) -> None:
        self.do("POST", f"/v1/products/{product_id}/list", {})

    def shipments(self, order_no: str) -> list[dict[str, Any]]:
        return list(self.do("GET", f"/v1/shipments?order_no={order_no}")["items"])

    def pick(self, shipment_id: str) -> None:
        self.do("POST", f"/v1/shipments/{shipment_id}/pick")

    def pack(self, shipment_id: str, weight_g: int = 900) -> None:
        self.do("POST", f"/v1/shipments/{shipment_id}/pack", {"parcels": [{"weight_g": weight_g}]})

    def hand_over(self, shipment_id: str) -> str:
        """Answers the tracking number."""
        return str(self.do("POST", f"/v1/shipments/{shipment_id}/hand-over")["tracking_no"])


class Buyer(Person):
    """Somebody who buys."""

    address: dict[str, Any] = {}

    def live_at(self, address: dict[str, Any]) -> None:
        self.do("POST", "/v1/me/addresses", address)
        self.address = address

    def quote(self, wanted: dict[str, int], **wish: Any) -> dict[str, Any]:
        delivery = {k: v for k, v in self.address.items() if k not in ("country", "default")}
        lines = [{"sku": sku, "qty": qty} for sku, qty in wanted.items()]
        return dict(self.do("POST", "/v1/quotes", {"lines": lines, "delivery": delivery} | wish))

    def place(self, quote: dict[str, Any]) -> dict[str, Any]:
        """The group of orders."""
        body = {"quote_token": quote["quote_token"], "expected_amount": quote["payable"]}
        return dict(self.do("POST", "/v1/orders", body))

    def order(self, order_no: str, wait_for: str = "") -> dict[str, Any]:
        return dict(self.do("GET", f"/v1/orders/{order_no}" + (f"?wait_for={wait_for}" if wait_for else "")))

    def open_payment(self, group_no: str, amount: int) -> dict[str, Any]:
        """An attempt to pay, with the address of the provider's page."""
        body = {"method": "online", "channel": "sandbox", "expected_amount": amount}
        return dict(self.do("POST", f"/v1/groups/{group_no}/payments", body))

    def pay(self, attempt: dict[str, Any], outcome: str = "succeed") -> int:
        """Pay at the provider's page. Answers the page's status."""
        page = attempt["display"]["value"]
        return requests.post(page, json={"outcome": outcome}, timeout=20).status_code

    def confirm_receipt(self, order_no: str) -> None:
        self.do("POST", f"/v1/orders/{order_no}/receipt")

    def cancel(self, order_no: str, reason: str = "changed_mind") -> dict[str, Any]:
        return dict(self.do("POST", f"/v1/orders/{order_no}/cancel", {"reason": reason}))

    def review(self, order_no: str, line_id: str, stars: int, text: str) -> None:
        self.do("POST", "/v1/reviews", {"order_no": order_no, "line_id": line_id, "stars": stars, "text": text})


class Courier:
    """The carrier's people: what they do, the carrier reports by signed callbacks."""

    def __init__(self, grounds: Grounds) -> None:
        self.grounds = grounds
        self.http = requests.Session()
        self.http.trust_env = False
        self.http.headers["Authorization"] = f"Bearer {grounds.carrier_key}"

    def deed(self, tracking_no: str, name: str, **body: Any) -> None:
        answer = self.http.post(f"{self.grounds.carrier_url}/courier/{tracking_no}/{name}", json=body, timeout=20)
        if answer.status_code != 200:
            raise Unexpected(f"{name} {tracking_no}: {answer.status_code} {answer.text}")

    def deliver(self, tracking_no: str) -> None:
        """Collect, drive, and hand over at the door."""
        for deed, where in (
            ("collect", "depot"),
            ("scan", "hub"),
            ("out-for-delivery", "town"),
            ("deliver", "town"),
        ):
            self.deed(tracking_no, deed, location=where)
