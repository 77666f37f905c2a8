"""The compose file, run: an order's whole life, growth, death and restart of what it starts."""

from __future__ import annotations

import pytest

from deploy import demo
from deploy.containers.project import Containers
from deploy.story import shop
from shared.testing.worlds import eventually

pytestmark = pytest.mark.servers
SECONDS = 120.0


def test_the_story_of_one_order_goes_well_in_containers(containers: Containers):
    assert demo.tell(containers)


def test_a_service_that_grows_to_three_containers_is_worked_by_three(containers: Containers, sell, expect):
    staff = shop.operator(containers)

    def owners() -> set[str]:
        order = next(one for one in staff.do("GET", "/v1/ops/status")["items"] if one["service"] == "order")
        return {shard["owner"] for shard in order["shards"]}

    one = owners()
    assert len(one) == 1
    containers.up("--no-deps", "--no-recreate", "--scale", "order-worker=3", "order-worker")
    try:
        eventually(lambda: len(owners() - {None}) == 3, "three containers share order's facts", SECONDS)
        sales = [sell() for _ in range(4)]
        containers.settle()
        expect(sales, "AWAITING_PAYMENT")
        load = {one["service"]: one["workers"] for one in staff.do("GET", "/v1/ops/scaling")["items"]}
        assert (load["order"], load["payment"]) == (3, 1)
    finally:
        containers.up("--no-deps", "--no-recreate", "--scale", "order-worker=1", "order-worker")
    eventually(lambda: len(owners()) == 1, "one container has all of order's facts again", SECONDS)


def test_a_container_that_is_killed_comes_back_and_orders_placed_meanwhile_go_on(containers: Containers, sell, expect):
    struck = [one for service in ("order-worker", "inventory-worker") for one in containers.ids(service)]
    before = {one: containers.restarts(one) for one in struck}
    for one in struck:
        containers.crash(one)
    sales = [sell() for _ in range(4)]
    eventually(lambda: all(containers.restarts(one) > before[one] for one in struck), "all are started again", SECONDS)
    containers.settle(SECONDS)
    expect(sales, "AWAITING_PAYMENT")


def test_while_the_broker_is_dead_orders_are_taken_and_they_go_on_when_it_is_back(containers: Containers, sell, expect):
    containers.compose("kill", "rabbitmq")
    try:
        sales = [sell() for _ in range(3)]
        expect(sales, "PLACED")
    finally:
        containers.compose("start", "rabbitmq")
    containers.settle(SECONDS)
    expect(sales, "AWAITING_PAYMENT")


def test_what_was_kept_is_there_after_all_containers_were_removed_and_made_anew(containers: Containers, sell, expect):
    (buyer, group), waiting = sell(), sell()
    containers.settle()
    attempt = buyer.open_payment(group["group_no"], group["payable"])
    containers.down()
    assert containers.running() == []
    containers.up()
    for one in (buyer, waiting[0]):
        one.http.close()  # what it was connected to is gone
    expect([(buyer, group), waiting], "AWAITING_PAYMENT")
    assert buyer.pay(attempt) == 200  # the provider's book was kept too
    containers.settle(SECONDS)
    expect([(buyer, group)], "CONFIRMED")
    for order in group["orders"]:
        buyer.cancel(order["order_no"])
    containers.settle(SECONDS)
    expect([(buyer, group)], "CANCELLED")
