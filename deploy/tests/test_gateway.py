"""The gateway's two forms, nginx and the in-process host, answer alike: from one table, to the same services."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

import pytest
import requests

from deploy.docs.openapi import merged
from deploy.fleet import COMMONS, FLEET, LIVE, table
from deploy.gateway.limits import Limit
from deploy.gateway.nginx import Options, configuration
from deploy.gateway.routes import Ambiguous, Route, Table, asks_to_wait
from deploy.gateway.wsgi import Gateway
from deploy.servers import NginxServer
from deploy.serving import Server

UPSTREAMS = [*(one.name for one in FLEET), LIVE, COMMONS]
PROBLEM = {"type", "title", "status", "code", "trace_id"}


# --- the table ------------------------------------------------------------------------------------------------------


def shop() -> Table:
    return Table(
        [
            Route("/v1/orders", "GET", "order"),
            Route("/v1/orders/<order_no>", "GET", "order", waits=True),
            Route("/v1/orders/mine", "GET", "catalog"),
            Route("/v1/orders/<int:number>", "GET", "payment"),
            Route("/v1/orders/<order_no>/after-sales", "POST", "support"),
            Route("/v1/orders/<path:rest>", "GET", "shipping"),
        ]
    )


@pytest.mark.parametrize(
    ("path", "upstream"),
    [
        ("/v1/orders", "order"),
        ("/v1/orders/mine", "catalog"),
        ("/v1/orders/17", "payment"),
        ("/v1/orders/G17", "order"),
        ("/v1/orders/G17/anything/else", "shipping"),
    ],
)
def test_the_most_specific_pattern_wins_whatever_the_order_of_declaration(path: str, upstream: str):
    found = shop().find("GET", path)
    assert found is not None
    assert found.upstream == upstream


def test_a_known_path_says_which_methods_it_answers_and_an_unknown_one_says_none():
    assert shop().find("DELETE", "/v1/orders/G17/after-sales") is None
    assert shop().allowed("/v1/orders/G17/after-sales") == ["GET", "HEAD", "POST"]
    assert shop().allowed("/v1/payments") == []


def test_two_services_cannot_claim_one_operation():
    with pytest.raises(Ambiguous):
        Table([Route("/v1/a/<one>", "GET", "order"), Route("/v1/a/<other>", "GET", "payment")])


@pytest.mark.parametrize(
    ("query", "prefer", "waits"),
    [("", "", False), ("wait_for=PAID", "", True), ("a=1&wait_for=PAID", "", True), ("wait_for=", "", False),
     ("nowait_for=PAID", "", False), ("", "wait=5", True), ("", "respond-async, wait=5", True),
     ("", "nowait=5", False)],
)  # fmt: skip
def test_a_get_is_held_only_when_it_asks_to_wait(query: str, prefer: str, waits: bool):
    assert asks_to_wait(query, prefer) is waits


def test_every_documented_operation_has_a_route_and_every_route_of_a_service_is_documented():
    documented = {
        (method.upper(), re.sub(r"\{(\w+)\}", "<>", path))
        for path, item in merged()["paths"].items()
        for method in item
    }
    routed = {(route.method, re.sub(r"<[^>]*>", "<>", route.rule)) for route in table().routes}
    inner = {(method, path) for method, path in routed if path.startswith("/v1/sandbox")}
    assert documented == routed - inner


# --- both forms -----------------------------------------------------------------------------------------------------


class Both(NamedTuple):
    """Where the two forms of the gateway listen, in front of upstreams that answer with their names."""

    embedded: str
    nginx: str


def named(name: str):
    """An application that says who it is and what it was asked."""

    def app(environ, start_response):
        body = environ["wsgi.input"].read()
        asked = f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']} {environ['QUERY_STRING']} {len(body)}"
        start_response(
            "200 OK",
            [("X-Upstream", name), ("X-Asked", asked), ("X-From", environ.get("HTTP_X_FORWARDED_FOR", "")),
             ("X-Trace", environ.get("HTTP_TRACEPARENT", "")), ("Content-Length", "0")],
        )  # fmt: skip
        return [b""]

    return app


@pytest.fixture(scope="module")
def both() -> Iterator[Both]:
    apps = {name: named(name) for name in UPSTREAMS}
    servers = {name: Server().start(app) for name, app in apps.items()}
    nginx = NginxServer()
    limit = Limit(100_000, 100_000)
    options = Options(
        {name: [f"127.0.0.1:{server.port}"] for name, server in servers.items()},
        f"127.0.0.1:{nginx.port}",
        nginx.preamble,
        workers="1",
        per_token=limit,
        per_address=limit,
    )
    inner = Server().start(Gateway(table(), apps, LIVE, per_token=limit, per_address=limit))
    try:
        nginx.start(configuration(table(), options))
        yield Both(inner.url, nginx.url)
    finally:
        nginx.stop()
        for server in (inner, *servers.values()):
            server.stop()


def answers(both: Both, method: str, path: str, **headers: str) -> tuple[object, ...]:
    """What both say, which must be the same: status, problem code, upstream, its request, Allow, Retry-After."""
    found = []
    for url in both:
        with requests.Session() as session:
            session.trust_env = False
            request = requests.Request(method, url, headers={name.replace("_", "-"): v for name, v in headers.items()})
            prepared = session.prepare_request(request)
            prepared.url = url + path  # as it stands, not made proper by the client
            answer = session.send(prepared, timeout=10)
        code = None
        if answer.content:
            problem = answer.json()
            assert problem.keys() >= PROBLEM
            assert answer.headers["Content-Type"] == "application/problem+json"
            code = problem["code"]
        said = (
            answer.headers.get(name) for name in ("X-Upstream", "X-Asked", "X-From", "X-Trace", "Allow", "Retry-After")
        )
        found.append((answer.status_code, code, *said))
    assert found[0] == found[1], f"{method} {path}: embedded {found[0]}, nginx {found[1]}"
    return found[0]


def filled(rule: str) -> str:
    return re.sub(r"<(?:(\w+):)?\w+>", lambda found: "7" if found[1] == "int" else "G42", rule)


@pytest.mark.servers
def test_every_operation_reaches_the_same_service_through_both(both: Both):
    for route in table().routes:
        status, _, upstream, *_ = answers(both, route.method, filled(route.rule))
        assert (status, upstream) == (200, route.upstream), f"{route.method} {route.rule}"


@pytest.mark.servers
def test_methods_a_path_does_not_answer_are_refused_alike(both: Both):
    for rule in sorted({route.rule for route in table().routes}):
        path = filled(rule)
        for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"} - set(table().allowed(path)):
            status, code, *_, allow, _ = answers(both, method, path)
            assert (status, code) == (405, "method_not_allowed")
            assert allow == ", ".join(table().allowed(path))


@pytest.mark.servers
@pytest.mark.parametrize(
    "path",
    ["/", "/v1", "/v1/", "/v1/nothing", "/v1/orders/", "//v1/orders", "/v1//orders", "/V1/orders", "/v1/orders/a/b/c",
     "/livez", "/metrics", "/readyz", "/v1/openapi/order.json", "/problem/400", "/v1/orders%2FG42%2Fnope"],
)  # fmt: skip
def test_unknown_paths_are_refused_alike(both: Both, path: str):
    assert answers(both, "GET", path)[:3] == (404, "not_found", None)


@pytest.mark.servers
@pytest.mark.parametrize(
    ("path", "prefer", "upstream"),
    [
        ("/v1/orders/G42", "", "order"),
        ("/v1/orders/G42?wait_for=PAID&timeout=5", "", LIVE),
        ("/v1/orders/G42?wait_for=", "", "order"),
        ("/v1/orders/G42", "wait=5", LIVE),
        ("/v1/orders/G42", "respond-async, wait=5", LIVE),
        ("/v1/orders/G42/timeline", "wait=5", "order"),
        ("/v1/orders?wait_for=PAID", "", "order"),
        ("/v1/orders/G42/stream", "", LIVE),
    ],
)
def test_who_asks_to_wait_goes_to_the_live_process(both: Both, path: str, prefer: str, upstream: str):
    headers = {"Prefer": prefer} if prefer else {}
    assert answers(both, "GET", path, **headers)[2] == upstream
    assert answers(both, "HEAD", path, **headers)[2] == upstream


@pytest.mark.servers
def test_the_path_is_passed_on_as_it_came_with_the_trace_and_without_forged_origins(both: Both):
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    found = answers(both, "GET", "/v1/orders/%E8%8C%B6%20x?a=%2F", traceparent=trace, X_Forwarded_For="6.6.6.6")
    assert found[:2] == (200, None)
    assert found[4:6] == ("127.0.0.1", trace)


@pytest.mark.servers
def test_nginx_answers_its_own_errors_with_problem_documents(both: Both):
    def code(answer: requests.Response) -> tuple[int, str]:
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        return answer.status_code, answer.json()["code"]

    assert code(requests.post(f"{both.nginx}/v1/quotes", data=b"x" * 1_048_577, timeout=5)) == (
        413,
        "payload_too_large",
    )
    assert code(requests.get(f"{both.nginx}/{'x' * 40_000}", timeout=5)) == (414, "uri_too_long")
    assert code(requests.get(both.nginx, headers={"X": "x" * 40_000}, timeout=5)) == (431, "headers_too_large")


@pytest.mark.servers
def test_a_service_that_is_away_is_said_with_retry_after_and_an_abuser_is_slowed_down():
    nginx = NginxServer()
    options = Options(
        {name: ["127.0.0.1:1"] for name in UPSTREAMS},
        f"127.0.0.1:{nginx.port}",
        nginx.preamble,
        workers="1",
        per_token=Limit(1, 5),
    )
    with nginx.start(configuration(table(), options)):
        found = [
            requests.get(f"{nginx.url}/v1/orders", headers={"Authorization": "Bearer x"}, timeout=5) for _ in range(9)
        ]
        other = requests.get(f"{nginx.url}/v1/orders", headers={"Authorization": "Bearer y"}, timeout=5)
    assert [answer.status_code for answer in found] == [502] * 6 + [429] * 3
    assert {answer.headers["Retry-After"] for answer in found} == {"1"}
    assert {answer.json()["code"] for answer in found} == {"bad_gateway", "too_many_requests"}
    assert other.status_code == 502


def test_the_in_process_host_slows_an_abuser_down_too():
    server = Server().start(Gateway(table(), {"order": named("order")}, LIVE, per_token=Limit(1, 5)))
    try:
        with requests.Session() as session:
            session.headers["Authorization"] = "Bearer x"
            found = [session.get(f"{server.url}/v1/orders", timeout=5) for _ in range(9)]
    finally:
        server.stop()
    assert [answer.status_code for answer in found] == [200] * 6 + [429] * 3
    assert found[-1].headers["Retry-After"] == "1"
