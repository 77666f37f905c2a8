"""the first categories"""

import json
from pathlib import Path

import sqlalchemy as sa
from alembic import op

from shared.storage.types import Body

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

DATA = Path(__file__).parents[1] / "data" / "categories.json"


def upgrade() -> None:
    """The tree a new platform starts with; operators change it from then on."""
    category = sa.table(
        "category",
        sa.column("category_id", sa.String),
        sa.column("version", sa.Integer),
        sa.column("body", Body),
        sa.column("parent_id", sa.String),
        sa.column("path", sa.String),
    )
    paths: dict[str | None, str] = {None: ""}
    rows = []
    for one in json.loads(DATA.read_text(encoding="utf-8")):
        name = one["category_id"]
        path = paths[name] = f"{paths[one['parent_id']]}/{name}"
        body = json.dumps(one | {"path": path, "version": 1}, ensure_ascii=False).encode()
        rows.append({"category_id": name, "version": 1, "body": body, "parent_id": one["parent_id"], "path": path})
    op.bulk_insert(category, rows)


def downgrade() -> None:
    op.execute("DELETE FROM category")
