"""The tables. Whatever is personal is sealed under the person's vault key, or a keyed hash."""

from __future__ import annotations

import sqlalchemy as sa

from shared.storage.repository import aggregate_table
from shared.storage.types import Moment

metadata = sa.MetaData()

account = aggregate_table("account", metadata, "account_id")

credential = sa.Table(
    "credential",
    metadata,
    sa.Column("email_hash", sa.String(64), primary_key=True),
    sa.Column("account_id", sa.String(64), nullable=False, unique=True),
    sa.Column("password_hash", sa.String(200), nullable=False),
)
"""What signing in needs. The primary key makes an address one person's, however many register at once."""

address = sa.Table(
    "address",
    metadata,
    sa.Column("address_id", sa.String(64), primary_key=True),
    sa.Column("account_id", sa.String(64), nullable=False, index=True),
    sa.Column("is_default", sa.Boolean, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("sealed", sa.Text, nullable=False),
)

login_try = sa.Table(
    "login_try",
    metadata,
    sa.Column("key", sa.String(64), primary_key=True),
    sa.Column("count", sa.Integer, nullable=False),
    sa.Column("since", Moment, nullable=False, index=True),
)
"""Tries that have not been found right, per account and per network, by keyed hash."""

session = sa.Table(
    "session",
    metadata,
    sa.Column("session_id", sa.String(64), primary_key=True),
    sa.Column("account_id", sa.String(64), nullable=False, index=True),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("used_at", Moment, nullable=False),
    sa.Column("expires_at", Moment, nullable=False),
    sa.Column("revoked_at", Moment, nullable=True),
)

refresh_token = sa.Table(
    "refresh_token",
    metadata,
    sa.Column("token_hash", sa.String(64), primary_key=True),
    sa.Column("session_id", sa.String(64), nullable=False, index=True),
    sa.Column("used_at", Moment, nullable=True),
)
"""Every refresh token of a living session; a used one that comes again gives a thief away."""

signing_secret = sa.Table(
    "signing_secret",
    metadata,
    sa.Column("generation", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("key_id", sa.String(64), nullable=False, unique=True),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("sealed", sa.Text, nullable=False),
)
"""Private signing keys, encrypted. Two processes that make the same generation at once: the primary key
lets one."""

shop = aggregate_table(
    "shop",
    metadata,
    "seller_id",
    sa.Column("account_id", sa.String(64), nullable=False, index=True),
    sa.Column("live_of", sa.String(64), nullable=True, unique=True),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Index("shop_state", "state", "seller_id"),
)
"""`live_of` is the owner while the application was not rejected: one shop a person."""
