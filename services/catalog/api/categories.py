"""Categories."""

from __future__ import annotations

from typing import Any

import msgspec

from services.catalog import commands, queries, schemas
from services.catalog.api.door import door
from services.catalog.domain.category import Attribute
from shared.storage.unit_of_work import UnitOfWork
from shared.web.auth import OPERATOR, Principal
from shared.web.door import ANYONE, Reading, expected_version


@door.get("/categories", who=ANYONE, answer=schemas.CategoryList)
def get_categories(reading: Reading, who: Principal | None) -> Any:
    """The whole tree, parents before children."""
    return queries.categories.all_categories(reading)


@door.get("/categories/<category_id>", who=ANYONE, answer=schemas.CategoryView)
def get_category(reading: Reading, who: Principal | None, category_id: str) -> Any:
    """A category and all attributes its products have."""
    return queries.categories.one_category(reading, category_id)


@door.post("/categories", who={OPERATOR}, body=schemas.AddCategory, answer=schemas.CategoryView, status=201)
def post_category(tx: UnitOfWork, who: Principal, body: dict[str, Any]) -> Any:
    """Add a category."""
    category = commands.categories.add_category(tx, **_typed(body))
    return queries.categories.view(category), {"Location": f"/v1/categories/{category.category_id}"}


@door.patch("/categories/<category_id>", who={OPERATOR}, body=schemas.ChangeCategory, answer=schemas.CategoryView)
def patch_category(tx: UnitOfWork, who: Principal, category_id: str, body: dict[str, Any]) -> Any:
    """Change its names, attributes or place among its brothers."""
    category = commands.categories.change_category(tx, category_id, expected_version(), _typed(body))
    return queries.categories.view(category)


@door.delete("/categories/<category_id>", who={OPERATOR}, status=204)
def delete_category(tx: UnitOfWork, who: Principal, category_id: str) -> None:
    """Remove a category under which nothing lies."""
    commands.categories.remove_category(tx, category_id)


def _typed(body: dict[str, Any]) -> dict[str, Any]:
    if "attributes" not in body:
        return body
    return body | {"attributes": msgspec.convert(body["attributes"], list[Attribute])}
