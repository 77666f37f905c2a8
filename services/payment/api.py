"""The HTTP door: what people and payment channels may ask of payment."""

from __future__ import annotations

from typing import Any

from flask import request

from services.payment import gateways, queries, schemas
from services.payment.commands import holding, paying, payouts, refunding
from services.payment.commands.calls import calls
from services.payment.domain.refusals import NoSuchBalance, NoSuchChannel, UnknownChannel
from shared.kernel import clock
from shared.messaging.clockwork import IntentRunner
from shared.storage.unit_of_work import Node, UnitOfWork
from shared.web.auth import BUYER, OPERATOR, SELLER, Principal
from shared.web.door import SIGNATURE, Door, Reading

door = Door("payment", __name__, description="Payments, refunds, escrow and risk")
PATIENCE_SECONDS = 3.0
View = dict[str, Any]


# -------------------------------------------------------------------------------------------------- payments
@door.post(
    "/groups/<group_no>/payments",
    who={BUYER},
    body=schemas.Pay,
    answer=schemas.AttemptView,
    status=201,
    key="required",
)
def post_payment(tx: UnitOfWork, who: Principal, group_no: str, body: View) -> Any:
    """Open an attempt to pay all that is due of a group; `display` is what the buyer has to be shown.

    An open attempt that is the same is answered again; another one replaces it. When the channel is slow, the
    status is `opening`: ask the payment until it moves.
    """
    payment, attempt = paying.pay(tx, who.account_id, group_no, **body)
    view = queries.attempt_view(payment, attempt)
    headers = {"Location": f"/v1/payments/{payment.payment_id}"}
    if attempt.state != "opening":
        return view, headers
    node, payment_id, number = tx.node, payment.payment_id, attempt.no
    return view, headers, lambda: _opened(node, payment_id, number)


def _opened(node: Node, payment_id: str, number: int) -> View:
    """Open it in this thread, or wait a moment for the worker that was faster; the attempt as it then is."""
    until = clock.monotonic() + PATIENCE_SECONDS
    IntentRunner(node, calls).run_now("open_attempt", f"{payment_id}:attempt:{number}")
    while True:
        with node.database.read() as connection:
            reading = Reading(node, connection)
            waiting = queries.is_being_opened(reading, payment_id, number)
            view = queries.attempt(reading, payment_id, number)
        if view["status"] != "opening" or not waiting or clock.monotonic() >= until:
            return view
        clock.pause(0.03)


@door.get("/groups/<group_no>/payments", who={BUYER, OPERATOR}, answer=schemas.PaymentsView)
def get_group_payments(reading: Reading, who: Principal, group_no: str) -> View:
    """How a group is paid: one payment, or one for each order that is paid at the door."""
    return queries.group_payments(reading, who, group_no)


@door.get("/payments/<payment_id>", who={BUYER, OPERATOR}, answer=schemas.PaymentView)
def get_payment(reading: Reading, who: Principal, payment_id: str) -> View:
    """A payment with its attempts."""
    return queries.payment(reading, who, payment_id)


@door.post("/callbacks/payments/<channel>", who=SIGNATURE, answer=schemas.TakenView)
def post_payment_callback(tx: UnitOfWork, who: None, channel: str) -> View:
    """A channel tells what became of an attempt or a refund. Verified, taken once, answered 200 ever after."""
    try:
        speaker = gateways.channel(tx.node, channel)
    except UnknownChannel as unknown:
        raise NoSuchChannel() from unknown
    headers = {name.lower(): value for name, value in request.headers.items()}
    notice = speaker.read(headers, request.get_data())
    return {"status": "applied" if paying.take_callback(tx, channel, notice) else "duplicate"}


# ------------------------------------------------------------------------------------------ escrow and
# refunds
@door.get("/orders/<order_no>/escrow", who={BUYER, SELLER, OPERATOR}, answer=schemas.EscrowView)
def get_escrow(reading: Reading, who: Principal, order_no: str) -> View:
    """Where an order's money is: held, released, held back or refunded, and what it waits for."""
    return queries.escrow(reading, who, order_no)


@door.get("/orders/<order_no>/refunds", who={BUYER, SELLER, OPERATOR}, answer=schemas.RefundsView)
def get_order_refunds(reading: Reading, who: Principal, order_no: str) -> View:
    """The refunds of an order."""
    return queries.order_refunds(reading, who, order_no)


@door.get("/refunds", who={OPERATOR}, query=schemas.RefundQuery, answer=schemas.RefundsView)
def get_refunds(reading: Reading, who: Principal, query: View) -> View:
    """Refunds in a state; above all those that need another route."""
    return queries.refunds(reading, **query)


@door.post(
    "/refunds/<refund_id>/settlement",
    who={OPERATOR},
    body=schemas.Settle,
    answer=schemas.RefundView,
    key="required",
)
def post_refund_settlement(tx: UnitOfWork, who: Principal, refund_id: str, body: View) -> View:
    """The money of a refund that needed another route was sent by bank."""
    return queries.refund_view(*refunding.paid_otherwise(tx, refund_id))


# --------------------------------------------------------------------------------------------------- ledger
@door.get("/balance", who={SELLER}, answer=schemas.BalanceView)
def get_balance(reading: Reading, who: Principal) -> View:
    """What the platform owes one's own shop, and what is still in escrow for it."""
    return queries.balance(reading, _shop(who))


@door.get("/balance/entries", who={SELLER}, query=schemas.Cursor, answer=schemas.EntriesView)
def get_balance_entries(reading: Reading, who: Principal, query: View) -> View:
    """Every movement of one's own shop's balance, latest first."""
    return queries.entries(reading, _shop(who), **query)


@door.put("/payout-account", who={SELLER}, body=schemas.PayoutAccount, answer=schemas.PayoutAccountView)
def put_payout_account(tx: UnitOfWork, who: Principal, body: View) -> View:
    """The bank account one's own shop is paid to from now on."""
    seller_id = _shop(who)
    payouts.keep_account(tx, who.account_id, seller_id, **body)
    return queries.payout_account_view(seller_id, body["currency"], body)


@door.get("/payout-account", who={SELLER}, answer=schemas.PayoutAccountView)
def get_payout_account(reading: Reading, who: Principal) -> View:
    """The bank account one's own shop is paid to, as far as it is shown."""
    return queries.payout_account(reading, _shop(who))


@door.post(
    "/payouts", who={SELLER}, body=schemas.AskPayout, answer=schemas.PayoutView, status=201, key="required"
)  # fmt: skip
def post_payout(tx: UnitOfWork, who: Principal, body: View) -> Any:
    """Pay so much of one's own shop's balance out to its bank account."""
    payout = payouts.request(tx, _shop(who), **body)
    return queries.payout_view(payout), {"Location": f"/v1/payouts/{payout.payout_id}"}


@door.get("/payouts", who={SELLER, OPERATOR}, query=schemas.PayoutQuery, answer=schemas.PayoutsView)
def get_payouts(reading: Reading, who: Principal, query: View) -> View:
    """One's own shop's payouts, or for operators all, latest first."""
    return queries.payouts(reading, who, **query)


@door.get("/payouts/<payout_id>", who={SELLER, OPERATOR}, answer=schemas.PayoutView)
def get_payout(reading: Reading, who: Principal, payout_id: str) -> View:
    """What became of a payout."""
    return queries.payout(reading, who, payout_id)


@door.get("/ledger/trial-balance", who={OPERATOR}, answer=schemas.TrialBalanceView)
def get_trial_balance(reading: Reading, who: Principal) -> View:
    """The books as a whole."""
    return queries.trial_balance(reading)


@door.post(
    "/cash-statements",
    who={OPERATOR},
    body=schemas.Statement,
    answer=schemas.StatementView,
    status=201,
    key="required",
)
def post_cash_statement(tx: UnitOfWork, who: Principal, body: View) -> Any:
    """A carrier remitted the cash of these orders; a difference stays on its account."""
    return holding.reconcile(tx, who.account_id, **body)


# ----------------------------------------------------------------------------------------------------- risk
@door.get("/risk/<order_no>", who={OPERATOR}, answer=schemas.RiskView)
def get_risk(reading: Reading, who: Principal, order_no: str) -> View:
    """How an order's risk was weighed, rule by rule."""
    return queries.risk(reading, order_no)


def _shop(who: Principal) -> str:
    if who.seller_id is None:
        raise NoSuchBalance()
    return who.seller_id
