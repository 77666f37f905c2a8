"""The command line of a service."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result

from shared.messaging.embedded import Dispatcher
from shared.runtime import catalogue, cli
from shared.storage.types import audit, inbox_retry
from shared.testing import toys
from shared.testing.toys import set_flag, suspended
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


def lines(result: Result) -> list[dict[str, Any]]:
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def with_dead_letters(world: EmbeddedWorld) -> dict[str, str]:
    """Two dead facts; their numbers by key."""
    set_flag(world.inventory, fails=True)
    world.say(*suspended("first", "flagged", 1), *suspended("second", "flagged", 1))
    world.settle()
    with world.inventory.database.begin() as connection:
        connection.execute(inbox_retry.update().where(inbox_retry.c.status == "failed").values(status="dead"))
    set_flag(world.inventory, fails=False)
    return {row["agg"].rsplit("/", 1)[1]: str(row["no"]) for row in lines(run("dead-letters", "list"))}


def test_dead_letters_are_listed_without_and_shown_with_their_message(world: EmbeddedWorld) -> None:
    dead = with_dead_letters(world)
    assert set(dead) == {"first", "second"}
    assert all("body" not in row for row in lines(run("dead-letters", "list")))
    assert [row["status"] for row in lines(run("dead-letters", "list", "--status", "held"))] == ["held"] * 2
    assert lines(run("dead-letters", "list", "--type", "StockDepleted")) == []
    shown = json.loads(run("dead-letters", "show", dead["first"]).stdout)
    assert json.loads(shown["body"])["data"]["seller_id"] == "first"


def test_a_retried_letter_is_handled_with_what_waited_behind_it(world: EmbeddedWorld) -> None:
    with_dead_letters(world)
    assert run("dead-letters", "retry", "--reason", "failed", "--per-second", "1000").output.startswith("2 ")
    world.hasten()
    Dispatcher(world.fleet).settle()
    assert sorted(world.done()) == [(key, what) for key in ("first", "second") for what in ("1", "flagged")]
    assert run("dead-letters", "retry").exit_code == 2


def test_a_discarded_letter_lets_others_pass_and_never_comes_back(world: EmbeddedWorld) -> None:
    dead = with_dead_letters(world)
    assert run("dead-letters", "discard", dead["first"]).exit_code == 0
    again = run("dead-letters", "discard", dead["first"])
    assert again.exception is not None
    for body in world.bodies()[:2]:
        world.send(body)
    world.settle()
    assert world.done() == [("first", "1")]
    with world.inventory.database.read() as connection:
        (row,) = connection.execute(sa.select(audit).where(audit.c.action == "dead_letter.discard")).all()
    assert row.actor.startswith("cli:")


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
