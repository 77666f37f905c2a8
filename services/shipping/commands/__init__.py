"""Use cases: freight terms, planning and stopping, the warehouse's deeds, and the carrier's reports."""

from services.shipping.commands.carriers import ask_for_cash, calls, chase, declare_lost, take_reports
from services.shipping.commands.freight import set_freight_template
from services.shipping.commands.planning import (
    answer_cancellation,
    confirm_order,
    miss_ship_by,
    plan_backorder,
    plan_shipments,
    stop_order,
)
from services.shipping.commands.warehouse import batch, hand_over, pack, pick

__all__ = [
    "answer_cancellation", "ask_for_cash", "batch", "calls", "chase", "confirm_order", "declare_lost", "hand_over",
    "miss_ship_by", "pack", "pick", "plan_backorder", "plan_shipments", "set_freight_template", "stop_order",
    "take_reports",
]  # fmt: skip
