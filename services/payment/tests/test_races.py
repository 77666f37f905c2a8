"""Many at once, on PostgreSQL: money is counted once whoever comes first."""

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from services.payment import store
from services.payment.tests.makers import Market
from shared.contracts.payment import (
    DuplicatePaymentDetected,
    FundsHeld,
    FundsReleased,
    PaymentConfirmed,
    PaymentExpired,
    RefundCompleted,
    RefundInitiated,
)


@pytest.fixture
def busy(postgres_url, tmp_path):
    market = Market(postgres_url, tmp_path, pool_size=16)
    market.approve()
    yield market
    market.check()
    market.close()


def at_once(*deeds):
    """Do all of it at the same moment; what each answered."""
    barrier = threading.Barrier(len(deeds))

    def run(deed):
        barrier.wait(20)
        return deed()

    with ThreadPoolExecutor(len(deeds)) as crowd:
        return [future.result(60) for future in [crowd.submit(run, deed) for deed in deeds]]


def test_a_hundred_copies_of_one_callback_are_one_payment(busy):
    charge = busy.opened(busy.request(12900), 12900)
    busy.provider.pay(charge)
    body = busy.callback("charge.succeeded", busy.provider.charge(charge))
    statuses: Counter[int] = Counter()
    for _ in range(5):
        statuses.update(at_once(*[lambda: busy.send(body)] * 20))
    assert statuses == {200: 100}
    assert (len(busy.said(PaymentConfirmed)), len(busy.said(FundsHeld))) == (1, 1)
    assert len(busy.rows(store.ledger_posting)) == 1


def test_the_same_news_under_many_event_ids_are_one_payment(busy):
    charge = busy.opened(busy.request(12900), 12900)
    busy.provider.pay(charge)
    assert at_once(*[lambda: busy.tell(charge)] * 12) == [200] * 12
    assert len(busy.said(PaymentConfirmed)) == 1


def test_callback_query_and_closing_at_once_are_one_answer(busy):
    for _ in range(5):
        group_no = busy.request(12900)
        charge = busy.opened(group_no, 12900)
        busy.provider.pay(charge)
        busy.stage.advance(minutes=2)  # a query is due
        busy.deadline(group_no)  # and a closing
        at_once(lambda charge=charge: busy.tell(charge), busy.stage.call, busy.stage.call)
        busy.stage.call()
    assert len(busy.said(PaymentConfirmed)) == 5
    assert not busy.said(PaymentExpired)


def test_of_closing_and_paying_at_once_one_wins_and_the_order_hears_which(busy):
    for _ in range(8):
        group_no = busy.request(12900)
        charge = busy.opened(group_no, 12900)
        busy.deadline(group_no)
        paid, _ = at_once(lambda charge=charge: busy.provider.pay(charge), busy.stage.call)
        confirmed = [fact for fact in busy.said(PaymentConfirmed) if fact.group_no == group_no]
        expired = [fact for fact in busy.said(PaymentExpired) if fact.group_no == group_no]
        assert (len(confirmed), len(expired)) == ((1, 0) if paid == 200 else (0, 1))


def test_a_double_click_opens_one_attempt(busy):
    group_no = busy.request(12900)
    answers = at_once(*[lambda: busy.open(group_no, 12900)] * 8)
    assert {answer.status for answer in answers} == {201}
    assert {answer.json["attempt_no"] for answer in answers} == {1}
    assert all(answer.json["display"] for answer in answers)
    assert len(busy.provider.charges()) == 1


def test_two_attempts_paid_at_once_are_one_payment_and_one_refund(busy):
    group_no = busy.request(12900)
    old = busy.opened(group_no, 12900)
    new = busy.opened(group_no, 12900, instrument="card_redirect")
    busy.provider.pay(old)
    busy.provider.pay(new)
    at_once(lambda: busy.tell(old), lambda: busy.tell(new))
    while busy.stage.call():
        pass
    counted = [len(busy.said(kind)) for kind in (PaymentConfirmed, DuplicatePaymentDetected, RefundCompleted)]
    assert counted == [1, 1, 1]


def test_two_refunds_at_once_never_exceed_what_came(busy):
    group_no = busy.paid(10000)
    at_once(*[lambda n=n: busy.refund(f"{group_no}-1", 4000, f"r{n}") for n in range(4)])
    busy.stage.consumer.retry_due()
    busy.stage.call()
    assert len(busy.said(RefundInitiated)) == 2
    assert busy.provider.totals()["refunded"] == {"CNY": 8000}


def test_a_refund_and_the_release_at_once_share_the_money(busy):
    for _ in range(5):
        group_no = busy.paid(10000)
        busy.receive(f"{group_no}-1")
        due = busy.payment(group_no).deadlines["release"]
        busy.stage._set_clock(due)
        at_once(lambda group_no=group_no: busy.refund(f"{group_no}-1", 4000), busy.stage.fire)
        busy.stage.fire()
        busy.stage.call()
        split = busy.payment(group_no).splits[0]
        assert (split.refunded, split.in_escrow) == (4000, 0)
        assert split.commission + split.net - split.debited <= 6000
    assert len(busy.said(FundsReleased)) == 5


def test_many_workers_make_each_call_once(busy):
    groups = [busy.request(100) for _ in range(12)]
    busy.provider.line.down = True
    for group_no in groups:
        busy.open(group_no, 100)
    busy.provider.line.down = False
    busy.make_calls_due()
    assert sum(at_once(*[busy.stage.call] * 4)) == 12
    assert len(busy.provider.charges()) == 12
