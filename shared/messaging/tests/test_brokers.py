"""The contract of all brokers, on each of them."""

from shared.testing.broker_contract import BrokerContract


class TestBrokers(BrokerContract):
    pass
