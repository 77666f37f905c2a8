"""The world outside, as small as it can be: a provider who takes money and a carrier who takes parcels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from services.payment.domain.model import Charge, Money, SentBack
from services.shipping.domain import Booking


@dataclass
class Till:
    """The provider: charges by number. `loophole`: its page lets people pay what was closed, as some do."""

    clock: Callable[[], datetime]
    charges: dict[str, Charge] = field(default_factory=dict)
    expiries: dict[str, datetime] = field(default_factory=dict)
    refunds: dict[str, tuple[SentBack, int]] = field(default_factory=dict)
    prices: dict[str, int] = field(default_factory=dict)
    loophole: bool = False
    instruments = {"online": ("qr",)}

    def open(self, key: str, wish: Any) -> Charge:
        for known in self.charges.values():
            if known.key == key:
                return known
        number = f"ch{len(self.charges) + 1}"
        self.charges[number] = Charge(number, key, "pending", "qr", number, ())
        self.expiries[number] = datetime.fromisoformat(str(wish["expires_at"]))
        self.prices[number] = wish["amount"]
        return self.charges[number]

    def query(self, key: str) -> Charge | None:
        self._sweep()
        return next((one for one in self.charges.values() if one.key == key), None)

    def close(self, charge_id: str) -> Charge:
        self._sweep()
        if self.charges[charge_id].status == "pending":
            self._change(charge_id, status="closed")
        return self.charges[charge_id]

    def refund(self, key: str, wish: Any) -> SentBack:
        return self.refunds.setdefault(key, (SentBack(key, "succeeded"), wish["amount"]))[0]

    def query_refund(self, refund_id: str) -> list[SentBack]:
        return [told for told, _ in self.refunds.values() if refund_id in told.key]

    def pay(self, charge_id: str) -> None:
        """At the provider's page; nothing comes of it when the page is closed."""
        self._sweep()
        charge = self.charges[charge_id]
        if charge.status == "pending" or (charge.status == "closed" and self.loophole):
            txn = f"tx-{charge_id}-{len(charge.captures)}"
            money = Money(txn, self.prices[charge_id], "CNY", self.clock())
            self._change(charge_id, status="paid", captures=(*charge.captures, money))

    @property
    def kept(self) -> int:
        """What came less what was sent back."""
        came = sum(money.amount for charge in self.charges.values() for money in charge.captures)
        return came - sum(amount for _, amount in self.refunds.values())

    def _sweep(self) -> None:
        for number, expiry in self.expiries.items():
            if self.charges[number].status == "pending" and expiry <= self.clock():
                self._change(number, status="closed")

    def _change(self, number: str, **more: Any) -> None:
        self.charges[number] = Charge(**{**vars(self.charges[number]), **more})


class Carrier:
    """Books whatever it is asked for, under the name it is asked by."""

    def book(self, wish: Any) -> Booking:
        return Booking(wish.no, "booked", f"c-{wish.reference}", f"T-{wish.reference}", "label", None)

    def void(self, carrier_ref: str) -> bool:
        return True

    def tracking(self, tracking_no: str) -> list[Any]:
        return []
