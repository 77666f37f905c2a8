"""What a seller does with freight terms."""

from __future__ import annotations

from typing import Any

from services.shipping import store
from services.shipping.domain import FreightTemplate
from shared.contracts.shipping import FreightRule
from shared.storage.unit_of_work import UnitOfWork


def set_freight_template(
    tx: UnitOfWork, seller_id: str, *, currency: str, rules: list[dict[str, Any]], free_over: int | None,
    edition: int | None = None,
) -> FreightTemplate:  # fmt: skip
    """Replace a shop's terms. Raises what `FreightTemplate.change` raises."""
    template = store.templates.find(tx, seller_id)
    if template is None:
        template = store.templates.add(tx, FreightTemplate(seller_id, currency))
    tx.emit(*template.change(currency, tuple(FreightRule(**rule) for rule in rules), free_over, edition=edition))
    return template
