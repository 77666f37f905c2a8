"""The calls support makes to the outside: letters, and facts to merchants' systems."""

from shared.messaging.subscriptions import Intents

calls = Intents()
