"""The deployment's secret is changed: what is kept under an older one is written anew under the first.

In batches, each a transaction of its own, from the first account to the last. Stopped and begun again it finds done
what is done. People sign in and register meanwhile.
"""

from __future__ import annotations

from dataclasses import dataclass

from services.account import keyring
from services.account.store import people, signing
from shared.storage.unit_of_work import UnitOfWork
from shared.storage.vault import Erased


@dataclass
class Rewrapped:
    """How far it has come. `left`: accounts that nobody will find by their address once the old secret is gone."""

    last: str = ""
    """The account that was looked at last."""
    seen: int = 0
    anew: int = 0
    erased: int = 0
    left: int = 0
    over: bool = False


def rewrap_keys(tx: UnitOfWork) -> int:
    """The signing keys that can be read under an older secret. Answers how many were written anew."""
    first, *older = tx.settings.secrets
    anew = 0
    for row in signing.list_keys(tx):
        key = None if keyring.unwrap([first], row.key_id, row.sealed) else keyring.unwrap(older, row.key_id, row.sealed)
        if key is not None:
            signing.rewrap_key(tx, row.key_id, row.sealed, keyring.wrap(first, key))
            anew += 1
    return anew


def rewrap_some(tx: UnitOfWork, so_far: Rewrapped, limit: int) -> Rewrapped:
    """The next accounts, at most `limit`; `so_far` is left as it is, so that a batch may be tried again."""
    rows = people.credentials_after(tx, so_far.last, limit)
    found = Rewrapped(so_far.last, so_far.seen, so_far.anew, so_far.erased, so_far.left, over=len(rows) < limit)
    for account_id, known in rows:
        found.last, found.seen = account_id, found.seen + 1
        try:
            email = tx.vault.open(people.accounts.get(tx, account_id).email, "email")
        except Erased:
            found.erased += 1  # there is no address any more by which to find it
            continue
        email_hash = keyring.lookup(tx.settings.secrets[0], "email", email)
        if email_hash == known:
            continue
        if people.rehash_email(tx, account_id, known, email_hash):
            found.anew += 1
        else:
            found.left += 1
    return found
