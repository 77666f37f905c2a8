"""Signing in, staying signed in, being locked out."""

import statistics
import time

import sqlalchemy as sa

from services.account import passwords
from services.account.tests.makers import PASSWORD, bearer, buyer, registration, sign_in
from shared.contracts.account import SessionRevoked, SigningKeyPublished
from shared.storage.types import audit


def audit_rows(stage):
    with stage.node.database.read() as connection:
        return [(r.action, r.result) for r in connection.execute(sa.select(audit).order_by(audit.c.id))]


def test_a_token_opens_the_doors_for_ten_minutes(stage, wait):
    me = buyer(stage)
    assert me.tokens["expires_in"] == 600
    wait(minutes=9)
    assert me.get("/v1/me").status == 200
    wait(minutes=2)
    assert me.get("/v1/me").json["code"] == "expired_token"
    fresh = stage.caller().post("/v1/sessions/refresh", {"refresh_token": me.tokens["refresh_token"]})
    assert fresh.status == 201
    assert fresh.json["session_id"] == me.tokens["session_id"]
    assert bearer(stage, fresh.json).get("/v1/me").status == 200


def test_unknown_and_known_people_are_answered_alike(both):
    buyer(both)
    known = sign_in(both, password="guess")
    unknown = sign_in(both, "nobody@caravan.example", password="guess")
    drop = {"trace_id"}
    assert {k: v for k, v in known.json.items() if k not in drop} == {
        k: v for k, v in unknown.json.items() if k not in drop
    }
    assert (known.status, known.json["code"]) == (401, "wrong_credentials")
    assert audit_rows(both)[-2:] == [("POST /sessions", "wrong_credentials")] * 2


def test_unknown_and_known_people_wait_equally_long():
    """A hash nobody has must cost as much as one that somebody has."""
    kept = passwords.hashed(PASSWORD)

    def seconds(password_hash):
        times = []
        for _ in range(7):
            begin = time.thread_time()
            assert not passwords.matches(password_hash, "guess")
            times.append(time.thread_time() - begin)
        return statistics.median(times)

    known, unknown = seconds(kept), seconds(None)
    assert 0.5 < known / unknown < 2
    assert unknown > 0.005


def test_the_eleventh_failed_try_waits(both, wait):
    both.caller().post("/v1/accounts", registration())
    for _ in range(10):
        assert sign_in(both, password="guess").status == 401
    locked = sign_in(both)
    assert (locked.status, locked.json["code"]) == (429, "too_many_tries")
    assert 890 < int(locked.headers["Retry-After"]) <= 901
    assert audit_rows(both)[-1] == ("POST /sessions", "too_many_tries")
    wait(minutes=16)
    assert sign_in(both).status == 201


def test_nine_slips_and_a_right_try_start_afresh(stage):
    buyer(stage)
    for _ in range(2):
        for _ in range(4):
            assert sign_in(stage, password="slip").status == 401
        assert sign_in(stage).status == 201
    for n in range(6):  # the account was forgiven, its network had 8 slips: two more are left to it
        assert sign_in(stage, password="slip").status == (401 if n < 2 else 429)


def test_one_network_may_not_try_many_accounts(stage):
    for n in range(10):
        assert sign_in(stage, f"person{n}@caravan.example", X_Forwarded_For="203.0.113.9").status == 401
    assert sign_in(stage, "person11@caravan.example", X_Forwarded_For="203.0.113.9").status == 429
    assert sign_in(stage, "person11@caravan.example", X_Forwarded_For="203.0.113.10").status == 401


def test_a_client_cannot_choose_the_network_it_is_counted_for(stage):
    for n in range(10):
        sign_in(stage, f"person{n}@caravan.example", X_Forwarded_For=f"198.51.100.{n}, 203.0.113.9")
    assert sign_in(stage, "p@caravan.example", X_Forwarded_For="198.51.100.99, 203.0.113.9").status == 429


def test_an_unknown_account_is_locked_like_a_known_one(stage):
    for n in range(10):
        address = f"203.0.113.{n}"
        assert sign_in(stage, "nobody@caravan.example", X_Forwarded_For=address).status == 401
    assert sign_in(stage, "nobody@caravan.example", X_Forwarded_For="203.0.113.99").status == 429


def test_a_refresh_token_serves_once_and_its_reuse_ends_the_session(both):
    me = buyer(both)
    old = {"refresh_token": me.tokens["refresh_token"]}
    second = both.caller().post("/v1/sessions/refresh", old).json
    third = both.caller().post("/v1/sessions/refresh", {"refresh_token": second["refresh_token"]})
    assert third.status == 201
    stolen = both.caller().post("/v1/sessions/refresh", old)
    assert (stolen.status, stolen.json["code"]) == (401, "refresh_token_reused")
    newest = {"refresh_token": third.json["refresh_token"]}
    assert both.caller().post("/v1/sessions/refresh", newest).json["code"] == "refresh_token_invalid"
    assert bearer(both, third.json).get("/v1/me").json["code"] in ("revoked_session", "unauthenticated")
    [fact] = both.said(SessionRevoked)
    assert fact.session_id == me.tokens["session_id"]
    assert audit_rows(both).count(("POST /sessions/refresh", "refresh_token_reused")) == 1


def test_a_made_up_refresh_token_ends_nobodys_session(stage):
    me = buyer(stage)
    assert stage.caller().post("/v1/sessions/refresh", {"refresh_token": "made-up"}).status == 401
    answer = stage.caller().post("/v1/sessions/refresh", {"refresh_token": me.tokens["refresh_token"]})
    assert answer.status == 201


def test_a_session_lives_thirty_days(stage, wait):
    tokens = buyer(stage).tokens
    wait(days=29)
    tokens = stage.caller().post("/v1/sessions/refresh", {"refresh_token": tokens["refresh_token"]}).json
    wait(days=2)
    again = stage.caller().post("/v1/sessions/refresh", {"refresh_token": tokens["refresh_token"]})
    assert again.json["code"] == "refresh_token_invalid"


def test_who_signs_out_is_out(both, wait):
    me = buyer(both)
    assert me.get("/v1/me").status == 200
    assert me.delete("/v1/sessions/current").status == 204
    fresh = bearer(both, me.tokens)
    both.app.extensions["caravan.verifier"]._fresh_until = 0.0
    assert fresh.get("/v1/me").json["code"] == "revoked_session"
    [fact] = both.said(SessionRevoked)
    assert (fact.account_id, fact.session_id) == (me.tokens["account_id"], me.tokens["session_id"])


def test_one_can_sign_out_elsewhere_but_not_for_others(stage):
    me, other = buyer(stage), buyer(stage, "han@caravan.example")
    elsewhere = sign_in(stage).json
    listed = me.get("/v1/sessions").json["items"]
    assert {one["session_id"]: one["current"] for one in listed} == {
        me.tokens["session_id"]: True,
        elsewhere["session_id"]: False,
    }
    assert other.delete(f"/v1/sessions/{elsewhere['session_id']}").json["code"] == "no_such_session"
    assert me.delete(f"/v1/sessions/{elsewhere['session_id']}").status == 204
    assert me.delete(f"/v1/sessions/{elsewhere['session_id']}").status == 404
    assert [one["session_id"] for one in me.get("/v1/sessions").json["items"]] == [me.tokens["session_id"]]


def test_one_key_signs_for_the_whole_deployment_until_it_grows_old(both, wait):
    buyer(both)
    sign_in(both)
    [first] = both.said(SigningKeyPublished)
    assert first.jwk_public.keys() == {"kty", "crv", "x", "kid"}
    wait(days=29, hours=1)
    old = sign_in(both).json  # publishes the successor, and is still signed with the old key
    assert len(both.said(SigningKeyPublished)) == 2
    wait(hours=2)
    new = sign_in(both).json
    assert len(both.said(SigningKeyPublished)) == 2
    kids = [tokens["access_token"].split(".")[0] for tokens in (old, new)]
    assert kids[0] != kids[1]
    assert bearer(both, new).get("/v1/me").status == 200


def test_a_changed_deployment_secret_costs_a_new_key_but_no_sign_in_breaks(stage):
    buyer(stage)
    with stage.node.database.begin() as connection:
        connection.exec_driver_sql("UPDATE signing_secret SET sealed = 'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'")
    tokens = sign_in(stage)
    assert tokens.status == 201
    assert bearer(stage, tokens.json).get("/v1/me").status == 200
    assert len(stage.said(SigningKeyPublished)) == 2


def test_answers_with_tokens_are_never_kept_for_a_retry(stage):
    stage.caller().post("/v1/accounts", registration())
    first = sign_in(stage, Idempotency_Key="k")
    again = sign_in(stage, Idempotency_Key="k")
    assert first.json["session_id"] != again.json["session_id"]
