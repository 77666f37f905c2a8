"""The people in these tests: a market with buyers and sellers, and the sandbox's provider beside it."""

import base64
import importlib
import json
from collections import Counter
from datetime import timedelta

import sqlalchemy as sa

from services.payment import gateways, store
from services.payment.app import service
from shared.contracts.account import SellerApproved
from shared.contracts.event import Sealed
from shared.contracts.lines import RefundLine
from shared.contracts.order import (
    OrderCancellationRequested,
    OrderCompleted,
    OrderConfirmed,
    OrderPaymentDeadlineReached,
    OrderPaymentRequested,
    OrderPlaced,
    OrderShare,
    PlacedLine,
    ReceiptConfirmed,
)
from shared.contracts.refunds import RefundRequested
from shared.contracts.shipping import CashCollected
from shared.kernel import clock
from shared.kernel.errors import OutsideUnavailable
from shared.kernel.ids import group_number, new_id
from shared.storage.types import intent
from shared.testing.stage import Stage
from shared.web import signatures

SECRET = "a-provider-secret-for-tests-that-is-long"
SELLERS = ("seller-1", "seller-2", "seller-3")


class Line:
    """The provider's doors without sockets: what `Outbound` is over HTTP."""

    def __init__(self, app):
        self.app, self.down = app, False

    def call(self, method, path, body=None, *, key="", query=None):
        if self.down:
            raise OutsideUnavailable("down")
        headers = {"Authorization": f"Bearer {SECRET}"} | ({"Idempotency-Key": key} if key else {})
        data = None if body is None else json.dumps(body, default=str)
        answer = self.app.test_client().open(
            path, method=method, data=data, query_string=query, headers=headers, content_type="application/json"
        )
        try:
            if answer.status_code >= 500:
                raise OutsideUnavailable(answer.text)
            return answer.status_code, json.loads(answer.data)
        except ValueError as error:
            raise OutsideUnavailable(answer.text) from error


class Provider:
    """The real sandbox provider in this process; its own callbacks go nowhere, the tests bring them."""

    def __init__(self, folder):
        # Only by name: a service does not build on `deploy`, its tests meet the provider there.
        provider, desk = (importlib.import_module(f"deploy.sandbox.{name}") for name in ("provider", "desk"))
        secret = "whsec_" + base64.b64encode(SECRET.encode()).decode()
        self.app = provider.create_app(
            desk.Settings(folder, "http://127.0.0.1:9/", SECRET, secret, max_tries=1, senders=1)
        )
        self.line = Line(self.app)

    def close(self):
        self.app.extensions["desk"].stop()

    def ask(self, method, path, body=None, **query):
        status, answer = self.line.call(method, path, body, query=query)
        assert status < 300, answer
        return answer

    def switch(self, kind, **rest):
        return self.ask("POST", "/sandbox/switches", {"kind": kind} | rest)

    def pay(self, charge_id, outcome="succeed"):
        return self.line.call("POST", f"/pay/{charge_id}", {"outcome": outcome})[0]

    def charge(self, charge_id):
        return self.ask("GET", f"/v1/charges/{charge_id}")

    def charges(self, reference=None):
        everything = self.ask("GET", "/v1/book", limit="500")["items"]
        return [one for one in everything if reference in (None, one["merchant_reference"])]

    def totals(self):
        return self.ask("GET", "/v1/book")["totals"]


class Market:
    """The payment service on stage, with the provider beside it."""

    def __init__(self, database_url, folder, **settings):
        self.stage = Stage(service, database_url, folder, provider_secret=SECRET, **settings)
        self.provider = Provider(folder / "provider")
        self.channel = gateways.SandboxChannel("http://127.0.0.1:9", SECRET)
        self.channel.outside = self.provider.line  # type: ignore[assignment]
        self.stage.node.outside["channels"] = {"sandbox": self.channel}
        self.buyer = self.stage.caller("buyer")
        self.operator = self.stage.caller("operator")
        self.sellers = {
            one: self.stage.caller("seller", account_id=f"account-of-{one}", seller_id=one) for one in SELLERS
        }
        for seller in self.sellers.values():
            self.stage.node.vault.create(seller.account_id)
        self.hear, self.said = self.stage.hear, self.stage.said

    def close(self):
        self.stage.close()
        self.provider.close()

    # --- what others say

    def approve(self, *sellers, commission_bp=500, holdback_bp=0):
        self.hear(
            *(
                SellerApproved(
                    seller_id=seller, account_id=f"account-of-{seller}", shop_name="Tea", commission_bp=commission_bp,
                    holdback_bp=holdback_bp, review_orders=False, auto_approve=True, stock_policy="all_or_nothing",
                )
                for seller in sellers or SELLERS
            )
        )  # fmt: skip

    def request(self, *amounts, group_no=None, minutes=30, methods=("online", "bank_transfer")):
        """The order service asks for money: one order for each amount. Answers the group's number."""
        group_no = group_no or group_number()
        shares = tuple(
            OrderShare(order_no=f"{group_no}-{n}", seller_id=SELLERS[n - 1], payable=amount)
            for n, amount in enumerate(amounts, 1)
        )
        self.hear(
            OrderPaymentRequested(
                group_no=group_no, buyer_id=self.buyer.account_id, orders=shares, payable_total=sum(amounts),
                currency="CNY", pay_by=self.stage.now() + timedelta(minutes=minutes), methods=methods,
            )
        )  # fmt: skip
        return group_no

    def deadline(self, group_no, *order_nos, asked=1):
        payment = self.payment(group_no)
        self.hear(
            OrderPaymentDeadlineReached(
                group_no=group_no, order_nos=order_nos or tuple(s.order_no for s in payment.splits),
                pay_by=payment.pay_by, reason="timer", asked=asked,
            )
        )  # fmt: skip

    def cancel(self, order_no, stage="unpaid", asked=1):
        self.hear(
            OrderCancellationRequested(
                group_no=order_no.split("-")[0], order_no=order_no, seller_id="seller-1",
                buyer_id=self.buyer.account_id, stage=stage, by="buyer", reason="changed_mind", asked=asked,
            )
        )  # fmt: skip

    def receive(self, order_no):
        now = self.stage.now()
        self.hear(
            ReceiptConfirmed(
                group_no=order_no.split("-")[0], order_no=order_no, seller_id="seller-1",
                buyer_id=self.buyer.account_id, by="buyer", received_at=now, after_sale_until=now, review_until=now,
                lines=(),
            )
        )  # fmt: skip

    def complete(self, order_no):
        self.hear(
            OrderCompleted(
                group_no=order_no.split("-")[0], order_no=order_no, seller_id="seller-1",
                buyer_id=self.buyer.account_id, net_amount=0, refunded_amount=0, currency="CNY",
            )
        )  # fmt: skip

    def refund(self, order_no, amount, refund_id=None, publisher="order", **more):
        refund_id = refund_id or new_id()
        wish = refund_wish(order_no, amount, refund_id, self.buyer.account_id, **more)
        self.hear(wish, publisher=publisher)
        return refund_id

    # --- what people do

    def open(self, group_no, amount, **more):
        body = {"method": "online", "channel": "sandbox", "expected_amount": amount} | more
        return self.buyer.post(f"/v1/groups/{group_no}/payments", body)

    def opened(self, group_no, amount, **more):
        """The charge of an attempt that is open now."""
        answer = self.open(group_no, amount, **more)
        assert answer.status == 201, answer
        assert answer.json["status"] == "open", answer
        return answer.json["display"]["value"].rsplit("/", 1)[1]

    def paid(self, *amounts, **more):
        """A group that was asked for, opened, paid and confirmed."""
        group_no = self.request(*amounts, **more)
        charge = self.opened(group_no, sum(amounts))
        assert self.provider.pay(charge) == 200
        assert self.tell(charge) == 200
        return group_no

    def give_account(self, seller="seller-1", **changes):
        account = {"currency": "CNY", "holder": "Li Wei", "bank": "Bank of Tea", "number": "CN00TEA0001234"}
        return self.sellers[seller].put("/v1/payout-account", account | changes)

    def pay_out(self, amount, seller="seller-1", currency="CNY", **headers):
        return self.sellers[seller].post("/v1/payouts", {"amount": amount, "currency": currency}, **headers)

    def sold(self, amount):
        """A shop has so much in its balance, less the commission."""
        group_no = self.paid(amount)
        self.receive(f"{group_no}-1")
        self.stage.advance(minutes=61)
        return f"{group_no}-1"

    # --- what the provider's callbacks say

    def tell(self, charge_id, **how):
        """The callback about a charge as it is now."""
        charge = self.provider.charge(charge_id)
        word = {"paid": "succeeded"}.get(charge["status"], charge["status"])
        return self.send(self.callback(f"charge.{word}", charge), **how)

    def tell_refund(self, refund_id, **how):
        (*_, refund) = self.provider.ask("GET", "/v1/refunds", refund_reference=refund_id)["items"]
        return self.send(self.callback(f"refund.{refund['status']}", refund), **how)

    def payouts(self):
        """Every payout the provider knows of."""
        found = [store.payouts.decode(row.body) for row in self.rows(store.payouts.table)]
        asked = [self.provider.ask("GET", "/v1/payouts", merchant_reference=one.payout_id) for one in found]
        return [payout for answer in asked for payout in answer["items"]]

    def tell_payout(self, payout, **how):
        return self.send(self.callback(f"payout.{payout['status']}", payout), **how)

    @staticmethod
    def callback(kind, data, event_id=None):
        body = {
            "event_id": event_id or f"evt_{new_id()}",
            "type": kind,
            "created": "2026-11-22T00:00:00Z",
            "data": data,
        }
        return json.dumps(body).encode()

    def send(self, body, *, secret=SECRET, age=0, channel="sandbox", event_id=None, signed=None, answer=""):
        """POST a callback as the provider signs it (`signed`: something else). Answers the status, or the body."""
        event_id = event_id or json.loads(body)["event_id"]
        moment = int(clock.machine_seconds()) - age
        headers = {
            "webhook-id": event_id, "webhook-timestamp": str(moment),
            "webhook-signature": signatures.sign(secret, event_id, moment, signed or body),
        }  # fmt: skip
        client = self.stage.app.test_client()
        path = f"/v1/callbacks/payments/{channel}"
        came = client.post(path, data=body, headers=headers, content_type="application/json")
        return came.get_json() if answer else came.status_code

    # --- what can be seen

    def payment(self, key):
        """The payment of a group (or, at the door, of an order)."""
        with self.stage.node.database.read() as connection:
            return store.payments.peek(connection, f"pay_{key}")

    def rows(self, table):
        with self.stage.node.database.read() as connection:
            return list(connection.execute(sa.select(table)))

    def accounts(self):
        """Balances by ``family:owner``, without those at zero."""
        sums: Counter[str] = Counter()
        for entry in self.rows(store.ledger_entry):
            sums[f"{entry.family}:{entry.owner}".rstrip(":")] += entry.amount
        return {account: balance for account, balance in sums.items() if balance}

    def make_calls_due(self):
        """Outside calls that back off are due now."""
        with self.stage.node.database.begin() as connection:
            connection.execute(intent.update().values(next_at=clock.machine_now() - timedelta(seconds=1)))

    def hurry(self):
        self.make_calls_due()
        return self.stage.call()

    def check(self):
        """The promises about money, after whatever happened."""
        by_posting: Counter[str] = Counter()
        for entry in self.rows(store.ledger_entry):
            by_posting[entry.posting_key] += entry.amount
        assert not any(by_posting.values())
        accounts = self.accounts()
        for row in self.rows(store.payments.table):
            payment = store.payments.decode(row.body)
            odd = [c.amount for c in payment.captures if not c.kept]
            kept = sum(c.amount for c in payment.captures if c.kept)
            assert payment.cod or kept == payment.captured
            open_odd = sum(r.amount for r in payment.refunds if r.order_no is None and r.state != "COMPLETED")
            back_odd = sum(r.amount for r in payment.refunds if r.order_no is None and r.state == "COMPLETED")
            assert sum(odd) == open_odd + back_odd
            for split in payment.splits:
                assert 0 <= split.refunded + split.refunding <= split.captured
                assert accounts.get(f"escrow:{split.order_no}", 0) == split.in_escrow
                assert split.commission + split.net - split.debited <= split.captured - split.refunded
        for row in self.rows(store.payouts.table):
            payout = store.payouts.decode(row.body)
            under_way = payout.amount if payout.state == "REQUESTED" else 0
            assert accounts.get(f"payouts:{payout.payout_id}", 0) == under_way
        return accounts


def refund_wish(order_no, amount, refund_id, buyer_id, **more):
    return RefundRequested(
        **{
            "refund_id": refund_id, "group_no": order_no.split("-")[0], "order_no": order_no, "seller_id": "seller-1",
            "buyer_id": buyer_id, "lines": (RefundLine(line_id="1", qty=1, amount=amount),), "freight_amount": 0,
            "amount": amount, "currency": "CNY", "reason": "cancelled", "by": "buyer",
        } | more
    )  # fmt: skip


def placed(buyer_id, payable=12900, group_no=None, **more):
    group_no = group_no or group_number()
    line = PlacedLine(
        line_id="1", product_id="p", sku="s", title="Tea", qty=more.pop("qty", 1), unit_price=payable, discount=0,
        amount=payable,
    )  # fmt: skip
    return OrderPlaced(
        **{
            "group_no": group_no, "order_no": f"{group_no}-1", "seller_id": "seller-1", "buyer_id": buyer_id,
            "index": 1, "of": 1, "group_orders": (f"{group_no}-1",), "group_payable": payable, "lines": (line,),
            "goods_amount": payable, "freight": 0, "discount": 0, "payable": payable, "currency": "CNY",
            "payment_method": "online", "region": "CN-ZJ", "stock_policy": "all_or_nothing", "channel": "web",
            "placed_at": clock.machine_now(),
        } | more
    )  # fmt: skip


def cod_order(buyer_id, amount, group_no=None, n=1):
    from shared.contracts.order import ConfirmedLine

    group_no = group_no or group_number()
    return OrderConfirmed(
        group_no=group_no, order_no=f"{group_no}-{n}", seller_id="seller-1", buyer_id=buyer_id,
        lines=(ConfirmedLine(line_id="1", product_id="p", sku="s", title="Tea", qty=1),), delivery=Sealed("sealed"),
        region="CN-ZJ", payment_method="cod", paid_amount=0, cod_amount=amount, currency="CNY",
        ship_by=clock.machine_now(),
    )  # fmt: skip


def cash(order_no, amount, shipment_id=None):
    return CashCollected(
        shipment_id=shipment_id or new_id(), group_no=order_no.split("-")[0], order_no=order_no,
        seller_id="seller-1", buyer_id="b", amount=amount, currency="CNY", method="cash", carrier="sandbox",
        collected_at=clock.machine_now(),
    )  # fmt: skip
