"""Growing and pruning the tree of categories."""

from __future__ import annotations

from typing import Any

from services.catalog.domain.category import Category, CategoryInUse, CategoryTaken, UnknownCategory, under
from services.catalog.store import categories as store
from shared.storage.unit_of_work import UnitOfWork


def add_category(tx: UnitOfWork, *, category_id: str, parent_id: str | None, **more: Any) -> Category:
    """Raises CategoryTaken, UnknownCategory, CategoryTooDeep."""
    parent = store.categories.find(tx, parent_id) if parent_id else None  # its lock keeps it from being removed
    if parent_id and parent is None:
        raise UnknownCategory(field="parent_id")
    category = under(parent, category_id, **more)
    if not store.claim(tx, category):
        raise CategoryTaken(field="category_id")
    return category


def change_category(tx: UnitOfWork, category_id: str, expected: int | None, new: dict[str, Any]) -> Category:
    """Raises NoSuchCategory, PreconditionFailed."""
    category = store.categories.get(tx, category_id)
    category.change(expected, new)
    return category


def remove_category(tx: UnitOfWork, category_id: str) -> None:
    """Raises NoSuchCategory, CategoryInUse."""
    store.lock(tx, category_id)
    if store.in_use(tx, category_id):
        raise CategoryInUse()
    store.remove(tx, category_id)
