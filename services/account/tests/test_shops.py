"""From an application to a shop that sells, and what may stop it."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from services.account.tests.makers import bearer, buyer, operator, shop, sign_in
from shared.contracts.account import SellerApproved, SellerSuspended
from shared.storage.types import audit


def test_a_buyer_becomes_a_seller(both):
    owner, judge = buyer(both), operator(both)
    application = owner.post("/v1/shops", {"shop_name": "山茶小铺", "plan": "plus", "review_orders": True})
    assert (application.status, application.json["state"]) == (201, "PENDING")
    seller_id = application.json["seller_id"]
    assert both.caller().get(f"/v1/shops/{seller_id}").status == 404
    assert [one["seller_id"] for one in judge.get("/v1/shops?state=PENDING").json["items"]] == [seller_id]
    assert judge.post(f"/v1/shops/{seller_id}/approve").json["state"] == "APPROVED"
    [fact] = both.said(SellerApproved)
    assert (fact.seller_id, fact.account_id) == (seller_id, owner.tokens["account_id"])
    assert (fact.commission_bp, fact.holdback_bp, fact.review_orders) == (300, 500, True)
    tokens = sign_in(both).json
    assert (tokens["roles"], tokens["seller_id"]) == (["buyer", "seller"], seller_id)
    fresh = both.caller().post("/v1/sessions/refresh", {"refresh_token": owner.tokens["refresh_token"]}).json
    assert fresh["seller_id"] == seller_id
    assert owner.get("/v1/me").json["shop_state"] == "APPROVED"
    with both.node.database.read() as connection:
        rows = connection.execute(sa.select(audit.c.action, audit.c.object, audit.c.result)).all()
    assert ("approve shop", seller_id, "role seller granted") in [tuple(row) for row in rows]


def test_the_public_profile_tells_no_terms(stage):
    owner, judge = buyer(stage), operator(stage)
    seller_id = shop(stage, owner, description="手作\n山茶")
    judge.post(f"/v1/shops/{seller_id}/approve")
    public = stage.caller().get(f"/v1/shops/{seller_id}").json
    assert public.keys() == {
        "seller_id", "shop_name", "description", "currency", "created_at", "state", "version",
    }  # fmt: skip
    assert "commission_bp" in owner.get(f"/v1/shops/{seller_id}").json
    assert "account_id" not in buyer(stage, "han@caravan.example").get(f"/v1/shops/{seller_id}").json


def test_one_shop_a_person_unless_it_was_rejected(both):
    owner, judge = buyer(both), operator(both)
    seller_id = shop(both, owner)
    again = owner.post("/v1/shops", {"shop_name": "二号店"})
    assert (again.status, again.json["code"]) == (409, "has_shop")
    assert judge.post(f"/v1/shops/{seller_id}/reject", {"reason": "no licence"}).json["state"] == "REJECTED"
    assert owner.get(f"/v1/shops/{seller_id}").json["reason"] == "no licence"
    assert owner.post("/v1/shops", {"shop_name": "二号店"}).status == 201
    assert judge.post(f"/v1/shops/{seller_id}/approve").json["code"] == "wrong_shop_state"
    assert both.said(SellerApproved) == []


def test_new_terms_are_told_once_more_in_full(stage):
    owner, judge = buyer(stage), operator(stage)
    seller_id = shop(stage, owner)
    judge.post(f"/v1/shops/{seller_id}/approve")
    version = owner.get(f"/v1/shops/{seller_id}").headers["ETag"]
    changed = owner.patch(f"/v1/shops/{seller_id}", {"review_over": 500_000, "cod_allowed": False}, If_Match=version)
    assert changed.status == 200
    assert owner.patch(f"/v1/shops/{seller_id}", {"cod_allowed": True}, If_Match=version).status == 412
    last = stage.said(SellerApproved)[-1]
    assert (last.review_over, last.cod_allowed, last.shop_name) == (500_000, False, "山茶小铺")
    assert len(stage.said(SellerApproved)) == 2


def test_a_suspension_ends_when_it_was_said_to(both):
    owner, judge = buyer(both), operator(both)
    seller_id = shop(both, owner)
    judge.post(f"/v1/shops/{seller_id}/approve")
    until = (both.now().replace(microsecond=0)).isoformat()
    past = judge.post(f"/v1/shops/{seller_id}/suspend", {"reason": "fakes", "until": until})
    assert past.json["code"] == "suspension_in_past"
    until = (both.now() + timedelta(days=3)).isoformat()
    assert judge.post(f"/v1/shops/{seller_id}/suspend", {"reason": "fakes", "until": until}).status == 200
    [fact] = both.said(SellerSuspended)
    assert fact.until.isoformat() == until
    assert sign_in(both).json["roles"] == ["buyer", "seller"]  # it still ships what it sold
    both.advance(days=2)
    assert len(both.said(SellerApproved)) == 1
    both.advance(days=2)
    assert len(both.said(SellerApproved)) == 2
    assert owner.get(f"/v1/shops/{seller_id}").json["state"] == "APPROVED"


def test_a_suspension_for_good_outlasts_one_for_a_time(stage):
    owner, judge = buyer(stage), operator(stage)
    seller_id = shop(stage, owner)
    judge.post(f"/v1/shops/{seller_id}/approve")
    until = (stage.now() + timedelta(days=3)).isoformat()
    judge.post(f"/v1/shops/{seller_id}/suspend", {"reason": "fakes", "until": until})
    judge.post(f"/v1/shops/{seller_id}/suspend", {"reason": "fakes again"})
    stage.advance(days=30)
    assert owner.get(f"/v1/shops/{seller_id}").json["state"] == "SUSPENDED"
    assert judge.post(f"/v1/shops/{seller_id}/approve").json["state"] == "APPROVED"


@pytest.mark.parametrize("deed", ["approve", "reject", "suspend"])
def test_only_operators_decide(stage, deed):
    owner = buyer(stage)
    seller_id = shop(stage, owner)
    body = {} if deed == "approve" else {"reason": "mine"}
    assert owner.post(f"/v1/shops/{seller_id}/{deed}", body).status == 403
    assert owner.get("/v1/shops").status == 403
    assert stage.caller().post(f"/v1/shops/{seller_id}/{deed}", body).status == 401


def test_other_peoples_shops_cannot_be_changed(stage):
    seller_id = shop(stage, buyer(stage))
    thief = buyer(stage, "han@caravan.example")
    assert thief.patch(f"/v1/shops/{seller_id}", {"shop_name": "Mine"}).json["code"] == "no_such_shop"
    for wrong in ({"state": "APPROVED"}, {"commission_bp": 0}, {"plan": "flagship"}, {"account_id": "x"}):
        assert thief.patch(f"/v1/shops/{seller_id}", wrong).status == 422


def test_shops_are_listed_page_by_page(stage):
    judge = operator(stage)
    made = [shop(stage, buyer(stage, f"p{n}@caravan.example")) for n in range(3)]
    first = judge.get("/v1/shops?limit=2").json
    rest = judge.get(f"/v1/shops?limit=2&cursor={first['next']}").json
    assert [one["seller_id"] for one in first["items"] + rest["items"]] == made
    assert rest["next"] is None


def test_a_token_without_the_role_is_no_key_to_the_seller_door(stage):
    """The seller's role comes with the next token, not with the approval."""
    owner, judge = buyer(stage), operator(stage)
    judge.post(f"/v1/shops/{shop(stage, owner)}/approve")
    assert owner.tokens["seller_id"] is None
    assert "seller" in bearer(stage, sign_in(stage).json).get("/v1/me").json["roles"]
