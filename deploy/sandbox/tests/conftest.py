"""A receiver, and each sandbox behind real HTTP on loopback."""

import pytest

from deploy.sandbox import carrier, provider
from deploy.sandbox.desk import Local
from deploy.sandbox.tests.makers import Merchant, Receiver, settings


@pytest.fixture
def receiver():
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture
def shop(tmp_path, receiver):
    """A merchant of the payment provider."""
    with Local(provider.create_app(settings(tmp_path, receiver.url))) as server:
        merchant = Merchant(server.url)
        yield merchant
        merchant.http.close()


@pytest.fixture
def warehouse(tmp_path, receiver):
    """A merchant of the carrier."""
    with Local(carrier.create_app(settings(tmp_path, receiver.url))) as server:
        merchant = Merchant(server.url)
        yield merchant
        merchant.http.close()
