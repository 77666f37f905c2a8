"""The command line of a service."""

import json
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from shared.runtime import catalogue, cli
from shared.testing import toys
from shared.testing.worlds import EmbeddedWorld, make_node


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[EmbeddedWorld]:
    account, inventory = (
        make_node(name, f"sqlite:///{tmp_path}/{name}.db", "embedded:", tmp_path) for name in ("account", "inventory")
    )
    monkeypatch.setenv("CARAVAN_DATABASE_URL", inventory.settings.database_url)
    monkeypatch.setenv("CARAVAN_VAULT_URL", inventory.settings.vault_url)
    made = EmbeddedWorld(account, inventory)
    yield made
    made.close()


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli.commands(toys.inventory()), arguments)


def test_a_worker_without_a_broker_says_why_it_will_not_start(world: EmbeddedWorld) -> None:
    assert "embedded" in run("work").output


def test_openapi_is_printed(world: EmbeddedWorld) -> None:
    assert json.loads(run("openapi").stdout)["info"]["title"] == "Caravan inventory"


def test_a_service_may_add_commands_of_its_own(world: EmbeddedWorld, capsys: pytest.CaptureFixture[str]) -> None:
    @click.command()
    def hello() -> None:
        click.echo("hello")

    group = cli.commands(toys.inventory())
    group.add_command(hello)
    assert CliRunner().invoke(group, ["hello"]).output == "hello\n"


def test_the_catalogue_knows_who_hears_what_in_this_tree() -> None:
    assert set(catalogue.names()) <= {path.name for path in catalogue.SERVICES.iterdir()}
    found = catalogue.subscribers()
    assert found["account.SigningKeyPublished.v1"] == sorted(service.on.consumer for service in catalogue.services())
