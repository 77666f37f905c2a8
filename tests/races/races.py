"""The races there are between buyers, clocks, the provider and the warehouse, and what is right at their ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.races.explorer import Race
from tests.races.quarter import Quarter

PRICE = 10_000


# --- paid, expired or cancelled -------------------------------------------------------------------------------------


def _unpaid(quarter: Quarter) -> None:
    """Two shops, one group of two orders that may be paid now."""
    quarter.open_shops({"red": [5], "blue": [5]})
    quarter.place({"red": 1, "blue": 2})
    quarter.deliver_all()


def _unpaid_at_a_careless_provider(quarter: Quarter) -> None:
    """One order, at a provider who takes money on a page that was closed."""
    quarter.open_shops({"red": [5], "blue": [5]})
    quarter.place({"blue": 2})
    quarter.deliver_all()
    quarter.till.loophole = True


def _just_placed(quarter: Quarter) -> None:
    """Nobody has answered yet."""
    quarter.open_shops({"red": [5], "blue": [5]})
    quarter.place({"red": 1, "blue": 2})


def _cancel(number: int) -> tuple[Any, Any]:
    def can(quarter: Quarter) -> bool:
        return quarter.states.get(f"{quarter.group_no}-{number}") != "CANCELLED"

    return (lambda quarter: quarter.cancel(f"{quarter.group_no}-{number}")), can


def _payable(quarter: Quarter) -> bool:
    return "AWAITING_PAYMENT" in quarter.states.values()


def _charge(number: int, *states: str) -> Callable[[Quarter], bool]:
    """Whether the provider has the charge, in one of these states."""

    def has(quarter: Quarter) -> bool:
        charge = quarter.till.charges.get(f"ch{number}")
        return charge is not None and charge.status in states

    return has


def _money_and_goods(quarter: Quarter) -> list[str]:
    """Confirmed orders are paid and their goods firm; cancelled ones have neither; the provider's book says so too."""
    wrong = []
    for one in quarter.orders:
        due = one["payable"] if one["state"] == "CONFIRMED" else 0
        if one["paid_amount"] - one["refunded_amount"] != due:
            wrong.append(f"order {one['index']} is {one['state']} and has {one['paid_amount']} paid")
    kept = sum(one["paid_amount"] - one["refunded_amount"] for one in quarter.orders)
    if quarter.till.kept != kept:
        wrong.append(f"the provider holds {quarter.till.kept}, the orders say {kept}")
    firm = sum(line["qty"] for one in quarter.orders if one["state"] == "CONFIRMED" for line in one["lines"])
    if quarter.shelves != (10, 0, firm):
        wrong.append(f"{firm} units are firm; on hand, held and allocated are {quarter.shelves}")
    return wrong


def _untold(quarter: Quarter) -> bool:
    """Whether the provider has taken money that payment does not know of."""
    return len(quarter.captures) < sum(len(charge.captures) for charge in quarter.till.charges.values())


def _tell_again(quarter: Quarter) -> None:
    """The provider calls back until somebody listens."""
    for number in quarter.till.charges:
        quarter.call_back(number, 1)


_PAYING: dict[str, tuple[Any, Any]] = {
    "an attempt to pay is opened": (Quarter.open_payment, _payable),
    "the buyer pays": (lambda quarter: quarter.till.pay("ch1"), _charge(1, "pending", "closed")),
    "the provider calls back": (lambda quarter: quarter.call_back("ch1"), _charge(1, "paid", "closed")),
    "the first order is cancelled": _cancel(1),
}
_OVER = frozenset({"CONFIRMED", "CANCELLED"})

PAY = Race(_unpaid, _PAYING | {"the second order is cancelled": _cancel(2)}, _OVER, _money_and_goods)
PAY_LATE = Race(
    _unpaid_at_a_careless_provider,
    _PAYING,
    _OVER,
    _money_and_goods,
    work=(_tell_again, _untold),
)
PLACE = Race(_just_placed, _PAYING, _OVER, _money_and_goods)


# --- cancelled or shipped -------------------------------------------------------------------------------------------


def _packed(quarter: Quarter) -> None:
    """One paid order that two warehouses share; one parcel is ready to go, the other is being packed."""
    quarter.open_shops({"blue": [2, 1]})
    quarter.place({"blue": 3})
    quarter.deliver_all()
    quarter.open_payment()
    _do_calls(quarter)
    quarter.till.pay("ch1")
    quarter.call_back("ch1")
    quarter.deliver_all()
    first, second = (one["shipment_id"] for one in quarter.shipments)
    quarter.pick(first)
    quarter.pick(second)
    quarter.pack(first)
    _do_calls(quarter)


def _do_calls(quarter: Quarter) -> None:
    for name in ("payment", "shipping"):
        while calls := quarter.intents(name):
            quarter.call(name, *calls[0])
            quarter.write_down(quarter.underway[0])
    quarter.deliver_all()


def _send_the_rest(quarter: Quarter) -> None:
    for one in _in_the_house(quarter):
        quarter.pack(one["shipment_id"])
        quarter.hand_over(one["shipment_id"])


def _in_the_house(quarter: Quarter) -> list[dict[str, Any]]:
    return [one for one in quarter.shipments if one["state"] in ("PLANNED", "PICKING", "PACKED")]


def _parcel(number: int, deed: Callable[[Quarter, str], None], *states: str) -> tuple[Any, Any]:
    """People at the shelf may not know yet that it was stopped: then they are refused."""

    def do(quarter: Quarter) -> None:
        deed(quarter, quarter.shipments[number]["shipment_id"])

    return do, lambda quarter: quarter.shipments[number]["state"] in states


def _what_left_is_paid(quarter: Quarter) -> list[str]:
    """What left is paid and gone from the shelf, what stayed is refunded and free again."""
    wrong = []
    (one,) = quarter.orders
    left = sum(line["qty"] for parcel in quarter.shipments if parcel["shipped_at"] for line in parcel["lines"])
    due = left * PRICE + one["freight"] if left else 0
    if one["paid_amount"] - one["refunded_amount"] != due:
        wrong.append(f"{left} units left, and {one['paid_amount'] - one['refunded_amount']} is kept instead of {due}")
    if quarter.till.kept != due:
        wrong.append(f"{left} units left, and the provider holds {quarter.till.kept} instead of {due}")
    if (one["state"] == "CANCELLED") != (left == 0):
        wrong.append(f"{left} units left, and the order is {one['state']}")
    if quarter.shelves != (3 - left, 0, 0):
        wrong.append(f"{left} units left; on hand, held and allocated are {quarter.shelves}")
    return wrong


SHIP = Race(
    _packed,
    {
        "the buyer cancels": _cancel(1),
        "the buyer cancels once more": _cancel(1),
        "the first parcel leaves": _parcel(0, Quarter.hand_over, "PACKED", "CANCELLED"),
        "the second parcel is packed": _parcel(1, Quarter.pack, "PICKING", "CANCELLED"),
        "the second parcel leaves": _parcel(1, Quarter.hand_over, "PACKED", "CANCELLED"),
    },
    frozenset({"CANCELLED", "SHIPPED", "RECEIVED", "COMPLETED"}),
    _what_left_is_paid,
    work=(_send_the_rest, _in_the_house),
)

RACES = {"pay": PAY, "pay_late": PAY_LATE, "place": PLACE, "ship": SHIP}
