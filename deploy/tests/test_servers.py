"""The private servers: they start, serve, survive what is done to them, and leave nothing behind."""

import socket
import subprocess
import sys
import threading
from pathlib import Path

import pika
import pika.exceptions
import psycopg
import pytest
import requests

from deploy.servers import (
    NginxServer,
    PostgresServer,
    Process,
    RabbitServer,
    Server,
    ServerError,
    User,
    free_port,
    install,
    missing,
    start_all,
    stop_all,
    versions,
    wait_until,
)
from deploy.servers.process import port_is_free

pytestmark = pytest.mark.servers


def query(url: str, statement: str):
    with psycopg.connect(url.replace("+psycopg", "")) as db:
        cursor = db.execute(statement)
        return cursor.fetchone() if cursor.description else None


def publish(url: str, queue: str, body: bytes) -> None:
    """Put a message into a durable quorum queue; returns when the broker has confirmed it."""
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        channel = connection.channel()
        channel.queue_declare(queue, durable=True, arguments={"x-queue-type": "quorum"})
        channel.confirm_delivery()
        channel.basic_publish("", queue, body, mandatory=True)


def take(url: str, queue: str) -> bytes | None:
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        return connection.channel().basic_get(queue, auto_ack=True)[2]


def site(server: NginxServer, answer: str) -> str:
    return (
        f"events {{}}\nhttp {{\n{server.preamble}"
        f"server {{ listen 127.0.0.1:{server.port}; return 200 {answer}; }}\n}}\n"
    )


# --------------------------------------------------------------------------------------------- together
def test_three_servers_start_at_once_and_leave_nothing_behind():
    servers: tuple[Server, ...] = (PostgresServer(fsync=False), RabbitServer(), NginxServer())
    start_all(*servers)
    processes = [one for server in servers for top in server.state.processes.values() for one in top.tree()]
    ports = [port for server in servers for port in server.state.ports.values()]
    assert all(server.running for server in servers)
    assert len(processes) > 10

    stop_all(*servers)

    assert not any(process.alive for process in processes)
    assert all(port_is_free(port) for port in ports)
    assert not any(server.folder.exists() for server in servers)


def test_a_process_whose_first_thread_has_ended_still_lives_in_the_others():
    """A killed server's first thread may be gone for some time before the last one lets go of its port."""
    program = (
        "import ctypes, sys, threading\n"
        "threading.Thread(target=sys.stdin.read).start()\n"
        "ctypes.CDLL(None).pthread_exit(None)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE) as child:
        process = Process.of(child.pid)
        first = Path(f"/proc/{child.pid}/task/{child.pid}/stat")
        wait_until(lambda: first.read_text().rpartition(")")[2].split()[0] == "Z", 10, "the first thread stays")
        assert process.alive
        child.kill()
        child.wait()
        assert not process.alive


def test_when_one_server_fails_the_others_are_stopped(monkeypatch):
    good, bad = NginxServer(), NginxServer()
    monkeypatch.setattr(bad, "user", "nobody-of-this-name")
    with pytest.raises((LookupError, ServerError)):
        start_all(good, bad)
    assert not good.running
    assert not good.folder.exists()


def test_the_versions_are_told():
    assert missing() == []
    assert {name: version[0].isdigit() for name, version in versions().items()} == {
        "postgres": True,
        "rabbit": True,
        "nginx": True,
    }


def test_a_missing_server_is_named_with_its_package(monkeypatch):
    monkeypatch.setitem(install._FINDERS, "rabbit", lambda: None)
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(ServerError, match="rabbitmq-server"):
        install.ensure_installed("rabbit")


def test_a_missing_server_is_installed_once(monkeypatch):
    there: list[Path] = []
    asked = []

    def pretend(packages: list[str]) -> None:
        asked.append(packages)
        there.append(Path("/"))

    monkeypatch.setitem(install._FINDERS, "nginx", lambda: there[0] if there else None)
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr("shutil.which", lambda *_, **__: "/usr/bin/apt-get")
    monkeypatch.setattr(install, "_apt_install", pretend)
    threads = [threading.Thread(target=install.ensure_installed, args=("nginx",)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert asked == [["nginx"]]


def test_another_process_can_stop_a_server_from_its_folder():
    first = NginxServer().start()
    second = NginxServer(first.folder, keep=False)
    assert second.running
    assert second.port == first.port
    second.stop()
    assert not first.running
    first.stop()  # harmless, and reaps


def test_a_number_used_again_is_not_the_same_process():
    with NginxServer() as server:
        assert server.process
        assert not Process(server.process.pid, server.process.born - 1).alive


def test_ports_lie_below_those_of_outgoing_connections():
    low = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    port = free_port()
    assert port < low
    with socket.socket() as held:
        held.bind(("127.0.0.1", port))
        held.listen()
        assert not port_is_free(port)


# ------------------------------------------------------------------------------------------- PostgreSQL
def test_a_database_belongs_to_its_role_alone(postgres_server: PostgresServer):
    mine = postgres_server.create_database("mine", "me", "p@ss/word's")
    yours = postgres_server.create_database("yours", "you", "secret")
    try:
        query(mine, "CREATE TABLE thing (no int)")
        assert query(mine, "SELECT current_user") == ("me",)
        with pytest.raises(psycopg.OperationalError, match="permission denied"):
            query(yours.replace("you:secret", "me:p%40ss%2Fword%27s"), "SELECT 1")
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            query(mine.replace("me:p", "me:q"), "SELECT 1")
    finally:
        for name in ("mine", "yours"):
            postgres_server.drop_database(name)


def test_chinese_words_have_trigrams(postgres_url: str):
    query(postgres_url, "CREATE EXTENSION pg_trgm")
    assert query(postgres_url, "SELECT cardinality(show_trgm('蓝牙耳机')) > 0") == (True,)


def test_every_test_gets_a_database_of_its_own(postgres_url: str):
    query(postgres_url, "CREATE TABLE only_here (no int)")
    assert query(postgres_url, "SELECT count(*) FROM only_here") == (0,)


def test_connections_are_counted(postgres_server: PostgresServer, postgres_url: str):
    database = postgres_url.rpartition("/")[2]
    assert postgres_server.connections(database) == 0
    with psycopg.connect(postgres_url.replace("+psycopg", "")):
        assert postgres_server.connections(database) == 1
    wait_until(lambda: postgres_server.connections(database) == 0, 5, "the connection stayed")


def test_postgres_keeps_what_was_committed_through_a_crash():
    with PostgresServer() as server:
        url = server.create_database("shop", "shop", "shop")
        query(url, "CREATE TABLE sale (no int)")
        query(url, "INSERT INTO sale VALUES (1)")
        server.kill9()
        with pytest.raises(psycopg.OperationalError):
            query(url, "SELECT 1")
        server.start()
        assert query(url, "SELECT no FROM sale") == (1,)
        server.restart()
        server.restart("immediate")
        assert query(url, "SELECT no FROM sale") == (1,)
        assert query(url, "SHOW fsync") == ("on",)


def test_a_kept_folder_is_used_again(open_folder: Path):
    with PostgresServer(open_folder, fsync=False) as server:
        url = server.create_database("shop", "shop", "shop")
        query(url, "CREATE TABLE sale (no int)")
    assert (open_folder / "data").exists()
    with PostgresServer(open_folder, fsync=False) as server:
        assert query(server.url("shop", "shop", "shop"), "SELECT count(*) FROM sale") == (0,)


@pytest.fixture
def open_folder():
    """A folder that a server's own user can reach; pytest's are closed to others."""
    server = NginxServer()  # never started: only its way of making a folder is of use here
    server.folder.chmod(0o755)
    yield server.folder / "kept"
    server.stop()


# --------------------------------------------------------------------------------------------- RabbitMQ
def test_every_test_gets_a_vhost_of_its_own(rabbit_url: str):
    publish(rabbit_url, "inbox", b"OrderPlaced")
    assert take(rabbit_url, "inbox") == b"OrderPlaced"


def test_the_hash_exchange_is_there(rabbit_url: str):
    with pika.BlockingConnection(pika.URLParameters(rabbit_url)) as connection:
        connection.channel().exchange_declare("shards", "x-consistent-hash", durable=True)


def test_rights_hold_and_there_is_no_guest(rabbit_server: RabbitServer):
    user = User("clerk", configure="^$", write="^caravan\\.events$", read="^$", topics="^order\\..*")
    url = rabbit_server.add_user(user)
    assert "guest" not in {row["name"] for row in rabbit_server.api("GET", "users")}
    with pytest.raises(pika.exceptions.ChannelClosedByBroker, match="ACCESS_REFUSED"):
        publish(url, "forbidden", b"x")


def test_metrics_are_shown(rabbit_server: RabbitServer):
    assert "rabbitmq_build_info" in requests.get(rabbit_server.prometheus_url, timeout=10).text


def test_rabbit_goes_through_alarms_upgrades_and_crashes():
    """One node for all, as its start is the slowest of any server's."""
    with RabbitServer(users=[User("order", topics="^order\\..*")]) as server:
        url = server.amqp_url("order")
        publish(url, "inbox", b"kept")

        for alarm in ("memory", "disk"):
            server.set_alarm(alarm, on=True)
            assert server.alarms() == {alarm}
            server.set_alarm(alarm, on=False)
        assert server.alarms() == set()

        server.stop_app()
        with pytest.raises(pika.exceptions.AMQPError):
            publish(url, "inbox", b"refused")
        server.start_app()

        server.kill9()
        assert not server.running
        server.start()
        assert take(url, "inbox") == b"kept"


# ------------------------------------------------------------------------------------------------ nginx
def test_nginx_answers_by_the_new_text_as_soon_as_it_is_reloaded():
    with NginxServer() as server:
        assert requests.get(server.url, timeout=10).status_code == 204
        for answer in ("one", "two", "three"):
            server.reload(site(server, answer))
            assert requests.get(server.url, timeout=10).text == answer


def test_a_wrong_text_is_refused_and_the_old_one_stays():
    server = NginxServer()
    server.start(site(server, "good"))
    try:
        with pytest.raises(ServerError, match="nonsense"):
            server.reload("nonsense;")
        assert requests.get(server.url, timeout=10).text == "good"
    finally:
        server.stop()


def test_nginx_does_not_start_with_a_wrong_text():
    server = NginxServer()
    with pytest.raises(ServerError, match="nonsense"):
        server.start("nonsense;")
    assert not server.folder.exists()
