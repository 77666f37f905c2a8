"""Passwords: argon2id with the parameters OWASP recommends, at most two at a time in one process.

One hash takes 19 MiB; without the limit a burst of logins would be a way to exhaust the machine's memory.
Callers hold no transaction open meanwhile.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from shared.kernel.errors import Invalid, Unavailable
from shared.storage.unit_of_work import forbid_open_transaction

LENGTHS = range(8, 129)
AT_ONCE = 2
PATIENCE_SECONDS = 10.0

_hasher = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
_turn = threading.BoundedSemaphore(AT_ONCE)

# What this shop and its country would try first, before the general list.
_WORST = """
12345678 123456789 1234567890 0123456789 87654321 987654321 11111111 00000000 88888888 66666666
123123123 12341234 11223344 1q2w3e4r 1q2w3e4r5t 1qaz2wsx 1qaz2wsx3edc q1w2e3r4 qwertyui qwertyuiop
qwerty123 qwerty1234 asdfghjk asdfghjkl zxcvbnm123 zaq12wsx abcd1234 abc12345 abc123456 a1234567
a12345678 a123456789 aa123456 aa12345678 password password1 password12 password123 passw0rd p@ssw0rd
p@ssword iloveyou iloveyou1 sunshine princess football baseball superman batman123 trustno1 letmein1
welcome1 welcome123 admin123 administrator changeme changeme123 starwars computer internet whatever
michelle jennifer samsung1 liverpool charlie1 dragon123 monkey123 shadow123 master123 5201314520
5201314a woaini1314 woaini520 wang1234 zhang123 caravan123 caravan1
"""
_COMMON = Path(__file__).with_name("common.txt")
_WEAK = frozenset(
    [*_WORST.split(), *(line for line in _COMMON.read_text("ascii").splitlines() if not line.startswith("#"))]
)


class WeakPassword(Invalid):
    """This password is too short, or among the first that anybody would try."""


def hashed(password: str, email: str = "") -> str:
    """The argon2id hash to keep. Raises WeakPassword, Unavailable."""
    folded = password.casefold()
    if len(password) not in LENGTHS or len(set(folded)) < 4 or folded in _WEAK or folded in _own_words(email):
        raise WeakPassword(field="password")
    with _one_turn():
        return _hasher.hash(password)


def matches(kept: str | None, password: str) -> bool:
    """Whether `password` belongs to the hash. No hash (unknown user) costs as much as a wrong one. Raises
    Unavailable."""
    with _one_turn():
        try:
            return _hasher.verify(kept or _NOBODY, password) and kept is not None
        except (VerificationError, InvalidHashError):
            return False


@contextmanager
def _one_turn() -> Iterator[None]:
    forbid_open_transaction()
    if not _turn.acquire(timeout=PATIENCE_SECONDS):
        raise Unavailable("too many people are signing in at once", retry_after=2)
    try:
        yield
    finally:
        _turn.release()


def _own_words(email: str) -> set[str]:
    return {email.casefold(), email.casefold().partition("@")[0]}


# The same parameters, so that the time is the same; made once, from a password nobody knows any more.
_NOBODY = _hasher.hash(secrets.token_urlsafe(32))
