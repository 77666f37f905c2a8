"""Operators, sellers, buyers and couriers. Each speaks HTTP to the gateway, as a shop's own clients do; a buyer pays at
the provider's page and a courier reports to the carrier, as in the world outside."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import requests
from requests.adapters import HTTPAdapter

from shared.kernel.ids import new_id
from shared.storage.database import Database

PASSWORD = "correct horse battery staple"  # noqa: S105  (of people who live for one story)


class Grounds(Protocol):
    """Where a story takes place: what the embedded platform and the stack have in common."""

    @property
    def url(self) -> str: ...
    @property
    def provider_url(self) -> str: ...
    @property
    def carrier_url(self) -> str: ...
    @property
    def sandbox_key(self) -> str:
        """Opens the sandbox, the provider and the carrier."""
        ...

    @property
    def operator(self) -> tuple[str, str]:
        """E-mail address and password of an operator."""
        ...

    @property
    def stores(self) -> dict[str, Database]:
        """Every service's store, to look into."""
        ...

    def settle(self, seconds: float = 60) -> None:
        """Return once nothing is under way or due."""
        ...

    def advance(self, **span: float) -> int:
        """Move business time on (``days=15``), from deadline to deadline."""
        ...


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
        self.http.verify = getattr(
            grounds, "authority", True
        )  # of grounds that are known by a certificate of their own
        self.http.mount("http", HTTPAdapter(pool_maxsize=4))
        self.account_id = ""
        self.refresh_token = ""
        self.email, self.password = "", PASSWORD

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
        self.email, self.password = email, password
        self._take(self.do("POST", "/v1/sessions", {"email": email, "password": password}))

    def register(self, name: str, locale: str = "zh-CN") -> None:
        """Open an account and sign in."""
        email = f"{secrets.token_hex(6)}@example.com"
        self.do("POST", "/v1/accounts", {"email": email, "password": PASSWORD, "name": name, "locale": locale})
        self.sign_in(email)

    def renew(self) -> None:
        """Trade the refresh token for a new access token, which knows one's present roles; sign in if it ran out."""
        answer = self.ask("POST", "/v1/sessions/refresh", {"refresh_token": self.refresh_token})
        if answer.status == 200:
            self._take(answer.json)
        else:
            self.sign_in(self.email, self.password)

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

    def returns(self, state: str = "AWAITING_INSPECTION") -> list[dict[str, Any]]:
        """What came back."""
        return list(self.do("GET", f"/v1/returns?limit=100&state={state}")["items"])

    def inspect(self, shipment_id: str, *findings: tuple[str, int, int, str]) -> dict[str, Any]:
        """Each finding: of which line, units accepted, units rejected, and what becomes of the accepted ones."""
        names = ("line_id", "qty_accepted", "qty_rejected", "disposition")
        lines = [dict(zip(names, one, strict=True)) for one in findings]
        return dict(self.do("POST", f"/v1/returns/{shipment_id}/inspection", {"lines": lines}))


class Buyer(Person):
    """Somebody who buys; `groups`: all that was placed."""

    def __init__(self, grounds: Grounds) -> None:
        super().__init__(grounds)
        self.address: dict[str, Any] = {}
        self.groups: list[dict[str, Any]] = []

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
        group = dict(self.do("POST", "/v1/orders", body))
        self.groups.append(group)
        return group

    def order(self, order_no: str, wait_for: str = "") -> dict[str, Any]:
        return dict(self.do("GET", f"/v1/orders/{order_no}" + (f"?wait_for={wait_for}" if wait_for else "")))

    def open_payment(self, group_no: str, amount: int, instrument: str = "alipay_qr") -> dict[str, Any]:
        """An attempt to pay, with the address of the provider's page."""
        body = {"method": "online", "channel": "sandbox", "expected_amount": amount, "instrument": instrument}
        return dict(self.do("POST", f"/v1/groups/{group_no}/payments", body))

    def pay(self, attempt: dict[str, Any], outcome: str = "succeed") -> int:
        """Pay at the provider's page. Answers the page's status."""
        page = (attempt["display"] or self._shown_later(attempt))["value"]
        return requests.post(page, json={"outcome": outcome}, timeout=20).status_code

    def _shown_later(self, attempt: dict[str, Any]) -> dict[str, Any]:
        """What there is to be shown of an attempt that the provider was slow to open."""
        self.grounds.settle()
        payment = self.do("GET", f"/v1/payments/{attempt['payment_id']}")
        return next(dict(one["display"]) for one in payment["attempts"] if one["attempt_no"] == attempt["attempt_no"])

    def confirm_receipt(self, order_no: str) -> None:
        self.do("POST", f"/v1/orders/{order_no}/receipt")

    def cancel(self, order_no: str, reason: str = "changed_mind") -> dict[str, Any]:
        return dict(self.do("POST", f"/v1/orders/{order_no}/cancel", {"reason": reason}))

    def review(self, order_no: str, line_id: str, stars: int, text: str) -> None:
        self.do("POST", "/v1/reviews", {"order_no": order_no, "line_id": line_id, "stars": stars, "text": text})


class Outsider:
    """Somebody on the other side of our gateways, at the provider or the carrier, who holds the sandbox key."""

    def __init__(self, grounds: Grounds, url: str) -> None:
        self.url = url
        self.http = requests.Session()
        self.http.trust_env = False
        self.http.headers["Authorization"] = f"Bearer {grounds.sandbox_key}"

    def do(self, method: str, path: str, body: Any = None) -> Any:
        """The JSON of a 2xx answer. Raises Unexpected."""
        answer = self.http.request(method, self.url + path, json=body, timeout=40)
        if not answer.ok:
            raise Unexpected(f"{method} {path}: {answer.status_code} {answer.text}")
        return answer.json() if answer.content else None

    def switch(self, kind: str, **options: Any) -> str:
        """Turn on one of the desk's misbehaviours. Answers its id."""
        return str(self.do("POST", "/sandbox/switches", {"kind": kind} | options)["id"])


class Provider(Outsider):
    """The payment provider's people, and its book."""

    def __init__(self, grounds: Grounds) -> None:
        super().__init__(grounds, grounds.provider_url)


class Courier(Outsider):
    """The carrier's people: what they do, the carrier reports by signed callbacks."""

    def __init__(self, grounds: Grounds) -> None:
        super().__init__(grounds, grounds.carrier_url)

    def deed(self, tracking_no: str, name: str, **body: Any) -> None:
        self.do("POST", f"/courier/{tracking_no}/{name}", body)

    def deliver(self, tracking_no: str) -> None:
        """Collect, drive, and hand over at the door."""
        for deed, where in (("collect", "depot"), ("scan", "hub"), ("out-for-delivery", "town"), ("deliver", "town")):
            self.deed(tracking_no, deed, location=where)
