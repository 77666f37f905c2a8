"""The people in these tests, what is said about them, and a mail server one can put out of order."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from aiosmtpd.controller import Controller

from services.support.app import service
from shared.contracts.account import SellerApproved, UserRegistered
from shared.contracts.lines import SkuLine
from shared.contracts.order import OrderCancelled, OrderHeldForReview, OrderPlaced, PlacedLine
from shared.contracts.payment import PaymentConfirmed, Split
from shared.kernel import clock
from shared.storage.types import intent
from shared.testing.stage import Stage

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
GROUP, ORDER = "G0000000000000018", "G0000000000000018-1"


class Desk:
    """Support on stage, with a buyer, a seller with a shop, and an operator."""

    def __init__(self, database_url: str, tmp_path: Any, **settings: Any) -> None:
        self.stage = Stage(service, database_url, tmp_path, **settings)
        self.buyer = self.stage.caller("buyer")
        self.seller = self.stage.caller("seller", seller_id="shop-1")
        self.operator = self.stage.caller("operator")

    def opened(self) -> Desk:
        """With everybody known."""
        self.stage.hear(self.registered(self.buyer, "li@example.com"), self.registered(self.seller, "shop@example.com"))
        self.stage.hear(self.approved())
        return self

    def registered(self, who: Any, email: str, name: str = "Li Wei", locale: str = "en") -> UserRegistered:
        vault = self.stage.node.vault
        vault.create(who.account_id)
        return UserRegistered(
            account_id=who.account_id, roles=("buyer",), locale=locale,
            full_name=vault.seal(who.account_id, "full_name", name),
            email=vault.seal(who.account_id, "email", email),
        )  # fmt: skip

    def approved(self, seller_id: str = "shop-1") -> SellerApproved:
        return SellerApproved(
            seller_id=seller_id, account_id=self.seller.account_id, shop_name="Tea", commission_bp=500,
            review_orders=False, auto_approve=True, stock_policy="all_or_nothing",
        )  # fmt: skip

    def placed(self) -> OrderPlaced:
        line = PlacedLine(
            line_id="l1", product_id="p", sku="s", title="Tea", qty=1, unit_price=12900, discount=0, amount=12900
        )
        return OrderPlaced(
            group_no=GROUP, order_no=ORDER, seller_id="shop-1", buyer_id=self.buyer.account_id, index=1, of=1,
            group_orders=(ORDER,), group_payable=12900, lines=(line,), goods_amount=12900, freight=0, discount=0,
            payable=12900, currency="CNY", payment_method="online", region="CN-SC", stock_policy="all_or_nothing",
            channel="web", placed_at=NOON,
        )  # fmt: skip

    def paid(self, *orders: tuple[str, str, int]) -> PaymentConfirmed:
        shares = orders or ((ORDER, "shop-1", 12900),)
        return PaymentConfirmed(
            payment_id="p1", group_no=GROUP, buyer_id=self.buyer.account_id, method="online", channel="sandbox",
            amount=sum(amount for _, _, amount in shares), currency="CNY", channel_txn="tx", paid_at=NOON,
            splits=tuple(Split(order_no=no, seller_id=shop, amount=amount) for no, shop, amount in shares),
        )  # fmt: skip

    def cancelled(self, *, was_paid: bool = True, reason: Any = "out_of_stock") -> OrderCancelled:
        return OrderCancelled(
            group_no=GROUP, order_no=ORDER, seller_id="shop-1", buyer_id=self.buyer.account_id, reason=reason,
            was_paid=was_paid, lines=(SkuLine(line_id="l1", sku="s", qty=1),),
        )  # fmt: skip

    def held(self, *reasons: Any) -> OrderHeldForReview:
        return OrderHeldForReview(
            group_no=GROUP, order_no=ORDER, seller_id="shop-1", buyer_id=self.buyer.account_id, reasons=reasons,
            review_by=NOON,
        )  # fmt: skip

    def inbox(self, who: Any, query: str = "") -> list[Any]:
        answer = who.get(f"/v1/notifications{query}")
        assert answer.status == 200, answer
        items: list[Any] = answer.json["items"]
        return items

    def post(self) -> None:
        """Send the letters that are due, and those that were to be tried again later."""
        with self.stage.node.database.begin() as connection:
            connection.execute(intent.update().values(next_at=clock.machine_now()))
        self.stage.call()


class _AnyPort(Controller):
    """A controller that notes which port it was given before it greets itself."""

    def _trigger_server(self) -> None:
        server: Any = self.server
        self.port = server.sockets[0].getsockname()[1]
        super()._trigger_server()


class MailServer:
    """A real SMTP server; `answers` says how it takes the next letters: a reply, or "hang up"."""

    def __init__(self) -> None:
        self.letters: list[Any] = []
        self.tries = 0
        self.answers: list[str] = []
        self.at_recipient: list[str] = []
        self.controller = _AnyPort(self, hostname="127.0.0.1", port=0)
        self.controller.start()

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.controller.port}?from=post@caravan.example"

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        if self.at_recipient:
            return self.at_recipient.pop(0)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.tries += 1
        answer = self.answers.pop(0) if self.answers else "250 taken"
        if answer == "hang up":
            self.letters.append(envelope)
            server.transport.abort()
            return ""
        if answer.startswith("250"):
            self.letters.append(envelope)
        return answer

    def stop(self) -> None:
        self.controller.stop()
