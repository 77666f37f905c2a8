"""What operators do about a platform that runs: see why an order is stuck, put it right, and find a broken promise."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result

from deploy.embedded import Platform
from deploy.ops import promises, timeline
from deploy.ops.backlog import Backlog
from deploy.ops.broker import audit
from deploy.ops.command import group
from deploy.ops.platform import Platform as Operated
from deploy.ops.status import suggestion
from deploy.ops.watch import Watch
from deploy.stack import Stack
from deploy.story.people import Grounds
from shared.contracts.event import decode_envelope
from shared.kernel import clock
from shared.storage.inspect import kept_rows, logged
from shared.storage.types import audit as trail
from shared.storage.types import inbox_retry
from shared.telemetry import metrics
from shared.testing.letters import drop_kept, keep_dead
from tests.journeys.market import Market, silent, until

WHY = "as the shop asked"
POISON = tuple(f"no message of ours: {no}".encode() for no in range(3))


def caravan(grounds: Grounds, *arguments: str, **options: Any) -> Result:
    """The command, run on the folder of this platform."""
    assert isinstance(grounds, Platform | Stack)
    return CliRunner().invoke(group, ["--home", str(grounds.home), *arguments], **options)


def told(result: Result) -> Any:
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return json.loads(result.stdout)


def lost_word(grounds: Grounds, group_no: str) -> tuple[dict[str, Any], bytes]:
    """That the group's payment began, as it was told, and the same as a broken program might have told it."""
    (body,) = (
        body
        for _, body in logged(grounds.stores["payment"])
        if (one := decode_envelope(body)).fact_name == "PaymentInitiated" and one.partitionkey == group_no
    )
    whole = json.loads(body)
    return whole, json.dumps(whole | {"id": f"broken-{whole['id'][:20]}", "data": {}}).encode()


def test_an_order_that_a_dead_letter_holds_up_is_found_corrected_and_goes_on(market: Market) -> None:
    grounds, staff = market.grounds, market.staff
    placed = market.place(market.tea)
    group_no, order_no = placed["group_no"], placed["orders"][0]["order_no"]
    attempt = market.attempt(placed)
    grounds.settle()
    whole, broken = lost_word(grounds, group_no)
    no = keep_dead(grounds.stores["order"], "order", broken)
    market.buyer.pay(attempt)
    grounds.settle()
    assert market.state(order_no) == "AWAITING_PAYMENT"

    seen = staff.do("GET", f"/v1/ops/timelines/{order_no}")
    letter_id = f"order-{no}"
    assert any(letter_id in words and "dead" in words for words in seen["stuck"])
    assert any("PaymentConfirmed" in words and "held" in words for words in seen["stuck"])
    assert {one["service"] for one in staff.do("GET", "/v1/ops/status")["items"] if one["worries"]} >= {"order"}

    refused = staff.ask("POST", f"/v1/ops/dead-letters/{letter_id}/edit", {"why": WHY, "data": {"group_no": 7}})
    assert (refused.status, refused.json["code"], refused.json["field"]) == (422, "edited_message_invalid", "message")
    edited = told(caravan(
        grounds, "dead-letters", "edit", letter_id, "--data", "-", "--why", WHY, "--json",
        input=json.dumps(whole["data"]),
    ))  # fmt: skip
    assert edited["event_id"] != whole["id"]
    grounds.settle()

    assert market.state(order_no) not in ("AWAITING_PAYMENT", "CREATED")
    after = told(caravan(grounds, "timeline", order_no, "--json"))
    assert after["stuck"] == []
    confirmed = next(fact for fact in after["facts"] if fact["fact"] == "PaymentConfirmed")
    assert {"service": "order", "state": "handled"}.items() <= {
        name: value for one in confirmed["heard_by"] if one["service"] == "order" for name, value in one.items()
    }.items()
    with grounds.stores["order"].read() as connection:
        row = connection.execute(sa.select(trail).where(trail.c.action == "dead_letter.edit")).all()[-1]
    assert (row.why, row.actor[:4], row.object.split()[0]) == (WHY, "cli:", str(no))


def test_the_command_and_the_door_say_the_same_of_every_service(market: Market) -> None:
    grounds, staff = market.grounds, market.staff
    for words, path in ((["status"], "status"), (["scaling"], "scaling"), (["topology", "plan"], "topology")):
        here, there = told(caravan(grounds, *words, "--json")), staff.do("GET", f"/v1/ops/{path}")
        assert [one["service"] for one in here["items"]] == [one["service"] for one in there["items"]]
        assert [one.keys() for one in here["items"]] == [one.keys() for one in there["items"]]
        assert caravan(grounds, *words).stdout
    assert staff.do("GET", "/v1/ops/invariants")["holds"] is True
    market.cancel_all(market.place(market.tea))
    assert promises.is_small(grounds.stores)
    with mock.patch.object(promises, "MOST_WATCHED", 0):
        assert promises.is_small(grounds.stores) is False
    assert all(one["workers"] >= 1 and one["shards"] for one in staff.do("GET", "/v1/ops/status")["items"])
    assert staff.ask("GET", "/v1/ops/timelines/G0000000000000000-1").json["code"] == "nothing_told"


@pytest.fixture
def poisoned(platform: Platform) -> Iterator[Platform]:
    platform.settle()
    for body in POISON:
        keep_dead(platform.stores["support"], "support", body, reason="unreadable")
    yield platform
    for body in POISON:
        drop_kept(platform.stores["support"], "support", body)


def test_many_letters_are_retried_at_the_rate_that_was_asked_for_or_given_up_for_good(poisoned: Platform) -> None:
    store = poisoned.stores["support"]
    ids = [one["letter_id"] for one in told(caravan(poisoned, "dead-letters", "list", "--json"))["items"]]
    assert len(ids) == len(POISON)
    assert caravan(poisoned, "dead-letters", "retry", "--why", WHY).exit_code == 2

    begun = clock.machine_now()
    found = told(caravan(poisoned, "dead-letters", "retry", "--reason", "unreadable", "--per-second", "0.1",
                         "--why", WHY, "--json"))  # fmt: skip
    assert found == {"retried": {"support": 3}}
    turns = sorted((row.next_at - begun).total_seconds() for row in kept_rows(store) if row.status == "failed")
    assert turns[-1] >= 20
    assert turns[-1] - turns[-2] == pytest.approx(10)

    assert caravan(poisoned, "dead-letters", "discard", *ids, "--why", WHY).exit_code == 0
    assert kept_rows(store) == []
    again = caravan(poisoned, "dead-letters", "discard", ids[0], "--why", WHY)
    assert type(again.exception).__name__ == "NoSuchDeadLetter"
    with store.read() as connection:
        rows = connection.execute(sa.select(trail.c.action, trail.c.why).where(trail.c.why == WHY)).all()
    assert [row.action for row in rows] == ["dead_letter.retry"] * 3 + ["dead_letter.discard"] * 3


def test_what_is_being_tried_cannot_be_edited_under_a_workers_hands(poisoned: Platform) -> None:
    (first, *_) = kept_rows(poisoned.stores["support"])
    with poisoned.stores["support"].begin() as connection:
        later = clock.machine_now().replace(year=2100)
        connection.execute(
            inbox_retry.update().where(inbox_retry.c.no == first.no).values(status="failed", next_at=later)
        )
    refused = caravan(
        poisoned, "dead-letters", "edit", f"support-{first.no}", "--message", "-", "--why", WHY, input="{}"
    )
    assert type(refused.exception).__name__ == "NotDead"


def test_a_store_that_is_away_is_named_and_the_others_are_shown(platform: Platform, tmp_path: Path) -> None:
    stores = {name: node.settings.database_url for name, node in platform.nodes.items()}
    gone = stores | {"payment": "postgresql+psycopg://nobody:nothing@127.0.0.1:1/payment"}
    file = tmp_path / "ops.json"
    file.write_text(json.dumps({"stores": gone}))
    found = {
        one["service"]: one
        for one in told(CliRunner().invoke(group, ["--file", str(file), "status", "--json"]))["items"]
    }
    assert found["payment"] == {"service": "payment", "away": True, "worries": ["its store does not answer"]}
    assert found["order"]["worries"] == ["what payment told could not be read"]
    assert found["account"]["worries"] == []

    del gone["support"]
    file.write_text(json.dumps({"stores": gone}))
    refused = CliRunner().invoke(group, ["--file", str(file), "status"])
    assert "names no store of support" in str(refused.exception)


@pytest.mark.parametrize("grounds", ["platform"], indirect=True)
def test_a_promise_broken_on_purpose_names_the_order_it_concerns_and_no_other(market: Market) -> None:
    platform = market.grounds
    ours, other = (market.place(sku)["orders"][0]["order_no"] for sku in (market.tea, market.cup))

    def shift(by: int) -> None:
        with platform.stores["inventory"].begin() as connection:
            change = sa.text("UPDATE stock SET on_hand = on_hand + :by WHERE sku = :sku")
            connection.execute(change, {"by": by, "sku": market.tea})

    shift(1)
    try:
        with mock.patch.object(promises, "SECOND_LOOK", 0):
            verdicts = {one: caravan(platform, "invariants", "--order", one, "--json") for one in (ours, other)}
            assert market.tea in market.staff.do("GET", "/v1/ops/invariants")["items"][0]["breaches"][0]
        assert 'caravan_invariant_breaches{invariant="V1"} 1.0' in metrics.page().decode()
    finally:
        shift(-1)
    assert (verdicts[ours].exit_code, verdicts[other].exit_code) == (1, 0)
    assert told(verdicts[ours])["items"][0]["breaches"]


@pytest.mark.parametrize(
    ("waiting", "workers", "shards", "pace", "suggested", "why"),
    [(0, 2, 4, 50.0, 2, "keeps up"), (9000, 0, 4, 0.0, 1, "no worker"), (9000, 1, 4, 50.0, 3, "gone within a minute"),
     (90_000, 1, 4, 50.0, 4, "there are 4 shards"), (9000, 1, 1, 50.0, 1, "more shards"),
     (9000, 2, 4, 0.0, 2, "find out why")],
)  # fmt: skip
def test_more_workers_are_suggested_only_where_they_would_help(waiting, workers, shards, pace, suggested, why) -> None:
    waits = Backlog(waiting, clock.machine_now())
    found, words = suggestion(waits, workers=workers, shards=shards, pace=pace, dead=0)
    assert found == suggested
    assert why in words


@pytest.mark.servers
@pytest.mark.xdist_group("stack")
def test_a_binding_that_the_broker_lost_is_noticed_named_and_declared_again(stack: Stack) -> None:
    stack.settle()
    operated = Operated.in_folder(stack.home)
    key = "order.OrderPlaced.v1"
    binding = f"bindings/caravan/e/caravan.events/e/caravan.payment.in.v1/{key}"
    try:
        stack.rabbit.api("DELETE", binding)
        found = {one.service: one.missing for one in audit(operated) if one.missing}
        assert found == {"payment": [f"binding {key} from caravan.events to caravan.payment.in.v1"]}
        Watch(operated).look_at_the_broker()
        assert 'caravan_topology_missing{service="payment"} 1.0' in metrics.page().decode()
        assert caravan(stack, "topology", "audit").exit_code == 1
        assert f"+ binding {key}" in caravan(stack, "topology", "plan").stdout
    finally:
        applied = caravan(stack, "topology", "apply", "--why", WHY)
    assert applied.exit_code == 0
    assert caravan(stack, "topology", "audit").exit_code == 0

    abandoned = "queues/caravan/caravan.payment.in.v1.9"
    try:
        stack.rabbit.api("PUT", abandoned, {"durable": True})
        stack.rabbit.api(
            "POST", "bindings/caravan/e/caravan.payment.in.v1/q/caravan.payment.in.v1.9", {"routing_key": "1"}
        )
        (left,) = (one for one in audit(operated) if one.altered)
        assert left.service == "payment"
        assert "caravan.payment.in.v1.9 leads facts to where no worker reads" in left.altered[0]
    finally:
        stack.rabbit.api("DELETE", abandoned)
    operated.close()


def test_a_service_that_stands_still_is_named_with_what_it_has_not_heard(market: Market) -> None:
    grounds = market.grounds
    order_no = ""

    def stuck() -> list[str]:
        return [
            words
            for words in told(caravan(grounds, "timeline", order_no, "--json"))["stuck"]
            if {"OrderPlaced", "payment"} <= set(re.findall(r"\w+", words))
        ]

    with mock.patch.object(timeline, "SOON_SECONDS", 0.2):
        with silent(grounds, "payment"):
            order_no = market.buyer.place(market.buyer.quote({market.tea: 1}))["orders"][0]["order_no"]
            assert until(stuck)
            waits = {one["service"]: one["waiting"] for one in told(caravan(grounds, "scaling", "--json"))["items"]}
        assert waits["payment"] >= 1
        grounds.settle()
        assert stuck() == []
