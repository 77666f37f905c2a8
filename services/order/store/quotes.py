"""Quotes: promises of prices for ten minutes, forgotten some days later."""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa

from services.order.domain.pricing import Quote
from services.order.store.tables import quote_table
from shared.kernel.errors import NotFound
from shared.storage.repository import Repository
from shared.storage.unit_of_work import UnitOfWork

KEPT_FOR = timedelta(days=1)
BATCH = 2_000


class NoSuchQuote(NotFound):
    """There is no such quote, or it is not yours."""


quotes = Repository(
    quote_table,
    Quote,
    key=lambda quote: quote.quote_id,
    columns=lambda quote: {"expires_at": quote.expires_at},
    missing=NoSuchQuote,
)

_planned: set[tuple[str, str]] = set()


def plan_sweep(tx: UnitOfWork) -> None:
    """See to it that the quotes of today are forgotten the day after tomorrow.

    One timer a day for all quotes. A process sets it once a day, lest every quote wait for the one row of it.
    """
    today = tx.now().date()
    known = tx.node.database.url, today.isoformat()
    if known in _planned:
        return
    midnight = datetime.combine(today, datetime.min.time(), tx.now().tzinfo)
    tx.set_timer(f"quotes-{today.isoformat()}", "sweep_quotes", midnight + KEPT_FOR + timedelta(days=1))
    tx.after_commit(lambda: _planned.add(known))


def forget_quotes(tx: UnitOfWork) -> bool:
    """Forget a batch of the quotes that expired long ago; whether there may be more."""
    old = (
        sa.select(quote_table.c.quote_id)
        .where(quote_table.c.expires_at < tx.now() - KEPT_FOR)
        .order_by(quote_table.c.quote_id)
        .limit(BATCH)
        .with_for_update(skip_locked=True)
    )
    return tx.execute(quote_table.delete().where(quote_table.c.quote_id.in_(old))).rowcount == BATCH
