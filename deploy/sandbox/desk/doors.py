"""The HTTP surface both sandboxes share: who may call, how refusals look, and `/sandbox/…`."""

import hmac
import threading
from collections.abc import Callable
from typing import Any

from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException

from deploy.sandbox.desk import clock, postman, switches
from deploy.sandbox.desk.bodies import Field, Refusal, integer, moment, one_of, optional, read, seconds, text
from deploy.sandbox.desk.desk import Desk, Settings, Trade, desk, json_body, refuse_production, shown

Route = tuple[str, str, Callable[..., Any]]
GUARDED = ("/v1/", "/sandbox/", "/courier/")
LARGEST_BODY = 64 * 1024
CENTURY_S = 36525 * 24 * 3600
CHOICE = {name: optional(text()) for name in ("event_id", "type", "reference")}


def build(trade: Trade, settings: Settings, routes: tuple[Route, ...]) -> Flask:
    """An app with the shared doors and `routes`, its callbacks already being carried.

    RuntimeError in production; ValueError for unusable secrets.
    """
    refuse_production()
    app = Flask(f"sandbox.{trade.name}", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = LARGEST_BODY
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.extensions["desk"] = Desk(trade, settings)
    app.before_request(_know_the_caller)
    app.before_request(_choose_faults)
    app.after_request(_meddle)
    app.register_error_handler(Refusal, lambda refusal: shown(refusal.body, refusal.status))
    app.register_error_handler(HTTPException, _plain_error)
    for method, rule, view in (*routes, *ROUTES):
        app.add_url_rule(rule, endpoint=view.__name__, view_func=view, methods=[method])
    return app


def _know_the_caller() -> None:
    if not request.path.startswith(GUARDED):
        return
    wanted = f"Bearer {desk().settings.api_key}".encode()
    if not hmac.compare_digest(request.headers.get("Authorization", "").encode(), wanted):
        raise Refusal(401, "unauthorized", "Authorization: Bearer <API key> is missing or wrong.")


def _choose_faults() -> None:
    """Which of the switches that spoil answers this call uses up; `error_before` strikes here."""
    g.faults = {}
    if request.endpoint is None or not request.path.startswith("/v1/"):
        return
    with desk().transaction() as tx:
        if not tx.one("SELECT 1 FROM switches LIMIT 1"):
            return
        subject = desk().trade.subject(tx, request.view_args or {}, request.get_json(silent=True))
        for kind in switches.ANSWERS:
            if (params := switches.used(tx, kind, request.endpoint, *subject)) is not None:
                g.faults[kind] = params
    if (refusal := g.faults.get("error_before")) is not None:
        raise Refusal(refusal["status"], refusal["code"], "Something went wrong.")


def _meddle(response: Response) -> Response:
    """Spoil the answer to work that is already done and kept."""
    faults: dict[str, Any] = g.get("faults", {})
    if "slow" in faults:
        threading.Event().wait(faults["slow"]["seconds"])
    if "error_after" in faults:
        return shown({"code": "internal_error", "message": "Something went wrong."}, 500)
    if "garbage" in faults:
        return Response("<html><body>Gateway time-out? \x00{", 200, content_type="text/html")
    return response


def _plain_error(error: HTTPException) -> Response:
    code = error.name.lower().replace(" ", "_")
    return shown({"code": code, "message": error.description}, error.code or 500)


def get_health() -> Response:
    """Alive, and the book can be read."""
    with desk().transaction():
        return shown({"status": "ok"})


def get_quiet() -> Response:
    """`{quiet, pending}`: whether no callback is on its way, waiting for that up to `?timeout=` seconds.

    What a switch holds or has lost is not on its way.
    """
    asked = query(timeout=optional(lambda digits: seconds(30)(float(digits))))
    waiting = desk().postman.pending(asked["timeout"] or 0)
    return shown({"quiet": waiting == 0, "pending": waiting})


def get_clock() -> Response:
    """`{now, machine_now, offset_seconds, next_due}`; the last: when something next happens by itself."""
    with desk().transaction() as tx:
        now_ms = tx.now_ms
    return _clock(now_ms)


def post_clock() -> Response:
    """Set the business clock to `now`, or the machine's plus `offset_seconds`; what is due then happens."""
    given = read({"now": optional(moment), "offset_seconds": optional(_span)}, json_body())
    if (given["now"] is None) == (given["offset_seconds"] is None):
        raise Refusal(422, "invalid_body", "Give now or offset_seconds.")
    if given["now"] is not None:
        offset_ms = clock.parse(given["now"]) - clock.machine_ms()
    else:
        offset_ms = round(given["offset_seconds"] * 1000)
    return _clock(clock.parse(desk().move_clock(offset_ms)))


def _span(value: Any) -> float:
    """Seconds, of either sign."""
    backwards = isinstance(value, int | float) and value < 0
    return -seconds(CENTURY_S)(-value) if backwards else seconds(CENTURY_S)(value)


def _clock(now_ms: int) -> Response:
    machine_ms = clock.machine_ms()
    now, machine_now = clock.stamp(now_ms), clock.stamp(machine_ms)
    offset_s, next_due = round((now_ms - machine_ms) / 1000, 1), desk().next_due()
    return shown({"now": now, "machine_now": machine_now, "offset_seconds": offset_s, "next_due": next_due})


def get_switches() -> Response:
    """The switches that are on."""
    with desk().transaction() as tx:
        return shown({"items": switches.listed(tx)})


def post_switch() -> Response:
    """Turn a switch on; 201 and the switch."""
    with desk().transaction() as tx:
        return shown(switches.add(tx, desk().trade.kinds, json_body()), 201)


def delete_switches(switch_id: int | None = None) -> Response:
    """Turn one switch off, or all."""
    with desk().transaction() as tx:
        return shown({"removed": switches.off(tx, switch_id)})


def get_callbacks() -> Response:
    """Callbacks not delivered, or those in `?state=`."""
    state = one_of("pending", "held", "lost", "delivered", "given_up")
    asked = read({"state": optional(state)}, request.args.to_dict())
    with desk().transaction() as tx:
        return shown({"items": postman.listed(tx, asked["state"])})


def post_release() -> Response:
    """Send what a switch holds: all, or by `event_id`, `type`, `reference`."""
    return _send(held=True)


def post_replay() -> Response:
    """Send again, under the same event ids, what was delivered, lost or given up."""
    return _send(held=False)


def _send(*, held: bool) -> Response:
    chosen = read(CHOICE, json_body())
    with desk().transaction() as tx:
        return shown({"sent": postman.send(tx, held, **chosen)})


def query(**fields: Field) -> dict[str, Any]:
    """The query string, read as strictly as a body."""
    return read(fields, request.args.to_dict())


def query_one(*names: str) -> dict[str, str]:
    """The one value the query string asks by; 422 `invalid_query` for none or several."""
    given = query(**dict.fromkeys(names, optional(text())))
    asked = {name: value for name, value in given.items() if value is not None}
    if len(asked) != 1:
        raise Refusal(422, "invalid_query", f"Ask by one of {', '.join(names)}.")
    return asked


def query_page() -> tuple[int, int]:
    """`?after=` (0) and `?limit=` (100, at most 500)."""
    number = optional(lambda digits: integer(0)(int(digits)))
    asked = query(after=number, limit=number)
    return asked["after"] or 0, min(asked["limit"] or 100, 500)


ROUTES: tuple[Route, ...] = (
    ("GET", "/health", get_health),
    ("GET", "/sandbox/quiet", get_quiet),
    ("GET", "/sandbox/clock", get_clock),
    ("POST", "/sandbox/clock", post_clock),
    ("GET", "/sandbox/switches", get_switches),
    ("POST", "/sandbox/switches", post_switch),
    ("DELETE", "/sandbox/switches", delete_switches),
    ("DELETE", "/sandbox/switches/<int:switch_id>", delete_switches),
    ("GET", "/sandbox/callbacks", get_callbacks),
    ("POST", "/sandbox/callbacks/release", post_release),
    ("POST", "/sandbox/callbacks/replay", post_replay),
)
