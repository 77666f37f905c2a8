"""Many at once, on PostgreSQL, where they really run side by side."""

import threading

import pytest

from services.account.tests.makers import (
    PASSWORD,
    buyer,
    home,
    make_stage,
    operator,
    registration,
    shop,
    sign_in,
)
from shared.contracts.account import SellerApproved, SessionRevoked, SigningKeyPublished, UserRegistered


@pytest.fixture
def stage(postgres_url, tmp_path):
    one = make_stage(postgres_url, tmp_path, pool_size=10)
    yield one
    one.close()


def at_once(count, deed):
    """`deed(n)` in `count` threads that start together; their results in order."""
    barrier, results = threading.Barrier(count), [None] * count

    def run(n):
        barrier.wait()
        results[n] = deed(n)

    threads = [threading.Thread(target=run, args=(n,)) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_two_who_register_one_address_get_one_account(stage):
    answers = at_once(4, lambda n: stage.caller().post("/v1/accounts", registration()).status)
    assert sorted(answers) == [201, 409, 409, 409]
    assert len(stage.said(UserRegistered)) == 1


def test_the_first_sign_ins_at_once_make_one_key(stage):
    for n in range(4):
        stage.caller().post("/v1/accounts", registration(f"p{n}@caravan.example"))
    answers = at_once(4, lambda n: sign_in(stage, f"p{n}@caravan.example").status)
    assert answers == [201] * 4
    assert len(stage.said(SigningKeyPublished)) == 1


def test_guesses_at_once_are_all_counted(stage):
    stage.caller().post("/v1/accounts", registration())
    answers = at_once(8, lambda n: [sign_in(stage, password="guess").status for _ in range(2)])
    codes = sorted(code for pair in answers for code in pair)
    assert codes == [401] * 10 + [429] * 6


def test_a_refresh_token_used_twice_at_once_serves_once(stage):
    me = buyer(stage)
    token = {"refresh_token": me.tokens["refresh_token"]}
    answers = at_once(2, lambda n: stage.caller().post("/v1/sessions/refresh", token).status)
    assert sorted(answers) == [201, 401]
    assert len(stage.said(SessionRevoked)) == 1


def test_two_operators_approve_a_shop_once(stage):
    owner, judge = buyer(stage), operator(stage)
    seller_id = shop(stage, owner)
    answers = at_once(2, lambda n: judge.post(f"/v1/shops/{seller_id}/approve").status)
    assert sorted(answers) == [200, 409]
    assert len(stage.said(SellerApproved)) == 1


def test_two_applications_at_once_are_one(stage):
    owner = buyer(stage)
    answers = at_once(3, lambda n: owner.post("/v1/shops", {"shop_name": f"shop {n}"}).status)
    assert sorted(answers) == [201, 409, 409]


def test_two_default_addresses_at_once_leave_one_default(stage):
    me = buyer(stage)
    at_once(3, lambda n: me.post("/v1/me/addresses", home(default=True)).status)
    assert [one["default"] for one in me.get("/v1/me/addresses").json["items"]] == [True, False, False]


def test_signing_in_while_the_password_changes_leaves_no_session_of_the_old_one(stage):
    me = buyer(stage)
    new = "a whole new secret"
    deeds = [
        lambda: me.post("/v1/me/password", {"present": PASSWORD, "new": new}).status,
        lambda: sign_in(stage).status,
    ]
    changed, _ = at_once(2, lambda n: deeds[n]())
    assert changed == 204
    assert [one["session_id"] for one in me.get("/v1/sessions").json["items"]] == [me.tokens["session_id"]]
