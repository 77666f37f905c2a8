"""A desk on both databases, one on SQLite, and a mail server."""

import pytest

from services.support.tests.makers import Desk, MailServer


@pytest.fixture
def desk(database_url, tmp_path):
    desk = Desk(database_url, tmp_path).opened()
    yield desk
    desk.stage.close()


@pytest.fixture
def small_desk(sqlite_url, tmp_path):
    desk = Desk(sqlite_url, tmp_path).opened()
    yield desk
    desk.stage.close()


@pytest.fixture
def mail():
    server = MailServer()
    yield server
    server.stop()


@pytest.fixture
def post_office(database_url, tmp_path, mail):
    """A desk that sends letters."""
    desk = Desk(database_url, tmp_path, smtp_url=mail.url).opened()
    desk.stage.call()
    mail.letters.clear()
    mail.tries = 0
    yield desk
    desk.stage.close()
