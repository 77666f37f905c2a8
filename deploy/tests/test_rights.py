"""Who may do what in PostgreSQL and RabbitMQ, each right proved by an attempt that is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pika
import pika.exceptions
import psycopg
import pytest
import requests

from deploy.fleet import FLEET, member
from deploy.ops.platform import Platform
from deploy.stack import Stack
from shared.messaging.rabbit.topology import DLX, EVENTS, inbox_exchange, queue_name

pytestmark = [pytest.mark.servers, pytest.mark.xdist_group("stack")]

NAMES = [one.name for one in FLEET]
NEXT = dict(zip(NAMES, [*NAMES[1:], NAMES[0]], strict=True))
"""Of each service: another one."""
WRITES = (
    "INSERT INTO {table} SELECT * FROM {table}",
    "DELETE FROM {table}",
    "TRUNCATE {table}",
    "DROP TABLE {table}",
    "CREATE TABLE of_our_own (no int)",
)


def elsewhere(url: str, database: str) -> str:
    return f"{url.rpartition('/')[0]}/{database}"


def ask(url: str, statement: str) -> list[Any]:
    """In a transaction that leaves nothing behind, should it be allowed after all."""
    with psycopg.connect(url.replace("+psycopg", ""), connect_timeout=10) as connection:
        cursor = connection.execute(statement)
        found = cursor.fetchall() if cursor.description else []
        connection.rollback()
        return found


# --- PostgreSQL -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_a_service_enters_its_own_database_and_no_other(stack: Stack, name: str) -> None:
    ours = stack.urls[name]
    assert ask(
        ours, "SELECT rolsuper, rolcreatedb, rolcreaterole, rolbypassrls FROM pg_roles WHERE rolname = user"
    ) == [(False, False, False, False)]
    for database in (member(NEXT[name]).store, "vault"):
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            ask(elsewhere(ours, database), "SELECT 1")


@pytest.mark.parametrize("write", WRITES)
def test_who_reads_keys_of_personal_data_changes_none(stack: Stack, write: str) -> None:
    reader = stack.urls["vault_reader"]
    assert ask(reader, "SELECT count(*) FROM vault_key")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        ask(reader, write.format(table="vault_key"))
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        ask(elsewhere(reader, "orders"), "SELECT 1")


@pytest.mark.parametrize("name", NAMES)
def test_operators_tools_read_every_table_and_write_none(stack: Stack, name: str) -> None:
    platform = Platform.in_folder(stack.home)
    try:
        url = platform.stores[name].url
    finally:
        platform.close()
    tables = "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace"
    assert ask(url, "SELECT user::text") == [("operations",)]
    assert len(ask(url, tables)) > 10
    assert ask(url, f"{tables} AND NOT has_table_privilege(oid, 'SELECT')") == []
    assert ask(url, f"{tables} AND has_table_privilege(oid, 'INSERT, UPDATE, DELETE, TRUNCATE')") == []
    for write in (*WRITES, f"SET ROLE {member(name).store}"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            ask(url, write.format(table="inbox_retry"))
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        ask(elsewhere(url, "vault"), "SELECT 1")


# --- RabbitMQ -------------------------------------------------------------------------------------------------------


@contextmanager
def channel(stack: Stack, name: str) -> Iterator[Any]:
    with pika.BlockingConnection(pika.URLParameters(stack.rabbit.amqp_url(name))) as connection:
        opened = connection.channel()
        opened.confirm_delivery()
        yield opened


def publish(exchange: str, key: str, **properties: Any) -> Callable[[Any], object]:
    return lambda bus: bus.basic_publish(exchange, key, b"{}", pika.BasicProperties(**properties), mandatory=True)


def forbidden(name: str) -> dict[str, Callable[[Any], object]]:
    other = NEXT[name]
    return {
        "say another's fact": publish(EVENTS, f"{other}.Anything.v1"),
        "say its own in another's name": publish(EVENTS, f"{name}.Anything.v1", user_id=other),
        "go round the exchange to a queue": publish("", queue_name(other, 0)),
        "go straight to another's inbox": publish(inbox_exchange(other), f"{name}.Anything.v1"),
        "read another's queue": lambda bus: bus.basic_get(queue_name(other, 0)),
        "empty another's queue": lambda bus: bus.queue_purge(queue_name(other, 0)),
        "delete another's queue": lambda bus: bus.queue_delete(queue_name(other, 0), if_unused=True, if_empty=True),
        "declare in another's place": lambda bus: bus.queue_declare(queue_name(other, 99), durable=True),
        "declare elsewhere": lambda bus: bus.queue_declare("of_our_own"),
        "declare an exchange elsewhere": lambda bus: bus.exchange_declare("of_our_own", "fanout"),
        "turn facts away from another": lambda bus: bus.exchange_unbind(
            inbox_exchange(other), EVENTS, "order.OrderPlaced.v1"
        ),
        "hear another's dead letters": lambda bus: bus.queue_bind(f"caravan.{other}.dlq.v1", DLX, name),
    }


@pytest.mark.parametrize("name", NAMES)
def test_a_service_says_and_hears_in_its_own_name_alone(stack: Stack, name: str) -> None:
    with channel(stack, name) as bus:
        assert bus.queue_declare(queue_name(name, 0), passive=True)
        with pytest.raises(pika.exceptions.UnroutableError):  # taken, though there is nobody to hear it
            publish(EVENTS, f"{name}.Anything.v1")(bus)
        for what, deed in forbidden(name).items():
            attempt = bus.connection.channel()
            attempt.confirm_delivery()
            with pytest.raises(pika.exceptions.ChannelClosedByBroker) as refused:
                deed(attempt)
            assert refused.value.reply_code in (403, 406), what


def test_a_services_broker_user_is_no_administrator_and_there_is_no_guest(stack: Stack) -> None:
    root = f"http://127.0.0.1:{stack.rabbit.state.ports['management']}/api/overview"
    with requests.Session() as session:
        session.trust_env = False
        for name in NAMES:
            password = stack.rabbit.amqp_url(name).split(":")[2].split("@")[0]
            assert session.get(root, auth=(name, password), timeout=10).status_code == 401, name
        assert session.get(root, auth=("guest", "guest"), timeout=10).status_code == 401
