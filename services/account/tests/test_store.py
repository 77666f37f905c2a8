"""Migrations, and the command line that writes to a store made by them."""

from click.testing import CliRunner

from services.account.__main__ import create_operator
from services.account.app import service
from services.account.tests.makers import PASSWORD, registration, sign_in
from shared.contracts.account import UserRegistered
from shared.kernel import settings
from shared.storage.database import Database
from shared.storage.migrate import check


def test_the_migrations_make_the_tables_the_code_has(database_url):
    database = Database(database_url)
    service.migrate(database)
    with database.begin() as connection:
        check(connection, service.migrations, service.metadata, "alembic_version")
    database.close()


def test_operators_are_made_by_command_line_alone(stage, monkeypatch):
    monkeypatch.setattr(settings, "load", lambda _name: stage.node.settings)
    run = CliRunner().invoke
    arguments = ["--email", "Op@Caravan.example"]
    first = run(create_operator, arguments, input=PASSWORD + "\n")
    assert first.output.startswith("operator ")
    again = run(create_operator, arguments, env={"CARAVAN_OPERATOR_PASSWORD": "another password"})
    assert "exists already" in again.output
    assert sign_in(stage, "op@caravan.example").json["roles"] == ["operator"]
    assert [fact.roles for fact in stage.said(UserRegistered)] == [("operator",)]


def test_a_buyer_is_not_made_an_operator_by_the_way(stage, monkeypatch):
    monkeypatch.setattr(settings, "load", lambda _name: stage.node.settings)
    stage.caller().post("/v1/accounts", registration())
    result = CliRunner().invoke(create_operator, ["--email", "li.lei@caravan.example"], input="another password\n")
    assert result.exit_code != 0
    assert sign_in(stage).json["roles"] == ["buyer"]
