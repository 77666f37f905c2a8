"""Who is told what, once, and reads it."""

import pytest
import sqlalchemy as sa

from services.support import store
from services.support.tests.makers import GROUP, NOON, ORDER, Desk
from shared.contracts.account import SellerApproved
from shared.contracts.inventory import StockLow
from shared.contracts.lines import ProductLine, SkuLine
from shared.contracts.order import (
    ConfirmedLine,
    OrderConfirmed,
    OrderDelivered,
    OrderPaymentRequested,
    OrderShare,
    ReceiptConfirmed,
)
from shared.contracts.payment import LatePaymentReceived, RefundCompleted
from shared.contracts.shipping import ShipmentOverdue, Shipped
from shared.contracts.support import NotificationSent
from shared.storage.types import inbox


def test_the_seller_is_told_that_an_order_is_paid(desk):
    desk.stage.hear(desk.paid())
    (told,) = [item for item in desk.inbox(desk.seller) if item["template"] == "order_paid"]
    assert told["subject"] == f"Order {ORDER} is paid"
    assert "CNY 129.00" in told["text"]
    (said,) = [said for said in desk.stage.said(NotificationSent) if said.template == "order_paid"]
    assert (said.to, said.account_id, said.channel, said.order_no) == (
        "seller", desk.seller.account_id, "inbox", ORDER,
    )  # fmt: skip


def test_each_seller_of_a_group_is_told_of_their_own_order(desk):
    other = desk.stage.caller("seller", seller_id="shop-2")
    desk.stage.hear(
        SellerApproved(
            seller_id="shop-2", account_id=other.account_id, shop_name="Pots", commission_bp=0, review_orders=False,
            auto_approve=True, stock_policy="all_or_nothing",
        )
    )  # fmt: skip
    desk.stage.hear(desk.paid((f"{GROUP}-1", "shop-1", 100), (f"{GROUP}-2", "shop-2", 50)))
    (mine,) = desk.inbox(desk.seller, f"?order_no={GROUP}-1")
    (theirs,) = [item for item in desk.inbox(other) if item["template"] == "order_paid"]
    assert "CNY 1.00" in mine["text"]
    assert (theirs["order_no"], "CNY 0.50" in theirs["text"]) == (f"{GROUP}-2", True)
    assert desk.inbox(desk.seller, f"?order_no={GROUP}-2") == []


def test_a_payment_that_is_told_before_the_shop_waits_for_it(database_url, tmp_path):
    desk = Desk(database_url, tmp_path)
    desk.stage.hear(desk.paid())
    assert [row.status for row in desk.stage.kept()] == ["early"]
    assert desk.stage.said(NotificationSent) == []
    desk.stage.hear(desk.approved())
    desk.stage.consumer.retry(desk.stage.kept()[0].no)
    assert {item["template"] for item in desk.inbox(desk.seller)} == {"shop_approved", "order_paid"}
    assert [item["template"] for item in desk.inbox(desk.buyer)] == ["payment_confirmed"]
    desk.stage.close()


def test_a_fact_heard_twice_is_told_once(desk):
    body = desk.stage.bytes_of(desk.paid())
    desk.stage.hear_bytes(body, body)
    desk.stage.hear_bytes(body)
    assert len(desk.inbox(desk.buyer)) == 1


def test_the_tables_own_key_keeps_a_message_from_being_told_twice(desk):
    """Even where the inbox of the event door has forgotten, the cause, the reader and the words are one message."""
    body = desk.stage.bytes_of(desk.paid())
    desk.stage.hear_bytes(body)
    with desk.stage.node.database.begin() as connection:
        connection.execute(inbox.delete())
    said = len(desk.stage.said(NotificationSent))
    desk.stage.hear_bytes(body)
    assert len(desk.inbox(desk.buyer)) == 1
    assert len(desk.stage.said(NotificationSent)) == said


def test_a_whole_batch_is_told_and_each_message_names_its_own_cause(desk):
    bodies = [desk.stage.bytes_of(desk.placed(), event_id=f"event-{n}") for n in range(5)]
    desk.stage.hear_bytes(*bodies)
    causes = [said.cause_event_id for said in desk.stage.said(NotificationSent) if said.template == "order_placed"]
    assert sorted(causes) == [f"event-{n}" for n in range(5)]


def test_the_buyer_is_told_why_an_order_was_cancelled(desk):
    desk.stage.hear(desk.cancelled(reason="out_of_stock"))
    (told,) = desk.inbox(desk.buyer)
    assert "the goods are sold out" in told["text"]
    assert desk.inbox(desk.seller, "?unread=true")[0]["template"] == "sale_cancelled"


def test_a_seller_need_not_hear_of_an_order_that_was_never_paid(small_desk):
    small_desk.stage.hear(small_desk.cancelled(was_paid=False, reason="payment_timeout"))
    assert [item["template"] for item in small_desk.inbox(small_desk.seller)] == ["shop_approved"]


@pytest.mark.parametrize(
    ("reasons", "seller", "operator"),
    [(("seller_audit",), 1, 0), (("risk",), 0, 1), (("risk", "amount_over_limit"), 1, 1)],
)
def test_a_review_goes_to_whom_it_concerns(small_desk, reasons, seller, operator):
    small_desk.stage.hear(small_desk.held(*reasons))
    assert len(small_desk.inbox(small_desk.seller, f"?order_no={ORDER}")) == seller
    assert len(small_desk.inbox(small_desk.operator)) == operator
    assert small_desk.inbox(small_desk.stage.caller("operator")) == small_desk.inbox(small_desk.operator)


def test_the_life_of_an_order_is_told(small_desk):
    desk, buyer = small_desk, small_desk.buyer.account_id
    names = {"group_no": GROUP, "order_no": ORDER, "seller_id": "shop-1", "buyer_id": buyer}
    address = desk.stage.node.vault.seal(buyer, "delivery", {"name": "Li Wei"})
    desk.stage.hear(
        desk.placed(),
        OrderPaymentRequested(
            group_no=GROUP, buyer_id=buyer, payable_total=12900, currency="CNY", pay_by=NOON, methods=("online",),
            orders=(OrderShare(order_no=ORDER, seller_id="shop-1", payable=12900),),
        ),
        desk.paid(),
        OrderConfirmed(
            **names, lines=(ConfirmedLine(line_id="l1", product_id="p", sku="s", title="Tea", qty=1),),
            delivery=address, region="CN-SC",
            payment_method="online", paid_amount=12900, cod_amount=0, currency="CNY", ship_by=NOON,
        ),
        ShipmentOverdue(**names, shipment_id="s1", kind="sale", ship_by=NOON),
        Shipped(
            **names, shipment_id="s1", kind="sale", warehouse_id="w1", carrier="sandbox", tracking_no="SBX1",
            lines=(SkuLine(line_id="l1", sku="s", qty=1),), shipped_at=NOON,
        ),
        OrderDelivered(**names, delivered_at=NOON, receipt_by=NOON),
        ReceiptConfirmed(
            **names, by="buyer", received_at=NOON, after_sale_until=NOON, review_until=NOON,
            lines=(ProductLine(line_id="l1", sku="s", product_id="p", qty=1),),
        ),
        RefundCompleted(
            **names, refund_id="r1", payment_id="p1", amount=100, currency="CNY", to="original",
            order_fully_refunded=False,
        ),
        LatePaymentReceived(
            payment_id="p1", group_no=GROUP, order_nos=(ORDER,), buyer_id=buyer, amount=1, currency="CNY",
            channel="sandbox", channel_txn="t", refund_id="r2", received_at=NOON,
        ),
        StockLow(sku="s", seller_id="shop-1", warehouse_id="w1", available=3, threshold=5, suggested_qty=9),
    )  # fmt: skip
    assert desk.stage.kept() == []
    assert {item["template"] for item in desk.inbox(desk.buyer)} == {
        "order_placed", "payment_requested", "payment_confirmed", "order_confirmed", "shipment_late", "shipped",
        "delivered", "refunded", "late_payment",
    }  # fmt: skip
    assert {item["template"] for item in desk.inbox(desk.seller)} == {
        "shop_approved", "order_paid", "order_to_ship", "shipment_overdue", "receipt_confirmed", "stock_low",
    }  # fmt: skip
    with desk.stage.node.database.read() as connection:
        kept = b" ".join(bytes(row) for row in connection.execute(sa.select(store.notification.c.fields)).scalars())
    assert b"Li" not in kept
    assert b"SBX1" not in kept


def test_a_batch_costs_the_same_few_statements_whatever_its_size(postgres_url, tmp_path):
    desk, costs = Desk(postgres_url, tmp_path).opened(), []
    for size in (2, 20):
        bodies = [desk.stage.bytes_of(fact) for _ in range(size) for fact in (desk.placed(), desk.paid())]
        statements: list[str] = []

        def note(_connection, _cursor, statement, *_rest, into=statements):
            into.append(statement)

        engine = desk.stage.node.database.engine
        sa.event.listen(engine, "before_cursor_execute", note)
        desk.stage.hear_bytes(*bodies)
        sa.event.remove(engine, "before_cursor_execute", note)
        costs.append(len(statements))
    desk.stage.close()
    assert costs[0] == costs[1] <= 10


# --- reading


def test_an_inbox_is_read_in_the_readers_language(desk):
    desk.stage.hear(desk.registered(desk.buyer, "li@example.com", locale="zh-CN"))
    desk.stage.hear(desk.paid())
    assert desk.inbox(desk.buyer)[0]["subject"] == "付款成功"
    assert desk.inbox(desk.buyer, "?locale=en")[0]["subject"] == "Payment received"


def test_what_was_read_is_not_unread(desk):
    desk.stage.hear(desk.placed(), desk.paid())
    newest, oldest = desk.inbox(desk.buyer, "?unread=true")
    assert (oldest["template"], newest["template"]) == ("order_placed", "payment_confirmed")
    path = f"/v1/notifications/{newest['notification_id']}/read"
    first, second = desk.buyer.post(path), desk.buyer.post(path)
    assert (first.status, first.json["read_at"] is not None) == (200, True)
    assert second.json["read_at"] == first.json["read_at"]
    assert desk.inbox(desk.buyer, "?unread=true") == [oldest]
    assert len(desk.inbox(desk.buyer)) == 2


def test_an_inbox_is_paged(desk):
    desk.stage.hear(*(desk.placed() for _ in range(5)))
    seen, query = [], "limit=2"
    while query:
        answer = desk.buyer.get(f"/v1/notifications?{query}").json
        seen += [item["notification_id"] for item in answer["items"]]
        query = f"limit=2&cursor={answer['next']}" if answer["next"] else ""
    assert (len(seen), seen) == (5, sorted(set(seen), reverse=True))


def test_somebody_elses_messages_do_not_exist(small_desk):
    small_desk.stage.hear(small_desk.placed())
    (mine,) = small_desk.inbox(small_desk.buyer)
    path = f"/v1/notifications/{mine['notification_id']}/read"
    for stranger in (small_desk.seller, small_desk.operator, small_desk.stage.caller("buyer")):
        assert stranger.post(path).json["code"] == "no_such_notification"
        assert mine not in small_desk.inbox(stranger)
    assert small_desk.stage.caller().get("/v1/notifications").status == 401
    assert small_desk.inbox(small_desk.buyer, "?unread=true") == [mine]


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "locale=fr", "unread=perhaps", "account_id=x"])
def test_a_malformed_question_is_refused(small_desk, query):
    assert small_desk.buyer.get(f"/v1/notifications?{query}").status == 422
