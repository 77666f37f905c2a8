"""What support does when others have spoken: it tells whom it concerns.

People by the table in `domain/rules.py`, merchants' systems by that in `domain/webhooks/messages.py`.
"""

from __future__ import annotations

from collections.abc import Sequence

from services.support import commands, store
from services.support.domain import RULES
from services.support.domain.webhooks import SHOWN
from shared.contracts.account import SellerApproved, UserRegistered
from shared.contracts.event import Fact
from shared.contracts.payment import PaymentConfirmed
from shared.messaging.subscriptions import Subscriptions
from shared.storage.unit_of_work import UnitOfWork

on = Subscriptions("support")


@on.batch
def load_shops(facts: Sequence[Fact], tx: UnitOfWork) -> None:
    """Whose shops the batch speaks of, and their webhooks, asked once."""
    wanted = {str(getattr(fact, "seller_id", None) or "") for fact in facts}
    wanted |= {split.seller_id for fact in facts if isinstance(fact, PaymentConfirmed) for split in fact.splits}
    store.load_listeners(tx, wanted - {""})
    store.load_shops(tx, wanted - {""})


@on(UserRegistered)
def keep_contact(event: UserRegistered, tx: UnitOfWork) -> None:
    """Somebody may be written to; name and address stay sealed."""
    store.keep_contact(tx, event.account_id, event.locale, event.full_name, event.email)


@on(SellerApproved)
def keep_shop(event: SellerApproved, tx: UnitOfWork) -> None:
    """What concerns this shop is told to this account."""
    store.keep_shop(tx, event.seller_id, event.account_id)
    commands.notices.tell(tx, event)


@on(*(fact for fact in dict.fromkeys([*RULES, *SHOWN]) if fact is not SellerApproved))
def tell(event: Fact, tx: UnitOfWork) -> None:
    """Tell whom it concerns."""
    commands.notices.tell(tx, event)
    commands.deliveries.publish(tx, event)
