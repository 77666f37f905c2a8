"""Any interleaving of people, clocks and late, repeated, reordered facts ends well.

The order is played with payment, shipping and a buyer as small, faithful models that answer what they are asked. What
they say travels in a bag: any fact in it may arrive next, and may arrive again. Time may pass at any moment. However it
goes, no order waits for nothing, nothing is told twice that may be told once, and no money is given back twice; and
when everybody has had their say, every order has ended and its money is where it belongs.
"""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from services.order.domain.group import ActionNotPossible, AttemptInFlight, OrderGroup, ReceiptAlreadyExtended
from services.order.domain.states import State
from services.order.tests.others import Arrival, Parcel, Payment, Shipping
from services.order.tests.story import NOON, Story, new_group, waits_for_nothing
from shared.contracts.lines import RefundLine
from shared.contracts.order import (
    OrderCancelled,
    OrderClosed,
    OrderCompleted,
    OrderConfirmed,
    OrderDelivered,
    OrderFullyShipped,
    OrderPaymentRequested,
    OrderPlaced,
    ReceiptConfirmed,
)
from shared.contracts.refunds import RefundRequested

TIMELESS = {"payment_opened", "payment_failed", "shipment_planned", "picking_started", "shipment_packed"}
TIMELESS |= {"shipments_gone", "late_payment"}
OF_PAYMENT = {"paid", "payment_expired", "risk_assessed", "refunded"}
HOLDS = (State.AWAITING_PAYMENT, State.AWAITING_REVIEW)
ONCE = (OrderPlaced, OrderConfirmed, OrderFullyShipped, OrderDelivered, ReceiptConfirmed)
ENDS = (OrderCompleted, OrderCancelled, OrderClosed)


def _publisher(arrival: Arrival) -> str:
    """Of one publisher, a group's facts arrive in order and once, unless one of them had to be tried again."""
    move, _ = arrival
    return "payment" if move in OF_PAYMENT else "inventory" if move.startswith("stock") else "shipping"


class Interleaving(RuleBasedStateMachine):
    """See the module."""

    @initialize(
        method=st.sampled_from(["online", "online", "cod"]),
        policy=st.sampled_from(["all_or_nothing", "ship_available"]),
        review=st.sampled_from([[], [], ["seller_audit"]]),
        chapter=st.sampled_from(["placed", "payable", "accepted", "accepted", "sent", "sent"]),
        carts=st.lists(
            st.lists(st.tuples(st.integers(1, 3), st.integers(1, 99)), min_size=1, max_size=3), min_size=1, max_size=2
        ),
    )
    def begin(self, method: Any, policy: Any, review: Any, chapter: str, carts: Any) -> None:
        """At any chapter of the story, so that the late ones are played as often as the early ones."""
        self.payment, self.shipping = Payment(), Shipping()
        self.bag: list[Arrival] = []
        self.heard = 0
        self.messy = False
        self.story = Story(new_group(*carts, method=method, policy=policy, review_reasons=review))
        for order in self.group.orders:
            self.bag += [("stock_reserved", (order.order_no,)), ("risk_assessed", (order.order_no, "allow"))]
        if chapter != "placed":
            self._all_arrives()
        if chapter in ("accepted", "sent"):
            self.bag += self.payment.pay()
            self._all_arrives()
        if chapter == "sent":
            for order in self.group.orders:
                self._try("approve", order.order_no, "ann")
            for parcel in self.shipping.parcels[:2]:
                self._work(parcel, "")
                self._work(parcel, "")

    @property
    def group(self) -> OrderGroup:
        return self.story.group

    # --- what may happen ---------------------------------------------------------------------------------------------

    @precondition(lambda self: self.bag)
    @rule(number=st.integers(0, 99), again=st.sampled_from([False, False, True]))
    def something_else_arrives(self, number: int, again: bool) -> None:
        self.something_arrives(number, again)

    @precondition(lambda self: self.bag)
    @rule(number=st.integers(0, 99), again=st.sampled_from([False, False, True]))
    def something_arrives(self, number: int, again: bool) -> None:
        arrival = self.bag[number % len(self.bag)]
        earlier = self.bag[: self.bag.index(arrival)]
        self.messy |= again or any(_publisher(one) == _publisher(arrival) for one in earlier)
        if not again:
            self.bag.remove(arrival)
        self._arrive(arrival)

    @rule(which=st.integers(0, 1), by=st.sampled_from(["buyer", "seller", "operator"]))
    def somebody_wants_out(self, which: int, by: Any) -> None:
        self._try("cancel", self._number(which), by, "changed_mind")

    @rule()
    def the_buyer_pays(self) -> None:
        self.bag += self.payment.pay()

    @rule(which=st.integers(0, 1), share=st.integers(0, 100))
    def the_shop_changes_the_price(self, which: int, share: int) -> None:
        order = self.group.order(self._number(which))
        least, most = order.freight + 1, order.payable + order.price_cut
        self._try("adjust_price", order.order_no, least + (most - least) * share // 100, "seller", "kindness")

    @rule(which=st.integers(0, 1))
    def the_shop_approves(self, which: int) -> None:
        self._try("approve", self._number(which), "ann")

    @rule(which=st.integers(0, 1))
    def the_shop_refuses(self, which: int) -> None:
        self._try("reject", self._number(which), "seller")

    @rule(which=st.integers(0, 1))
    def the_goods_are_gone(self, which: int) -> None:
        order = self.group.order(self._number(which))
        if order.state in (State.PLACED, State.CONFIRMED) and not any(
            parcel.order_no == order.order_no for parcel in self.shipping.parcels
        ):
            self._arrive(("stock_failed", (order.order_no,)))

    @rule(which=st.integers(0, 1))
    def the_hold_runs_out(self, which: int) -> None:
        if self.group.order(self._number(which)).state in HOLDS:
            self._arrive(("stock_expired", (self._number(which),)))

    @precondition(lambda self: self._moving())
    @rule(number=st.integers(0, 9))
    def a_parcel_goes_on(self, number: int) -> None:
        moving = self._moving()
        self._work(moving[number % len(moving)], "delivered")

    @precondition(lambda self: self._moving())
    @rule(number=st.integers(0, 9), end=st.sampled_from(["returned", "lost", "failed"]))
    def a_parcel_has_bad_luck(self, number: int, end: str) -> None:
        moving = self._moving()
        self._work(moving[number % len(moving)], end)

    @rule(which=st.integers(0, 1))
    def the_buyer_confirms(self, which: int) -> None:
        self._try("confirm_receipt", self._number(which))

    @rule(which=st.integers(0, 1))
    def the_buyer_wants_more_time(self, which: int) -> None:
        self._try("extend_receipt", self._number(which))

    @rule()
    def the_next_deadline_rings(self) -> None:
        due = self.story.next_deadline()
        if due is not None:
            self.story.ring(*due)
            self._spread()

    # --- what must hold ----------------------------------------------------------------------------------------------

    @invariant()
    def no_order_waits_for_nothing(self) -> None:
        assert waits_for_nothing(self.group) == []

    @invariant()
    def what_may_be_told_once_is_told_once(self) -> None:
        told = Counter((type(fact).__name__, fact.aggregate_id) for fact in self.story.told if isinstance(fact, ONCE))
        ends = Counter(fact.order_no for fact in self.story.told if isinstance(fact, ENDS))
        assert [key for key, times in (told + ends).items() if times > 1] == []
        assert len(self.story.said(OrderPaymentRequested)) <= 1

    @invariant()
    def no_money_is_given_back_twice(self) -> None:
        for order in self.group.orders:
            wishes = [fact for fact in self.story.said(RefundRequested) if fact.order_no == order.order_no]
            assert len({wish.refund_id for wish in wishes}) == len(wishes)
            assert sum(wish.amount for wish in wishes) <= order.paid_amount
            assert sum(wish.freight_amount for wish in wishes) <= order.freight
            for line in order.lines:
                back: list[RefundLine] = [one for wish in wishes for one in wish.lines if one.line_id == line.line_id]
                assert sum(one.qty for one in back) <= line.qty
                assert sum(one.amount for one in back) <= line.amount

    @invariant()
    def every_unit_is_somewhere(self) -> None:
        for order in self.group.orders:
            assert order.payable == sum(line.amount for line in order.lines) + order.freight
            for line in order.lines:
                assert line.to_ship >= 0
                assert line.delivered + line.returned + line.lost <= line.shipped

    def teardown(self) -> None:
        """Everybody has their say, and time passes: then it is over, and the money is where it belongs."""
        if not hasattr(self, "story"):
            return
        for _ in range(500):
            if self.bag:
                self._arrive(self.bag.pop(0))
            elif moving := self._moving():
                self._work(moving[0], "delivered")
            elif (due := self.story.next_deadline()) is not None:
                self.story.ring(*due)
                self._spread()
            else:
                break
        self.no_order_waits_for_nothing()
        self.what_may_be_told_once_is_told_once()
        self.no_money_is_given_back_twice()
        assert [order.state for order in self.group.orders if not order.over] == []
        assert self.story.now < NOON + timedelta(days=120)
        for order in self.group.orders:
            captured = self.payment.captured.get(order.order_no, 0)
            assert order.paid_amount == captured
            assert order.refunded_amount == self.payment.sent_back[order.order_no]
            if order.state in (State.CANCELLED, State.CLOSED):
                assert order.refunded_amount == captured
        assert self.messy or self.story.unlisted == []

    # --- how it is played --------------------------------------------------------------------------------------------

    def _all_arrives(self) -> None:
        while self.bag:
            self._arrive(self.bag.pop(0))

    def _number(self, which: int) -> str:
        return self.group.orders[which % len(self.group.orders)].order_no

    def _moving(self) -> list[Parcel]:
        return [parcel for parcel in self.shipping.parcels if parcel.state in ("planned", "picking", "shipped")]

    def _try(self, move: str, *arguments: Any) -> None:
        """Somebody at the counter; a refusal is an answer."""
        try:
            self.story.tell(getattr(self.group, move)(*arguments, self.story.now))
        except (ActionNotPossible, AttemptInFlight, ReceiptAlreadyExtended):
            return
        self._spread()

    def _work(self, parcel: Parcel, end: str) -> None:
        was = parcel.state
        self.bag += self.shipping.move(parcel, end)
        if was == "shipped" and parcel.state == "delivered" and parcel.cash:
            self.bag += self.payment.collect(parcel.order_no, parcel.cash, self.shipping.cash[parcel.order_no])

    def _arrive(self, arrival: Arrival) -> None:
        move, arguments = arrival
        facts = self._call(move, arguments)
        self.story.tell(facts)
        self._spread()

    def _call(self, move: str, arguments: tuple[Any, ...]) -> Any:
        deed = getattr(self.group, move)
        if move in TIMELESS:
            return deed(*arguments)
        if move in ("delivered", "lost"):
            order_no, number, lines = arguments
            return deed(order_no, number, self.story.now, lines)
        if move == "returned":
            order_no, number, lines = arguments
            return deed(order_no, number, self.group.payment_method == "cod", self.story.now, lines)
        return deed(*arguments, self.story.now)

    def _spread(self) -> None:
        """What the order said is heard by the others at once; what they answer goes into the bag."""
        while self.heard < len(self.story.told):
            fact = self.story.told[self.heard]
            self.heard += 1
            self.bag += self.payment.hear(fact) + self.shipping.hear(fact)


TestInterleavings = Interleaving.TestCase
TestInterleavings.settings = settings(
    max_examples=150, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
