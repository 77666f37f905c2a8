"""The compose file and what stands beside it agree, and hold no secret that would work in production."""

import json
import re
import subprocess
from pathlib import Path

import psycopg
import pytest
import yaml

from deploy.containers.images import RECIPES, SERVED, wanted
from deploy.servers import PostgresServer
from deploy.servers.install import find

ROOT = Path(__file__).parents[2]
SERVICES = ("account", "catalog", "order", "payment", "inventory", "shipping", "support")


def variables(name: str) -> dict[str, str]:
    lines = (ROOT / name).read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


@pytest.fixture(scope="module")
def compose():
    return yaml.safe_load((ROOT / "docker-compose.yml").read_text())


def test_each_service_has_a_web_and_a_worker_process_on_its_own_database(compose):
    containers = compose["services"]
    databases = set()
    for service in SERVICES:
        web, worker = containers[f"{service}-web"], containers[f"{service}-worker"]
        assert web["environment"] == worker["environment"]
        assert web["environment"]["CARAVAN_SERVICE"] == service
        databases.add(web["environment"]["CARAVAN_DATABASE_URL"])
    assert len(databases) == len(SERVICES)
    assert containers["order-live"]["environment"]["CARAVAN_SERVICE"] == "order"


def test_only_those_who_handle_personal_data_see_the_vault_and_only_account_writes(compose):
    vaults = {s: compose["services"][f"{s}-web"]["environment"].get("CARAVAN_VAULT_URL", "") for s in SERVICES}
    role = {service: url.split("//")[-1].split(":")[0] for service, url in vaults.items() if url}
    reader = "vault_reader"
    assert role == {"account": "vault", "order": reader, "payment": reader, "shipping": reader, "support": reader}


def test_each_service_can_be_scaled_and_operators_look_where_its_facts_are(compose):
    seen = json.loads(compose["services"]["commons"]["environment"]["CARAVAN_OPS"])
    for service in SERVICES:
        settings = compose["services"][f"{service}-worker"]["environment"]
        assert int(settings["CARAVAN_SHARDS"]) == seen["shards"][service] > 1
        assert settings["CARAVAN_DATABASE_URL"] == seen["stores"][service]
        assert seen["readers"][service].rpartition("/")[2] == seen["stores"][service].rpartition("/")[2]
        assert seen["readers"][service].split("//")[1].split(":")[0] == "operations"


def test_each_service_has_a_broker_user_of_its_own_and_production_speaks_tls_to_all(compose):
    over = yaml.safe_load((ROOT / "deploy/containers/production.yml").read_text())["services"]
    for name, container in compose["services"].items():
        plain = container.get("environment", {})
        tls = over.get(name, {}).get("environment", {})
        if "CARAVAN_BROKER_URL" in plain:
            user = plain.get("CARAVAN_SERVICE", "caravan")
            assert plain["CARAVAN_BROKER_URL"].startswith(f"amqp://{user}:${{")
            secured = plain["CARAVAN_BROKER_URL"].replace("amqp:", "amqps:").replace(":5672", ":5671")
            assert tls["CARAVAN_BROKER_URL"] == f"{secured}?cacertfile=/run/secrets/authority"
        if {"CARAVAN_DATABASE_URL", "CARAVAN_OPS", "CARAVAN_BROKER_URL"} & plain.keys():
            assert (tls["PGSSLMODE"], tls["PGSSLROOTCERT"]) == ("verify-full", "/run/secrets/authority"), name
            assert "authority" in over[name]["secrets"]


def test_production_shows_operators_the_same_stores_and_reaches_the_broker_by_tls(compose):
    over = yaml.safe_load((ROOT / "deploy/containers/production.yml").read_text())
    seen, secured = (json.loads(one["services"]["commons"]["environment"]["CARAVAN_OPS"]) for one in (compose, over))
    assert secured["broker"].startswith("amqps:")
    assert secured["management"].startswith("https:")
    assert seen | {key: secured[key] for key in ("broker", "management")} == secured


def test_both_environment_files_set_all_that_compose_asks_for():
    asked = set(re.findall(r"(?<!\$)\$\{(\w+)", (ROOT / "docker-compose.yml").read_text())) - {"CARAVAN_VERSION"}
    assert set(variables("deploy/dev.env")) == asked
    assert set(variables(".env.example")) == asked


def test_every_image_that_is_named_can_be_made_where_no_registry_answers():
    for name in wanted():
        repository, _, tag = name.partition(":")
        assert tag.startswith(SERVED[repository])
        assert (RECIPES / repository / "Dockerfile").exists()


def test_the_fake_provider_and_carrier_are_where_the_platform_looks_for_them():
    desks = yaml.safe_load((ROOT / "deploy/containers/sandbox.yml").read_text())["services"]
    given = variables("deploy/dev.env")
    for name, desk in desks.items():
        port = next(word.split("=")[1] for word in desk["command"] if word.startswith("--port="))
        assert given[f"CARAVAN_{name.upper()}_URL"] == f"http://{name}:{port}"
        assert desk["environment"]["CARAVAN_SANDBOX_KEY"] == f"${{CARAVAN_{name.upper()}_SECRET:?}}"


def test_no_secret_has_a_default():
    assert not [
        name for name, value in variables(".env.example").items() if value and re.search("SECRET|PASSWORD", name)
    ]
    for name in ("docker-compose.yml", "deploy/containers/production.yml"):
        assert not re.findall(r"\$\{\w*(?:SECRET|PASSWORD|TLS)\w*(?!\w*:\?)[^}]*}", (ROOT / name).read_text())
    assert variables("deploy/dev.env")["CARAVAN_ENV"] == "development"


@pytest.mark.servers
def test_the_init_script_gives_each_service_a_database_that_no_other_enters():
    passwords = {n: v for n, v in variables("deploy/dev.env").items() if n.endswith("_DB_PASSWORD")}
    with PostgresServer(fsync=False) as server:
        administrator = {
            "PATH": f"{find('postgres')}:/usr/bin:/bin",
            "PGHOST": "127.0.0.1",
            "PGPORT": str(server.port),
            "PGUSER": "postgres",
            "PGPASSWORD": server.state.secrets["postgres"],
        }
        script = [str(ROOT / "deploy/postgres/init.sh")]
        assert subprocess.run(script, env=administrator, capture_output=True, check=False).returncode
        for _ in range(2):  # where it is a job, it may die half-way and come again
            subprocess.run(script, env=administrator | passwords, check=True)

        def ask(database: str, role: str, statement: str):
            url = server.url(database, role, "development").replace("+psycopg", "")
            with psycopg.connect(url) as db:
                return db.execute(statement)

        ask("orders", "orders", "CREATE TABLE orders (no int)")
        with pytest.raises(psycopg.OperationalError, match="permission denied"):
            ask("orders", "payment", "SELECT 1")
        ask("vault", "vault", "CREATE TABLE vault_key (secret bytea)")
        ask("vault", "vault_reader", "SELECT * FROM vault_key")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            ask("vault", "vault_reader", "DELETE FROM vault_key")
        ask("orders", "operations", "SELECT * FROM orders")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            ask("orders", "operations", "DELETE FROM orders")
        with pytest.raises(psycopg.OperationalError, match="permission denied"):
            ask("vault", "operations", "SELECT 1")
