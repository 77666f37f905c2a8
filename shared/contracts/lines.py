"""Small values that several publishers' facts share."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta

Moment = Annotated[datetime, Meta(tz=True)]
"""A point in time; always with its offset."""
Currency = Annotated[str, Meta(pattern="^[A-Z]{3}$")]
"""ISO 4217."""
Amount = Annotated[int, Meta(ge=0)]
"""Money in minor units; the currency stands beside it in the same fact."""
Count = Annotated[int, Meta(ge=0)]
Quantity = Annotated[int, Meta(ge=1)]
Ordinal = Annotated[int, Meta(ge=1)]
BasisPoints = Annotated[int, Meta(ge=0, le=10_000)]

Actor = Literal["buyer", "seller", "operator", "system"]
PlacedMethod = Literal["online", "cod", "bank_transfer"]
"""How the buyer chose to pay at placement."""
PaidMethod = Literal["online", "bank_transfer", "balance", "cod"]
"""How one payment was or will be made; the provider is named by `channel`."""
StockPolicy = Literal["all_or_nothing", "ship_available"]
Purpose = Literal["sale", "replacement"]


@dataclass(frozen=True, kw_only=True)
class LineQty:
    line_id: str
    qty: Quantity


@dataclass(frozen=True, kw_only=True)
class SkuLine:
    line_id: str
    sku: str
    qty: Quantity


@dataclass(frozen=True, kw_only=True)
class ProductLine:
    line_id: str
    sku: str
    product_id: str
    qty: Quantity


@dataclass(frozen=True, kw_only=True)
class StockLine:
    """`qty` units are in this warehouse; `backordered_qty` more are promised and wait for BackorderFilled.

    A line that several warehouses serve appears once for each of them.
    """

    line_id: str
    sku: str
    warehouse_id: str
    qty: Count
    backordered_qty: Count = 0


@dataclass(frozen=True, kw_only=True)
class RefundLine:
    line_id: str
    qty: Count
    amount: Amount
