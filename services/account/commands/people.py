"""Opening an account, changing it, keeping delivery addresses."""

from __future__ import annotations

from typing import Any

from services.account import keyring
from services.account.domain.people import (
    MAX_ADDRESSES,
    Account,
    EmailTaken,
    TooManyAddresses,
    checked_address,
    normal_phone,
)
from services.account.store import people as store
from shared.contracts.account import Role
from shared.kernel.errors import PreconditionFailed
from shared.kernel.ids import new_id
from shared.storage.unit_of_work import UnitOfWork


def register(
    tx: UnitOfWork,
    *,
    email: str,
    password_hash: str,
    full_name: str,
    locale: str,
    phone: str | None = None,
    country: str = "CN",
    consents: list[str] | None = None,
    role: Role = "buyer",
) -> Account:
    """Open an account. `email` is in its normal form. Raises EmailTaken, PhoneInvalid.

    The vault is a database of its own and commits first: if we die in between, a key is left over that seals
    nothing.
    """
    sealable_phone = normal_phone(phone, country) if phone else None
    account_id = new_id()
    hashes = keyring.lookups(tx.settings.secrets, "email", email)
    if not store.claim_email(tx, hashes, account_id, password_hash):
        raise EmailTaken(field="email")
    tx.vault.create(account_id)
    account = Account(
        account_id=account_id,
        full_name=tx.vault.seal(account_id, "full_name", full_name),
        email=tx.vault.seal(account_id, "email", email),
        phone=tx.vault.seal(account_id, "phone", sealable_phone) if sealable_phone else None,
        locale=locale,
        roles=[role],
        created_at=tx.now(),
        consents=consents or [],
    )
    store.accounts.add(tx, account)
    tx.emit(account.registered())
    return account


def register_operator(tx: UnitOfWork, *, email: str, password_hash: str, full_name: str, locale: str) -> str | None:
    """Open an operator's account, by command line only. Answers its id; None when this operator exists
    already.

    Raises EmailTaken when the address is a buyer's: nobody becomes an operator by the way.
    """
    found = store.credential_by_email(tx, keyring.lookups(tx.settings.secrets, "email", email))
    if found is not None:
        if "operator" in store.accounts.get(tx, found.account_id).roles:
            return None
        raise EmailTaken(field="email")
    account = register(
        tx, email=email, password_hash=password_hash, full_name=full_name, locale=locale, role="operator"
    )
    store.note(tx, "command line", "create operator", account.account_id, "role operator granted")
    return account.account_id


def change_me(tx: UnitOfWork, account_id: str, expected: int | None, given: dict[str, Any]) -> Account:
    """Change name, locale or telephone (null removes it). Raises PreconditionFailed, PhoneInvalid."""
    account = store.accounts.get(tx, account_id)
    if expected not in (None, account.version):
        raise PreconditionFailed()
    new: dict[str, Any] = {name: given[name] for name in ("locale", "consents") if name in given}
    if "full_name" in given:
        new["full_name"] = tx.vault.seal(account_id, "full_name", given["full_name"])
    if "phone" in given:
        phone = given["phone"] and normal_phone(given["phone"], given.get("country", "CN"))
        new["phone"] = tx.vault.seal(account_id, "phone", phone) if phone else None
    if new:
        account.change(**new)
    return account


def add_address(tx: UnitOfWork, account_id: str, given: dict[str, Any]) -> dict[str, Any]:
    """Keep a delivery address; the first is the default. Raises TooManyAddresses, RegionInvalid,
    PhoneInvalid."""
    content = checked_address(given)
    store.accounts.get(tx, account_id)  # its lock lets one change at a time
    others = store.list_address_ids(tx, account_id)
    if len(others) >= MAX_ADDRESSES:
        raise TooManyAddresses()
    return _keep(tx, account_id, new_id(), 1, content, first=not others)


def replace_address(
    tx: UnitOfWork, account_id: str, address_id: str, expected: int | None, given: dict[str, Any]
) -> dict[str, Any]:
    """Raises NoSuchAddress, PreconditionFailed, RegionInvalid, PhoneInvalid."""
    content = checked_address(given)
    store.accounts.get(tx, account_id)
    row = store.get_address(tx, account_id, address_id)
    if expected not in (None, row.version):
        raise PreconditionFailed()
    return _keep(tx, account_id, address_id, row.version + 1, content, first=row.is_default)


def delete_address(tx: UnitOfWork, account_id: str, address_id: str) -> None:
    """Forget the address; if it was the default, the oldest other one becomes it. Raises NoSuchAddress."""
    store.accounts.get(tx, account_id)
    row = store.get_address(tx, account_id, address_id)
    store.remove_address(tx, address_id)
    left = store.list_address_ids(tx, account_id)
    if row.is_default and left:
        store.make_default(tx, left[0])


def _keep(
    tx: UnitOfWork, account_id: str, address_id: str, version: int, content: dict[str, Any], *, first: bool
) -> dict[str, Any]:
    """`first`: it is the default whether or not it was asked to be, for somebody has to be."""
    row = {
        "address_id": address_id,
        "account_id": account_id,
        "is_default": content.pop("is_default", False) or first,
        "version": version,
        "sealed": tx.vault.seal(account_id, "address", content),
    }
    store.put_address(tx, row)
    return row
