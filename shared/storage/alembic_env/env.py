"""The one alembic environment of all stores: runs on the connection it is given (see `shared.storage.migrate`)."""

from typing import Any

import sqlalchemy as sa
from alembic import context

from shared.storage.types import Moment

given = context.config.attributes


def render(kind: str, thing: Any, autogen: Any) -> Any:
    """Write our own column types into migrations by name."""
    if kind == "type" and isinstance(thing, Moment):
        autogen.imports.add("from shared.storage.types import Moment")
        return "Moment()"
    if kind == "type" and isinstance(thing, sa.types.TypeEngine) and "sqlite" in getattr(thing, "_variant_mapping", {}):
        autogen.imports.add("from shared.storage.types import BigId")
        return "BigId"
    if kind == "type" and isinstance(thing, sa.LargeBinary):
        autogen.imports.add("from shared.storage.types import Body")
        return "Body"
    return False


def include(_thing: Any, name: str | None, kind: str, reflected: bool, _compare_to: Any) -> bool:
    """A store holds two families of tables; each migration sees only its own."""
    return not (kind == "table" and reflected and name not in given["metadata"].tables)


context.configure(
    connection=given["connection"],
    target_metadata=given["metadata"],
    version_table=given["version_table"],
    render_as_batch=given["connection"].dialect.name == "sqlite",
    render_item=render,
    include_object=include,
    compare_type=False,
)
with context.begin_transaction():
    context.run_migrations()
