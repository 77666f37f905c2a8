"""Where money is kept: payments whole, the ledger as rows, and what was heard of sellers and buyers."""

from services.payment.store.ledger import add_posting, ledger_entry, ledger_posting
from services.payment.store.payments import (
    call_is_under_way,
    candidates,
    claim_callback,
    index_orders,
    note_refunds,
    payment_of_refund,
    payment_order,
    payments,
    refund_index,
)
from services.payment.store.payouts import (
    balance_of,
    keep_payout_account,
    lock_payout_account,
    payout_account,
    payout_account_of,
    payouts,
)
from services.payment.store.risk import (
    add_assessment,
    load_habits,
    note_buyer,
    note_cod_refusal,
    risk_assessment,
    risk_buyer,
)
from services.payment.store.rows import metadata
from services.payment.store.sellers import keep_terms, load_terms, seller_terms, terms_of
from services.payment.store.statements import cash_statement, keep_statement

__all__ = [
    "add_assessment", "add_posting", "balance_of", "call_is_under_way", "candidates", "cash_statement",
    "claim_callback", "index_orders", "keep_payout_account", "keep_statement", "keep_terms", "ledger_entry",
    "ledger_posting", "load_habits", "load_terms", "lock_payout_account", "metadata", "note_buyer",
    "note_cod_refusal", "note_refunds", "payment_of_refund", "payment_order", "payments", "payout_account",
    "payout_account_of", "payouts", "refund_index", "risk_assessment", "risk_buyer", "seller_terms", "terms_of",
]  # fmt: skip
