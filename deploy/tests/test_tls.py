"""Between services, stores and broker, and at the edge: TLS alone, with somebody known at the other end."""

import shutil
import ssl
from collections.abc import Iterator
from pathlib import Path

import pika.exceptions
import psycopg
import pytest
import requests
import sqlalchemy as sa

from deploy import fleet
from deploy.gateway.nginx import Options, configuration
from deploy.servers import Authority, NginxServer, PostgresServer, RabbitServer, start_all, stop_all
from shared.messaging.rabbit.topology import channel, nodes
from shared.storage.database import Database
from shared.testing.toys import suspended
from shared.testing.worlds import RabbitWorld, make_node

pytestmark = pytest.mark.servers


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Signs certificates too, but nobody here trusts it."""
    return Authority(tmp_path_factory.mktemp("stranger"), "Somebody else")


@pytest.fixture(scope="module")
def servers(authority: Authority) -> Iterator[tuple[PostgresServer, RabbitServer]]:
    certificate = authority.sign("127.0.0.1")
    made = PostgresServer(fsync=False, certificate=certificate), RabbitServer(certificate=certificate)
    start_all(*made)
    yield made
    stop_all(*made)


def test_facts_go_from_store_to_store_over_tls(servers: tuple[PostgresServer, RabbitServer], tmp_path: Path) -> None:
    postgres, rabbit = servers
    urls = [postgres.create_database(name, name, "secret") for name in ("account", "inventory")]
    world = RabbitWorld(
        make_node("account", urls[0], rabbit.amqp_url(), tmp_path),
        make_node("inventory", urls[1], rabbit.amqp_url(), tmp_path),
    )
    world.say(*suspended("seller", 1, 2, 3))
    world.settle()
    assert [what for _, what in world.done()] == ["1", "2", "3"]
    with world.inventory.database.read() as connection:
        assert connection.exec_driver_sql("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").scalar()
    world.close()


def test_the_store_speaks_to_nobody_in_the_open(servers: tuple[PostgresServer, RabbitServer]) -> None:
    with pytest.raises(psycopg.OperationalError, match="no encryption"):
        psycopg.connect(servers[0].url().replace("+psycopg", "").replace("verify-full", "disable"))


def test_a_store_that_another_authority_vouches_for_is_not_spoken_to(
    servers: tuple[PostgresServer, RabbitServer], authority: Authority, stranger: Authority
) -> None:
    database = Database(servers[0].url().replace(str(authority.path), str(stranger.path)))
    with pytest.raises(sa.exc.OperationalError, match="certificate verify failed"):
        database.read().__enter__()
    database.close()


def test_the_broker_speaks_to_nobody_in_the_open(servers: tuple[PostgresServer, RabbitServer]) -> None:
    plain = servers[1].amqp_url().replace("amqps", "amqp").partition("?")[0]
    with pytest.raises(pika.exceptions.AMQPError), channel(plain, "in the open"):
        pass


def test_a_broker_that_another_authority_vouches_for_is_not_spoken_to(
    servers: tuple[PostgresServer, RabbitServer], authority: Authority, stranger: Authority
) -> None:
    url = servers[1].amqp_url()
    for distrusted in (url.replace(str(authority.path), str(stranger.path)), url.partition("?")[0]):
        with pytest.raises(ssl.SSLCertVerificationError), channel(distrusted, "distrustful"):
            pass


def test_a_broker_must_have_the_very_name_it_is_called_by(servers: tuple[PostgresServer, RabbitServer]) -> None:
    with (
        pytest.raises(ssl.SSLCertVerificationError),
        channel(servers[1].amqp_url().replace("127.0.0.1", "localhost"), "elsewhere"),
    ):
        pass


def test_a_slip_in_the_brokers_url_is_no_silence(authority: Authority) -> None:
    with pytest.raises(ValueError, match="verify"):
        nodes(f"amqps://one/vhost?cacertfile={authority.path}&verify=verify_none", "careless")


def test_the_edge_is_known_by_its_certificate(authority: Authority) -> None:
    certificate = authority.sign("127.0.0.1", "shop.example")
    with NginxServer() as nginx:
        for path in certificate.chain, certificate.key:
            Path(shutil.copy(path, nginx.folder)).chmod(0o644)  # for the server's user
        upstreams = {name: ["127.0.0.1:1"] for name in (*(one.name for one in fleet.FLEET), fleet.COMMONS, fleet.LIVE)}
        options = Options(
            upstreams, f"127.0.0.1:{nginx.port}", preamble=nginx.preamble,
            certificate=f"{nginx.folder}/{certificate.chain.name}", key=f"{nginx.folder}/{certificate.key.name}",
        )  # fmt: skip
        nginx.reload(configuration(fleet.table(), options))
        url = f"https://127.0.0.1:{nginx.port}/v1/nowhere"
        with requests.Session() as session:
            session.trust_env = False
            assert session.get(url, verify=str(certificate.authority), timeout=10).status_code == 404
            with pytest.raises(requests.exceptions.SSLError):
                session.get(url, timeout=10)
