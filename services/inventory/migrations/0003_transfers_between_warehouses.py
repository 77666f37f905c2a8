"""transfers between warehouses"""

import sqlalchemy as sa
from alembic import op

from shared.storage.types import Body

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "transfer",
        sa.Column("transfer_id", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("body", Body, nullable=False),
        sa.Column("seller_id", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.PrimaryKeyConstraint("transfer_id"),
    )
    op.create_index("transfer_seller", "transfer", ["seller_id", "state", "transfer_id"])


def downgrade() -> None:
    op.drop_index("transfer_seller", "transfer")
    op.drop_table("transfer")
