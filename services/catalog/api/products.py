"""Products: for sellers who list them, operators who judge them, and everybody who looks."""

from __future__ import annotations

from typing import Any

from services.catalog import commands, queries, schemas
from services.catalog.api.door import door
from services.catalog.domain.product import NoSuchProduct, Product
from shared.storage.unit_of_work import UnitOfWork
from shared.web.auth import OPERATOR, SELLER, Principal
from shared.web.door import ANYONE, Reading, expected_version


@door.get("/products", who=ANYONE, query=schemas.ProductQuery, answer=schemas.SummaryList)
def get_products(reading: Reading, who: Principal | None, query: dict[str, Any]) -> Any:
    """Browse what is on sale. With `state`, sellers see their own products, operators all."""
    return queries.products.browse(reading, who, query)


@door.get("/search", who=ANYONE, query=schemas.SearchQuery, answer=schemas.SummaryList)
def get_search(reading: Reading, who: Principal | None, query: dict[str, Any]) -> Any:
    """Search what is on sale, in Chinese and English."""
    return queries.products.search(reading, query)


@door.get("/products/<product_id>", who=ANYONE, answer=schemas.ProductView)
def get_product(reading: Reading, who: Principal | None, product_id: str) -> Any:
    """One product; one that is not on sale only for its seller and operators."""
    return queries.products.one_product(reading, who, product_id)


@door.get("/products/<product_id>/checklist", who={SELLER, OPERATOR}, answer=schemas.ChecklistView)
def get_checklist(reading: Reading, who: Principal, product_id: str) -> Any:
    """What the product lacks before it can be reviewed and sold."""
    product, shop_approved = queries.products.own_product(reading, who, product_id)
    return queries.products.checklist_view(commands.products.checklist(reading, product, shop_approved))


@door.post("/products", who={SELLER}, body=schemas.DraftProduct, answer=schemas.ProductView, status=201)
def post_product(tx: UnitOfWork, who: Principal, body: dict[str, Any]) -> Any:
    """Draft a product."""
    product = commands.products.draft_product(tx, _shop(who), body)
    return _show(tx, product), {"Location": f"/v1/products/{product.product_id}"}


@door.patch("/products/<product_id>", who={SELLER}, body=schemas.ChangeProduct, answer=schemas.ProductView)
def patch_product(tx: UnitOfWork, who: Principal, product_id: str, body: dict[str, Any]) -> Any:
    """Change a product. Lists and maps replace the old ones; variants change only while it is off sale."""
    return _show(tx, commands.products.change_product(tx, _shop(who), product_id, expected_version(), body))


@door.put("/products/<product_id>/prices", who={SELLER}, body=schemas.SetPrices, answer=schemas.ProductView)
def put_prices(tx: UnitOfWork, who: Principal, product_id: str, body: dict[str, Any]) -> Any:
    """Set prices of some or all SKUs, from now on."""
    return _show(tx, commands.products.set_prices(tx, _shop(who), product_id, expected_version(), body["prices"]))


@door.post("/products/<product_id>/submit", who={SELLER}, answer=schemas.ProductView)
def post_submission(tx: UnitOfWork, who: Principal, product_id: str) -> Any:
    """Hand it in for review. Stock may be put in from now on."""
    return _show(tx, commands.products.submit_product(tx, _shop(who), product_id))


@door.post("/products/<product_id>/review", who={OPERATOR}, body=schemas.ReviewProduct, answer=schemas.ProductView)
def post_judgement(tx: UnitOfWork, who: Principal, product_id: str, body: dict[str, Any]) -> Any:
    """Approve, reject or ban it. Banning is possible at any time."""
    return _show(tx, commands.products.review_product(tx, who.account_id, product_id, **body))


@door.post("/products/<product_id>/list", who={SELLER}, answer=schemas.ProductView)
def post_listing(tx: UnitOfWork, who: Principal, product_id: str) -> Any:
    """Put an approved product on sale."""
    return _show(tx, commands.products.list_product(tx, _shop(who), product_id))


@door.post("/products/<product_id>/delist", who={SELLER, OPERATOR}, answer=schemas.ProductView)
def post_delisting(tx: UnitOfWork, who: Principal, product_id: str) -> Any:
    """Take it off sale. What an operator takes off needs a review before it is sold again."""
    seller_id = None if who.has("operator") else _shop(who)
    return _show(tx, commands.products.delist_product(tx, seller_id, product_id))


def _shop(who: Principal) -> str:
    """The shop the token speaks for. Raises NoSuchProduct, as without a shop nothing is one's own."""
    if who.seller_id is None:
        raise NoSuchProduct()
    return who.seller_id


def _show(tx: UnitOfWork, product: Product) -> dict[str, Any]:
    return queries.products.full_view(tx, product, insider=True)
