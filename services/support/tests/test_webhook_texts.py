"""What merchants' systems are told, how patient we are, and whether the manual's receiver works as printed."""

import contextlib
import dataclasses
import re
import threading
from datetime import UTC, datetime, timedelta
from http.server import HTTPServer
from pathlib import Path
from typing import Any, get_type_hints

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st

from services.support.domain.webhooks import SHOWN, excerpt, next_try
from services.support.domain.webhooks.trying import PAUSES, TRIES_FOR
from services.support.tests.makers import Desk
from shared.contracts.event import Sealed
from shared.contracts.payment import PaymentConfirmed, Split
from shared.kernel import clock
from shared.web.signatures import sign

BEGUN = datetime(2026, 5, 1, tzinfo=UTC)
MANUAL = Path(__file__).parents[3] / "docs" / "webhooks.md"
OTHERS = {"group_orders", "group_payable", "index", "of", "channel_txn", "label_ref", "payment_id", "splits"}


@pytest.mark.parametrize("fact", SHOWN, ids=lambda fact: fact.name)
def test_a_seller_is_shown_fields_that_there_are_and_that_are_theirs(fact):
    fields = set(SHOWN[fact].fields)
    parts = [fact, Split] if fact is PaymentConfirmed else [fact]
    assert fields <= {field.name for part in parts for field in dataclasses.fields(part)}
    assert "seller_id" in fields
    assert not {name for name, kind in get_type_hints(fact).items() if kind == Sealed} & fields
    assert not OTHERS & fields


@given(st.lists(st.floats(0.8, 1.2), min_size=40, max_size=40))
@settings(max_examples=25)
def test_tries_are_ever_further_apart_and_end_after_exactly_three_days(jitters):
    now, gaps = BEGUN, []
    for tries, jitter in enumerate(jitters, start=1):
        again = next_try(tries, BEGUN, now, jitter, timedelta(0))
        if again is None:
            break
        gaps.append(again - now)
        now = again
    assert now == BEGUN + TRIES_FOR
    assert all(later > earlier for earlier, later in zip(gaps, gaps[1 : len(PAUSES)], strict=False))


def test_a_receiver_may_ask_for_a_longer_pause_but_not_for_a_day():
    assert next_try(1, BEGUN, BEGUN, 1.0, timedelta(hours=1)) == BEGUN + timedelta(hours=1)
    assert next_try(1, BEGUN, BEGUN, 1.0, timedelta(days=1)) == BEGUN + timedelta(hours=6)


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (b"no such order", "no such order"),
        (b"\xff\x00\x1b[31mred", "\ufffd  [31mred"),
        (b'{"api_key": "abc", "why": "x"}', '{"…, "why": "x"}'),
        (b"Authorization: Bearer abc.def\nnext", "…\nnext"),
        (b"token=abc;x", "…;x"),
        (b"whsec_AAAA and AAAA", "… and …"),
        (b"x" * 5000, "x" * 500),
    ],
)
def test_answers_are_shown_without_secrets(said, shown):
    assert excerpt(said, ["whsec_AAAA"]) == shown


@contextlib.contextmanager
def as_printed(secret, monkeypatch):
    """The manual's receiver, running; what it has seen, and where it is."""
    (program,) = re.findall(r"```python\n(.*?)```", MANUAL.read_text(), re.S)
    monkeypatch.setenv("WEBHOOK_SECRETS", secret)
    printed: list[tuple[str, object]] = []
    scope: dict[str, Any] = {"__name__": "receiver", "print": lambda *what: printed.append(what)}
    exec(compile(program, str(MANUAL), "exec"), scope)  # noqa: S102  (our own manual)
    monkeypatch.setattr(scope["Hook"], "log_message", lambda *_: None)
    server = HTTPServer(("127.0.0.1", 0), scope["Hook"])
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield printed, f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def test_the_manuals_receiver_takes_what_we_send_once(sqlite_url, tmp_path, monkeypatch):
    desk = Desk(sqlite_url, tmp_path, outbound_allowed=("127.0.0.1/32",)).opened()
    with as_printed("whsec_AAAA", monkeypatch) as (_, url):
        made = desk.seller.post("/v1/webhooks", {"url": url, "types": ["caravan.order.OrderPlaced.v1"]}).json
    with as_printed(f"whsec_AAAA {made['secret']}", monkeypatch) as (printed, url):
        desk.seller.patch(f"/v1/webhooks/{made['webhook_id']}", {"url": url})
        desk.stage.hear(desk.placed())
        desk.stage.call()
        log = desk.seller.get(f"/v1/webhooks/{made['webhook_id']}/deliveries").json["items"]
        desk.seller.post(f"/v1/webhooks/{made['webhook_id']}/deliveries/{log[0]['delivery_id']}/resend")
        desk.stage.call()
        log = desk.seller.get(f"/v1/webhooks/{made['webhook_id']}/deliveries").json["items"]
    assert [kind for kind, _ in printed] == ["caravan.order.OrderPlaced.v1"]
    assert [(one["state"], one["last_status"]) for one in log] == [("delivered", 204)]
    desk.stage.close()


def test_the_manuals_receiver_believes_nobody_else(monkeypatch):
    secret, body, now = "whsec_" + "QUJD" * 8, b'{"id": "m", "type": "t", "data": {}}', int(clock.machine_seconds())

    def headers(sent=now, key=secret, number="m", **more):
        signature = sign(key, number, sent, body)
        return {"webhook-id": number, "webhook-timestamp": str(sent), "webhook-signature": signature} | more

    with as_printed(secret, monkeypatch) as (printed, url):
        tried = [
            (headers(), body + b" "),
            (headers(now - 360), body),
            (headers(now + 360), body),
            (headers(key="whsec_AAAA"), body),
            (headers() | {"webhook-id": "other"}, body),
            (headers() | {"webhook-signature": headers()["webhook-signature"].replace("v1", "v0")}, body),
            ({}, body),
        ]
        assert {requests.post(url, data=data, headers=given, timeout=5).status_code for given, data in tried} == {401}
        assert printed == []
        assert requests.post(url, data=body, headers=headers(), timeout=5).status_code == 204
