"""The key that signs access tokens."""

from __future__ import annotations

from joserfc.jwk import OKPKey

from services.account import keyring
from services.account.domain.signing import VERIFIES_FOR, KeyRow, needs_successor, signing_order
from services.account.store import signing as store
from shared.contracts.account import SigningKeyPublished
from shared.kernel import clock
from shared.storage.unit_of_work import UnitOfWork


def current_key(tx: UnitOfWork) -> OKPKey:
    """The key to sign with. Makes the deployment's first one when there is none, a successor when it grows
    old."""
    rows = store.list_keys(tx)
    if needs_successor(rows, clock.machine_now()):
        _publish_another(tx, rows)
        rows = store.list_keys(tx)
    for _ in range(2):
        for row in signing_order(rows, clock.machine_now()):
            key = keyring.unwrap(tx.settings.secrets, row.key_id, row.sealed)
            if key is not None:
                return key
        _publish_another(tx, rows)  # the deployment's secret was changed: none of the old keys can be read
        rows = store.list_keys(tx)
    raise RuntimeError("no signing key can be read")


def _publish_another(tx: UnitOfWork, rows: list[KeyRow]) -> None:
    now = clock.machine_now()
    key = keyring.new_signing_key()
    generation = max((row.generation for row in rows), default=0) + 1
    row = KeyRow(generation, str(key.kid), now, keyring.wrap(tx.settings.secrets[0], key))
    if not store.add_key(tx, row):
        return  # another process was faster; its key is there now
    public = {name: str(value) for name, value in key.as_dict(private=False).items()}
    fact = SigningKeyPublished(key_id=row.key_id, jwk_public=public, not_after=now + VERIFIES_FOR)
    store.trust_key(tx, fact)
    tx.emit(fact)
