"""The HTTP door: who may enter, what is refused and how it is said, and that a repeated request does nothing twice."""

import base64
import hmac
import json
import threading
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import sqlalchemy as sa
from joserfc import jwt
from joserfc.jwk import OKPKey
from marshmallow import fields

from shared.contracts.account import SessionRevoked, SigningKeyPublished
from shared.kernel import clock
from shared.kernel.errors import Conflict
from shared.kernel.ids import new_id
from shared.messaging.subscriptions import Subscriptions
from shared.runtime.service import Service
from shared.storage import trust
from shared.storage.types import audit
from shared.storage.unit_of_work import UnitOfWork
from shared.testing.stage import Answer, Caller, Stage
from shared.testing.toys import suspended
from shared.web import auth
from shared.web.auth import BUYER, FORCED_REFRESHES, OPERATOR, Principal, issue
from shared.web.door import ANYONE, Door, Schema, View
from shared.web.strangers import Strangers

metadata = sa.MetaData()
note = sa.Table("note", metadata, sa.Column("no", sa.Integer, primary_key=True), sa.Column("text", sa.String(80)))


class Closed(Conflict):
    """The book is closed."""


class NewNote(Schema):
    text = fields.String(required=True)
    times = fields.Integer(strict=True, load_default=1)


class NoteView(View):
    text = fields.String()
    version = fields.Integer()


def build() -> Service:
    door = Door("account", __name__, description="Notes")

    @door.post("/notes", who={BUYER}, body=NewNote, answer=NoteView, status=201)
    def post_note(tx: UnitOfWork, who: Principal, body: dict[str, Any]) -> Any:
        """Write a note."""
        if body["text"] == "closed":
            raise Closed()
        if body["text"] == "broken":
            raise ZeroDivisionError("secret of the house")
        for _ in range(body["times"]):
            tx.execute(note.insert().values(text=body["text"]))
        tx.emit(*suspended(who.account_id, body["text"]))
        return {"text": body["text"], "hidden": "never shown"}, {"Location": "/v1/notes/1"}

    @door.post("/payments", who={BUYER}, body=NewNote, answer=NoteView, status=201, key="required")
    def post_payment(tx: UnitOfWork, who: Principal, body: dict[str, Any]) -> Any:
        """Write a note that needs a key."""
        tx.execute(note.insert().values(text=body["text"]))
        return body

    @door.get("/notes", who=ANYONE, answer=NoteView)
    def get_note(_reading: Any, who: Principal | None) -> Any:
        """Who reads."""
        return {"text": who.account_id if who else "somebody", "version": 3}

    @door.get("/secrets", who={OPERATOR}, answer=NoteView)
    def get_secret(_reading: Any, who: Principal) -> Any:
        """For operators."""
        return {"text": who.account_id}

    return Service(name="account", owns="Notes", doors=(door,), on=Subscriptions("account"), metadata=metadata)


@pytest.fixture
def stage(database_url: str, tmp_path: Path) -> Iterator[Stage]:
    made = Stage(build(), database_url, tmp_path, pool_size=24)
    yield made
    made.close()


@pytest.fixture
def small(sqlite_url: str, tmp_path: Path) -> Iterator[Stage]:
    """Where the database makes no difference."""
    made = Stage(build(), sqlite_url, tmp_path)
    yield made
    made.close()


def notes(stage: Stage) -> list[str]:
    with stage.node.database.read() as connection:
        return list(connection.execute(sa.select(note.c.text).order_by(note.c.no)).scalars())


def with_token(stage: Stage, token: str) -> Answer:
    return Caller(stage.app.test_client(), {"Authorization": f"Bearer {token}"}, None).get("/v1/secrets")


# --- who may enter ----------------------------------------------------------------------------------------------------


def test_roles_open_doors_and_nothing_else_does(small: Stage) -> None:
    assert small.caller("operator").get("/v1/secrets").status == 200
    assert small.caller("buyer").get("/v1/secrets").json["code"] == "forbidden"
    nobody = small.caller().get("/v1/secrets")
    assert (nobody.status, nobody.json["code"]) == (401, "unauthenticated")
    assert nobody.headers["WWW-Authenticate"].startswith("Bearer")
    assert nobody.headers["Content-Type"] == "application/problem+json"


def test_a_denied_attempt_stands_in_the_audit_trail(small: Stage) -> None:
    caller = small.caller("buyer")
    caller.get("/v1/secrets")
    with small.node.database.read() as connection:
        (row,) = connection.execute(sa.select(audit)).all()
    assert (row.actor, row.action, row.result) == (caller.account_id, "GET /secrets", "forbidden")


def test_nobody_is_counted_and_a_flood_of_them_leaves_one_row_a_minute(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    minute = clock.machine_now().replace(second=0, microsecond=0)
    monkeypatch.setattr(clock, "machine_now", lambda: minute)
    other = Strangers(stage.node.database)  # another process of the service
    other.note("GET /secrets", "unauthenticated")
    for _ in range(9):
        assert stage.caller().get("/v1/secrets").status == 401
    with_token(stage, "nonsense")
    assert stage.caller().post("/v1/notes", {"text": "x"}).status == 401
    assert audited(stage) == [("GET /secrets", "unauthenticated", 9), ("POST /notes", "unauthenticated", 1)]

    monkeypatch.setattr(clock, "machine_now", lambda: minute + timedelta(minutes=1))
    stage.caller().get("/v1/secrets")
    assert [times for _, _, times in audited(stage)] == [11, 1, 1], "the rest of a minute is added in the next"
    with monkeypatch.context() as outage:
        outage.setattr(trust, "count_strangers", Mock(side_effect=OSError("the disk is full")))
        assert stage.caller().get("/v1/secrets").status == 401, "denied all the same"
    assert [stage.caller().get("/v1/secrets").status for _ in range(2)] == [401] * 2
    assert [times for _, _, times in audited(stage)] == [11, 1, 4], "and counted when it can be"
    assert {row.actor for row in audit_rows(stage)} == {"nobody"}


def audit_rows(stage: Stage) -> list[Any]:
    with stage.node.database.read() as connection:
        return list(connection.execute(sa.select(audit).order_by(audit.c.id)))


def audited(stage: Stage) -> list[tuple[str, str, int]]:
    return [(row.action, row.result, row.times) for row in audit_rows(stage)]


def test_where_anyone_may_enter_a_bad_token_is_nobody(small: Stage) -> None:
    assert small.caller().get("/v1/notes").json["text"] == "somebody"
    known = small.caller("buyer")
    assert known.get("/v1/notes").json["text"] == known.account_id


def claims(**changes: Any) -> dict[str, Any]:
    now = int(clock.machine_seconds())
    good = {
        "iss": "caravan", "aud": "caravan-api", "sub": "a", "roles": ["operator"], "sid": "s",
        "iat": now, "exp": now + 600,
    }  # fmt: skip
    return {name: value for name, value in (good | changes).items() if value is not None}


def signed(stage: Stage, header: dict[str, Any] | None = None, **changes: Any) -> str:
    key = stage._key
    header = {"alg": "Ed25519", "kid": key.kid} | (header or {})
    return jwt.encode(header, claims(**changes), key, algorithms=["Ed25519"])


def test_a_well_made_token_is_good(small: Stage) -> None:
    assert with_token(small, signed(small)).status == 200


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "another-api"}, {"aud": None}, {"iss": "somebody"}, {"iss": None}, {"sub": None}, {"sid": None},
        {"roles": None}, {"roles": 7}, {"exp": None}, {"exp": "soon"}, {"roles": []},
    ],
)  # fmt: skip
def test_a_token_that_says_too_little_or_something_else_opens_nothing(small: Stage, changes: dict[str, Any]) -> None:
    assert with_token(small, signed(small, **changes)).status == (403 if changes == {"roles": []} else 401)


def test_an_expired_token_is_told_so(small: Stage) -> None:
    answer = with_token(small, signed(small, exp=int(clock.machine_seconds()) - 1))
    assert (answer.status, answer.json["code"]) == (401, "expired_token")


def test_a_token_expires_while_it_is_remembered(small: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    token = signed(small)
    assert with_token(small, token).status == 200
    later = clock.machine_seconds() + 601
    monkeypatch.setattr(clock, "machine_seconds", lambda: later)
    assert with_token(small, token).json["code"] == "expired_token"


def unsigned(header: dict[str, Any]) -> str:
    parts = (json.dumps(part).encode() for part in (header, claims()))
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts) + "."


def forgeries(stage: Stage) -> dict[str, str]:
    kid = stage._key.kid
    stranger = OKPKey.generate_key("Ed25519", {"kid": str(kid)})
    public = stage._key.as_pem(private=False)
    confused = unsigned({"alg": "HS256", "kid": kid})[:-1]
    mac = base64.urlsafe_b64encode(hmac.digest(public, confused.encode(), "sha256")).decode().rstrip("=")
    head, body, signature = signed(stage).split(".")
    other = base64.urlsafe_b64encode(json.dumps(claims(sub="b")).encode()).decode().rstrip("=")
    header = {"alg": "Ed25519", "kid": kid}
    return {
        "signed by a stranger": jwt.encode(header, claims(), stranger, algorithms=["Ed25519"]),
        "the public key as an HMAC secret": f"{confused}.{mac}",
        "alg none": unsigned({"alg": "none", "kid": kid}),
        "alg None in other letters": unsigned({"alg": "nOnE", "kid": kid}),
        "no signature": f"{head}.{body}.",
        "another body": f"{head}.{other}.{signature}",
        "a key of its own in the header": jwt.encode(
            header | {"jwk": stranger.as_dict(private=False)}, claims(), stranger, algorithms=["Ed25519"]
        ),
        "kid as a path": unsigned({"alg": "Ed25519", "kid": "../../../../dev/null"}),
        "kid as SQL": unsigned({"alg": "Ed25519", "kid": "' OR '1'='1"}),
        "kid as a list": unsigned({"alg": "Ed25519", "kid": ["a"]}),
        "kid as nothing": unsigned({"alg": "Ed25519", "kid": None}),
        "no kid": unsigned({"alg": "Ed25519"}),
        "not a token": "x",
        "empty": "",
        "only dots": "...",
        "a list for a header": "WyJhIl0.e30.x",
        "not base64": "%%%.%%%.%%%",
        "not ASCII": "é.é.é",
    }


def test_no_forged_token_opens_anything_and_none_breaks_anything(small: Stage) -> None:
    found = {name: with_token(small, token).status for name, token in forgeries(small).items()}
    assert set(found.values()) == {401}, found


def test_a_flood_of_invented_keys_is_no_flood_of_queries(small: Stage) -> None:
    asked: list[str] = []
    sa.event.listen(small.node.database.engine, "before_cursor_execute", lambda *event: asked.append(event[2]))
    for _ in range(100):
        assert with_token(small, unsigned({"alg": "Ed25519", "kid": new_id()})).status == 401
    about_keys = [statement for statement in asked if "signing_key" in statement]
    assert len(about_keys) < 60


def test_the_same_names_of_schemes_as_any_other_do_not_help(small: Stage) -> None:
    for header in ("Basic YTpi", signed(small), f"bearer{signed(small)}", "Bearer"):
        answer = Caller(small.app.test_client(), {"Authorization": header}, None).get("/v1/secrets")
        assert answer.status == 401, header


def test_keys_and_ended_sessions_are_heard_of_as_facts(small: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "REFRESH_SECONDS", 0.0)
    now = clock.machine_now()
    key = OKPKey.generate_key("Ed25519", {"kid": new_id()})
    token = issue(key, Principal("a", frozenset({"operator"}), "session-1"))
    assert with_token(small, token).status == 401
    public = {str(name): str(value) for name, value in key.as_dict(private=False).items()}
    small.hear(SigningKeyPublished(key_id=str(key.kid), jwk_public=public, not_after=now + timedelta(days=1)))
    assert with_token(small, token).status == 200
    small.hear(
        SessionRevoked(account_id="a", session_id="session-1", revoked_at=now, expires_at=now + timedelta(hours=1))
    )
    answer = with_token(small, token)
    assert (answer.status, answer.json["code"]) == (401, "revoked_session")
    other = issue(key, Principal("a", frozenset({"operator"}), "session-2"))
    assert with_token(small, other).status == 200


# --- what is said of what went wrong ----------------------------------------------------------------------------------


def test_a_refusal_is_a_problem_document_with_a_stable_code(small: Stage) -> None:
    answer = small.caller("buyer").post("/v1/notes", {"text": "closed"})
    assert answer.status == 409
    assert answer.json | {"trace_id": ""} == {
        "type": "/v1/errors/closed", "title": "The book is closed.", "status": 409, "code": "closed", "trace_id": "",
    }  # fmt: skip
    assert answer.json["trace_id"] == answer.headers["X-Request-Id"]
    assert notes(small) == []


def test_a_fault_of_ours_tells_nothing_of_the_inside(small: Stage) -> None:
    answer = small.caller("buyer").post("/v1/notes", {"text": "broken"})
    assert (answer.status, answer.json["code"]) == (500, "internal_error")
    assert "secret" not in json.dumps(answer.json)


@pytest.mark.parametrize(
    ("body", "field"),
    [({}, "text"), ({"text": 1}, "text"), ({"text": "a", "times": "1"}, "times"), ({"text": "a", "more": 1}, "more")],
)
def test_a_bad_body_is_refused_by_the_fields_name_and_changes_nothing(
    small: Stage, body: dict[str, Any], field: str
) -> None:
    answer = small.caller("buyer").post("/v1/notes", body)
    assert (answer.status, answer.json["code"], answer.json["field"]) == (422, "invalid", field)
    assert notes(small) == []


@pytest.mark.parametrize(
    "raw",
    [
        b"{", b"\xff\xfe", b"[" * 100_000, b'{"text": NaN}', b'{"text": "a"', b"nonsense", b'{"text": "\x00"}',
        b'{"text": "\\u0000"}',
    ],
)  # fmt: skip
def test_a_body_that_is_no_json_is_a_bad_request(small: Stage, raw: bytes) -> None:
    client, headers = small.app.test_client(), small.caller("buyer").headers
    answer = client.post("/v1/notes", data=raw, headers=headers | {"Content-Type": "application/json"})
    assert answer.status_code == 400, answer.data


@pytest.mark.parametrize("raw", [b"[]", b"7", b'"text"', b"null", b'{"text": 1e400}'])
def test_json_that_is_no_object_of_ours_is_refused(small: Stage, raw: bytes) -> None:
    client, headers = small.app.test_client(), small.caller("buyer").headers
    answer = client.post("/v1/notes", data=raw, headers=headers | {"Content-Type": "application/json"})
    assert answer.status_code in (400, 422), answer.data


def test_other_types_other_methods_and_too_much_have_their_own_refusals(small: Stage) -> None:
    client, headers = small.app.test_client(), small.caller("buyer").headers
    form = client.post("/v1/notes", data=b"text=a", headers=headers | {"Content-Type": "text/plain"})
    json_headers = headers | {"Content-Type": "application/json"}
    large = client.post("/v1/notes", data=b'"' + b"a" * 1_100_000, headers=json_headers)
    found = [form, large, client.delete("/v1/notes"), client.get("/v1/nowhere")]
    assert [(one.status_code, one.get_json(force=True)["code"]) for one in found] == [
        (415, "unsupported_media_type"), (413, "payload_too_large"), (405, "method_not_allowed"), (404, "not_found"),
    ]  # fmt: skip


def test_only_declared_fields_leave_the_house(small: Stage) -> None:
    answer = small.caller("buyer").post("/v1/notes", {"text": "a"})
    assert answer.json == {"text": "a"}
    assert answer.headers["Location"] == "/v1/notes/1"


def test_an_answer_that_did_not_change_is_not_sent_again(small: Stage) -> None:
    caller = small.caller()
    etag = caller.get("/v1/notes").headers["ETag"]
    assert caller.get("/v1/notes", If_None_Match=etag).status == 304
    assert caller.get("/v1/notes", If_None_Match='"other"').status == 200


# --- once -------------------------------------------------------------------------------------------------------------


def test_a_repeated_request_gets_the_first_answer_and_does_nothing(stage: Stage) -> None:
    caller, key = stage.caller("buyer"), new_id()
    first = caller.post("/v1/notes", {"text": "a"}, Idempotency_Key=key)
    again = caller.post("/v1/notes", {"text": "a"}, Idempotency_Key=key)
    assert (again.status, again.json, again.headers["Location"]) == (201, first.json, first.headers["Location"])
    assert again.headers["Idempotency-Replayed"] == "true"
    assert notes(stage) == ["a"]
    assert len(stage.said()) == 1


def test_a_key_belongs_to_one_person_one_operation_and_one_body(stage: Stage) -> None:
    caller, key = stage.caller("buyer"), new_id()
    caller.post("/v1/notes", {"text": "a"}, Idempotency_Key=key)
    other_body = caller.post("/v1/notes", {"text": "b"}, Idempotency_Key=key)
    assert (other_body.status, other_body.json["code"]) == (422, "idempotency_key_reused")
    assert caller.post("/v1/payments", {"text": "c"}, Idempotency_Key=key).status == 201
    assert stage.caller("buyer").post("/v1/notes", {"text": "d"}, Idempotency_Key=key).status == 201
    assert notes(stage) == ["a", "c", "d"]


def test_a_request_is_known_again_while_the_secret_is_changed(small: Stage) -> None:
    caller, key, was = small.caller("buyer"), new_id(), small.node.settings.secret
    first = caller.post("/v1/notes", {"text": "a"}, Idempotency_Key=key)
    object.__setattr__(small.node.settings, "secret", f"{'n' * 32},{was}")
    assert caller.post("/v1/notes", {"text": "a"}, Idempotency_Key=key).json == first.json
    assert notes(small) == ["a"]


def test_where_a_key_is_required_there_is_no_way_without(small: Stage) -> None:
    answer = small.caller("buyer").post("/v1/payments", {"text": "a"}, Idempotency_Key="")
    assert (answer.status, answer.json["code"]) == (400, "idempotency_key_required")
    assert small.caller("buyer").post("/v1/notes", {"text": "a"}, Idempotency_Key="k" * 256).status == 400
    assert notes(small) == []


def test_an_empty_key_is_refused_where_it_would_protect_nothing(small: Stage) -> None:
    answer = small.caller("buyer").post("/v1/notes", {"text": "a"}, Idempotency_Key="")
    assert (answer.status, answer.json["field"]) == (400, "Idempotency-Key")
    assert notes(small) == []


def test_a_refused_request_does_not_use_up_its_key(small: Stage) -> None:
    caller, key = small.caller("buyer"), new_id()
    assert caller.post("/v1/notes", {"text": "closed"}, Idempotency_Key=key).status == 409
    assert caller.post("/v1/notes", {"text": "open"}, Idempotency_Key=key).status == 201


def test_fifty_at_once_with_one_key_have_one_effect(stage: Stage) -> None:
    caller, key = stage.caller("buyer"), new_id()
    found: list[Answer] = []
    gate = threading.Barrier(50)

    def post() -> None:
        mine = Caller(stage.app.test_client(), caller.headers, caller.principal)
        gate.wait()
        found.append(mine.post("/v1/notes", {"text": "a"}, Idempotency_Key=key))

    threads = [threading.Thread(target=post) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    statuses = Counter(answer.status for answer in found)
    assert set(statuses) <= {201, 409, 503}, statuses
    assert all(answer.json["code"] == "request_in_flight" for answer in found if answer.status == 409)
    assert all(answer.headers["Retry-After"] for answer in found if answer.status in (409, 503))
    assert statuses[201] >= 1
    assert notes(stage) == ["a"]
    assert len(stage.said()) == 1


# --- health -----------------------------------------------------------------------------------------------------------


def test_a_store_that_is_away_is_a_503_with_a_time_to_come_back(small: Stage, tmp_path: Path) -> None:
    from shared.kernel.settings import Settings
    from shared.storage.unit_of_work import Node
    from shared.web.factory import create_app

    away = Settings(service="account", database_url="postgresql+psycopg://x@127.0.0.1:1/x", vault_url="sqlite://")
    node = Node(away)
    client = create_app(build(), node).test_client()
    found = client.get("/v1/secrets", headers={"Authorization": f"Bearer {signed(small)}"})
    assert (found.status_code, found.get_json(force=True)["code"]) == (503, "unavailable")
    assert int(found.headers["Retry-After"]) >= 1
    token = {"Authorization": f"Bearer {signed(small)}"}
    assert {client.get("/v1/secrets", headers=token).status_code for _ in range(FORCED_REFRESHES * 3)} == {503}
    assert client.get("/livez").status_code == 200
    assert client.get("/readyz").status_code == 503
    node.close()


def test_every_answer_says_how_it_may_be_used(small: Stage) -> None:
    for path in ("/v1/notes", "/v1/nowhere", "/livez", "/metrics"):
        headers = small.caller().get(path).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == "no-store"
        assert "default-src 'none'" in headers["Content-Security-Policy"]
