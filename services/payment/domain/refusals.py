"""What payment will not do, and the codes it says so with."""

from __future__ import annotations

from shared.kernel.errors import Conflict, Invalid, NotFound


class NoSuchPayment(NotFound):
    """There is no such payment, or it is not yours."""


class NoSuchEscrow(NotFound):
    """There is no money held for such an order, or it is not yours."""


class NoSuchRefund(NotFound):
    """There is no such refund, or it is not yours."""


class NoSuchAssessment(NotFound):
    """The risk of such an order was never assessed."""


class AmountChanged(Conflict):
    """The amount to pay is another one now: see `payable` and `currency`, show them, and ask again."""


class PaymentAlreadyMade(Conflict):
    """This has been paid."""


class PaymentIsClosing(Conflict):
    """The payment is being closed, because its deadline passed or the order is being cancelled."""


class PaymentIsClosed(Conflict):
    """The payment is closed; nothing can be paid any more."""


class PaymentDeadlinePassed(Conflict):
    """The time to pay is over."""


class TooManyAttempts(Conflict):
    """So many attempts were made to pay this that no more are taken."""


class NotPaidHere(Conflict):
    """This order is paid in cash at the door, not here."""


class MethodNotOffered(Invalid):
    """This payment cannot be made by that method; see `methods`."""


class UnknownChannel(Invalid):
    """There is no such payment channel, or it does not serve that method or instrument; see `channels`."""


class NoOtherRouteNeeded(Conflict):
    """This refund goes, or went, the way the money came; only one that could not may be paid otherwise."""


class CashNotExpected(Invalid):
    """An order in the statement has no cash waiting at this carrier in this currency; see `order_no`."""


class NoSuchChannel(NotFound):
    """There is no such payment channel."""


class NoSuchBalance(NotFound):
    """This token speaks for no shop."""


class NoSuchPayout(NotFound):
    """There is no such payout, or it is not yours."""


class AnotherSum(Invalid):
    """The channel speaks of another amount or currency than it was asked for: nothing of it is believed."""


class NoSuchPayoutAccount(NotFound):
    """Your shop has given no bank account to be paid to, or its details were erased."""


class NoPayoutAccount(Conflict):
    """No bank account is known to pay to: give one by PUT /v1/payout-account, then ask again."""


class PayoutCurrencyMismatch(Invalid):
    """The shop's bank account is in another currency; see `currency`."""


class PayoutTooSmall(Invalid):
    """Less than is ever paid out; see `least`, in minor units."""


class BalanceIsNegative(Conflict):
    """The shop owes the platform money; nothing is paid out until its balance is positive again. See `balance`."""


class BalanceTooSmall(Conflict):
    """More than the shop's balance holds; see `balance`."""


class PayoutsNotOffered(Conflict):
    """No channel that pays out is there."""
