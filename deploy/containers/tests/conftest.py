"""One platform in containers, in production's form, for all stories of this folder, and a shop on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from deploy.containers.engine import Engine
from deploy.containers.project import Containers
from deploy.story import shop
from deploy.story.people import Buyer
from shared.kernel.ids import new_id

Sale = tuple[Buyer, dict[str, Any]]


@pytest.fixture(scope="session")
def containers(container_engine: Engine) -> Iterator[Containers]:
    with Containers(container_engine, tls=True) as running:
        yield running


@pytest.fixture(scope="session")
def sell(containers: Containers) -> Callable[[], Sale]:
    """A new buyer places an order for one cup; who, and the group of orders."""
    staff = shop.operator(containers)
    seller = shop.open_shop(containers, staff, "Cups")
    sku = f"CUP-{new_id()[-12:]}".upper()
    warehouse = seller.open_warehouse("East", "CN-ZJ")
    shop.list_goods(staff, seller, [shop.simple_product(sku)], {warehouse: 100})

    def sold() -> Sale:
        buyer = shop.new_buyer(containers)
        return buyer, buyer.place(buyer.quote({sku: 1}))

    return sold


@pytest.fixture
def expect() -> Callable[[list[Sale], str], None]:
    def found(sales: list[Sale], state: str) -> None:
        states = [buyer.order(order["order_no"])["state"] for buyer, group in sales for order in group["orders"]]
        assert states == [state] * len(sales)

    return found
