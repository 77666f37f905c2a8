"""operators say why"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("audit", sa.Column("why", sa.String(length=500), server_default="", nullable=False))


def downgrade() -> None:
    op.drop_column("audit", "why")
