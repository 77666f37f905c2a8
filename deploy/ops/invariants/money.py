"""V3, V4 and V9: money that came, went back and was passed on."""

from __future__ import annotations

from deploy.ops.invariants.seeing import ALL, Snapshot


def money_is_somewhere(see: Snapshot) -> tuple[int, list[str]]:
    """Captured = what splits keep + refunded + refund in flight + suspense; every posting sums to zero.

    A payout is out of its shop's balance until it failed, and out of the house once it is completed.
    """
    only = see.only("payment_id", "accounts")
    posted = f"posting_key IN (SELECT key FROM ledger_posting WHERE {only})" if see.scope else ALL  # noqa: S608
    bad = [
        f"posting {key} is out by {total}"
        for key, total in see.rows(
            "payment",
            f"SELECT posting_key, sum(amount) FROM ledger_entry WHERE {posted} GROUP BY posting_key"  # noqa: S608
            " HAVING sum(amount) <> 0",
        )
    ]
    booked: dict[str, dict[str, int]] = {}
    for payment_id, family, total in see.rows(
        "payment",
        "SELECT p.payment_id, e.family, sum(e.amount) FROM ledger_entry e"  # noqa: S608
        f" JOIN ledger_posting p ON p.key = e.posting_key WHERE {only} GROUP BY p.payment_id, e.family",
    ):
        booked.setdefault(payment_id, {})[family] = int(total)
    for payment in see.payments:
        number, accounts = payment["payment_id"], booked.get(payment["payment_id"], {})
        captured = sum(capture["amount"] for capture in payment["captures"])
        refunded = sum(one["amount"] for one in payment["refunds"] if one["state"] == "COMPLETED")
        outside = -sum(accounts.get(family, 0) for family in ("channel", "cash", "bank"))
        if not payment["cod"] and outside != captured - refunded:
            bad.append(f"{number}: captured {captured}, refunded {refunded}, the ledger holds {outside}")
        inside = sum(accounts.get(family, 0) for family in ("escrow", "suspense", "refunds", "seller", "commission"))
        if inside != outside:
            bad.append(f"{number}: {outside} came in, {inside} is accounted for")
    for payout in see.payouts:
        amount, accounts = payout["amount"], booked.get(payout["payout_id"], {})
        taken = 0 if payout["state"] == "FAILED" else amount
        gone = amount if payout["state"] == "COMPLETED" else 0
        if tuple(accounts.get(family, 0) for family in ("seller", "payouts", "channel")) != (
            -taken,
            taken - gone,
            gone,
        ):
            bad.append(f"payout {payout['payout_id']} of {amount} is {payout['state']}, the ledger holds {accounts}")
    return len(see.payments) + len(see.payouts), bad


def refunds_stay_below_what_came(see: Snapshot) -> tuple[int, list[str]]:
    """Refunds never exceed what was captured, per split and per line."""
    bad = []
    for payment in see.payments:
        for split in payment["splits"]:
            if split["refunding"] + split["refunded"] > split["captured"]:
                bad.append(f"{split['order_no']}: {split['refunded']}+{split['refunding']} of {split['captured']}")
    for _, order in see.orders:
        if order["refunded_amount"] > order["paid_amount"]:
            bad.append(f"{order['order_no']}: {order['refunded_amount']} back of {order['paid_amount']}")
    return len(see.payments), bad


def no_money_leaves_that_was_not_here(see: Snapshot) -> tuple[int, list[str]]:
    """Released never exceeds captured less refunded; no escrow account is below zero."""
    bad, count = [], 0
    for order_no, balance in see.rows(
        "payment",
        "SELECT owner, sum(amount) FROM ledger_entry"  # noqa: S608
        f" WHERE family = 'escrow' AND {see.only('owner', 'orders')} GROUP BY owner",
    ):
        count += 1
        if balance < 0:
            bad.append(f"escrow of {order_no} is at {balance}")
    for payment in see.payments:
        for split in payment["splits"]:
            released = split["commission"] + split["net"] - split["debited"]
            if released > split["captured"] - split["refunded"]:
                bad.append(f"{split['order_no']}: {released} released of {split['captured'] - split['refunded']}")
    return count, bad
