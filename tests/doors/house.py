"""A house with two families, each with a buyer and a shop, and things of every kind; and who owns which of them.

Tokens are signed here, with a key that every store is told of, so that each has one role and nothing else.
"""

from __future__ import annotations

import random
import secrets
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from joserfc import jwt
from joserfc.jwk import OKPKey
from werkzeug.test import Client, TestResponse

from deploy.embedded import Platform
from deploy.story import shop
from deploy.story.people import Buyer, Courier, Operator, Seller
from shared.kernel import clock
from shared.kernel.ids import new_id
from shared.storage import trust
from shared.testing.letters import drop_kept, keep_dead
from shared.web.auth import AUDIENCE, ISSUER, REFRESH_SECONDS, Principal, issue

BUYERS, SELLERS, STAFF = ("buyer 1", "buyer 2"), ("seller 1", "seller 2"), "operator"
PEOPLE = (*BUYERS, *SELLERS, STAFF)
LETTER = b"no message of ours, number %d"


class Family:
    """A buyer, who buys at the family's own shop, and what came of it."""

    def __init__(self, grounds: Platform, staff: Operator) -> None:
        self.mark = secrets.token_hex(4)
        self.sku = f"{self.mark}-thing"
        self.seller: Seller = shop.open_shop(grounds, staff, f"Shop {self.mark}", cod_allowed=True, review_orders=True)
        self.warehouse_id = self.seller.open_warehouse(f"House {self.mark}", "CN-ZJ")
        shop.list_goods(staff, self.seller, [shop.simple_product(self.sku)], {self.warehouse_id: 10_000})
        self.branch_id = self.seller.open_warehouse(f"Branch {self.mark}", "CN-ZJ")
        self.transfer_id = self.send_to_branch()
        self.payout_id = ""
        self.draft: str = self.seller.do("POST", "/v1/products", shop.simple_product(f"{self.mark}-draft"))[
            "product_id"
        ]
        self.buyer: Buyer = shop.new_buyer(grounds, f"Buyer {self.mark}")
        self.pending_shop: str = self.buyer.do("POST", "/v1/shops", {"shop_name": f"Pending {self.mark}"})["seller_id"]

    def send_to_branch(self) -> str:
        """One unit, on its way between the shop's warehouses."""
        ends = {"from_warehouse_id": self.warehouse_id, "to_warehouse_id": self.branch_id}
        sent = self.seller.do("POST", "/v1/transfers", ends | {"lines": [{"sku": self.sku, "qty": 1}]})
        return str(sent["transfer_id"])

    def ask_for_payout(self) -> str:
        """The least there is, to an account of the shop's."""
        account = {"currency": "CNY", "holder": f"Tea {self.mark}", "bank": "Bank of Tea", "number": "CN00TEA0001234"}
        self.seller.do("PUT", "/v1/payout-account", account)
        return str(self.seller.do("POST", "/v1/payouts", {"amount": 100, "currency": "CNY"})["payout_id"])

    def place(self, **wish: Any) -> tuple[str, str]:
        """``(group_no, order_no)``; the shop looks at every order before it goes on."""
        group = self.buyer.place(self.buyer.quote({self.sku: 1}, **wish))
        return group["group_no"], group["orders"][0]["order_no"]

    def pay(self, group_no: str) -> None:
        now = self.buyer.do("GET", f"/v1/groups/{group_no}")
        self.buyer.pay(self.buyer.open_payment(group_no, now["payable"]))


class House:
    """See the module. `things`: by path parameter and person, the ids that are that person's."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.http = Client(platform.server.app, TestResponse)
        self.key = OKPKey.generate_key("Ed25519", {"kid": new_id()})
        for node in platform.nodes.values():
            node.run(
                lambda tx: trust.keep_key(
                    tx, str(self.key.kid), self.key.as_dict(private=False), clock.machine_now() + timedelta(days=1)
                )
            )
        self.staff: Operator = shop.operator(platform)
        self.families = [Family(platform, self.staff) for _ in BUYERS]
        self.principals: dict[str, Principal] = {STAFF: Principal(self.staff.account_id, frozenset({"operator"}), "")}
        for one, buyer, seller in zip(self.families, BUYERS, SELLERS, strict=True):
            shopkeeper = one.seller
            self.principals[buyer] = Principal(one.buyer.account_id, frozenset({"buyer"}), "")
            self.principals[seller] = Principal(shopkeeper.account_id, frozenset({"seller"}), "", shopkeeper.seller_id)
        self.courier = Courier(platform)
        self._trade()
        self.things: dict[str, dict[str, list[str]]] = {}
        self._own("seller_id", BUYERS, [[one.pending_shop] for one in self.families])
        self._own("product_id", SELLERS, [[one.draft] for one in self.families])
        self._own("sku", SELLERS, [[one.sku] for one in self.families])
        self._own("warehouse_id", SELLERS, [[one.warehouse_id] for one in self.families])
        self._own("transfer_id", SELLERS, [[one.transfer_id] for one in self.families])
        self._own("payout_id", SELLERS, [[one.payout_id] for one in self.families])
        for name in ("order_no", "group_no", "payment_id", "shipment_id", "refund_id"):
            owners = BUYERS if name in ("group_no", "payment_id", "refund_id") else None
            self._own(name, owners, self.traded[name])
        hooks = [self._hook(one) for one in self.families]
        self._own("webhook_id", SELLERS, [[webhook_id] for webhook_id, _ in hooks], staff=False)
        self._own("delivery_id", SELLERS, [[delivery_id] for _, delivery_id in hooks], staff=False)
        self._everybodys("category_id", ["home"])
        self.things["letter_id"] = {STAFF: []}
        for person in PEOPLE:
            self._personal(person)

    def _trade(self) -> None:
        """Each family has an order that was rejected after payment, one that arrived, one that came back from the door,
        and one that nobody paid."""
        settle = self.platform.settle
        groups = [[one.place() for _ in range(4)] for one in self.families]
        settle()
        for one, placed in zip(self.families, groups, strict=True):
            for group_no, _ in placed[:3]:
                one.pay(group_no)
        settle()
        for one, placed in zip(self.families, groups, strict=True):
            for _, order_no in placed[1:3]:
                one.seller.do("POST", f"/v1/orders/{order_no}/approve", {})
            one.seller.do("POST", f"/v1/orders/{placed[0][1]}/reject", {})
        settle()
        for one, placed in zip(self.families, groups, strict=True):
            self.send(one, placed[1][1])
            one.buyer.confirm_receipt(placed[1][1])
            self.bring_back(one, placed[2][1])
        self.platform.advance(hours=2)  # the seller has the money
        for one in self.families:
            one.payout_id = one.ask_for_payout()
        settle()
        parcels = [
            [one.seller.shipments(placed[number][1])[0]["shipment_id"] for number in (2, 1)]
            for one, placed in zip(self.families, groups, strict=True)
        ]
        self.traded: dict[str, list[list[str]]] = {
            "group_no": [[group_no for group_no, _ in placed] for placed in groups],
            "order_no": [[order_no for _, order_no in placed] for placed in groups],
            "shipment_id": parcels,
            "payment_id": [],
            "refund_id": [],
        }
        for one, placed in zip(self.families, groups, strict=True):
            payments = one.buyer.do("GET", f"/v1/groups/{placed[0][0]}/payments")["items"]
            self.traded["payment_id"].append([payment["payment_id"] for payment in payments])
            refunds = one.buyer.do("GET", f"/v1/orders/{placed[0][1]}/refunds")["items"]
            self.traded["refund_id"].append([refund["refund_id"] for refund in refunds])

    def send(self, one: Family, order_no: str) -> None:
        """Picked, packed, handed over and delivered."""
        for tracking_no in self.hand_over(one, order_no):
            self.courier.deliver(tracking_no)
        self.platform.settle()

    def bring_back(self, one: Family, order_no: str) -> None:
        """Picked, packed, handed over, refused at the door, and in its warehouse again."""
        for tracking_no in self.hand_over(one, order_no):
            for deed in ("collect", "out-for-delivery"):
                self.courier.deed(tracking_no, deed)
            self.courier.deed(tracking_no, "refuse", reason="damaged")
            self.courier.deed(tracking_no, "return")
        self.platform.settle()

    def hand_over(self, one: Family, order_no: str) -> list[str]:
        """Picked, packed and handed over; the tracking numbers."""
        found = []
        for shipment in one.seller.shipments(order_no):
            one.seller.pick(shipment["shipment_id"])
            one.seller.pack(shipment["shipment_id"])
            self.platform.settle()
            found.append(one.seller.hand_over(shipment["shipment_id"]))
        self.platform.settle()
        return found

    # --- whose things are whose -----------------------------------------------------------------------------------

    @staticmethod
    def _hook(one: Family) -> tuple[str, str]:
        """``(webhook_id, delivery_id)``, at an address that nobody has."""
        wish = {"url": f"https://{one.mark}.example.com/", "types": ["caravan.inventory.StockDepleted.v1"]}
        webhook_id = one.seller.do("POST", "/v1/webhooks", wish)["webhook_id"]
        return webhook_id, one.seller.do("POST", f"/v1/webhooks/{webhook_id}/test")["delivery_id"]

    def _own(self, name: str, owners: Iterable[str] | None, ids: list[list[str]], *, staff: bool = True) -> None:
        """The families' things; operators may see all of them, if `staff`."""
        found = self.things.setdefault(name, {})
        for people in [owners] if owners else [BUYERS, SELLERS]:
            found |= dict(zip(people, ids, strict=True))
        if staff:
            found[STAFF] = [one for some in ids for one in some]

    def _everybodys(self, name: str, ids: list[str]) -> None:
        self.things[name] = dict.fromkeys(PEOPLE, ids)

    def _personal(self, person: str) -> None:
        """What even operators have only for themselves."""
        address = self.ask(person, "POST", "/v1/me/addresses", shop.ADDRESS).get_json()["address_id"]
        self.things.setdefault("address_id", {})[person] = [address]
        inbox = self.ask(person, "GET", "/v1/notifications").get_json(force=True)["items"]
        self.things.setdefault("notification_id", {})[person] = [one["notification_id"] for one in inbox]
        sessions = self.ask(person, "GET", "/v1/sessions").get_json(force=True)["items"]
        self.things.setdefault("session_id", {})[person] = [one["session_id"] for one in sessions]

    def marks(self, person: str) -> list[str]:
        """Every id, name and number by which something of the person's family would be known."""
        number = int(person[-1]) - 1
        one, people = self.families[number], (BUYERS[number], SELLERS[number])
        ids = [thing for name, owned in self.things.items() for person in people for thing in owned.get(person, [])
               if name != "category_id"]  # fmt: skip
        return [*ids, one.mark, one.buyer.account_id, one.seller.account_id, one.seller.seller_id, one.buyer.email]

    def all_who_may(self, roles: Iterable[str]) -> list[str | None]:
        """Somebody with each of the roles; None, who is nobody, where nobody has to be anybody."""
        people = (SELLERS[0], BUYERS[0], STAFF)
        return [one for one in people if self.principals[one].roles & set(roles)] or [None]

    def who_may(self, roles: Iterable[str]) -> str | None:
        """The first of them."""
        return self.all_who_may(roles)[0]

    def pick(self, name: str, person: str | None, dice: random.Random) -> str | None:
        """One of the person's things, or of the first buyer's; None where there are no things of this name."""
        owned = self.things.get(name, {})
        found = owned.get(person or "") or owned.get(BUYERS[0]) or owned.get(SELLERS[0])
        return dice.choice(found) if found else None

    def plant_letters(self, number: int) -> list[str]:
        """Dead letters, for operators to look at and decide on."""
        store = self.platform.stores["support"]
        found = [f"support-{keep_dead(store, 'support', LETTER % one)}" for one in range(number)]
        self.things["letter_id"] = {STAFF: found}
        return found

    def remove_letters(self) -> None:
        for one in range(len(self.things["letter_id"][STAFF])):
            drop_kept(self.platform.stores["support"], "support", LETTER % one)
        self.things["letter_id"] = {STAFF: []}

    # --- asking ---------------------------------------------------------------------------------------------------

    def token(self, person: str, session_id: str = "") -> str:
        """Of a session of its own unless one is given, so that what ends one ends no other."""
        one = self.principals[person]
        return issue(self.key, Principal(one.account_id, one.roles, session_id or new_id(), one.seller_id))

    def end_sessions(self, tokens: Iterable[str]) -> None:
        """Every service has heard that the tokens' sessions are over."""
        until = clock.machine_now() + timedelta(minutes=10)
        ended = [str(jwt.decode(token, self.key, algorithms=["Ed25519"]).claims["sid"]) for token in tokens]
        for node in self.platform.nodes.values():
            node.run(lambda tx: [trust.end_session(tx, session_id, until) for session_id in ended])
        clock.pause(REFRESH_SECONDS)

    def bad_tokens(self, person: str) -> dict[str, str]:
        """What looks like `person`'s token and opens nothing."""
        one, now = self.principals[person], int(clock.machine_seconds())
        claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": one.account_id, "roles": sorted(one.roles), "sid": new_id(),
                  "iat": now, "exp": now + 600, "seller_id": one.seller_id or ""}  # fmt: skip
        stranger = OKPKey.generate_key("Ed25519", {"kid": str(self.key.kid)})

        def signed(key: OKPKey = self.key, **changes: Any) -> str:
            head = {"alg": "Ed25519", "kid": str(self.key.kid)}
            return jwt.encode(head, claims | changes, key, algorithms=["Ed25519"])

        unsigned = signed().split(".")
        return {
            "expired": signed(iat=now - 900, exp=now - 300),
            "of another audience": signed(aud="caravan-partners"),
            "signed by a stranger": signed(stranger),
            "unsigned": ".".join(["eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0", unsigned[1], ""]),
        }

    def ask(self, person: str | None, method: str, path: str, body: Any = None, **more: Any) -> TestResponse:
        """What is answered to `person` (None: nobody), through the gateway."""
        token = more.pop("token", None) or (self.token(person) if person else None)
        headers = {"Idempotency-Key": new_id()} if method == "POST" else {}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        given = {} if body is None else {"json": body}
        answer = self.http.open(path, method=method, headers=headers, **given, **more)
        if answer.mimetype != "text/event-stream":  # which would go on for ever
            answer.get_data()
        answer.close()
        return answer
