"""Lists newest first; an order's state, which changes often, is in no index."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("order_index", schema=None) as batch_op:
        batch_op.drop_index("order_index_buyer")
        batch_op.drop_index("order_index_seller")
        batch_op.create_index("order_index_buyer", ["buyer_id", "placed_at", "order_no"], unique=False)
        batch_op.create_index("order_index_seller", ["seller_id", "placed_at", "order_no"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("order_index", schema=None) as batch_op:
        batch_op.drop_index("order_index_buyer")
        batch_op.drop_index("order_index_seller")
        batch_op.create_index("order_index_buyer", ["buyer_id", "order_no"], unique=False)
        batch_op.create_index("order_index_seller", ["seller_id", "state", "order_no"], unique=False)
