"""The HTTP door: a blueprint whose operations say who may ask, what bodies look like, and what comes back.

    door = Door("order", __name__, description="Quotes, groups and orders")

    @door.post("/orders", who={BUYER}, body=PlaceOrder, answer=GroupView, status=202, key="required")
    def post_order(tx, who, body):
        \"\"\"Take the order now; stock and risk answer later, by events.\"\"\"
        ...
        return view, {"Location": f"/v1/groups/{group.group_no}"}

An operation is called as ``fn(tx, who, **path_arguments)`` plus ``body=`` and ``query=`` where it declares them. On
GET, `tx` is a `Reading` (no transaction); otherwise a `UnitOfWork` that the door commits, together with the stored
answer of an Idempotency-Key. It answers ``body``, ``(body, headers)``, or ``(body, headers, finish)``: `finish` runs
after commit with no transaction open and its result replaces the body (for calls to the outside that a client awaits).
"""

from __future__ import annotations

import functools
import hmac
from collections.abc import Callable, Sequence, Set
from typing import Any

import marshmallow as ma
import msgspec
from flask import Response, current_app, g, request
from flask_smorest import Blueprint
from werkzeug.exceptions import HTTPException

from shared.kernel.errors import (
    BadRequest,
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    PreconditionFailed,
    Refusal,
    Unauthenticated,
)
from shared.storage.once import InFlight, OnceKey, Stored
from shared.storage.reading import Reading
from shared.storage.trust import note_attempt
from shared.storage.unit_of_work import Cause, Node, UnitOfWork
from shared.telemetry import spans
from shared.web.auth import Principal, Verifier
from shared.web.signatures import BadSignature
from shared.web.strangers import Strangers

ANYONE: Set[str] = frozenset({"anyone"})
SIGNATURE: Set[str] = frozenset({"signature"})
"""Called by machines that sign the raw body; the operation verifies it itself."""
SIGNED_IN: Set[str] = frozenset({"buyer", "seller", "operator"})
Operation = Callable[[Callable[..., Any]], Callable[..., Any]]


class IdempotencyKeyRequired(BadRequest):
    """This operation needs an Idempotency-Key header, so that a retry cannot do it twice."""


class IdempotencyKeyReused(Invalid):
    """This Idempotency-Key was used with another body."""


class RequestInFlight(Conflict):
    """The same request is being worked on right now; ask again in a moment."""


class Schema(ma.Schema):
    """Bodies: unknown fields are refused, field order is kept."""

    class Meta:
        unknown = ma.RAISE


class View(ma.Schema):
    """Answers: only declared fields leave the house."""


class Door(Blueprint):  # type: ignore[misc]
    """See the module."""

    def __init__(self, name: str, import_name: str, *, description: str) -> None:
        super().__init__(name, import_name, url_prefix="/v1", description=description)

    def get(self, rule: str, **options: Any) -> Operation:
        return self._operation("GET", rule, **options)

    def post(self, rule: str, **options: Any) -> Operation:
        return self._operation("POST", rule, **options)

    def put(self, rule: str, **options: Any) -> Operation:
        return self._operation("PUT", rule, **options)

    def patch(self, rule: str, **options: Any) -> Operation:
        return self._operation("PATCH", rule, **options)

    def delete(self, rule: str, **options: Any) -> Operation:
        return self._operation("DELETE", rule, **options)

    def _operation(
        self,
        method: str,
        rule: str,
        *,
        who: Set[str],
        answer: type[ma.Schema] | ma.Schema | None = None,
        body: type[ma.Schema] | ma.Schema | None = None,
        query: type[ma.Schema] | ma.Schema | None = None,
        status: int = 200,
        key: str = "honoured",
        content_type: str = "application/json",
    ) -> Operation:
        """`who`: roles, ANYONE or SIGNATURE. `key` (Idempotency-Key on POST): "required", "honoured", or "none" where
        the answer may not be stored because it holds secrets."""

        def register(function: Callable[..., Any]) -> Callable[..., Any]:
            door = _Entry(function, method, rule, who, _schema(body), _schema(query), _schema(answer), status, key)

            @functools.wraps(function)
            def view(**path: Any) -> Response:
                return door.enter(path)

            view.operation = door  # type: ignore[attr-defined]
            doc: dict[str, Any] = {"x-authz": sorted(who), "operationId": function.__name__}
            if who.isdisjoint(ANYONE | SIGNATURE):
                doc["security"] = [{"bearer": []}]
            if method == "POST" and key != "none" and who.isdisjoint(SIGNATURE):
                doc["parameters"] = [
                    {"in": "header", "name": "Idempotency-Key", "required": key == "required",
                     "schema": {"type": "string", "minLength": 1, "maxLength": 255}}
                ]  # fmt: skip
            documented = view
            if door.body is not None:
                documented = self._documents(documented, door.body, "json")
            if door.query is not None:
                documented = self._documents(documented, door.query, "query")
            documented = _undone(self.response(status, door.answer, content_type=content_type), documented)
            refused = self.alt_response(
                "default", schema=ProblemView, description="A refusal", content_type="application/problem+json"
            )
            documented = refused(documented)
            documented = self.doc(**doc)(documented)
            self.route(rule, methods=[method])(documented)
            return function

        return register

    def _documents(self, view: Any, schema: ma.Schema, location: str) -> Any:
        return _undone(self.arguments(schema, location=location), view)


def _undone(decorator: Any, view: Any) -> Any:
    """Take a flask-smorest decorator's documentation and leave its run-time behaviour: `_Entry` does the work."""
    documented = decorator(view)

    @functools.wraps(view)
    def plain(**path: Any) -> Response:
        return view(**path)  # type: ignore[no-any-return]

    plain.__dict__.update(documented.__dict__)
    plain._apidoc = documented._apidoc  # type: ignore[attr-defined]
    return plain


class ProblemView(ma.Schema):
    """RFC 9457; a refusal may add members of its own."""

    class Meta:
        unknown = ma.INCLUDE

    type = ma.fields.String(required=True)
    title = ma.fields.String(required=True)
    status = ma.fields.Integer(required=True)
    code = ma.fields.String(required=True)
    detail = ma.fields.String()
    field = ma.fields.String()
    trace_id = ma.fields.String()
    errors = ma.fields.Dict(metadata={"description": "what is wrong, by place (json, query) and field"})


def _schema(schema: type[ma.Schema] | ma.Schema | None) -> ma.Schema | None:
    return schema() if isinstance(schema, type) else schema


class _Entry:
    """One operation at run time: who, what, once, and in one transaction."""

    def __init__(
        self, function: Callable[..., Any], method: str, rule: str, who: Set[str], body: ma.Schema | None,
        query: ma.Schema | None, answer: ma.Schema | None, status: int, key: str,
    ) -> None:  # fmt: skip
        self.function, self.method, self.rule, self.who = function, method, rule, who
        self.body, self.query, self.answer, self.status, self.key = body, query, answer, status, key

    def enter(self, path: dict[str, Any]) -> Response:
        node: Node = current_app.extensions["caravan"]
        with spans.span(f"{self.method} {self.rule}", "SERVER", g.traceparent, service=node.name) as span:
            g.traceparent = span.traceparent
            response = self._enter(node, path)
            span.answered(response.status_code)
            return response

    def _enter(self, node: Node, path: dict[str, Any]) -> Response:
        who = None
        try:
            who = self._admit(node)
            return self._answer(node, who, path)
        except (Unauthenticated, BadSignature) as refusal:
            if "denial_noted" not in g:
                note_stranger(node, f"{self.method} {self.rule}", refusal.code)
            raise
        except (Forbidden, NotFound) as refusal:
            if who is not None and self.who.isdisjoint(ANYONE):
                thing = "/".join(path.values()) or "-"
                note_denial(node, who, f"{self.method} {self.rule}", thing, refusal.code)
            raise

    def _answer(self, node: Node, who: Principal | None, path: dict[str, Any]) -> Response:
        if any("\0" in str(text) for text in (*path.values(), *request.args.values())):
            raise BadRequest("NUL characters are not taken")  # PostgreSQL keeps none in its text
        if self.method != "GET":
            _read_body()
        arguments: dict[str, Any] = dict(path)
        if self.body is not None:
            arguments["body"] = self._load(self.body, _json(), "json")
        if self.query is not None:
            arguments["query"] = self._load(self.query, request.args.to_dict(), "query")
        if self.method == "GET":
            with node.database.read() as connection:
                return self._show(self.function(Reading(node, connection), who, **arguments))[0]
        return self._change(node, who, arguments)

    def _admit(self, node: Node) -> Principal | None:
        header = request.headers.get("Authorization", "")
        if not self.who.isdisjoint(SIGNATURE) or (not header and not self.who.isdisjoint(ANYONE)):
            return None
        try:
            if not header.startswith("Bearer "):
                raise Unauthenticated()
            verifier: Verifier = current_app.extensions["caravan.verifier"]
            who = verifier.verify(header[7:])
        except Unauthenticated:
            if self.who.isdisjoint(ANYONE):
                raise
            return None
        g.principal = who
        if self.who.isdisjoint(ANYONE) and self.who.isdisjoint(who.roles):
            note_denial(node, who, f"{self.method} {self.rule}", "-", "forbidden")
            raise Forbidden()
        return who

    def _change(self, node: Node, who: Principal | None, arguments: dict[str, Any]) -> Response:
        cause = Cause(g.request_id, f"request:{g.request_id}", g.traceparent)
        keyed = self.method == "POST" and self.key != "none" and self.who.isdisjoint(SIGNATURE)
        key = request.headers.get("Idempotency-Key", "") if keyed else ""
        if self.key == "required" and not key:
            raise IdempotencyKeyRequired(field="Idempotency-Key")
        if len(key) > 255 or (keyed and not key and "Idempotency-Key" in request.headers):
            raise BadRequest("an Idempotency-Key has 1 to 255 characters", field="Idempotency-Key")
        once = _Once(node.settings.secrets, who, f"{self.method} {self.rule}", key) if key else None

        def work(tx: UnitOfWork) -> tuple[Response, Callable[[], Any] | None]:
            if once and (stored := once.find(tx)):
                return stored, None
            response, finish = self._show(self.function(tx, who, **arguments))
            if once:
                tx.flush()
                once.keep(tx, response)
            return response, finish

        response, finish = node.run(work, cause)
        if finish is not None:
            finished = self._show(finish())[0]
            response.set_data(finished.get_data())
            if once:
                once.amend(node, response)
        return response

    def _load(self, schema: ma.Schema, data: Any, where: str) -> Any:
        try:
            return schema.load(data, unknown=ma.RAISE)
        except ma.ValidationError as error:
            messages = error.normalized_messages()  # type: ignore[no-untyped-call]
            raise Invalid(field=_first_field(messages), errors={where: messages}) from error

    def _show(self, result: Any) -> tuple[Response, Callable[[], Any] | None]:
        body, headers, finish = (*result, None, None)[:3] if isinstance(result, tuple) else (result, None, None)
        if isinstance(body, Response):
            return body, finish
        if self.answer is not None and body is not None:
            body = self.answer.dump(body)
        data = b"" if body is None else msgspec.json.encode(body)
        response = Response(data, self.status, content_type="application/json")
        if isinstance(body, dict) and "version" in body:
            response.set_etag(str(body["version"]))
            if self.method == "GET":
                response.make_conditional(request)
        response.headers.extend(headers or {})
        return response, finish


def _read_body() -> None:
    """Whatever goes wrong while it comes in (a broken chunk, a client that fell silent) is no fault of ours."""
    try:
        request.get_data()
    except HTTPException:
        raise
    except Exception as error:
        raise BadRequest("the body did not arrive whole") from error


def _json() -> Any:
    if not request.data:
        return {}
    if not request.is_json:
        from shared.kernel.errors import UnsupportedMediaType

        raise UnsupportedMediaType()
    if b"\\u0000" in request.data:
        raise BadRequest("NUL characters are not taken")
    try:
        return msgspec.json.decode(request.get_data())
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        raise BadRequest("the body is not valid JSON") from error


def _first_field(messages: Any, path: str = "") -> str:
    while isinstance(messages, dict) and messages:
        name, messages = next(iter(messages.items()))
        path = f"{path}.{name}" if path else str(name)
    return path


def expected_version() -> int | None:
    """The version in If-Match, for commands where two people may edit; None where any will do (no header, or ``*``).

    Raises PreconditionFailed for what is none of our versions: to ignore it would overwrite somebody's work.
    """
    text = request.headers.get("If-Match", "*").strip().removeprefix("W/").strip('"')
    if text == "*":
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise PreconditionFailed(field="If-Match")
    return int(text)


def note_denial(node: Node, who: Principal | None, action: str, thing: str, result: str) -> None:
    """One row in the audit trail for a denied attempt."""
    actor = who.account_id if who else "anonymous"
    note_attempt(node.database, actor, action, thing, result, g.get("request_id", ""))
    g.denial_noted = True


def note_stranger(node: Node, action: str, result: str) -> None:
    """A denied attempt of which it matters only how often it is made: see `Strangers`."""
    strangers: Strangers = current_app.extensions.setdefault("caravan.strangers", Strangers(node.database))
    strangers.note(action, result)
    g.denial_noted = True


class _Once:
    """One use of an Idempotency-Key: found, in flight, or ours to keep."""

    def __init__(self, secrets: Sequence[str], who: Principal | None, route: str, key: str) -> None:
        self.key = OnceKey(who.account_id if who else "anonymous", route, key)
        content = f"{request.full_path}\n".encode() + request.get_data()
        # Keyed: bodies hold passwords and addresses, which a plain hash would give away to whoever guesses them.
        self.fingerprints = [hmac.new(secret.encode(), content, "sha256").hexdigest() for secret in secrets]

    def find(self, tx: UnitOfWork) -> Response | None:
        """The stored answer, or None when this request is the first. Raises RequestInFlight, IdempotencyKeyReused."""
        try:
            stored = self.key.find(tx)
        except InFlight:
            raise RequestInFlight(retry_after=1) from None
        if stored is None:
            return None
        if stored.fingerprint not in self.fingerprints:
            raise IdempotencyKeyReused(field="Idempotency-Key")
        response = Response(stored.body, stored.status, content_type="application/json")
        response.headers.extend(stored.headers)
        response.headers["Idempotency-Replayed"] = "true"
        return response

    def keep(self, tx: UnitOfWork, response: Response) -> None:
        headers = {name: value for name, value in response.headers.items() if name in ("Location", "ETag")}
        self.key.keep(tx, Stored(self.fingerprints[0], response.status_code, headers, response.get_data()))

    def amend(self, node: Node, response: Response) -> None:
        self.key.amend(node.database, response.get_data())


def page(items: list[Any], limit: int, cursor: Callable[[Any], str]) -> dict[str, Any]:
    """A page of `items` fetched with ``limit + 1``: `{items, next}`, `next` being null on the last page."""
    more = len(items) > limit
    return {"items": items[:limit], "next": cursor(items[limit - 1]) if more else None}


__all__ = [
    "ANYONE", "SIGNATURE", "SIGNED_IN", "Door", "IdempotencyKeyRequired", "IdempotencyKeyReused", "Reading", "Refusal",
    "RequestInFlight", "Schema", "View", "expected_version", "page",
]  # fmt: skip
