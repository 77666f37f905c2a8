"""Accounts, their credentials and addresses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from services.account.domain.people import Account, NoSuchAddress
from services.account.store.tables import account, address, credential
from shared.kernel import clock
from shared.storage.repository import Repository
from shared.storage.types import audit
from shared.storage.unit_of_work import UnitOfWork

accounts = Repository(account, Account, key=lambda a: a.account_id)


def claim_email(tx: UnitOfWork, email_hashes: Sequence[str], account_id: str, password_hash: str) -> bool:
    """Make the address this account's. False when it is somebody's; waits for one who claims it right now.

    Of several hashes of the address the first is written. Others may write another meanwhile, which the primary key
    would not notice: all of them take the same lock before they look.
    """
    email_hash, *_ = email_hashes
    if len(email_hashes) > 1:
        if not tx.node.database.is_sqlite:
            tx.execute(sa.select(sa.func.pg_advisory_xact_lock(int(min(email_hashes)[:15], 16))))
        if credential_by_email(tx, email_hashes) is not None:
            return False
    statement = tx.insert(credential).on_conflict_do_nothing().returning(credential.c.account_id)
    row = {"email_hash": email_hash, "account_id": account_id, "password_hash": password_hash}
    return tx.execute(statement.values(row)).first() is not None


def credential_by_email(tx: UnitOfWork, email_hashes: Sequence[str]) -> Any:
    """`(account_id, password_hash)` or None; `email_hashes`: all that the address may be known by."""
    columns = credential.c
    return tx.execute(
        sa.select(columns.account_id, columns.password_hash).where(columns.email_hash.in_(email_hashes))
    ).one_or_none()


def credentials_after(tx: UnitOfWork, account_id: str, limit: int) -> list[Any]:
    """Some `(account_id, email_hash)`, by account."""
    columns = credential.c
    wanted = sa.select(columns.account_id, columns.email_hash).where(columns.account_id > account_id)
    return list(tx.execute(wanted.order_by(columns.account_id).limit(limit)))


def rehash_email(tx: UnitOfWork, account_id: str, known: str, email_hash: str) -> bool:
    """The account is found by another hash from now on; False where another account is found by that one."""
    taken = sa.select(credential.c.account_id).where(credential.c.email_hash == email_hash)
    if tx.execute(taken).first() is not None:
        return False
    changed = credential.update().where(credential.c.account_id == account_id, credential.c.email_hash == known)
    tx.execute(changed.values(email_hash=email_hash))
    return True


def password_hash_of(tx: UnitOfWork, account_id: str) -> str | None:
    """The account's password hash; its row stays locked, so that signing in and a new password take turns."""
    columns = credential.c
    found: str | None = tx.execute(
        sa.select(columns.password_hash).where(columns.account_id == account_id).with_for_update()
    ).scalar()
    return found


def email_hash_of(tx: UnitOfWork, account_id: str) -> str | None:
    found: str | None = tx.execute(
        sa.select(credential.c.email_hash).where(credential.c.account_id == account_id)
    ).scalar()
    return found


def set_password_hash(tx: UnitOfWork, account_id: str, password_hash: str) -> None:
    tx.execute(credential.update().where(credential.c.account_id == account_id).values(password_hash=password_hash))


def list_address_ids(tx: UnitOfWork, account_id: str) -> list[str]:
    """Ids of the account's addresses, the default first. The caller has locked the account."""
    columns = address.c
    return list(
        tx.execute(
            sa.select(columns.address_id)
            .where(columns.account_id == account_id)
            .order_by(columns.is_default.desc(), columns.address_id)
        ).scalars()
    )


def get_address(tx: UnitOfWork, account_id: str, address_id: str) -> Any:
    """The address row. Raises NoSuchAddress, also for somebody else's."""
    row = tx.execute(
        sa.select(address).where(address.c.address_id == address_id, address.c.account_id == account_id)
    ).one_or_none()
    if row is None:
        raise NoSuchAddress()
    return row


def put_address(tx: UnitOfWork, row: dict[str, Any]) -> None:
    """Keep the address; a default one is the only default."""
    if row["is_default"]:
        tx.execute(
            address.update()
            .where(address.c.account_id == row["account_id"], address.c.is_default)
            .values(is_default=False)
        )
    statement = tx.insert(address).values(row)
    changed = {name: statement.excluded[name] for name in ("is_default", "version", "sealed")}
    tx.execute(statement.on_conflict_do_update(index_elements=[address.c.address_id], set_=changed))


def remove_address(tx: UnitOfWork, address_id: str) -> None:
    tx.execute(address.delete().where(address.c.address_id == address_id))


def make_default(tx: UnitOfWork, address_id: str) -> None:
    tx.execute(
        address.update()
        .where(address.c.address_id == address_id)
        .values(is_default=True, version=address.c.version + 1)
    )


def note(tx: UnitOfWork, actor: str, action: str, thing: str, result: str) -> None:
    """A row in the audit trail, in the transaction of what it speaks of."""
    tx.execute(
        audit.insert().values(
            at=clock.machine_now(),
            actor=actor,
            action=action,
            object=thing,
            result=result,
            request_id=tx.cause.correlation_id,
        )  # fmt: skip
    )
