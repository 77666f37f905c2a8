"""Merchants' systems hear of their orders: signed, in order, tried again for three days, and nobody else's."""

import dataclasses
from datetime import timedelta

import pytest
import sqlalchemy as sa

from services.support import store
from services.support.tests.makers import GROUP, NOON, ORDER, Desk
from shared.contracts.lines import SkuLine
from shared.contracts.order import ConfirmedLine, OrderConfirmed, OrderDelivered
from shared.contracts.shipping import Shipped
from shared.contracts.support import NotificationSent, WebhookDisabled
from shared.storage import inspect
from shared.storage.types import intent
from shared.testing.receiver import Receiver
from shared.web.outbound import Guarded

OTHER = "G0000000000000026-1"
TYPES = [
    "caravan.order.OrderPlaced.v1", "caravan.payment.PaymentConfirmed.v1", "caravan.order.OrderConfirmed.v1",
    "caravan.shipping.Shipped.v1", "caravan.order.OrderDelivered.v1",
]  # fmt: skip


class Merchant:
    """A seller with a system that listens."""

    def __init__(self, desk: Desk, receiver: Receiver) -> None:
        self.desk, self.receiver, self.stage, self.seller = desk, receiver, desk.stage, desk.seller

    def registered(self, types=TYPES, **more):
        answer = self.seller.post("/v1/webhooks", {"url": self.receiver.url, "types": types} | more)
        assert answer.status == 201, answer
        self.receiver.secret = answer.json["secret"]
        self.path = f"/v1/webhooks/{answer.json['webhook_id']}"
        return self

    def life_of(self, order_no=ORDER, count=5):
        """The first `count` facts of an order."""
        names = {"group_no": order_no[:-2], "order_no": order_no, "seller_id": "shop-1"}
        names |= {"buyer_id": self.desk.buyer.account_id}
        address = self.stage.node.vault.seal(self.desk.buyer.account_id, "delivery", {"name": "Li Wei"})
        placed = dataclasses.replace(self.desk.placed(), group_no=order_no[:-2], order_no=order_no)
        return [
            placed,
            dataclasses.replace(self.desk.paid((order_no, "shop-1", 12900)), group_no=order_no[:-2]),
            OrderConfirmed(
                **names, lines=(ConfirmedLine(line_id="l1", product_id="p", sku="s", title="Tea", qty=1),),
                delivery=address, region="CN-SC", payment_method="online", paid_amount=12900, cod_amount=0,
                currency="CNY", ship_by=NOON,
            ),
            Shipped(
                **names, shipment_id="s1", kind="sale", warehouse_id="w1", carrier="sandbox", tracking_no="SBX1",
                lines=(SkuLine(line_id="l1", sku="s", qty=1),), shipped_at=NOON,
            ),
            OrderDelivered(**names, delivered_at=NOON, receipt_by=NOON),
        ][:count]  # fmt: skip

    def hear(self, *facts):
        self.stage.hear(*facts)
        assert self.stage.kept() == []

    def send(self):
        """Make all calls that are due."""
        while self.stage.call():
            pass

    def later(self, **span):
        """Some time passes, as it does: from retry to retry."""
        end = self.stage.now() + timedelta(**span)
        while (now := self.stage.now()) < end:
            due = inspect.next_deadline(self.stage.node.database) or end
            self.stage.advance(seconds=max(0.0, (min(due, end) - now).total_seconds()))
            self.send()

    def log(self, query=""):
        answer = self.seller.get(f"{self.path}/deliveries{query}")
        assert answer.status == 200, answer
        return answer.json["items"]

    def look(self, delivery):
        return self.seller.get(f"{self.path}/deliveries/{delivery['delivery_id']}").json

    def webhook(self):
        return self.seller.get(self.path).json


@pytest.fixture
def receiver():
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def merchant(database_url, tmp_path, receiver):
    """On both databases."""
    desk = Desk(database_url, tmp_path, outbound_allowed=("127.0.0.1/32",)).opened()
    yield Merchant(desk, receiver)
    desk.stage.close()


@pytest.fixture
def small(sqlite_url, tmp_path, receiver):
    desk = Desk(sqlite_url, tmp_path, outbound_allowed=("127.0.0.1/32",)).opened()
    yield Merchant(desk, receiver).registered()
    desk.stage.close()


# --- what is told


def test_a_merchants_system_hears_the_life_of_an_order_in_order(merchant):
    merchant.registered()
    merchant.hear(*merchant.life_of(count=3))
    merchant.hear(*merchant.life_of()[3:])
    merchant.send()
    assert merchant.receiver.types() == [
        "OrderPlaced",
        "PaymentConfirmed",
        "OrderConfirmed",
        "Shipped",
        "OrderDelivered",
    ]
    assert [message["sequence"] for message in merchant.receiver.taken] == [1, 2, 3, 4, 5]
    paid = merchant.receiver.taken[1]
    assert paid["data"] == {
        "group_no": GROUP, "order_no": ORDER, "seller_id": "shop-1", "buyer_id": merchant.desk.buyer.account_id,
        "method": "online", "amount": 12900, "currency": "CNY", "paid_at": "2026-05-01T12:00:00Z",
    }  # fmt: skip
    assert paid["id"] == merchant.receiver.ids[1]
    assert {(one["state"], one["tries"]) for one in merchant.log()} == {("delivered", 1)}


def test_a_shop_hears_of_its_own_orders_only_and_of_no_person(small):
    foreign = dataclasses.replace(small.desk.placed(), order_no=OTHER, seller_id="shop-2", group_no=OTHER[:-2])
    small.hear(small.desk.approved("shop-2"))
    shared = small.desk.paid((ORDER, "shop-1", 100), (ORDER[:-1] + "2", "shop-2", 9999))
    small.hear(foreign, shared, *small.life_of()[2:3])
    small.send()
    told = str(small.receiver.taken)
    assert small.receiver.types() == ["PaymentConfirmed", "OrderConfirmed"]
    for secret in ("shop-2", "9999", "10099", OTHER, "Li Wei", "v1.", "delivery", "group_payable"):
        assert secret not in told


def test_only_what_was_chosen_is_told(small):
    assert small.seller.patch(small.path, {"types": [TYPES[3]]}).json["types"] == [TYPES[3]]
    small.hear(*small.life_of())
    small.send()
    assert small.receiver.types() == ["Shipped"]


def test_a_fact_that_comes_while_the_one_before_it_is_being_sent_has_its_turn(merchant):
    """The receiver has the first in its hands while the second is heard: neither side may think the other sends it."""
    merchant.registered()
    first, second = merchant.life_of(count=2)

    def meanwhile(_message):
        merchant.hear(second)
        return 200

    merchant.receiver.answers.append(meanwhile)
    merchant.hear(first)
    merchant.send()
    assert merchant.receiver.types() == ["OrderPlaced", "PaymentConfirmed"]


# --- secrets


def test_the_secret_is_shown_once_and_kept_sealed(small):
    secret = small.receiver.secret
    assert secret.startswith("whsec_")
    assert "secret" not in small.webhook()
    with small.stage.node.database.read() as connection:
        kept = b"".join(bytes(body) for body in connection.execute(sa.select(store.webhooks.table.c.body)).scalars())
    assert secret.removeprefix("whsec_").encode() not in kept


def test_for_a_day_a_message_is_signed_with_the_old_secret_as_well(small):
    old = small.receiver.secret
    changed = small.seller.post(f"{small.path}/secret").json
    assert changed["secret"] != old
    small.hear(*small.life_of(count=1))
    small.send()
    small.receiver.secret = changed["secret"]
    small.stage.advance(hours=23)
    small.hear(small.life_of()[1])
    small.send()
    small.stage.advance(hours=2)
    small.hear(small.life_of()[2])
    small.send()
    assert [len(signature.split()) for signature in small.receiver.signatures] == [2, 2, 1]
    small.receiver.secret = old
    small.hear(small.life_of()[3])
    small.send()
    assert len(small.receiver.taken) == 3


def test_secrets_do_not_pile_up(small):
    statuses = [small.seller.post(f"{small.path}/secret").status for _ in range(4)]
    assert statuses == [200, 200, 200, 409]
    small.stage.advance(hours=25)
    assert small.seller.post(f"{small.path}/secret").status == 200


def test_a_seller_who_was_erased_is_sent_nothing(small):
    small.stage.node.vault.destroy(small.seller.account_id)
    small.hear(*small.life_of(count=1))
    small.send()
    assert (small.receiver.tries, small.webhook()["disabled_because"]) == (0, "erased")


# --- receivers that are not well


def test_a_message_that_is_refused_is_tried_again_and_its_followers_wait(merchant):
    merchant.registered()
    merchant.receiver.refuses = lambda message: message["data"]["order_no"] == ORDER
    merchant.hear(*merchant.life_of(), *merchant.life_of(OTHER))
    merchant.send()
    merchant.later(minutes=6)
    assert [message["data"]["order_no"] for message in merchant.receiver.taken] == [OTHER] * 5
    waiting = merchant.log(f"?order_no={ORDER}")
    assert [(one["state"], one["tries"]) for one in waiting] == [("queued", 0)] * 4 + [("pending", 4)]

    merchant.receiver.refuses = lambda _message: False
    merchant.later(hours=2)
    assert merchant.receiver.types()[5:] == [
        "OrderPlaced", "PaymentConfirmed", "OrderConfirmed", "Shipped", "OrderDelivered",
    ]  # fmt: skip
    attempts = merchant.look(merchant.log(f"?order_no={ORDER}")[-1])["attempts"]
    assert [one["status"] for one in attempts] == [500] * 4 + [204]


def test_what_is_refused_for_half_a_day_is_gone_past(small):
    small.receiver.refuses = lambda message: message["type"] == TYPES[0]
    small.hear(*small.life_of())
    small.send()
    small.later(hours=1)
    small.stage.advance(hours=10)
    small.send()
    assert small.receiver.taken == []
    small.later(hours=5)
    assert small.receiver.types() == ["PaymentConfirmed", "OrderConfirmed", "Shipped", "OrderDelivered"]


def test_a_receiver_that_is_down_is_probed_and_then_hears_everything_in_order(merchant):
    merchant.registered()
    merchant.receiver.always = 503
    numbers = [f"G{number:016}-1" for number in range(8)]
    for number in numbers:
        merchant.hear(*merchant.life_of(number, count=3))
    merchant.send()
    begun = merchant.receiver.tries
    assert merchant.webhook()["next_probe_at"] is not None
    merchant.later(hours=6)
    assert merchant.receiver.tries - begun < 20

    merchant.receiver.always = 200
    merchant.later(hours=1)
    heard: dict[str, list[str]] = {number: [] for number in numbers}
    for message in merchant.receiver.taken:
        heard[message["data"]["order_no"]].append(message["type"])
    assert set(map(tuple, heard.values())) == {tuple(TYPES[:3])}
    assert (merchant.webhook()["failures"], merchant.log("?state=queued")) == (0, [])


def test_one_message_that_nobody_can_take_does_not_shut_the_door_for_the_others(small):
    small.receiver.refuses = lambda message: message["data"]["order_no"] == ORDER
    small.hear(*small.life_of(count=1))
    small.send()
    small.later(hours=1)
    assert small.webhook()["next_probe_at"] is not None
    small.hear(*small.life_of(OTHER, count=1))
    small.later(hours=1)
    assert [message["data"]["order_no"] for message in small.receiver.taken] == [OTHER]


def test_after_three_days_it_is_switched_off_and_the_seller_is_told(small):
    small.receiver.always = 500
    small.hear(*small.life_of(count=1))
    small.send()
    small.later(hours=1)
    small.stage.advance(hours=70)  # nobody called meanwhile: hourly probes say the same again and again
    small.send()
    assert small.webhook()["enabled"]
    small.later(hours=3)
    off = small.webhook()
    assert (off["enabled"], off["disabled_because"]) == (False, "failing")
    assert [said.host for said in small.stage.said(WebhookDisabled)] == ["127.0.0.1"]
    small.hear(*small.stage.said(WebhookDisabled))
    assert "took nothing for three days" in small.desk.inbox(small.seller)[0]["text"]
    assert [one["state"] for one in small.log()] == ["given_up"]

    small.receiver.always = 200
    small.later(hours=2)
    assert small.receiver.taken == []
    assert small.seller.patch(small.path, {"enabled": True}).status == 200
    small.hear(small.life_of()[1])
    small.send()
    assert small.receiver.types() == ["PaymentConfirmed"]
    assert [said.template for said in small.stage.said(NotificationSent)].count("webhook_disabled") == 1


def test_one_that_says_it_is_gone_is_asked_no_more(small):
    small.receiver.always = 410
    small.hear(*small.life_of())
    small.send()
    small.later(hours=1)
    assert (small.receiver.tries, small.webhook()["disabled_because"]) == (1, "gone")


def test_a_busy_receiver_says_how_long_it_wants_to_be_left_alone(small):
    small.receiver.answers.append((429, {"Retry-After": "1800"}, b""))
    small.hear(*small.life_of(count=1))
    small.send()
    small.stage.advance(minutes=29)
    small.send()
    assert small.receiver.tries == 1
    small.stage.advance(minutes=2)
    small.send()
    assert small.receiver.types() == ["OrderPlaced"]


@pytest.mark.parametrize(
    ("answer", "status", "error"),
    [
        ((307, {"Location": "http://127.0.0.1:1/"}, b""), 307, None),
        ("hang", None, "timeout"),
        ((500, {}, b"x" * 300_000), 500, None),
    ],
    ids=["redirects", "hangs", "says no at length"],
)
def test_whoever_does_not_take_it_is_tried_again(small, answer, status, error):
    small.stage.node.outside["webhooks"] = Guarded(("127.0.0.1/32",), seconds=0.3)
    small.receiver.answers.append(answer)
    small.hear(*small.life_of(count=1))
    small.send()
    (delivery,) = small.log()
    assert (delivery["state"], delivery["last_status"], delivery["last_error"]) == ("pending", status, error)
    assert len(small.look(delivery)["attempts"][0]["excerpt"]) <= 500
    small.later(minutes=1)
    assert (small.receiver.types(), small.receiver.tries) == (["OrderPlaced"], 2)


def test_a_process_that_dies_after_sending_sends_once_more_under_the_same_id(small):
    class Died(BaseException):
        pass

    real = small.stage.node.outside["webhooks"] = Guarded(("127.0.0.1/32",))

    class Dying:
        def post(self, *message):
            real.post(*message)
            raise Died

    small.hear(*small.life_of(count=2))
    small.stage.node.outside["webhooks"] = Dying()
    with pytest.raises(Died):
        small.stage.call()
    small.stage.node.outside["webhooks"] = real
    small.send()
    assert len(small.receiver.taken) == 1  # the claim of who died runs for a minute yet
    small.desk.post()
    small.send()
    first, again, next_one = small.receiver.ids
    assert first == again != next_one
    assert small.receiver.types() == ["OrderPlaced", "OrderPlaced", "PaymentConfirmed"]


# --- what a seller sees and does


def test_the_log_shows_answers_without_secrets(small):
    secret = small.receiver.secret
    small.receiver.answers.append((400, {}, f'bad {secret}\x00\n{{"password": "hunter2"}}'.encode()))
    small.hear(*small.life_of(count=1))
    small.send()
    (attempt,) = small.look(small.log()[0])["attempts"]
    assert (attempt["status"], attempt["error"]) == (400, None)
    assert attempt["excerpt"].startswith("bad … ")
    assert "hunter2" not in attempt["excerpt"]
    assert attempt["latency_ms"] >= 0


def test_a_delivery_is_sent_again_by_hand_under_the_same_id(small):
    small.hear(*small.life_of(count=2))
    small.send()
    path = f"{small.path}/deliveries/{small.log()[-1]['delivery_id']}/resend"
    for _ in range(2):
        assert small.seller.post(path).json["state"] == "pending"
    small.send()
    assert small.receiver.types() == ["OrderPlaced", "PaymentConfirmed", "OrderPlaced"]
    assert small.receiver.ids[0] == small.receiver.ids[2]


def test_sending_by_hand_opens_a_door_that_was_shut(small):
    small.receiver.always = 500
    for number in range(6):
        small.hear(*small.life_of(f"G{number:016}-1", count=2))
    small.send()
    path = f"{small.path}/deliveries/"
    untried = [one for one in small.log() if not one["tries"]][0]
    assert small.seller.post(f"{path}{untried['delivery_id']}/resend").json["code"] == "delivery_waits"
    small.receiver.always = 200
    assert small.seller.post(f"{path}{small.log()[-1]['delivery_id']}/resend").status == 202
    small.send()
    small.later(minutes=5)
    assert len(small.receiver.taken) == 12


def test_a_test_event_is_sent_once_and_told_of(small):
    answer = small.seller.post(f"{small.path}/test")
    assert (answer.status, answer.json["type"]) == (202, "caravan.support.WebhookTest.v1")
    small.send()
    small.receiver.always = 500
    small.seller.post(f"{small.path}/test")
    small.send()
    assert [one["state"] for one in small.log()] == ["given_up", "delivered"]
    assert small.webhook()["failures"] == 0


def test_a_webhook_that_is_switched_off_hears_nothing_new_and_later_what_waited(small):
    small.receiver.answers.append(500)
    small.hear(*small.life_of(count=2))
    small.send()
    small.seller.patch(small.path, {"enabled": False})
    small.hear(*small.life_of()[2:3])
    small.later(hours=1)
    assert small.seller.post(f"{small.path}/test").json["code"] == "webhook_is_disabled"
    assert small.receiver.taken == []
    small.seller.patch(small.path, {"enabled": True})
    small.send()
    assert small.receiver.types() == ["OrderPlaced", "PaymentConfirmed"]


def test_a_webhook_that_is_removed_is_forgotten_with_all_that_waited(small):
    small.hear(*small.life_of())
    assert small.seller.delete(small.path).status == 204
    small.send()
    small.later(hours=1)
    assert (small.receiver.tries, small.seller.get(small.path).json["code"]) == (0, "no_such_webhook")
    with small.stage.node.database.read() as connection:
        for table in (store.delivery, store.delivery_attempt, intent):
            assert connection.execute(sa.select(sa.func.count()).select_from(table)).scalar() == 0


def test_the_log_forgets_after_a_month(small, monkeypatch):
    monkeypatch.setattr("services.support.commands.deliveries.PURGE_EVERY", 1)
    small.hear(*small.life_of(count=1))
    small.send()
    small.stage.advance(days=31)
    small.hear(*small.life_of(OTHER, count=1))
    small.send()
    assert [one["order_no"] for one in small.log()] == [OTHER]


@pytest.mark.parametrize(
    ("url", "allowed"),
    [("https://169.254.169.254/", ()), ("http://shop.example/", ()), ("https://10.0.0.1/", ("127.0.0.1/32",))],
)
def test_an_address_of_our_own_network_is_refused_at_once(sqlite_url, tmp_path, url, allowed):
    desk = Desk(sqlite_url, tmp_path, outbound_allowed=allowed).opened()
    answer = desk.seller.post("/v1/webhooks", {"url": url, "types": TYPES})
    assert (answer.status, answer.json["code"], answer.json["field"]) == (422, "url_not_allowed", "url")
    assert desk.seller.get("/v1/webhooks").json["items"] == []
    desk.stage.close()


def test_bad_wishes_are_refused_and_change_nothing(small):
    before = small.webhook()
    again = {"url": small.receiver.url, "types": TYPES}
    assert small.seller.post("/v1/webhooks", again).json["code"] == "webhook_url_taken"
    assert small.seller.patch(small.path, {"types": ["OrderPlaced"]}).json["field"] == "types"
    assert small.seller.patch(small.path, {"secret": "x"}).status == 422
    assert small.seller.patch(small.path, {"enabled": False}, If_Match='"7"').status == 412
    for number in range(9):
        assert small.seller.post("/v1/webhooks", again | {"url": f"{small.receiver.url}&n={number}"}).status == 201
    assert small.seller.post("/v1/webhooks", again | {"url": f"{small.receiver.url}&n=x"}).json["code"] == (
        "too_many_webhooks"
    )
    assert small.webhook() == before


def test_somebody_elses_webhook_does_not_exist(small):
    small.hear(*small.life_of(count=1))
    small.send()
    stranger = small.stage.caller("seller", seller_id="shop-2")
    delivery = f"{small.path}/deliveries/{small.log()[0]['delivery_id']}"
    asked = [
        stranger.get(small.path), stranger.patch(small.path, {"enabled": False}), stranger.delete(small.path),
        stranger.post(f"{small.path}/secret"), stranger.post(f"{small.path}/test"),
        stranger.get(f"{small.path}/deliveries"), stranger.get(delivery), stranger.post(f"{delivery}/resend"),
    ]  # fmt: skip
    assert {answer.json["code"] for answer in asked} == {"no_such_webhook"}
    assert stranger.get("/v1/webhooks").json["items"] == []
    assert small.desk.buyer.get("/v1/webhooks").status == 403
    assert small.seller.get(f"{small.path}/deliveries/nothing").json["code"] == "no_such_delivery"
    assert small.webhook()["enabled"]
