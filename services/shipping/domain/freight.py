"""What a shop asks for carrying its goods."""

from __future__ import annotations

from dataclasses import dataclass

from shared.contracts.shipping import FreightRule, FreightTemplateChanged
from shared.kernel.errors import Conflict, Invalid, NotFound


class NoFreightTemplate(NotFound):
    """This shop has not set its freight terms."""


class FreightRuleRepeated(Invalid):
    """Two freight rules are for the same region prefix."""


class FreightDaysReversed(Invalid):
    """A freight rule's least number of days is larger than its largest."""


class FreightTemplateOutdated(Conflict):
    """The freight terms were changed since you read them (If-Match)."""


@dataclass
class FreightTemplate:
    """A shop's terms: the longest `region_prefix` that fits wins. Fees in minor units, weights in grams."""

    seller_id: str
    currency: str
    rules: tuple[FreightRule, ...] = ()
    free_over: int | None = None
    """Orders of at least this much are carried for nothing."""
    edition: int = 0

    def change(
        self,
        currency: str,
        rules: tuple[FreightRule, ...],
        free_over: int | None,
        *,
        edition: int | None = None,
    ) -> list[FreightTemplateChanged]:
        """Replace all terms; the same terms again say nothing.

        Raises FreightTemplateOutdated when `edition` is given and not the present one, FreightRuleRepeated,
        FreightDaysReversed.
        """
        if edition is not None and edition != self.edition:
            raise FreightTemplateOutdated(field="If-Match", version=self.edition)
        seen: set[str] = set()
        for number, rule in enumerate(rules):
            if rule.region_prefix in seen:
                raise FreightRuleRepeated(field=f"rules.{number}.region_prefix")
            if rule.days_min > rule.days_max:
                raise FreightDaysReversed(field=f"rules.{number}.days_min")
            seen.add(rule.region_prefix)
        if (currency, rules, free_over) == (self.currency, self.rules, self.free_over):
            return []
        self.currency, self.rules, self.free_over = currency, rules, free_over
        self.edition += 1
        return [FreightTemplateChanged(seller_id=self.seller_id, currency=currency, rules=rules, free_over=free_over)]
