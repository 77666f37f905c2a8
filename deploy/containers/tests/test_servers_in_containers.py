"""The servers of the compose file, started by testcontainers: what `--servers containers` runs other tests on."""

import psycopg

from deploy.servers import PostgresServer, RabbitServer


def test_the_store_and_the_broker_are_of_the_versions_that_the_compose_file_names(
    postgres_server: PostgresServer, rabbit_server: RabbitServer
):
    with psycopg.connect(postgres_server.url().replace("+psycopg", "")) as db:
        assert db.info.server_version // 10_000 == 17
    assert rabbit_server.api("GET", "overview")["rabbitmq_version"].startswith("4.")
