"""The deployment's secret is changed while people come and go: nobody notices, and then the old one may go."""

import threading

import pytest

from services.account import commands
from services.account.__main__ import rewrap
from services.account.commands.rewrapping import Rewrapped, rewrap_keys, rewrap_some
from services.account.domain.people import EmailTaken
from services.account.tests.makers import bearer, buyer, make_stage, registration, sign_in
from shared.contracts.account import SigningKeyPublished
from shared.kernel import clock
from shared.kernel.settings import Settings
from shared.storage.unit_of_work import Node

OLD, NEW = "o" * 32, "n" * 32
EARLY, LATE, GONE = "early@caravan.example", "late@caravan.example", "gone@caravan.example"


@pytest.fixture
def house(database_url, tmp_path):
    stage = make_stage(database_url, tmp_path, secret=OLD)
    yield stage
    stage.close()


def keep(stage, *secrets):
    """The processes are started anew with these secrets."""
    object.__setattr__(stage.node.settings, "secret", ",".join(secrets))


def test_a_secret_is_changed_step_by_step_and_everybody_still_comes_in(house, click_run):
    me = buyer(house, EARLY)
    gone = buyer(house, GONE).get("/v1/me").json["account_id"]
    keep(house, OLD, NEW)
    assert sign_in(house, EARLY).status == 201
    keep(house, NEW, OLD)
    buyer(house, LATE)
    for email in (EARLY, LATE):
        assert house.caller().post("/v1/accounts", registration(email)).json["code"] == "email_taken"
        assert sign_in(house, email).status == 201
    house.node.vault.destroy(gone)

    died = house.node.run(lambda tx: rewrap_some(tx, Rewrapped(), 1))  # and whoever ran it did
    assert f"1 signing keys and {1 - died.anew} of 3 accounts written anew, 1 were erased" in click_run(
        house, "--batch", "2"
    )
    assert "0 signing keys and 0 of 3 accounts written anew, 1 were erased" in click_run(house, "--batch", "3")

    keep(house, NEW)
    for email in (EARLY, LATE):
        assert sign_in(house, email).status == 201
        assert house.caller().post("/v1/accounts", registration(email)).json["code"] == "email_taken"
    assert sign_in(house, GONE).status == 401
    assert me.get("/v1/me").status == bearer(house, sign_in(house, EARLY).json).get("/v1/me").status == 200
    assert len(house.said(SigningKeyPublished)) == 1  # the key that signs tokens is still the same


@pytest.fixture
def click_run(monkeypatch, capsys):
    """What `python -m services.account rewrap …` says."""

    def run(stage, *arguments):
        settings = stage.node.settings
        for name in ("database_url", "vault_url", "secret", "env"):
            monkeypatch.setenv(f"CARAVAN_{name.upper()}", getattr(settings, name))
        rewrap.main(arguments, standalone_mode=False)
        return capsys.readouterr().out

    return run


def test_what_is_still_under_the_old_secret_when_it_goes_is_not_found(house):
    """The steps matter: without the rewrapping nobody is let in, and nobody loses the key that signs."""
    buyer(house, EARLY)
    keep(house, NEW)
    assert sign_in(house, EARLY).status == 401
    keep(house, NEW, OLD)
    assert house.node.run(rewrap_keys) == 1
    assert sign_in(house, EARLY).status == 201


def test_one_address_registered_at_once_under_both_secrets_is_one_account(postgres_url, tmp_path):
    stage = make_stage(postgres_url, tmp_path, secret=f"{OLD},{NEW}")
    given = {name: getattr(stage.node.settings, name) for name in ("service", "database_url", "vault_url")}
    other = Node(Settings(**given, env="test", secret=f"{NEW},{OLD}"))
    claimed, go_on, ended = threading.Event(), threading.Event(), []

    def register(tx):
        commands.people.register(tx, email=EARLY, password_hash="x", full_name="Li Lei", locale="en")

    def slow(tx):
        register(tx)
        claimed.set()
        assert go_on.wait(60)

    def late():
        try:
            other.run(register)
            ended.append("registered")
        except EmailTaken:
            ended.append("taken")

    first, second = threading.Thread(target=stage.node.run, args=(slow,)), threading.Thread(target=late)
    first.start()
    assert claimed.wait(60)
    second.start()
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
    while not ended:
        with stage.node.database.read() as connection:
            if connection.exec_driver_sql(waiting).scalar():
                break
        clock.pause(0.01)
    go_on.set()
    for one in (first, second):
        one.join(60)
    other.close()
    stage.close()
    assert ended == ["taken"]
