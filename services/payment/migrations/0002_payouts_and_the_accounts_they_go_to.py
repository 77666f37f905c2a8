"""payouts and the accounts they go to"""

import sqlalchemy as sa
from alembic import op

from shared.storage.types import Body, Moment

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "payout",
        sa.Column("payout_id", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("body", Body, nullable=False),
        sa.Column("seller_id", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=24), nullable=False),
        sa.PrimaryKeyConstraint("payout_id"),
    )
    op.create_index("payout_seller", "payout", ["seller_id", "payout_id"])
    op.create_table(
        "payout_account",
        sa.Column("seller_id", sa.String(length=64), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("details", sa.Text(), nullable=False),
        sa.Column("changed_at", Moment, nullable=False),
        sa.PrimaryKeyConstraint("seller_id"),
    )


def downgrade() -> None:
    op.drop_table("payout_account")
    op.drop_index("payout_seller", "payout")
    op.drop_table("payout")
