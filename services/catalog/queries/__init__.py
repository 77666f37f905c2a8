"""What can be looked up."""

from services.catalog.queries import categories, products, reviews

__all__ = ["categories", "products", "reviews"]
