"""What a product still lacks before it can be reviewed, and before it can be sold."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass

from services.catalog.domain.category import AttributeSet
from services.catalog.domain.product import Product
from shared.kernel.errors import Conflict

ONLY_FOR_SALE = frozenset({"stock"})
"""Sellers put stock in after they have handed a product in, so a review does not wait for it."""


class NotReady(Conflict):
    """The product lacks something; `missing` names it, GET …/checklist tells all."""


class ShopNotApproved(Conflict):
    """Your shop may not sell (yet); it has to be approved, and a suspension to end."""


@dataclass(frozen=True)
class Item:
    """One line of the checklist. `lacking` names what is missing: fields, SKUs, attribute codes."""

    code: str
    lacking: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        return not self.lacking


def checklist(product: Product, attributes: AttributeSet, stocked: Set[str], shop_approved: bool) -> list[Item]:
    """`stocked`: the SKUs inventory has a record of."""
    differing = {tuple(sorted(one.attributes.items())) for one in product.skus}
    incomplete = attributes.missing(product.attributes, varies=False)
    for one in product.skus:
        incomplete += [f"{one.sku}: {code}" for code in attributes.missing(one.attributes, varies=True)]
    return [
        Item("shop", () if shop_approved else ("approval",)),
        Item("title", () if product.titles else ("titles",)),
        Item("description", () if product.descriptions else ("descriptions",)),
        Item("variants", () if product.skus else ("variants",)),
        Item("variants_differ", () if len(differing) == len(product.skus) else ("variants",)),
        Item("price", tuple(one.sku for one in product.skus if one.price <= 0)),
        Item("attributes", tuple(incomplete)),
        Item("stock", tuple(one.sku for one in product.skus if one.sku not in stocked)),
    ]


def insist(items: list[Item], *, for_sale: bool) -> None:
    """Raises NotReady unless all that counts now is ok."""
    missing = [one for one in items if not one.ok and (for_sale or one.code not in ONLY_FOR_SALE)]
    if missing:
        raise NotReady(
            ", ".join(one.code for one in missing),
            missing=[{"code": one.code, "lacking": list(one.lacking)} for one in missing],
        )
