"""The platform in one process: it refuses what it should, goes on after a kill -9, and keeps its folder to itself."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import requests

from deploy import embedded
from deploy.embedded import HomeTaken, Platform
from deploy.gateway import wsgi
from deploy.gateway.routes import Route, Table
from deploy.serving import Server
from deploy.stack.nursery import ROOT


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory):
    with Platform(tmp_path_factory.mktemp("platform")) as platform:
        yield platform


def sign_in(platform: Platform) -> dict[str, str]:
    email, password = platform.operator
    tokens = requests.post(f"{platform.url}/v1/sessions", json={"email": email, "password": password}, timeout=30)
    assert tokens.status_code == 201
    platform.settle()
    return {"Authorization": f"Bearer {tokens.json()['access_token']}"}


def test_a_path_nobody_serves_and_a_method_nobody_answers_are_problem_documents(platform: Platform):
    unknown = requests.get(f"{platform.url}/v1/nothing", timeout=10)
    wrong = requests.delete(f"{platform.url}/v1/orders", timeout=10)
    assert (unknown.status_code, unknown.json()["code"]) == (404, "not_found")
    assert (wrong.status_code, wrong.json()["code"], wrong.headers["Allow"]) == (
        405,
        "method_not_allowed",
        "GET, HEAD, POST",
    )


def test_one_origin_serves_all_services_and_keeps_connections(platform: Platform):
    headers = sign_in(platform)
    with requests.Session() as client:
        for path in (
            "/v1/orders/none",
            "/v1/me",
            "/v1/shipments?order_no=none",
            "/v1/openapi.json",
            "/v1/events/catalog",
        ):
            answer = client.get(platform.url + path, headers=headers, timeout=10)
            assert answer.status_code in (200, 403, 404), path
            assert answer.headers["Connection"] == "keep-alive"


def test_the_sandbox_is_closed_without_its_key_and_open_to_an_operator(platform: Platform):
    url = f"{platform.url}/v1/sandbox"
    assert requests.get(url, timeout=10).status_code == 401
    assert requests.get(url, headers={"Authorization": "Bearer wrong"}, timeout=10).status_code == 401
    key = {"Authorization": f"Bearer {platform.sandbox_key}"}
    assert requests.get(url, headers=key, timeout=10).json()["carrier"]["url"] == platform.carrier_url
    assert requests.post(f"{url}/settle", headers=sign_in(platform), timeout=10).json()["failing"] == {}


def test_time_goes_forward_in_all_stores_and_at_the_provider_together(platform: Platform):
    key = {"Authorization": f"Bearer {platform.sandbox_key}"}
    clock = f"{platform.url}/v1/sandbox/clock"
    before = requests.get(clock, headers=key, timeout=10).json()["offset_seconds"]
    moved = requests.post(clock, json={"advance": "1d12h"}, headers=key, timeout=60).json()
    assert moved["offset_seconds"] - before == pytest.approx(129_600, abs=60)
    offsets = [desk.clock().offset_seconds for desk in platform.world.desks]
    assert offsets == pytest.approx([moved["offset_seconds"]] * 2, abs=1)
    for body in (
        {"advance": "soon"},
        {"to": "2000-01-01T00:00:00Z"},
        {},
        {"advance": "9999999999w"},
        {"advance": "1d", "to": "x"},
    ):
        assert requests.post(clock, json=body, headers=key, timeout=10).status_code in (409, 422), body


def test_the_sandbox_never_runs_in_production(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("CARAVAN_ENV", "production")
    with pytest.raises(RuntimeError, match="production"):
        Platform(tmp_path)


def test_a_folder_serves_one_platform_at_a_time(platform: Platform, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(embedded, "HOME_SECONDS", 0.1)
    with pytest.raises(HomeTaken):
        Platform(platform.home).start()


def test_after_kill_9_the_same_folder_goes_on(tmp_path: Path):
    def start() -> tuple[subprocess.Popen[str], str]:
        child = subprocess.Popen(
            [sys.executable, "-m", "deploy.embedded", "--home", tmp_path / "home", "--port", "0"],
            stdout=subprocess.PIPE, text=True, cwd=ROOT, env=dict(os.environ),
        )  # fmt: skip
        assert child.stdout is not None
        for line in child.stdout:
            if found := re.search(r"answers on (\S+)", line):
                return child, found[1]
        raise AssertionError("it ended")

    first, url = start()
    person = {"email": "han@example.com", "password": "correct horse battery", "name": "Han", "locale": "en"}
    made = requests.post(f"{url}/v1/accounts", json=person, timeout=30)
    first.kill()
    first.communicate(timeout=10)
    second, url = start()
    try:
        login = {name: person[name] for name in ("email", "password")}
        signed_in = requests.post(f"{url}/v1/sessions", json=login, timeout=30)
    finally:
        second.send_signal(signal.SIGTERM)
        second.communicate(timeout=30)
    assert made.status_code == 201
    assert signed_in.status_code == 201
    assert second.returncode == 0


def test_those_who_wait_are_bounded_and_leave_room_for_the_others(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(wsgi, "MOST_WAITING", 2)
    table = Table([Route("/v1/wait", "GET", "live", live=True), Route("/v1/work", "GET", "order")])
    release, here = threading.Event(), threading.Semaphore(0)

    def wait(_environ, start_response):
        here.release()
        release.wait(20)
        start_response("200 OK", [("Content-Length", "0")])
        return [b""]

    def work(_environ, start_response):
        start_response("200 OK", [("Content-Length", "0")])
        return [b""]

    server = Server().start(wsgi.Gateway(table, {"live": wait, "order": work}, "live"))
    waiting = [
        threading.Thread(target=requests.get, args=(f"{server.url}/v1/wait",), kwargs={"timeout": 30}) for _ in "12"
    ]
    try:
        for thread in waiting:
            thread.start()
        assert all(here.acquire(timeout=10) for _ in waiting)
        third = requests.get(f"{server.url}/v1/wait", timeout=10)
        other = requests.get(f"{server.url}/v1/work", timeout=10)
    finally:
        release.set()
        for thread in waiting:
            thread.join(10)
        server.stop()
    assert (third.status_code, third.headers["Retry-After"], other.status_code) == (503, "1", 200)
