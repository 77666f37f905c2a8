"""A seller's own system follows an order: what it hears is signed, in order, and of that seller's orders alone."""

from __future__ import annotations

from shared.testing.receiver import Receiver
from tests.journeys.market import Market

LIFE = [
    "caravan.order.OrderPlaced.v1", "caravan.payment.PaymentConfirmed.v1", "caravan.order.OrderConfirmed.v1",
    "caravan.shipping.Shipped.v1", "caravan.order.OrderDelivered.v1", "caravan.order.ReceiptConfirmed.v1",
]  # fmt: skip


def test_a_sellers_system_hears_of_an_order_from_placement_to_receipt(market: Market) -> None:
    seller = market.sellers[0]
    with Receiver() as receiver:
        webhook = seller.do("POST", "/v1/webhooks", {"url": receiver.url, "types": LIFE})
        receiver.secret = webhook["secret"]
        receiver.answers = [503]
        group = market.wish({market.tea: 2, market.cup: 1})
        (order_no,) = (order["order_no"] for order in group["orders"] if order["seller_id"] == seller.seller_id)
        market.pay(group)
        for tracking_no in market.send(seller, order_no):
            market.courier.deliver(tracking_no)
        market.grounds.settle()
        market.buyer.confirm_receipt(order_no)
        market.grounds.advance(minutes=1)

        log = seller.do("GET", f"/v1/webhooks/{webhook['webhook_id']}/deliveries?order_no={order_no}")["items"]
        seller.do("DELETE", f"/v1/webhooks/{webhook['webhook_id']}")

    assert [message["type"] for message in receiver.taken] == LIFE
    assert {message["data"]["order_no"] for message in receiver.taken} == {order_no}
    assert receiver.taken[0]["data"]["payable"] == group["orders"][0]["payable"]
    assert [(one["state"], one["tries"]) for one in log] == [("delivered", 1)] * 5 + [("delivered", 2)]
