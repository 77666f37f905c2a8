"""Production's overlay: the three servers speak TLS alone, and a service has on the broker what is its own."""

from __future__ import annotations

import pika.exceptions
import psycopg
import pytest
import requests

from deploy.containers.project import Containers
from deploy.fleet import FLEET
from shared.messaging.rabbit.topology import EVENTS, channel, queue_name

pytestmark = pytest.mark.servers
NAMES = [one.name for one in FLEET]


def test_the_stores_speak_to_nobody_in_the_open(containers: Containers):
    url = containers.store_url("account").replace("+psycopg", "")
    with psycopg.connect(url) as db:
        (encrypted,) = db.execute("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").fetchone() or (False,)
        assert encrypted
        assert db.execute(
            "SELECT count(*) FROM pg_stat_activity JOIN pg_stat_ssl USING (pid) WHERE client_port > 0 AND NOT ssl"
        ).fetchone() == (0,)
    with pytest.raises(psycopg.OperationalError, match="no encryption"):
        psycopg.connect(url.replace("verify-full", "disable"))


def test_the_broker_speaks_to_nobody_in_the_open(containers: Containers):
    with channel(containers.broker_url("order", tls=True), "in private") as bus:
        assert bus.queue_declare(queue_name("order", 0), passive=True)
    with (
        pytest.raises(pika.exceptions.AMQPError),
        channel(containers.broker_url("order", tls=False), "in the open"),
    ):
        pass
    listening = containers.inside("rabbitmq", "rabbitmq-diagnostics", "-q", "listeners")
    assert "port: 5671" in listening
    assert "port: 15671" in listening
    assert "port: 5672" not in listening
    assert "port: 15672" not in listening


def test_the_edge_speaks_to_nobody_in_the_open(containers: Containers):
    url = f"{containers.url}/v1/shops"
    assert requests.get(url, verify=str(containers.authority), timeout=10).status_code == 401  # asked who we are
    with pytest.raises(requests.exceptions.SSLError):  # of an authority that nobody has been told to trust
        requests.get(url, timeout=10)
    assert requests.get(url.replace("https", "http"), timeout=10).status_code == 400  # no service has heard of it


@pytest.mark.parametrize("name", NAMES)
def test_a_service_says_and_hears_in_its_own_name_alone(containers: Containers, name: str):
    other = NAMES[(NAMES.index(name) + 1) % len(NAMES)]
    forbidden = {
        "say another's fact": lambda bus: bus.basic_publish(EVENTS, f"{other}.Anything.v1", b"{}"),
        "go round the exchange": lambda bus: bus.basic_publish("", queue_name(other, 0), b"{}"),
        "read another's queue": lambda bus: bus.basic_get(queue_name(other, 0)),
        "declare elsewhere": lambda bus: bus.queue_declare("of_our_own"),
    }
    for what, deed in forbidden.items():
        with channel(containers.broker_url(name, tls=True), "curious") as bus:
            bus.confirm_delivery()
            with pytest.raises(pika.exceptions.ChannelClosedByBroker) as refused:
                deed(bus)
            assert refused.value.reply_code == 403, what
