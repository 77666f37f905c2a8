"""The tree of categories."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from services.catalog.domain.category import AttributeSet, Category
from services.catalog.store.categories import categories, line_of
from services.catalog.store.tables import category
from shared.web.door import Reading


def view(one: Category) -> dict[str, Any]:
    return vars(one)


def all_categories(reading: Reading) -> dict[str, Any]:
    """Every category, brothers in their order, parents before children."""
    bodies = reading.execute(sa.select(category.c.body)).scalars()
    found = {one.category_id: one for one in map(categories.decode, bodies)}

    def place(one: Category) -> list[tuple[int, str]]:
        steps = [found[step] for step in one.path.strip("/").split("/") if step in found]
        return [(step.position, step.category_id) for step in steps]

    return {"items": [view(one) for one in sorted(found.values(), key=place)]}


def one_category(reading: Reading, category_id: str) -> dict[str, Any]:
    """The category with all attributes that hold in it. Raises NoSuchCategory."""
    found = categories.peek(reading.connection, category_id)
    attributes = AttributeSet.of(line_of(reading, category_id))
    return view(found) | {"all_attributes": list(attributes.by_code.values())}
