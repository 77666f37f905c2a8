"""Whom we ask for money: payment channels, one interface for all of them, found by name.

A channel's answers are turned into our own words here (`Charge`, `SentBack`); whatever is not understood is
an unknown
outcome. The sandbox channel speaks to the fake provider over HTTP and does not exist where the sandbox is
off.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal, Protocol, TypeVar
from urllib.parse import quote

import msgspec

from services.payment.domain.model import Charge, Display, Money, Refused, SentBack
from services.payment.domain.payouts import PaidOut
from services.payment.domain.refusals import PayoutsNotOffered, UnknownChannel
from shared.contracts.lines import Currency, PaidMethod
from shared.kernel.errors import BadRequest, OutsideUnavailable
from shared.kernel.settings import secrets_in
from shared.storage.unit_of_work import Node
from shared.web import signatures
from shared.web.outbound import Outbound

S = TypeVar("S")
FINAL = {400, 404, 409, 413, 415, 422}
"""A refusal for good; anything else that is not a success (429, 401, …) says nothing about the outcome."""


class UnreadableCallback(BadRequest):
    """The callback is signed, but its body is not what this channel sends."""


class Notice(msgspec.Struct, frozen=True):
    """A verified callback: the true state of one attempt, refund or payout. None: nothing that concerns us."""

    event_id: str
    payment_id: str = ""
    charge: Charge | None = None
    refund_id: str = ""
    refund: SentBack | None = None
    payout_id: str = ""
    payout: PaidOut | None = None


class Channel(Protocol):
    """A way to pay. `key` is the same however often a thing is tried, so that the channel does it once.

    All but `instruments` and `read` call outside and raise OutsideUnavailable when the outcome is unknown.
    """

    instruments: Mapping[PaidMethod, tuple[str, ...]]
    """What the buyer can pay with, by method; the first is meant when none is named."""

    def open(self, key: str, wish: Mapping[str, Any]) -> Charge | Refused:
        """Ask for money. `wish`: merchant_reference, instrument, amount, currency, expires_at."""

    def query(self, key: str) -> Charge | None:
        """What became of the attempt with this key; None when the channel never heard of it."""

    def close(self, charge_id: str) -> Charge | Refused:
        """End an attempt unless it is paid already; its true state either way."""

    def refund(self, key: str, wish: Mapping[str, Any]) -> SentBack | Refused:
        """Send money back. `wish`: charge, capture, refund_reference, amount, currency."""

    def query_refund(self, refund_id: str) -> list[SentBack]:
        """Every try of this refund, oldest first."""

    def pay_out(self, key: str, wish: Mapping[str, Any]) -> PaidOut | Refused:
        """Send a shop its money. `wish`: merchant_reference, amount, currency, account (holder, bank, number)."""

    def query_payout(self, payout_id: str) -> PaidOut | None:
        """What became of this payout; None when the channel never heard of it."""

    def read(self, headers: Mapping[str, str], body: bytes) -> Notice:
        """Verify and read a callback. Raises BadSignature, UnreadableCallback."""


def channels(node: Node) -> dict[str, Channel]:
    """Every channel there is, by name."""
    found: dict[str, Channel] = node.outside.setdefault("channels", {})
    if node.settings.sandbox and "sandbox" not in found:
        found.setdefault("sandbox", SandboxChannel(node.settings.provider_url, node.settings.provider_secret))
    return found


def channel(node: Node, name: str) -> Channel:
    """The channel of that name. Raises UnknownChannel."""
    found = channels(node).get(name)
    if found is None:
        raise UnknownChannel(field="channel", channels=sorted(channels(node)))
    return found


def paying_out(node: Node) -> str:
    """The channel that pays shops out: the first by name. Raises PayoutsNotOffered."""
    name = min(channels(node), default=None)
    if name is None:
        raise PayoutsNotOffered()
    return name


def instrument(node: Node, name: str, method: PaidMethod, wanted: str | None) -> str:
    """What `name` lets the buyer pay `method` with. Raises UnknownChannel."""
    offered = channel(node, name).instruments.get(method, ())
    if not offered or (wanted is not None and wanted not in offered):
        raise UnknownChannel(field="instrument" if offered else "channel", channels=sorted(channels(node)))
    return wanted or offered[0]


class _Display(msgspec.Struct):
    kind: Display
    value: str


class _Capture(msgspec.Struct):
    txn: str
    amount: int
    currency: Currency
    captured_at: datetime


class _Charge(msgspec.Struct):
    id: str
    merchant_reference: str
    idempotency_key: str
    amount: int
    currency: Currency
    status: Literal["pending", "paid", "failed", "closed"]
    display: _Display
    captures: list[_Capture]
    failure_code: str | None = None
    close_reason: str | None = None

    def told(self) -> Charge:
        money = tuple(Money(c.txn, c.amount, c.currency, c.captured_at) for c in self.captures)
        code = self.failure_code or self.close_reason or ""
        return Charge(
            self.id, self.idempotency_key, self.status, self.display.kind, self.display.value, money, code,
            asked=(self.amount, self.currency),
        )  # fmt: skip


class _Refund(msgspec.Struct):
    merchant_reference: str
    refund_reference: str
    idempotency_key: str
    amount: int
    currency: Currency
    status: Literal["succeeded", "failed", "pending"]
    failure_code: str | None = None

    def told(self) -> SentBack:
        return SentBack(self.idempotency_key, self.status, self.failure_code or "", (self.amount, self.currency))


class _Payout(msgspec.Struct):
    merchant_reference: str
    amount: int
    currency: Currency
    status: Literal["succeeded", "failed", "pending"]
    bank_ref: str | None = None
    failure_code: str | None = None

    def told(self) -> PaidOut:
        return PaidOut(self.status, self.bank_ref or "", self.failure_code or "", (self.amount, self.currency))


class _Payouts(msgspec.Struct):
    items: list[_Payout]


class _Charges(msgspec.Struct):
    items: list[_Charge]


class _Refunds(msgspec.Struct):
    items: list[_Refund]


class _Callback(msgspec.Struct):
    event_id: str
    type: str
    data: msgspec.Raw


# msgspec learns a type when it first meets it, and two threads that do so at once crash the process: so, here.
for _shape in (_Charges, _Refunds, _Payouts, _Callback):
    msgspec.json.Decoder(_shape)


class SandboxChannel:
    """The fake provider in `deploy/sandbox`, whose README is the protocol; callbacks are Standard Webhooks."""

    instruments: Mapping[PaidMethod, tuple[str, ...]] = {
        "online": ("alipay_qr", "wechat_qr", "card_redirect"),
        "bank_transfer": ("bank_form",),
    }

    def __init__(self, url: str, secret: str) -> None:
        self.secret = secret
        # One secret serves both: the provider is started with it as API key, and with its bytes as webhook
        # secret.
        self.outside = Outbound(url, {"Authorization": f"Bearer {secrets_in(secret)[0]}"})

    def open(self, key: str, wish: Mapping[str, Any]) -> Charge | Refused:
        body = {name: value for name, value in wish.items() if name != "instrument"}
        answer = self._ask("POST", "/v1/charges", _Charge, body | {"method": wish["instrument"]}, key=key)
        asked = _named(wish, "merchant_reference", "amount", "currency") | {"idempotency_key": key}
        return answer if isinstance(answer, Refused) else _about(answer, asked).told()

    def query(self, key: str) -> Charge | None:
        answer = self._ask("GET", "/v1/charges", _Charges, query={"idempotency_key": key})
        if isinstance(answer, Refused):
            raise OutsideUnavailable(f"the sandbox will not say what became of {key}: {answer.code}")
        return _about(answer.items[0], {"idempotency_key": key}).told() if answer.items else None

    def close(self, charge_id: str) -> Charge | Refused:
        answer = self._ask("POST", f"/v1/charges/{quote(charge_id, safe='')}/close", _Charge)
        return answer if isinstance(answer, Refused) else _about(answer, {"id": charge_id}).told()

    def refund(self, key: str, wish: Mapping[str, Any]) -> SentBack | Refused:
        answer = self._ask("POST", "/v1/refunds", _Refund, dict(wish), key=key)
        asked = _named(wish, "refund_reference", "amount", "currency") | {"idempotency_key": key}
        return answer if isinstance(answer, Refused) else _about(answer, asked).told()

    def query_refund(self, refund_id: str) -> list[SentBack]:
        answer = self._ask("GET", "/v1/refunds", _Refunds, query={"refund_reference": refund_id})
        if isinstance(answer, Refused):
            raise OutsideUnavailable(f"the sandbox will not say what became of {refund_id}: {answer.code}")
        return [_about(one, {"refund_reference": refund_id}).told() for one in answer.items]

    def pay_out(self, key: str, wish: Mapping[str, Any]) -> PaidOut | Refused:
        answer = self._ask("POST", "/v1/payouts", _Payout, dict(wish), key=key)
        asked = _named(wish, "merchant_reference", "amount", "currency")
        return answer if isinstance(answer, Refused) else _about(answer, asked).told()

    def query_payout(self, payout_id: str) -> PaidOut | None:
        answer = self._ask("GET", "/v1/payouts", _Payouts, query={"merchant_reference": payout_id})
        if isinstance(answer, Refused):
            raise OutsideUnavailable(f"the sandbox will not say what became of {payout_id}: {answer.code}")
        return _about(answer.items[0], {"merchant_reference": payout_id}).told() if answer.items else None

    def read(self, headers: Mapping[str, str], body: bytes) -> Notice:
        event_id = signatures.verify(self.secret, headers, body)
        try:
            callback = msgspec.json.decode(body, type=_Callback)
            if callback.type.startswith("charge."):
                charge = msgspec.json.decode(callback.data, type=_Charge)
                return Notice(event_id, payment_id=charge.merchant_reference, charge=charge.told())
            if callback.type.startswith("refund."):
                refund = msgspec.json.decode(callback.data, type=_Refund)
                return Notice(
                    event_id,
                    payment_id=refund.merchant_reference,
                    refund_id=refund.refund_reference,
                    refund=refund.told(),
                )
            if callback.type.startswith("payout."):
                payout = msgspec.json.decode(callback.data, type=_Payout)
                return Notice(event_id, payout_id=payout.merchant_reference, payout=payout.told())
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise UnreadableCallback() from error
        return Notice(event_id)

    def _ask(
        self, method: str, path: str, kind: type[S], body: Any = None, *, key: str = "",
        query: dict[str, str] | None = None,
    ) -> S | Refused:  # fmt: skip
        status, answer = self.outside.call(method, path, body, key=key, query=query)
        if status in FINAL:
            code = answer.get("code") if isinstance(answer, dict) else None
            return Refused(str(code or f"http_{status}")[:64])
        try:
            if status not in (200, 201):
                raise OutsideUnavailable(f"{method} {path}: {status}")
            return msgspec.convert(answer, kind)
        except msgspec.ValidationError as error:
            raise OutsideUnavailable(f"{method} {path}: {error}") from error


def _named(wish: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: wish[name] for name in names}


def _about(answer: S, asked: Mapping[str, Any]) -> S:
    """The answer. Raises OutsideUnavailable where it is about something else than was asked: then nothing is known."""
    others = [name for name, value in asked.items() if getattr(answer, name) != value]
    if others:
        raise OutsideUnavailable(f"the sandbox speaks of another {', '.join(others)} than it was asked about")
    return answer
