"""The store's promises: many at once, few statements, tables that match their migration."""

import threading
from contextlib import contextmanager
from datetime import timedelta
from functools import partial

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from services.inventory import commands, store
from services.inventory.app import service
from services.inventory.tests import makers
from services.inventory.tests.makers import check_books, confirmed, numbers, placed, put_in, stocked, terms
from shared.contracts.event import Fact
from shared.contracts.inventory import (
    StockAllocated,
    StockDepleted,
    StockReleased,
    StockReplenished,
    StockReservationExpired,
    StockReservationFailed,
    StockReserved,
)
from shared.messaging import consumer as door
from shared.messaging.clockwork import TimerRunner
from shared.messaging.consumer import Consumer
from shared.storage import migrate
from shared.storage.database import Database


def together(*works):
    """Run these at the same moment, each in a thread; raises what any of them raised."""
    barrier, errors = threading.Barrier(len(works)), []

    def run(work):
        try:
            barrier.wait()
            work()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def listener(on, bodies, size=10):
    """One more consumer process that is told these, batch by batch."""
    consumer = Consumer(on.node, service.on)

    def work():
        for start in range(0, len(bodies), size):
            consumer.handle([door.read(body) for body in bodies[start : start + size]])

    return work


def settle(on):
    """Try again what was kept, as a worker does when its time has come."""
    for row in on.kept():
        on.consumer.retry(row.no)
    on.fire()
    assert not on.kept()


def test_a_hundred_orders_for_ten_units_two_consumers_and_ten_are_served(postgres_url, tmp_path):
    on, main = stocked(postgres_url, tmp_path, A=10)
    bodies = [on.bytes_of(placed(on, A=1)) for _ in range(100)]
    together(listener(on, bodies[:50]), listener(on, bodies[50:]))
    settle(on)
    assert len(on.said(StockReserved)) == 10
    assert len(on.said(StockReservationFailed)) == 90
    assert numbers(on, "A", main) == (10, 10, 0, 0)
    assert len(on.said(StockDepleted)) == 1
    check_books(on)


def test_the_same_orders_told_to_two_consumers_are_held_once(postgres_url, tmp_path):
    on, main = stocked(postgres_url, tmp_path, A=100)
    bodies = [on.bytes_of(placed(on, A=1)) for _ in range(20)]
    together(listener(on, bodies), listener(on, bodies[::-1]))
    settle(on)
    assert len(on.said(StockReserved)) == 20
    assert numbers(on, "A", main) == (100, 20, 0, 0)
    check_books(on)


def test_orders_of_many_skus_in_any_order_never_lock_each_other_out(postgres_url, tmp_path):
    on, main = stocked(postgres_url, tmp_path, A=30, B=30, C=30)
    there = [on.bytes_of(placed(on, A=1, B=1, C=1)) for _ in range(20)]
    back = [on.bytes_of(placed(on, C=1, B=1, A=1)) for _ in range(20)]
    seller = makers.seller(on)

    def deliver():
        for _ in range(5):
            lines = [{"sku": sku, "qty": 1} for sku in "CBA"]
            answer = seller.post("/v1/stock-receipts", {"warehouse_id": main, "lines": lines})
            assert answer.status == 201, answer

    together(listener(on, there, 5), listener(on, back, 5), deliver)
    settle(on)
    assert len(on.said(StockReserved)) + len(on.said(StockReservationFailed)) == 40
    assert 30 <= len(on.said(StockReserved)) <= 35
    check_books(on)


def test_an_order_is_placed_and_cancelled_at_the_same_moment(postgres_url, tmp_path):
    on, main = stocked(postgres_url, tmp_path, A=100)
    orders = [placed(on, A=1) for _ in range(20)]
    came = [on.bytes_of(order) for order in orders]
    went = [on.bytes_of(makers.cancelled(order)) for order in orders]
    together(listener(on, came, 3), listener(on, went, 4))
    settle(on)
    assert numbers(on, "A", main) == (100, 0, 0, 0)
    assert len(on.said(StockReserved)) == len(on.said(StockReleased))
    check_books(on)


def test_a_hold_that_runs_out_while_its_order_is_confirmed_is_given_to_one_side(postgres_url, tmp_path):
    on, main = stocked(postgres_url, tmp_path, A=10)
    orders = [placed(on, A=1) for _ in range(10)]
    on.hear(*orders)
    bodies = [on.bytes_of(confirmed(order)) for order in orders]
    on._set_clock(max(fact.expires_at for fact in on.said(StockReserved)))
    ticker = TimerRunner(on.node, service.timers)
    together(listener(on, bodies, 2), lambda: [ticker.step(limit=3) for _ in range(5)])
    settle(on)
    assert len(on.said(StockAllocated)) == 10, "those that ran out first were had again"
    assert numbers(on, "A", main) == (10, 0, 10, 0)
    assert len(on.said(StockReservationExpired)) <= 10
    check_books(on)


def test_goods_come_in_while_orders_that_wait_for_them_come_and_go(postgres_url, tmp_path):
    on, main = stocked(postgres_url, tmp_path, A=1)
    terms(on, "A", main, backorders=50)
    first = [placed(on, A=1) for _ in range(20)]
    on.hear(*first, *map(confirmed, first))
    more = [on.bytes_of(placed(on, A=1)) for _ in range(20)]
    gone = [on.bytes_of(makers.cancelled(order)) for order in first[5:15]]
    ticker = TimerRunner(on.node, service.timers)

    def deliver():
        for _ in range(8):
            put_in(on, main, A=2)
            ticker.step()

    together(listener(on, more, 4), listener(on, gone, 2), deliver)
    settle(on)
    on_hand, held, allocated, backordered = numbers(on, "A", main)
    assert on_hand == 17
    assert held + allocated == 17, "nothing lies idle while somebody waits"
    assert (held + allocated + backordered) == 30
    check_books(on)


def until_somebody_waits_for_a_lock(on):
    query = sa.text(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    for _ in range(5_000):
        with on.node.database.read() as connection:
            if connection.execute(query).scalar():
                return
    raise AssertionError("nobody waits")


def test_a_new_warehouse_and_the_last_unit_elsewhere_agree_on_what_is_sold_out(postgres_url, tmp_path):
    on, _ = stocked(postgres_url, tmp_path, A=1)
    second = makers.warehouse(on, "Second")
    buyer = threading.Thread(target=listener(on, [on.bytes_of(placed(on, A=1))]))
    with on.node.transaction() as tx:
        lines = [{"sku": "A", "qty": 5}]
        commands.receive(tx, makers.SHOP, "somebody", warehouse_id=second, lines=lines)
        tx.flush()
        buyer.start()
        until_somebody_waits_for_a_lock(on)
    buyer.join()
    available = sum(row["available"] for row in makers.seller(on).get("/v1/stock").json["items"])
    said = [fact for fact in on.said() if isinstance(fact, StockDepleted | StockReplenished)]
    assert available == 5
    assert not any(isinstance(fact, StockDepleted) for fact in said), "the buyer saw what had just come in"


def test_two_who_inspect_one_parcel_at_once_put_its_goods_back_once(postgres_url, tmp_path):
    on, main = stocked(postgres_url, tmp_path, A=3)
    order = placed(on, A=3)
    parcel = makers.shipped(order, main)
    on.hear(order, confirmed(order), parcel, makers.came_back(parcel))
    answers = []
    look = partial(makers.inspect, makers.seller(on), parcel.shipment_id, makers.finding("l-A", 3))
    together(*[lambda: answers.append(look()) for _ in range(4)])
    assert sorted(answer.status for answer in answers) == [201, 409, 409, 409]
    assert {answer.json["code"] for answer in answers if answer.status == 409} == {"already_inspected"}
    assert numbers(on, "A", main) == (3, 0, 0, 0)
    check_books(on)


@contextmanager
def statements(on):
    """Counts what goes to the database; an executemany is one."""
    seen = []

    def note(_connection, _cursor, statement, _parameters, _context, _many):
        seen.append(statement.split("\n")[0])

    sa.event.listen(on.node.database.engine, "before_cursor_execute", note)
    yield seen
    sa.event.remove(on.node.database.engine, "before_cursor_execute", note)


@pytest.mark.parametrize("life", ["placed", "asked_to_pay", "confirmed", "shipped", "came_back", "cancelled"])
def test_fifty_orders_cost_as_many_statements_as_two(postgres_url, tmp_path, life):
    on, main = stocked(postgres_url, tmp_path, A=1000, B=1000)
    cost = []
    for size in (2, 50):
        orders = [placed(on, A=1, B=2) for _ in range(size)]
        facts: list[Fact] = []
        if life == "placed":
            facts += orders
        elif life == "asked_to_pay":
            on.hear(*orders)
            facts += [makers.payment_requested(order, pay_by=on.now() + timedelta(days=3)) for order in orders]
        elif life == "cancelled":
            on.hear(*orders)
            facts += [makers.cancelled(order) for order in orders]
        elif life == "confirmed":
            on.hear(*orders)
            facts += [confirmed(order) for order in orders]
        else:
            on.hear(*orders, *map(confirmed, orders))
            parcels = [makers.shipped(order, main) for order in orders]
            facts += parcels
            if life == "came_back":
                on.hear(*parcels)
                facts = [makers.came_back(parcel) for parcel in parcels]
        bodies = [on.bytes_of(fact) for fact in facts]
        with statements(on) as seen:
            on.hear_bytes(*bodies)
        cost.append(seen)
    assert len(cost[0]) == len(cost[1]), cost
    assert len(cost[1]) < 20, cost[1]
    check_books(on)


@pytest.mark.parametrize(
    "change",
    [{"on_hand": -1}, {"held": -1}, {"allocated": -1}, {"backordered": -1}, {"held": 6}, {"held": 3, "allocated": 3}],
)
def test_the_database_itself_refuses_numbers_that_cannot_be(database_url, tmp_path, change):
    on, main = stocked(database_url, tmp_path, A=5)
    with pytest.raises(IntegrityError), on.node.database.begin() as connection:
        connection.execute(store.stock.update().values(**change))
    assert numbers(on, "A", main) == (5, 0, 0, 0)


def test_the_migrations_make_the_tables_the_code_speaks_of(database_url):
    database = Database(database_url)
    try:
        service.migrate(database)
        service.migrate(database)
        with database.begin() as connection:
            migrate.check(connection, service.migrations.absolute(), store.metadata, "alembic_version")
    finally:
        database.close()
