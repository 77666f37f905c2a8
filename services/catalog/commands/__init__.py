"""Use cases."""

from services.catalog.commands import categories, products, reviews

__all__ = ["categories", "products", "reviews"]
