"""Opening an account and keeping what belongs to it."""

import pytest
import sqlalchemy as sa

from services.account.store.tables import metadata
from services.account.tests.makers import PASSWORD, buyer, home, registration, sign_in
from shared.contracts.account import SessionRevoked, UserRegistered
from shared.storage.types import kit


def test_who_registers_can_sign_in(both):
    answer = both.caller().post("/v1/accounts", registration("Li.Lei@Caravan.Example", phone="13800138000"))
    assert (answer.status, answer.json["roles"]) == (201, ["buyer"])
    tokens = sign_in(both, "li.lei@caravan.example")
    assert tokens.status == 201
    assert tokens.json["account_id"] == answer.json["account_id"]
    [fact] = both.said(UserRegistered)
    assert both.node.vault.open(fact.email, "email") == "li.lei@caravan.example"
    assert both.node.vault.open(fact.full_name, "full_name") == "李雷"
    assert both.node.vault.open(fact.phone, "phone") == "+8613800138000"


def test_an_address_is_one_persons(both):
    assert both.caller().post("/v1/accounts", registration()).status == 201
    again = both.caller().post("/v1/accounts", registration("LI.LEI@caravan.example"))
    assert (again.status, again.json["code"], again.json["field"]) == (409, "email_taken", "email")
    assert len(both.said(UserRegistered)) == 1


def test_a_lost_answer_is_given_again(stage):
    first = stage.caller().post("/v1/accounts", registration(), Idempotency_Key="k1")
    again = stage.caller().post("/v1/accounts", registration(), Idempotency_Key="k1")
    assert again.json == first.json
    assert len(stage.said(UserRegistered)) == 1


@pytest.mark.parametrize(
    ("wrong", "code", "field"),
    [
        ({"password": "short"}, "weak_password", "password"),
        ({"password": "P@ssw0rd"}, "weak_password", "password"),
        ({"password": "NewCastle"}, "weak_password", "password"),  # of the long list
        ({"password": "aaaaaaaaaaaa"}, "weak_password", "password"),
        ({"password": "LI.LEI@caravan.example"}, "weak_password", "password"),
        ({"password": "x1y2z3" * 40}, "weak_password", "password"),
        ({"email": "li.lei"}, "email_invalid", "email"),
        ({"phone": "123"}, "phone_invalid", "phone"),
        ({"name": "  "}, "invalid", "name"),
        ({"name": "a\tb"}, "invalid", "name"),
        ({"locale": "xx"}, "invalid", "locale"),
        ({"roles": ["operator"]}, "invalid", "roles"),
        ({"seller_id": "s"}, "invalid", "seller_id"),
    ],
)
def test_a_bad_registration_is_refused_and_changes_nothing(stage, wrong, code, field):
    answer = stage.caller().post("/v1/accounts", registration(**wrong))
    assert (answer.status, answer.json["code"], answer.json["field"]) == (422, code, field)
    assert stage.said() == []


def test_nothing_personal_lies_open_in_the_store(stage):
    me = buyer(stage, phone="13800138000")
    me.post("/v1/me/addresses", home())
    me.patch("/v1/me", {"name": "李小雷"})
    sign_in(stage, password="not the right one")
    needles = [text.encode() for text in ("李雷", "李小雷", "li.lei", "13800138000", "文三路", PASSWORD, "127.0.0.1")]
    with stage.node.database.read() as connection:
        for table in [*metadata.sorted_tables, *kit.sorted_tables]:
            for row in connection.execute(sa.select(table)):
                content = b" ".join(v if isinstance(v, bytes) else str(v).encode() for v in row)
                assert not [needle for needle in needles if needle in content], table.name


def test_i_can_change_what_is_mine(both):
    me = buyer(both)
    before = me.get("/v1/me")
    assert before.json["name"] == "李雷"
    assert before.headers["ETag"] == '"1"'
    changed = me.patch("/v1/me", {"name": "韩梅梅", "phone": "13800138000", "locale": "en"}, If_Match='"1"')
    assert changed.status == 200
    assert me.get("/v1/me").json == before.json | {
        "name": "韩梅梅", "phone": "+8613800138000", "locale": "en", "version": 2,
    }  # fmt: skip
    assert me.patch("/v1/me", {"name": "X"}, If_Match='"1"').json["code"] == "precondition_failed"
    for nonsense in ('"abc"', "W/", "9" * 5000, "١"):
        assert me.patch("/v1/me", {"name": "X"}, If_Match=nonsense).status == 412
    assert me.patch("/v1/me", {"locale": "en"}, If_Match="*").status == 200
    assert me.patch("/v1/me", {"phone": None}).json["phone"] is None
    assert me.patch("/v1/me", {"email": "other@caravan.example"}).status == 422
    assert both.caller().get("/v1/me").status == 401


def test_the_first_address_is_the_default_until_another_is(both):
    me = buyer(both)
    first = me.post("/v1/me/addresses", home()).json["address_id"]
    second = me.post("/v1/me/addresses", home(city="宁波市")).json["address_id"]
    assert [(a["address_id"], a["default"]) for a in me.get("/v1/me/addresses").json["items"]] == [
        (first, True),
        (second, False),
    ]
    assert me.put(f"/v1/me/addresses/{second}", home(city="温州市", default=True)).json["version"] == 2
    found = me.get("/v1/me/addresses").json["items"]
    assert [(a["address_id"], a["default"], a["city"]) for a in found] == [
        (second, True, "温州市"),
        (first, False, "杭州市"),
    ]
    assert me.delete(f"/v1/me/addresses/{second}").status == 204
    [left] = me.get("/v1/me/addresses").json["items"]
    assert (left["address_id"], left["default"], left["phone"]) == (first, True, "+8613800138000")


def test_an_address_that_somebody_else_changed_is_not_overwritten(stage):
    me = buyer(stage)
    address = me.post("/v1/me/addresses", home()).json["address_id"]
    assert me.put(f"/v1/me/addresses/{address}", home(city="宁波市"), If_Match='"1"').status == 200
    assert me.put(f"/v1/me/addresses/{address}", home(), If_Match='"1"').status == 412


def test_other_peoples_addresses_do_not_exist(stage):
    mine, other = buyer(stage), buyer(stage, "han@caravan.example")
    address = mine.post("/v1/me/addresses", home()).json["address_id"]
    assert other.get("/v1/me/addresses").json["items"] == []
    assert other.put(f"/v1/me/addresses/{address}", home()).json["code"] == "no_such_address"
    assert other.delete(f"/v1/me/addresses/{address}").status == 404
    assert len(mine.get("/v1/me/addresses").json["items"]) == 1


def test_twenty_addresses_are_enough(stage):
    me = buyer(stage)
    codes = [me.post("/v1/me/addresses", home()).status for _ in range(21)]
    assert codes == [201] * 20 + [409]


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"region": "ZJ"}, "region"),
        ({"phone": "1"}, "phone"),
        ({"lines": []}, "lines"),
        ({"city": ""}, "city"),
    ],
)
def test_a_bad_address_names_its_field(stage, wrong, field):
    answer = buyer(stage).post("/v1/me/addresses", home(**wrong))
    assert (answer.status, answer.json["field"]) == (422, field)


def test_a_new_password_ends_the_other_sessions(both):
    me = buyer(both)
    other = sign_in(both).json
    changed = me.post("/v1/me/password", {"present": PASSWORD, "new": "a whole new secret"})
    assert changed.status == 204
    assert sign_in(both).status == 401
    assert sign_in(both, password="a whole new secret").status == 201
    assert both.caller().post("/v1/sessions/refresh", {"refresh_token": other["refresh_token"]}).status == 401
    assert [fact.session_id for fact in both.said(SessionRevoked)] == [other["session_id"]]
    assert me.get("/v1/me").status == 200


def test_a_password_is_changed_only_by_who_knows_it(stage):
    me = buyer(stage)
    for _ in range(10):
        assert me.post("/v1/me/password", {"present": "guess", "new": "a whole new secret"}).status == 401
    locked = me.post("/v1/me/password", {"present": PASSWORD, "new": "a whole new secret"})
    assert locked.status == 429
    assert me.post("/v1/me/password", {"present": PASSWORD, "new": "short"}).json["code"] == "weak_password"
