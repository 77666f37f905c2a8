"""the catalog service's tables"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TSVECTOR

from shared.storage.types import BigId, Body, Moment

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

FULL_TEXT_ON_SQLITE = [
    """CREATE VIRTUAL TABLE product_fts USING fts5
           (title, words, content='product_search', content_rowid='no', tokenize="unicode61 remove_diacritics 0")""",
    """CREATE TRIGGER product_search_added AFTER INSERT ON product_search BEGIN
             INSERT INTO product_fts (rowid, title, words) VALUES (new.no, new.title, new.words);
           END""",
    """CREATE TRIGGER product_search_gone AFTER DELETE ON product_search BEGIN
             INSERT INTO product_fts (product_fts, rowid, title, words)
             VALUES ('delete', old.no, old.title, old.words);
           END""",
    """CREATE TRIGGER product_search_changed AFTER UPDATE ON product_search BEGIN
             INSERT INTO product_fts (product_fts, rowid, title, words)
             VALUES ('delete', old.no, old.title, old.words);
             INSERT INTO product_fts (rowid, title, words) VALUES (new.no, new.title, new.words);
           END""",
]


def upgrade() -> None:
    op.create_table(
        "category",
        sa.Column("category_id", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("body", Body, nullable=False),
        sa.Column("parent_id", sa.String(length=64), nullable=True),
        sa.Column("path", sa.String(length=400), nullable=False),
        sa.PrimaryKeyConstraint("category_id"),
        sa.UniqueConstraint("path"),
    )
    with op.batch_alter_table("category", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_category_parent_id"), ["parent_id"], unique=False)

    op.create_table(
        "product",
        sa.Column("product_id", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("body", Body, nullable=False),
        sa.Column("seller_id", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("category_id", sa.String(length=64), nullable=False),
        sa.Column("price_min", sa.BigInteger(), nullable=False),
        sa.Column("price_max", sa.BigInteger(), nullable=False),
        sa.Column("listed_at", Moment(), nullable=True),
        sa.PrimaryKeyConstraint("product_id"),
    )
    with op.batch_alter_table("product", schema=None) as batch_op:
        batch_op.create_index("product_category", ["category_id", "state", "listed_at"], unique=False)
        batch_op.create_index("product_newest", ["state", "listed_at", "product_id"], unique=False)
        batch_op.create_index("product_price", ["state", "price_min", "product_id"], unique=False)
        batch_op.create_index("product_seller", ["seller_id", "state", "product_id"], unique=False)

    op.create_table(
        "product_attribute",
        sa.Column("product_id", sa.String(length=64), nullable=False),
        sa.Column("code", sa.String(length=32), nullable=False),
        sa.Column("value", sa.String(length=200), nullable=False),
        sa.PrimaryKeyConstraint("product_id", "code", "value"),
    )
    with op.batch_alter_table("product_attribute", schema=None) as batch_op:
        batch_op.create_index("product_attribute_value", ["code", "value", "product_id"], unique=False)

    op.create_table(
        "product_search",
        sa.Column("no", BigId, autoincrement=True, nullable=False),
        sa.Column("product_id", sa.String(length=64), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("document", TSVECTOR().with_variant(sa.Text(), "sqlite"), nullable=True),
        sa.PrimaryKeyConstraint("no"),
        sa.UniqueConstraint("product_id"),
    )
    op.create_index("product_search_document", "product_search", ["document"], postgresql_using="gin")
    if op.get_bind().dialect.name == "sqlite":
        for statement in FULL_TEXT_ON_SQLITE:
            op.execute(statement)

    op.create_table(
        "purchase",
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("body", Body, nullable=False),
        sa.Column("buyer_id", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("key"),
    )
    with op.batch_alter_table("purchase", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_purchase_buyer_id"), ["buyer_id"], unique=False)

    op.create_table(
        "rating",
        sa.Column("product_id", sa.String(length=64), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("stars", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("product_id"),
    )
    op.create_table(
        "review",
        sa.Column("review_id", sa.String(length=64), nullable=False),
        sa.Column("product_id", sa.String(length=64), nullable=False),
        sa.Column("buyer_id", sa.String(length=64), nullable=False),
        sa.Column("order_no", sa.String(length=64), nullable=False),
        sa.Column("line_id", sa.String(length=64), nullable=False),
        sa.Column("sku", sa.String(length=64), nullable=False),
        sa.Column("stars", sa.Integer(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("posted_at", Moment(), nullable=False),
        sa.CheckConstraint("stars BETWEEN 1 AND 5", name="review_stars"),
        sa.PrimaryKeyConstraint("review_id"),
        sa.UniqueConstraint("order_no", "line_id"),
    )
    with op.batch_alter_table("review", schema=None) as batch_op:
        batch_op.create_index("review_product", ["product_id", "review_id"], unique=False)

    op.create_table(
        "seller",
        sa.Column("seller_id", sa.String(length=64), nullable=False),
        sa.Column("account_id", sa.String(length=64), nullable=False),
        sa.Column("shop_name", sa.String(length=200), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("approved", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("seller_id"),
    )
    op.create_table(
        "sku",
        sa.Column("sku", sa.String(length=64), nullable=False),
        sa.Column("product_id", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("sku"),
    )
    with op.batch_alter_table("sku", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_sku_product_id"), ["product_id"], unique=False)

    op.create_table(
        "sku_stock",
        sa.Column("sku", sa.String(length=64), nullable=False),
        sa.Column("seller_id", sa.String(length=64), nullable=False),
        sa.Column("sold_out", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("sku"),
    )


def downgrade() -> None:
    op.drop_table("sku_stock")
    with op.batch_alter_table("sku", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_sku_product_id"))

    op.drop_table("sku")
    op.drop_table("seller")
    with op.batch_alter_table("review", schema=None) as batch_op:
        batch_op.drop_index("review_product")

    op.drop_table("review")
    op.drop_table("rating")
    with op.batch_alter_table("purchase", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_purchase_buyer_id"))

    op.drop_table("purchase")
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP TABLE product_fts")
    op.drop_table("product_search")
    with op.batch_alter_table("product_attribute", schema=None) as batch_op:
        batch_op.drop_index("product_attribute_value")

    op.drop_table("product_attribute")
    with op.batch_alter_table("product", schema=None) as batch_op:
        batch_op.drop_index("product_seller")
        batch_op.drop_index("product_price")
        batch_op.drop_index("product_newest")
        batch_op.drop_index("product_category")

    op.drop_table("product")
    with op.batch_alter_table("category", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_category_parent_id"))

    op.drop_table("category")
