"""A trading quarter: shops, a buyer and a warehouse, around the four services of `tests.races.wires`."""

from __future__ import annotations

from typing import Any

import msgspec

from deploy.ops.invariants import recompute
from services.inventory import commands as inventory
from services.order import commands as order
from services.payment.commands import paying as payment
from services.payment.gateways import Notice
from services.shipping import commands as shipping
from shared.contracts.account import SellerApproved
from shared.contracts.catalog import ProductListed, SkuOffer
from shared.contracts.shipping import FreightRule, FreightTemplateChanged
from shared.kernel.errors import Refusal
from tests.races.wires import Wires

ADDRESS = {"name": "李雷", "phone": "+8613800000000", "region": "CN-ZJ", "city": "杭州", "lines": ["文三路 1 号"]}


class Quarter(Wires):
    """What people do here, and what can be seen. A refusal is an answer: nothing comes of it."""

    # --- shops and orders --------------------------------------------------------------------------------------------

    def open_shops(self, stock: dict[str, list[int]]) -> None:
        """For each SKU a shop of its own, with so many units in each of its warehouses."""
        rule = FreightRule(
            region_prefix="CN", first_weight_g=1000, first_fee=800, step_weight_g=500, step_fee=200,
            days_min=2, days_max=4,
        )  # fmt: skip
        for sku, shelves in stock.items():
            seller = f"shop-{sku}"
            self.publish(
                SellerApproved(
                    seller_id=seller, account_id=f"owner-{seller}", shop_name=seller, commission_bp=500,
                    review_orders=False, auto_approve=True, stock_policy="all_or_nothing",
                ),
                FreightTemplateChanged(seller_id=seller, currency="CNY", rules=(rule,), free_over=None),
                ProductListed(
                    product_id=f"p-{sku}", seller_id=seller, title=sku, titles={"en": sku}, category="things",
                    tax_class="standard", currency="CNY", listed_at=self.now,
                    skus=(SkuOffer(sku=sku, price=10_000, attributes={}, weight_g=100),),
                ),
            )  # fmt: skip
            self.deliver_all()
            for units in shelves:
                self._open_warehouse(seller, sku, units)
        self.deliver_all()

    def _open_warehouse(self, seller: str, sku: str, units: int) -> None:
        node = self.nodes["inventory"]
        one = node.run(lambda tx: inventory.open_warehouse(tx, seller, title="W", region="CN-ZJ"))
        lines = [{"sku": sku, "qty": units}]
        node.run(lambda tx: inventory.receive(tx, seller, "owner", warehouse_id=one.warehouse_id, lines=lines))
        self.collect("inventory")

    def place(self, wanted: dict[str, int]) -> None:
        """The buyer places one group."""
        wish = {
            "lines": [{"sku": sku, "qty": qty} for sku, qty in wanted.items()], "payment_method": "online",
            "stock_policy": "all_or_nothing", "channel": "web", "delivery": ADDRESS,
        }  # fmt: skip
        node = self.nodes["order"]
        token = node.run(lambda tx: order.token_of(tx, order.quote(tx, self.buyer, wish).quote_id))
        self.group_no = node.run(lambda tx: order.place_order(tx, self.buyer, token).group_no)
        self.collect("order")

    # --- people ------------------------------------------------------------------------------------------------------

    def cancel(self, order_no: str) -> None:
        self._ask("order", lambda tx: order.cancel(tx, self.buyer, order_no, "changed_mind"))

    def open_payment(self) -> None:
        due = sum(one["payable"] for one in self.orders if one["state"] == "AWAITING_PAYMENT")
        wish = {"method": "online", "channel": "sandbox", "expected_amount": due}
        self._ask("payment", lambda tx: payment.pay(tx, self.buyer.account_id, self.group_no, **wish))

    def call_back(self, charge_id: str, copy_no: int = 0) -> None:
        """The provider tells what became of a charge."""
        charge = self.till.charges[charge_id]
        event_id = f"{charge_id}-{charge.status}-{len(charge.captures)}-{copy_no}"
        notice = Notice(event_id, payment_id=charge.key.split(":")[0], charge=charge)
        self._ask("payment", lambda tx: payment.take_callback(tx, "sandbox", notice))

    def pick(self, shipment_id: str) -> None:
        self._at_the_warehouse(shipping.pick, shipment_id, "picker")

    def pack(self, shipment_id: str) -> None:
        self._at_the_warehouse(shipping.pack, shipment_id, parcels=[{"weight_g": 100}])

    def hand_over(self, shipment_id: str) -> None:
        self._at_the_warehouse(shipping.hand_over, shipment_id)

    def _at_the_warehouse(self, deed: Any, shipment_id: str, *words: Any, **more: Any) -> None:
        seller = next(one["seller_id"] for one in self.shipments if one["shipment_id"] == shipment_id)
        self._ask("shipping", lambda tx: deed(tx, seller, shipment_id, *words, **more))

    def _ask(self, name: str, deed: Any) -> None:
        """A request; a refusal is an answer."""
        try:
            self.nodes[name].run(deed)
        except Refusal:
            return
        self.collect(name)

    # --- looking -----------------------------------------------------------------------------------------------------

    @property
    def orders(self) -> list[dict[str, Any]]:
        (group,) = self._bodies("order", "order_group")
        return list(group["orders"])

    @property
    def shipments(self) -> list[dict[str, Any]]:
        """In the order in which they were planned."""
        return sorted(self._bodies("shipping", "shipment"), key=lambda one: (one["order_no"], one["index"]))

    @property
    def captures(self) -> list[dict[str, Any]]:
        """The money payment knows of."""
        return [capture for one in self._bodies("payment", "payment") for capture in one["captures"]]

    @property
    def states(self) -> dict[str, str]:
        return {one["order_no"]: one["state"] for one in self.orders}

    @property
    def shelves(self) -> tuple[int, int, int]:
        """Units on hand, held and allocated, all together."""
        row = self.stores["inventory"].raw.execute("SELECT sum(on_hand), sum(held), sum(allocated) FROM stock")
        on_hand, held, allocated = row.fetchone()
        return on_hand, held, allocated

    def breaches(self) -> list[str]:
        """The platform's invariants over these stores."""
        self.touched |= set(self.stores)
        for store in self.stores.values():
            store.raw.execute("DELETE FROM outbox")  # all was collected
        return [breach for verdict in recompute(self.stores) for breach in verdict.breaches]

    def kept(self) -> list[tuple[str, int]]:
        """Messages that were not handled: service and row."""
        return [
            (name, no)
            for name, store in self.stores.items()
            for (no,) in store.raw.execute("SELECT no FROM inbox_retry ORDER BY no").fetchall()
        ]

    def _bodies(self, name: str, table: str) -> list[dict[str, Any]]:
        rows = self.stores[name].raw.execute(f"SELECT body FROM {table}").fetchall()  # noqa: S608  (names of our own)
        return [msgspec.json.decode(body) for (body,) in rows]
