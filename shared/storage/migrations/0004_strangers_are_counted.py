"""strangers are counted"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

STRANGER = sa.text("actor = 'nobody'")


def upgrade() -> None:
    op.add_column("audit", sa.Column("times", sa.Integer(), server_default="1", nullable=False))
    op.add_column("audit", sa.Column("denied", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.create_index("audit_at", "audit", ["at"])
    op.create_index(
        "audit_stranger",
        "audit",
        ["at", "action", "result"],
        unique=True,
        postgresql_where=STRANGER,
        sqlite_where=STRANGER,
    )


def downgrade() -> None:
    op.drop_index("audit_stranger", "audit")
    op.drop_index("audit_at", "audit")
    op.drop_column("audit", "denied")
    op.drop_column("audit", "times")
