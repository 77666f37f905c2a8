"""Where categories, products, what is found by, what others told us of shops and stock, and reviews are kept."""

from services.catalog.store import categories, others, products, reviews
from services.catalog.store.tables import metadata

__all__ = ["categories", "metadata", "others", "products", "reviews"]
