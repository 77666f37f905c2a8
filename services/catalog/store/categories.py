"""Categories."""

from __future__ import annotations

from typing import Any

import msgspec
import sqlalchemy as sa

from services.catalog.domain.category import AttributeSet, Category, NoSuchCategory, UnknownCategory
from services.catalog.store.tables import category, product
from shared.storage.repository import Repository
from shared.storage.unit_of_work import UnitOfWork

categories = Repository(
    category,
    Category,
    key=lambda c: c.category_id,
    columns=lambda c: {"parent_id": c.parent_id, "path": c.path},
    missing=NoSuchCategory,
)


def line_of(source: Any, category_id: str) -> list[Category]:
    """The categories from the root down to this one; in a transaction they stay as they are until it ends.

    `source`: a transaction or a reading. Raises UnknownCategory.
    """
    path = source.execute(sa.select(category.c.path).where(category.c.category_id == category_id)).scalar()
    if path is None:
        raise UnknownCategory(field="category")
    statement = (
        sa.select(category.c.body)
        .where(category.c.category_id.in_(path.strip("/").split("/")))
        .order_by(sa.func.length(category.c.path))
    )
    if isinstance(source, UnitOfWork):
        statement = statement.with_for_update(read=True)  # nobody deletes a category that gets a product
    found = [categories.decode(body) for body in source.execute(statement).scalars()]
    if not found or found[-1].category_id != category_id:
        raise UnknownCategory(field="category")
    return found


def attributes_of(source: Any, category_id: str) -> AttributeSet:
    """All attributes that hold in this category. Raises UnknownCategory."""
    return AttributeSet.of(line_of(source, category_id))


def lock(tx: UnitOfWork, category_id: str) -> None:
    """Nothing is put under it until the transaction ends. Not loaded: what is about to go must not be written back.

    Raises NoSuchCategory.
    """
    columns = category.c
    if tx.execute(sa.select(columns.path).where(columns.category_id == category_id).with_for_update()).first() is None:
        raise NoSuchCategory()


def in_use(tx: UnitOfWork, category_id: str) -> bool:
    """Whether categories or products lie under it. The caller has locked it."""
    children = sa.select(category.c.category_id).where(category.c.parent_id == category_id)
    products = sa.select(product.c.product_id).where(product.c.category_id == category_id)
    return any(tx.execute(one.limit(1)).first() for one in (children, products))


def claim(tx: UnitOfWork, one: Category) -> bool:
    """Keep a new category; False when its id is taken."""
    row = {
        "category_id": one.category_id, "version": 1, "body": msgspec.json.encode(one), "parent_id": one.parent_id,
        "path": one.path,
    }  # fmt: skip
    statement = tx.insert(category).values(row).on_conflict_do_nothing().returning(category.c.category_id)
    return tx.execute(statement).first() is not None


def remove(tx: UnitOfWork, category_id: str) -> None:
    tx.execute(category.delete().where(category.c.category_id == category_id))
