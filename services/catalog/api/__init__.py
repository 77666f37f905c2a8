"""The HTTP door: one door, one module for each kind of thing behind it."""

from services.catalog.api import categories, products, reviews
from services.catalog.api.door import door

__all__ = ["categories", "door", "products", "reviews"]
