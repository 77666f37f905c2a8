"""All facts. Importing the package fills `event.REGISTRY`."""

from shared.contracts import account, catalog, inventory, order, payment, refunds, shipping, support

__all__ = ["account", "catalog", "inventory", "order", "payment", "refunds", "shipping", "support"]
