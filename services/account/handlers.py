"""What account does when others have spoken: nothing of its own yet; the kit adds signing keys and ended
sessions."""

from __future__ import annotations

from shared.messaging.subscriptions import Subscriptions

on = Subscriptions("account")
