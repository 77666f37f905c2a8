"""the outbox stays small"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

WAITING = sa.text("next_at IS NOT NULL")


def upgrade() -> None:
    op.create_index("outbox_waiting", "outbox", ["next_at"], postgresql_where=WAITING, sqlite_where=WAITING)
    if op.get_bind().dialect.name == "postgresql":
        # Its rows live for milliseconds: by the usual rule (a fifth of the table) it would hardly ever be vacuumed.
        op.execute("ALTER TABLE outbox SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000)")


def downgrade() -> None:
    op.drop_index("outbox_waiting", "outbox")
