"""What a run came to: counted from the stores, the provider's and the carrier's books and the workers' logs, after
everything has come to rest or nobody waits any longer. All but the last two figures must be zero.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import msgspec

from chaos import standing
from chaos.shop import Shop
from chaos.standing import Before, Target, text, worker_logs
from chaos.traffic import Errand, Traffic
from deploy.ops.invariants import ONCE
from deploy.story.people import Outsider
from shared.storage.inspect import heard

ZERO = ("lost", "doubled", "oversold", "money_error", "order_violations", "dead_letters", "stuck")
PAID = ("CONFIRMED", "FULFILLING", "PARTIALLY_SHIPPED", "SHIPPED", "DELIVERED", "RECEIVED", "COMPLETED")


class Outcome(msgspec.Struct):
    """One run. `recovery_s`: from the fault's end until nothing older than a second waits to be published or handled;
    `availability`: the share of requests answered 2xx while it lasted, those refused by a rule apart; `control`: the
    protection that was taken away, or ""."""

    mode: str
    fault: str
    seed: int
    orders: int
    lost: int
    doubled: int
    oversold: int
    money_error: int
    order_violations: int
    dead_letters: int
    stuck: int
    recovery_s: float
    availability: float
    control: str = ""

    @property
    def broken(self) -> list[str]:
        """The figures that must be zero and are not."""
        return [name for name in ZERO if getattr(self, name)]


class Measured:
    """The figures of one run; `words` says, for those that are not zero, of what."""

    def __init__(self, stack: Target, shop: Shop, traffic: Traffic, since: Before) -> None:
        self.stack, self.shop, self.traffic, self.since = stack, shop, traffic, since
        self.words: dict[str, list[str]] = {}
        buyers = {"buyers": [buyer.account_id for buyer in shop.buyers]}
        bodies = self._rows("order", "SELECT body FROM order_group WHERE buyer_id IN :buyers", **buyers)
        self.groups = {one["group_no"]: one for one in (msgspec.json.decode(bytes(body)) for (body,) in bodies)}
        self.orders = {order["order_no"]: order for group in self.groups.values() for order in group["orders"]}
        self.mine = {"groups": list(self.groups), "orders": list(self.orders)}

    def _rows(self, store: str, statement: str, **values: Any) -> Sequence[Any]:
        with self.stack.stores[store].read() as connection:
            return connection.execute(text(statement, values), values).all()

    def _say(self, figure: str, words: Iterable[str]) -> int:
        found = list(words)
        if found:
            self.words[figure] = found
        return len(found)

    # --- the figures --------------------------------------------------------------------------------------------------

    def lost(self) -> int:
        """Orders that were accepted and did not end where they must."""
        return self._say("lost", (words for one in self.traffic.journal if (words := self._astray(one))))

    def _astray(self, one: Errand) -> str:
        order = self.orders.get(one.order_no)
        if order is None:
            return f"{one.order_no} was accepted and is not there"
        sold_out = order["state"] == "CANCELLED" and order["end_reason"] == "out_of_stock"
        if order["state"] == one.fate.ends or (sold_out and self.shop.scarce in one.wanted):
            return ""
        return f"{one.order_no} was to be {one.fate.name} and is {order['state']} ({one.refusal})"

    def doubled(self) -> int:
        """Effects that happened more often than they should."""
        found = [f"{len(self.groups) - self.traffic.keys} groups more than were asked for"]
        found = found if len(self.groups) > self.traffic.keys else []
        found += [
            f"{no} was paid {len(captures)} times" for no, (captures, _) in self._charges().items() if captures[1:]
        ]
        found += [
            f"{order_no} has {times} shipments"
            for order_no, times in self._rows(
                "shipping",
                "SELECT order_no, count(*) FROM shipment WHERE order_no IN :orders GROUP BY 1 HAVING count(*) > 1",
                orders=self.mine["orders"],
            )
        ]
        booked = Counter(one["reference"] for one in _book(self.shop.courier))
        found += [f"{reference} is booked {times} times" for reference, times in booked.items() if times > 1]
        found += self._deducted() + self._told_twice() + self._handled_twice()
        return self._say("doubled", found)

    def _deducted(self) -> list[str]:
        """Units that left a shelf beyond those ordered."""
        reservations = self._rows(
            "inventory",
            "SELECT r.order_no, m.sku, -sum(m.on_hand) AS gone FROM stock_movement m JOIN reservation r"
            " USING (reservation_id) WHERE r.order_no IN :orders AND m.kind = 'deduct' GROUP BY 1, 2",
            orders=self.mine["orders"],
        )
        wanted = {(no, line["sku"]): line["qty"] for no, order in self.orders.items() for line in order["lines"]}
        return [f"{no}: {gone} of {sku} left" for no, sku, gone in reservations if gone > wanted.get((no, sku), 0)]

    def _told_twice(self) -> list[str]:
        """Facts that can be true once only, and notifications."""
        found = []
        for store in sorted({store for store, _ in ONCE}):
            found += [
                f"{kind} of {about} was told {times} times"
                for kind, about, times in self._rows(
                    store,
                    "SELECT type, agg_id, count(*) FROM event_log WHERE partition_key IN :groups"
                    " AND type IN :kinds GROUP BY 1, 2 HAVING count(*) > 1",
                    groups=self.mine["groups"],
                    kinds=[kind for where, kind in ONCE if where == store],
                )
            ]
        letters = self._rows(
            "support",
            "SELECT recipient, template, cause_event_id, count(*) AS times FROM notification"
            " WHERE group_no IN :groups GROUP BY 1, 2, 3 HAVING count(*) > 1",
            groups=self.mine["groups"],
        )
        return found + [f"{one.template} went out {one.times} times" for one in letters]

    def _handled_twice(self) -> list[str]:
        """Entries in the orders' timelines that one fact has made twice."""
        entries = self._rows(
            "order",
            "SELECT order_no, trigger, causation_id, count(*) AS times FROM order_history"
            " WHERE order_no IN :orders GROUP BY 1, 2, 3 HAVING count(*) > 1",
            orders=self.mine["orders"],
        )
        return [f"{one.order_no} heard {one.trigger} of {one.causation_id} {one.times} times" for one in entries]

    def oversold(self) -> int:
        """Units promised beyond those on the shelf."""
        beyond = self._rows(
            "inventory",
            "SELECT sku, held + allocated - on_hand AS units FROM stock"
            " WHERE held + allocated > on_hand OR on_hand < 0",
        )
        self._say("oversold", (f"{units} of {sku}" for sku, units in beyond))
        (promised,) = self._rows(
            "inventory",
            "SELECT coalesce(sum(allocated + held) - sum(on_hand), 0) - :received FROM stock_movement WHERE sku = :sku"
            " AND kind NOT IN ('receive', 'adjust')",
            sku=self.shop.scarce, received=self.shop.of_scarce,
        )[0]  # fmt: skip
        if promised > 0:
            self.words.setdefault("oversold", []).append(f"{promised} of {self.shop.scarce} beyond what ever came in")
        return int(sum(abs(units) for _, units in beyond) + max(0, promised))

    def money_error(self) -> int:
        """Minor units by which the ledger is out of balance, or the books differ from the provider's and from what the
        orders' states say."""
        unbalanced = self._rows(
            "payment", "SELECT posting_key, sum(amount) FROM ledger_entry GROUP BY 1 HAVING sum(amount) <> 0"
        )
        ours = {
            group_no: -int(total)
            for group_no, total in self._rows(
                "payment",
                "SELECT p.group_no, sum(e.amount) FROM ledger_entry e JOIN ledger_posting l ON l.key = e.posting_key"
                " JOIN payment p ON p.payment_id = l.payment_id"
                " WHERE p.group_no IN :groups AND e.family = 'channel' GROUP BY 1",
                groups=self.mine["groups"],
            )
        }
        theirs = {no: sum(captures) - sum(refunds) for no, (captures, refunds) in self._charges().items()}
        due = {
            no: sum(order["payable"] for order in group["orders"] if order["state"] in PAID)
            for no, group in self.groups.items()
        }
        errors = {f"posting {key}": abs(int(total)) for key, total in unbalanced}
        for no in self.groups:
            says = ours.get(no, 0), theirs.get(no, 0), due[no]
            if len(set(says)) > 1:
                errors[f"{no}: the ledger says {says[0]}, the provider {says[1]}, its orders {says[2]}"] = max(
                    says
                ) - min(says)
        self._say("money_error", errors)
        return sum(errors.values())

    def _charges(self) -> dict[str, tuple[list[int], list[int]]]:
        """By group: what the provider took and what it gave back."""
        found: dict[str, tuple[list[int], list[int]]] = defaultdict(lambda: ([], []))
        for charge in _book(self.shop.provider):
            group_no = charge["merchant_reference"].removeprefix("pay_")
            if group_no in self.groups:
                found[group_no][0].extend(one["amount"] for one in charge["captures"])
                found[group_no][1].extend(one["amount"] for one in charge["refunds"] if one["status"] == "succeeded")
        return found

    def order_violations(self) -> int:
        """Facts of one aggregate that a service handled after a later one, by the lines of its workers' logs."""
        sequences = self._sequences()
        found = []
        for consumer, handled in self._handled().items():
            last: dict[str, int] = {}
            for _, event_id in sorted((at, event_id) for event_id, at in handled.items()):
                if event_id in sequences:
                    about, number = sequences[event_id]
                    if number < last.get(about, 0):
                        found.append(f"{consumer} handled number {number} of {about} after {last[about]}")
                    last[about] = max(number, last.get(about, 0))
        return self._say("order_violations", found)

    def _sequences(self) -> dict[str, tuple[str, int]]:
        found = {}
        for store in self.stack.stores:
            for event_id, kind, about, number in self._rows(
                store,
                "SELECT event_id, agg_type, agg_id, agg_seq FROM event_log WHERE partition_key IN :groups",
                groups=self.mine["groups"],
            ):
                found[event_id] = f"{store} {kind}/{about}", number
        return found

    def _handled(self) -> dict[str, dict[str, tuple[datetime, int]]]:
        """By consumer and event: when it was handled for good, and the line that says so.

        A line may speak of a try that was rolled back: the one that counts is the first after the mark in the inbox.
        """
        lines: dict[str, dict[str, list[tuple[datetime, int]]]] = defaultdict(lambda: defaultdict(list))
        number = 0
        for path in worker_logs(self.stack):
            with path.open("rb") as file:
                file.seek(self.since.logs.get(path, 0))
                for text in file:
                    if b'"handled"' not in text:
                        continue
                    number += 1
                    line = msgspec.json.decode(text, type=_Line)
                    lines[line.consumer][line.event_id].append((line.timestamp, number))
        found: dict[str, dict[str, tuple[datetime, int]]] = {}
        for consumer, tries in lines.items():
            marks = heard(self.stack.stores[consumer], consumer, list(tries))
            found[consumer] = {
                event_id: next((one for one in several if one[0] >= marks[event_id]), several[-1])
                for event_id, several in tries.items()
                if event_id in marks
            }
        return found

    def stuck(self) -> int:
        """Rows that wait at rest, and did not before the run."""
        return self._say("stuck", (standing.stuck(self.stack) - self.since.stuck).elements())


class _Line(msgspec.Struct):
    consumer: str
    event_id: str
    timestamp: datetime


def _book(desk: Outsider) -> Iterable[dict[str, Any]]:
    """Everything the provider or the carrier has written down."""
    page = desk.do("GET", "/v1/book?limit=500")
    yield from page["items"]
    while page["next"]:
        page = desk.do("GET", f"/v1/book?limit=500&after={page['next']}")
        yield from page["items"]
