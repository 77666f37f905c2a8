"""Sessions, refresh tokens and failed tries. All on the machine's clock."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from services.account.domain.sessions import SESSION_LIFE, TRIES, TRY_WINDOW, Tries
from services.account.store.tables import login_try, refresh_token, session
from shared.storage.types import Moment, revoked_session
from shared.storage.unit_of_work import UnitOfWork


def count_tries(tx: UnitOfWork, keys: list[str], now: datetime) -> list[Tries]:
    """Count one try for each key, before it is known whether it succeeds: tries at the same time count too.

    The count starts anew when its window is over; with the first try too many a whole window of waiting
    begins.
    """
    statement = tx.insert(login_try)
    over = login_try.c.since <= now - TRY_WINDOW
    counted = statement.on_conflict_do_update(
        index_elements=[login_try.c.key],
        set_={
            "count": sa.case((over, 1), else_=login_try.c.count + 1),
            "since": sa.case(
                (sa.or_(over, login_try.c.count == TRIES), sa.literal(now, Moment())), else_=login_try.c.since
            ),
        },
    ).returning(login_try.c.count, login_try.c.since)
    found = []
    for key in sorted(keys):
        row: Any = tx.execute(counted, {"key": key, "count": 1, "since": now}).one()
        found.append(Tries(row[0], row[1]))
    return found


def forget_tries(tx: UnitOfWork, account_key: str, network_key: str, now: datetime) -> None:
    """The try was right: the account starts afresh; its network is only given this try back, or a thief
    with an account of their own could go on for ever. Rows whose window is long over go too, a few at a
    time."""
    columns = login_try.c
    right = {
        account_key: login_try.delete().where(columns.key == account_key),
        network_key: login_try.update()
        .where(columns.key == network_key, columns.count > 0)
        .values(count=columns.count - 1),
    }
    for key in sorted(right):
        tx.execute(right[key])
    stale = (
        sa.select(columns.key).where(columns.since < now - 2 * TRY_WINDOW).limit(20).with_for_update(skip_locked=True)
    )
    tx.execute(login_try.delete().where(columns.key.in_(stale)))


def open_session(tx: UnitOfWork, session_id: str, account_id: str, now: datetime) -> None:
    """Keep a new session, and forget this account's that have run out."""
    dead = sa.select(session.c.session_id).where(session.c.account_id == account_id, session.c.expires_at <= now)
    tx.execute(refresh_token.delete().where(refresh_token.c.session_id.in_(dead)))
    tx.execute(session.delete().where(session.c.account_id == account_id, session.c.expires_at <= now))
    row = {"created_at": now, "used_at": now, "expires_at": now + SESSION_LIFE}
    tx.execute(session.insert().values(session_id=session_id, account_id=account_id, **row))


def add_refresh_token(tx: UnitOfWork, token_hash: str, session_id: str) -> None:
    tx.execute(refresh_token.insert().values(token_hash=token_hash, session_id=session_id))


def find_refresh_token(tx: UnitOfWork, token_hash: str) -> Any:
    """`(session_id, account_id, used_at, expires_at, revoked_at)`, both rows locked, or None."""
    return tx.execute(
        sa.select(
            session.c.session_id, session.c.account_id, refresh_token.c.used_at, session.c.expires_at,
            session.c.revoked_at,
        )
        .join(session, session.c.session_id == refresh_token.c.session_id)
        .where(refresh_token.c.token_hash == token_hash)
        .with_for_update()
    ).one_or_none()  # fmt: skip


def use_refresh_token(tx: UnitOfWork, token_hash: str, session_id: str, now: datetime) -> None:
    tx.execute(refresh_token.update().where(refresh_token.c.token_hash == token_hash).values(used_at=now))
    tx.execute(session.update().where(session.c.session_id == session_id).values(used_at=now))


def revoke(tx: UnitOfWork, session_ids: Sequence[str], now: datetime, remember_until: datetime) -> None:
    """End these sessions, here at once and not only when the fact comes round."""
    tx.execute(refresh_token.delete().where(refresh_token.c.session_id.in_(session_ids)))
    tx.execute(session.update().where(session.c.session_id.in_(session_ids)).values(revoked_at=now))
    if session_ids:
        tx.execute(
            tx.insert(revoked_session).on_conflict_do_nothing(),
            [{"session_id": one, "expires_at": remember_until} for one in session_ids],
        )


def lock_living(tx: UnitOfWork, account_id: str, now: datetime) -> list[str]:
    """Ids of the account's living sessions, their rows locked."""
    columns = session.c
    return list(
        tx.execute(
            sa.select(columns.session_id)
            .where(columns.account_id == account_id, columns.revoked_at.is_(None), columns.expires_at > now)
            .order_by(columns.session_id)
            .with_for_update()
        ).scalars()
    )
