"""A webhook: an address in a merchant's system, what it wants to hear, and whether it is well."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal
from urllib.parse import urlsplit

from shared.contracts.support import WebhookDisabled
from shared.kernel.breaker import Breaker
from shared.kernel.errors import Conflict

OLD_SECRET_FOR = timedelta(hours=24)
MOST_OLD_SECRETS = 3
BREAKER = Breaker(trips_at=5, first=timedelta(minutes=1), longest=timedelta(hours=1))
DISABLED_AFTER = timedelta(days=3)
Reason = Literal["seller", "failing", "gone", "erased"]
"""Who or what switched it off; "erased": the key that sealed its secret was destroyed."""


class SecretChangedTooOften(Conflict):
    """Three earlier secrets are still valid; wait until the oldest has run out (24 hours)."""


@dataclass
class OldSecret:
    """A sealed secret that is still used beside the new one."""

    secret: str
    until: datetime


@dataclass
class Webhook:
    """`secret` is sealed under the key of `account_id`. `told` numbers its messages; `version` counts the seller's
    own changes."""

    webhook_id: str
    seller_id: str
    account_id: str
    url: str
    types: list[str]
    description: str
    secret: str
    created_at: datetime
    enabled: bool = True
    disabled_because: str = ""
    old_secrets: list[OldSecret] = field(default_factory=list)
    version: int = 1
    told: int = 0
    failures: int = 0
    """In a row."""
    failing_since: datetime | None = None
    shut_until: datetime | None = None
    """Set while the breaker is shut: until then nothing is sent, then one probe."""
    probe: str = ""
    """The delivery that is tried while the breaker is shut."""

    def admits(self, delivery_id: str, *, by_hand: bool = False) -> bool:
        """Whether this delivery may be tried now. One that the seller sent again by hand is not held up."""
        return self.enabled and (self.shut_until is None or by_hand or self.probe == delivery_id)

    def signing(self, now: datetime) -> list[str]:
        """The sealed secrets to sign with, the newest first."""
        return [self.secret, *(old.secret for old in self.old_secrets if old.until > now)]

    def change_secret(self, secret: str, now: datetime) -> datetime:
        """Sign with another one; answers until when the old one is used as well. Raises SecretChangedTooOften."""
        self.old_secrets = [old for old in self.old_secrets if old.until > now]
        if len(self.old_secrets) >= MOST_OLD_SECRETS:
            raise SecretChangedTooOften()
        until = now + OLD_SECRET_FOR
        self.old_secrets.insert(0, OldSecret(self.secret, until))
        self.secret = secret
        self.version += 1
        return until

    def note_success(self) -> bool:
        """It took something. Answers whether the breaker was shut and is now open."""
        was_shut = self.shut_until is not None
        self.reset()
        return was_shut

    def note_failure(self, now: datetime) -> WebhookDisabled | None:
        """It did not take something. It may be left alone for a while, or, after three days of this, for good."""
        self.failures += 1
        self.failing_since = self.failing_since or now
        self.probe = ""
        if now - self.failing_since >= DISABLED_AFTER:
            return self.disable("failing")
        pause = BREAKER.pause(self.failures)
        if pause is not None:
            self.shut_until = now + pause
        return None

    def disable(self, reason: Reason) -> WebhookDisabled | None:
        """Send nothing any more. Answers the fact that tells the seller, where it was not their own wish."""
        self.enabled, self.disabled_because = False, reason
        self.version += 1
        self.reset()
        if reason == "seller" or reason == "erased":
            return None
        return WebhookDisabled(
            webhook_id=self.webhook_id, seller_id=self.seller_id, host=urlsplit(self.url).hostname or "", reason=reason
        )  # fmt: skip

    def enable(self) -> None:
        """Send again, as if nothing had been."""
        self.enabled, self.disabled_because = True, ""
        self.reset()

    def half_open(self) -> None:
        """There is nothing to probe with: the next message will do, and one more failure shuts it again."""
        self.failures, self.shut_until, self.probe = BREAKER.trips_at - 1, None, ""

    def reset(self) -> None:
        """Forget its failures."""
        self.failures, self.failing_since, self.shut_until, self.probe = 0, None, None, ""
