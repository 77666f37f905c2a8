"""People who come to the account service in its tests."""

from typing import Any

from services.account import commands, passwords
from services.account.app import service
from shared.testing.stage import Answer, Caller, Stage

PASSWORD = "correct horse battery"


def make_stage(database_url, tmp_path, **settings) -> Stage:
    return Stage(service, database_url, tmp_path, **settings)


def registration(email: str = "li.lei@caravan.example", **more: Any) -> dict[str, Any]:
    return {"email": email, "password": PASSWORD, "name": "李雷", "locale": "zh-CN"} | more


def home(**more: Any) -> dict[str, Any]:
    address = {
        "name": "李雷", "phone": "138 0013 8000", "country": "CN", "region": "CN-ZJ", "city": "杭州市",
        "district": "西湖区", "lines": ["文三路 1 号", "2 幢 301 室"], "postcode": "310012",
    }  # fmt: skip
    return address | more


def sign_in(stage: Stage, email: str = "li.lei@caravan.example", password: str = PASSWORD, **headers) -> Answer:
    return stage.caller().post("/v1/sessions", {"email": email, "password": password}, **headers)


class Person(Caller):
    """Somebody who holds `tokens`."""

    def __init__(self, client: Any, tokens: dict[str, Any]) -> None:
        super().__init__(client, {"Authorization": f"Bearer {tokens['access_token']}"}, None)
        self.tokens = tokens


def bearer(stage: Stage, tokens: Any) -> Person:
    """Somebody who holds these tokens."""
    return Person(stage.app.test_client(), tokens)


def buyer(stage: Stage, email: str = "li.lei@caravan.example", **more: Any) -> Person:
    """Somebody who registered and signed in through the doors; `.tokens` is what they got."""
    assert stage.caller().post("/v1/accounts", registration(email, **more)).status == 201
    return bearer(stage, sign_in(stage, email).json)


def operator(stage: Stage, email: str = "op@caravan.example") -> Person:
    """An operator, made as the command line makes them."""
    password_hash = passwords.hashed(PASSWORD)
    stage.node.run(
        lambda tx: commands.people.register_operator(
            tx, email=email, password_hash=password_hash, full_name="Operator", locale="en"
        )
    )
    return bearer(stage, sign_in(stage, email).json)


def shop(stage: Stage, owner: Caller, **more: Any) -> str:
    """The id of a shop that was applied for."""
    return str(owner.post("/v1/shops", {"shop_name": "山茶小铺"} | more).json["seller_id"])
