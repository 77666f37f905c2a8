"""Whatever happens in whatever order, no money is lost, doubled or without an owner, on either database.

The machine plays buyers, the provider's faults, the order service and time against the real service and the real
provider's rules; after every step the books are recomputed, and at rest they equal the provider's.
"""

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, initialize, invariant, multiple, rule

from services.payment.tests.makers import Market
from shared.contracts.payment import FundsHeld, PaymentConfirmed, PaymentExpired
from shared.testing.machines import StoreMachine, play

AMOUNTS = st.integers(1, 20000)


class Money(StoreMachine):
    """See the module."""

    groups = Bundle("groups")
    charges = Bundle("charges")

    @initialize(holdback=st.sampled_from([0, 1500]), commission=st.sampled_from([0, 500, 10_000]))
    def open_the_market(self, holdback, commission):
        self.fresh_store()
        self.market = Market(self.url, self.folder)
        self.market.approve(commission_bp=commission, holdback_bp=holdback)
        self.refund_ids = 0

    def teardown(self):
        if not hasattr(self, "market"):
            return
        try:
            self.come_to_rest()
        finally:
            self.market.close()
            self.forget_store()

    # ------------------------------------------------------------------------------------------------ orders
    @rule(target=groups, amounts=st.lists(AMOUNTS, min_size=1, max_size=3))
    def ask_for_money(self, amounts):
        return self.market.request(*amounts, minutes=6000)

    @rule(target=groups, amounts=st.lists(AMOUNTS, min_size=1, max_size=3), told=st.booleans())
    def buy(self, amounts, told):
        group_no = self.market.request(*amounts, minutes=6000)
        answer = self.market.open(group_no, sum(amounts))
        if answer.json["display"]:
            charge = answer.json["display"]["value"].rsplit("/", 1)[1]
            self.market.provider.pay(charge)
            assert not told or self.market.tell(charge) == 200
        return group_no

    @rule(group=groups, n=st.integers(0, 3))
    def ask_the_arbiter(self, group, n):
        if n:
            self.market.cancel(f"{group}-{n}")
        else:
            self.market.deadline(group)

    @rule(group=groups, n=st.integers(1, 3), share=st.sampled_from([1, 2, 3]), again=st.booleans())
    def ask_for_a_refund(self, group, n, share, again):
        split = self.market.payment(group).split(f"{group}-{n}")
        if split is not None and split.captured:
            self.refund_ids += not again
            self.market.refund(f"{group}-{n}", split.captured // share, f"r{self.refund_ids}-{group}-{n}")

    @rule(group=groups, n=st.integers(1, 3))
    def receive(self, group, n):
        self.market.receive(f"{group}-{n}")
        self.market.stage.advance(minutes=61)

    @rule(group=groups, n=st.integers(1, 3))
    def complete(self, group, n):
        self.market.complete(f"{group}-{n}")

    # ------------------------------------------------------------------------------------------------ shops
    @rule(seller=st.sampled_from(["seller-1", "seller-2"]), share=st.sampled_from([1, 2]), pending=st.booleans())
    def pay_a_shop_out(self, seller, share, pending):
        self.market.give_account(seller)
        if pending:
            self.market.provider.switch("payout_pending")
        balance = self.market.accounts().get(f"seller:{seller}", 0)
        assert self.market.pay_out(balance // share or 1, seller).status == (
            201 if balance // share >= 100 else 409 if balance < 0 else 422
        )

    # ------------------------------------------------------------------------------------------------ buyers
    @rule(target=charges, group=groups, instrument=st.sampled_from(["alipay_qr", "card_redirect"]))
    def open_an_attempt(self, group, instrument):
        payable = self.market.payment(group).payable
        answer = self.market.open(group, payable, instrument=instrument)
        assert answer.status in (201, 409), answer
        shown = (answer.json or {}).get("display")
        return shown["value"].rsplit("/", 1)[1] if answer.status == 201 and shown else multiple()

    @rule(charge=charges, told=st.integers(0, 2))
    def pay(self, charge, told):
        self.market.provider.pay(charge)
        for _ in range(told):
            assert self.market.tell(charge) == 200

    @rule(charge=charges, how=st.sampled_from(["after_close", "duplicate_capture", "wrong_amount"]))
    def pay_oddly(self, charge, how):
        self.market.provider.switch(how)
        self.market.provider.pay(charge)
        assert self.market.tell(charge) == 200

    @rule(charge=charges)
    def decline(self, charge):
        self.market.provider.pay(charge, "decline")

    # ---------------------------------------------------------------------------------------- faults and time
    @rule(
        kind=st.sampled_from(
            ["after_close", "duplicate_capture", "wrong_amount", "refund_fail", "refund_pending", "payout_fail"]
        )
    )
    def something_odd_will_happen(self, kind):
        self.market.provider.switch(kind)

    @rule(kind=st.sampled_from(["error_before", "error_after", "garbage"]))
    def an_answer_will_be_lost(self, kind):
        self.market.provider.switch(kind, scope={"what": "*e_*"})  # creating and closing

    @rule()
    def make_calls(self):
        self.market.hurry()

    @rule(minutes=st.sampled_from([1, 10, 61, 300]))
    def let_time_pass(self, minutes):
        self.market.stage.advance(minutes=minutes)

    # ------------------------------------------------------------------------------------------------ promises
    @invariant()
    def the_books_are_right(self):
        if hasattr(self, "market"):
            self.market.check()
            assert not self.market.stage.kept()

    @invariant()
    def what_happens_once_is_told_once(self):
        if not hasattr(self, "market"):
            return
        confirmed = [fact.group_no for fact in self.market.said(PaymentConfirmed)]
        held = [fact.order_no for fact in self.market.said(FundsHeld)]
        assert len(confirmed) == len(set(confirmed))
        assert len(held) == len(set(held))
        paid = {split.order_no for fact in self.market.said(PaymentConfirmed) for split in fact.splits}
        gone = {order_no for fact in self.market.said(PaymentExpired) for order_no in fact.order_nos}
        assert not paid & gone

    def come_to_rest(self):
        """Faults end, every call is made, every pending refund settles: then both books are the same."""
        provider = self.market.provider
        provider.line.call("DELETE", "/sandbox/switches")
        for _ in range(12):
            for charge in provider.charges():
                for refund in charge["refunds"]:
                    if refund["status"] == "pending":
                        path = f"/sandbox/refunds/{refund['id']}/settle"
                        provider.line.call("POST", path, {"outcome": "succeed"})
                if charge["status"] != "pending":
                    assert self.market.tell(charge["id"]) == 200
            for payout in self.market.payouts():
                if payout["status"] == "pending":
                    provider.line.call("POST", f"/sandbox/payouts/{payout['id']}/settle", {"outcome": "decline"})
            while self.market.hurry():
                pass
            self.market.stage.advance(hours=3)
        accounts, totals = self.market.check(), provider.totals()
        theirs = totals["captured"].get("CNY", 0) - sum(totals[out].get("CNY", 0) for out in ("refunded", "paid_out"))
        assert -accounts.get("channel:sandbox", 0) == theirs
        assert not [account for account in accounts if account.startswith("payouts:")]
        assert "suspense" not in accounts
        assert "refunds" not in accounts


def test_no_money_is_lost_or_doubled() -> None:
    play(Money, None, examples=12, steps=25)


@pytest.mark.servers
def test_no_money_is_lost_or_doubled_on_postgres(postgres_server) -> None:
    play(Money, postgres_server, examples=2, steps=25)
