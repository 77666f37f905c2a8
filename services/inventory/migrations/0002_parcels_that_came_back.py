"""parcels that came back"""

import sqlalchemy as sa
from alembic import op

from shared.storage.types import Body

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "returned_parcel",
        sa.Column("shipment_id", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("body", Body, nullable=False),
        sa.Column("seller_id", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=24), nullable=False),
        sa.PrimaryKeyConstraint("shipment_id"),
    )
    op.create_index("returned_parcel_seller", "returned_parcel", ["seller_id", "state", "shipment_id"])


def downgrade() -> None:
    op.drop_index("returned_parcel_seller", "returned_parcel")
    op.drop_table("returned_parcel")
