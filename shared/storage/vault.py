"""The key vault: personal data is sealed when it enters and opened only where a person must read it.

A sealed value is the text ``v1.<key id>.<field>.<base64 of nonce and AES-256-GCM ciphertext>`` with the key id and the
field as associated data, so a value cannot be moved to another person or another field. Destroying the key erases every
copy at once, in every store, log and backup. The vault is a database of its own: account makes and destroys keys,
order, shipping and support read them.
"""

from __future__ import annotations

import base64
import secrets
import threading
from typing import Any

import msgspec
import sqlalchemy as sa
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy.dialects import postgresql, sqlite

from shared.contracts.event import Sealed
from shared.kernel import clock
from shared.kernel.ids import new_id
from shared.storage.database import Database
from shared.storage.types import Body, Moment

metadata = sa.MetaData()
vault_key = sa.Table(
    "vault_key",
    metadata,
    sa.Column("key_id", sa.String(36), primary_key=True),
    sa.Column("subject", sa.String(64), nullable=False, unique=True),
    sa.Column("secret", Body, nullable=True),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("destroyed_at", Moment, nullable=True),
)

CACHE_SECONDS = 60


class Erased(Exception):
    """The key is gone, and with it what it sealed."""


class Vault:
    """Thread safe. Keys are cached for at most a minute, so that an erasure takes hold everywhere."""

    def __init__(self, url: str) -> None:
        self.database = Database(url, pool_size=2)
        self._cache: dict[str, tuple[float, str, bytes]] = {}
        self._lock = threading.Lock()

    def create(self, subject: str) -> str:
        """A key for `subject` (an account id); the one it has, if it has one. Answers the key id."""
        insert = (sqlite if self.database.is_sqlite else postgresql).insert(vault_key)
        known = sa.select(vault_key.c.key_id).where(vault_key.c.subject == subject)
        with self.database.begin() as connection:
            found = connection.execute(known).scalar()
            if found is None:
                row = {"key_id": new_id(), "secret": secrets.token_bytes(32), "created_at": clock.machine_now()}
                connection.execute(insert.values(subject=subject, **row).on_conflict_do_nothing())
                found = connection.execute(known).scalar_one()  # ours, or that of whoever was faster
            return str(found)

    def destroy(self, subject: str) -> None:
        """Erase everything sealed for `subject`."""
        with self.database.begin() as connection:
            connection.execute(
                vault_key.update()
                .where(vault_key.c.subject == subject)
                .values(secret=None, destroyed_at=clock.machine_now())
            )
        with self._lock:
            self._cache.clear()

    def seal(self, subject: str, field: str, value: Any) -> Sealed:
        """Seal a JSON value for `subject`. Raises Erased when the subject has no (living) key."""
        key_id, key = self._key(vault_key.c.subject, subject)
        nonce = secrets.token_bytes(12)
        sealed = AESGCM(key).encrypt(nonce, msgspec.json.encode(value), f"{key_id}.{field}".encode())
        return Sealed(f"v1.{key_id}.{field}.{base64.urlsafe_b64encode(nonce + sealed).decode()}")

    def open(self, sealed: str, field: str) -> Any:
        """What was sealed as `field`. Raises Erased when its key is gone, ValueError when it was tampered with."""
        version, key_id, sealed_field, text = sealed.split(".", 3)
        if version != "v1" or sealed_field != field:
            raise ValueError("not a value sealed for this field")
        _, key = self._key(vault_key.c.key_id, key_id)
        raw = base64.urlsafe_b64decode(text)
        try:
            return msgspec.json.decode(AESGCM(key).decrypt(raw[:12], raw[12:], f"{key_id}.{field}".encode()))
        except InvalidTag as error:
            raise ValueError("a sealed value was tampered with") from error

    def close(self) -> None:
        self.database.close()

    def _key(self, column: sa.Column[str], value: str) -> tuple[str, bytes]:
        now = clock.monotonic()
        with self._lock:
            until, key_id, key = self._cache.get(value, (0.0, "", b""))
        if now < until:
            return key_id, key
        with self.database.read() as connection:
            row = connection.execute(
                sa.select(vault_key.c.key_id, vault_key.c.secret).where(column == value)
            ).one_or_none()
        if row is None or row.secret is None:
            raise Erased(value)
        with self._lock:
            if len(self._cache) > 50_000:
                self._cache.clear()
            self._cache[value] = now + CACHE_SECONDS, row.key_id, row.secret
        return row.key_id, row.secret
