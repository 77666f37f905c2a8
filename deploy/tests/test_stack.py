"""The platform on real servers: it starts, survives the death of its parts, and leaves nothing behind."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from deploy.fleet import FLEET
from deploy.servers import wait_until
from deploy.stack import Stack
from deploy.stack.nursery import Nursery, Program
from deploy.stack.processes import Job, Watchdog, cpu_seconds, gunicorn, python, stop_jobs
from deploy.stack.stack import Kept

pytestmark = [pytest.mark.servers, pytest.mark.xdist_group("stack")]


def sign_in(stack: Stack) -> int:
    email, password = stack.operator
    body = {"email": email, "password": password}
    return requests.post(f"{stack.url}/v1/sessions", json=body, timeout=30).status_code


def test_a_request_goes_through_nginx_and_its_facts_through_rabbitmq(stack: Stack):
    assert sign_in(stack) == 201
    stack.settle()
    assert stack.world.watch.failing() == {}
    assert requests.get(f"{stack.url}/v1/nothing", timeout=10).headers["Server"] == "nginx"


def test_every_service_has_a_database_and_a_broker_user_of_its_own(stack: Stack):
    assert len({url.split("@")[0] for url in stack.urls.values()}) == len(stack.members) + 2
    names = {user["name"] for user in stack.rabbit.api("GET", "users")}
    assert names == {one.name for one in stack.members} | {"admin"}


def test_a_worker_that_was_killed_is_started_again_and_catches_up(stack: Stack):
    stack.kill("support", "worker", signal.SIGKILL)
    assert sign_in(stack) == 201
    stack.restart("support", "worker")
    stack.settle()
    assert stack.world.watch.failing() == {}


def test_the_clock_moves_in_all_stores(stack: Stack):
    before = stack.world.offset
    stack.advance(hours=1)
    assert stack.world.offset - before == pytest.approx(3600, abs=30)


def test_processor_time_is_told_by_group_and_never_goes_back(stack: Stack):
    first = stack.cpu_seconds()
    assert first.keys() == {"postgres", "rabbit", "nginx", "services", "sandbox"}
    assert first["services"] > 1
    sign_in(stack)
    assert stack.cpu_seconds()["services"] >= first["services"]


def test_what_two_processes_of_a_service_count_adds_up(stack: Stack):
    def counted() -> float:
        page = requests.get(f"http://127.0.0.1:{stack.ports['order.web']}/metrics", timeout=10).text
        told = [line for line in page.splitlines() if line.startswith("caravan_request_seconds_count{")]
        return sum(float(line.split()[-1]) for line in told if 'rule="/v1/orders"' in line and 'status="401"' in line)

    before = counted()
    for _ in range(8):
        requests.get(f"{stack.url}/v1/orders", timeout=10)
    assert counted() - before == 8


@pytest.fixture
def nursery() -> Iterator[Nursery]:
    nursery = Nursery([])
    yield nursery
    nursery.stop()


def test_what_is_started_dies_with_the_one_who_started_it(nursery: Nursery, tmp_path: Path):
    watchdog = Watchdog(tmp_path)
    job = Job("sleeper", ["/bin/sh", "-c", "sleep 300 & wait"], {}, tmp_path / "log", "http://127.0.0.1:1/")
    job.start(watchdog, nursery)
    wait_until(lambda: len(job.pids()) == 2, 10, "no child")
    assert watchdog._process.stdin is not None
    watchdog._process.stdin.close()  # as the system does when we are killed
    wait_until(lambda: not job.running, 10, "it lives on")
    assert job.pids() == []
    watchdog.dismiss()


def test_who_does_not_end_when_asked_is_killed_with_all_children(nursery: Nursery, tmp_path: Path):
    watchdog = Watchdog(tmp_path)
    job = Job("deaf", python("-c", "import signal, time; signal.signal(15, lambda *_: 0); time.sleep(300)"),
              {}, tmp_path / "log", "http://127.0.0.1:1/")  # fmt: skip
    job.start(watchdog, nursery)
    wait_until(lambda: cpu_seconds(job.pids()) > 0, 10, "it does not start")
    stop_jobs([job], 0.1)
    assert not job.running
    watchdog.dismiss()


def test_a_program_is_forked_unless_it_would_have_been_imported_otherwise():
    def forks(command: list[str | Path], **env: str) -> bool:
        return Program([str(part) for part in command], env, "").forks

    assert forks(python("-m", "services.order", "work"), CARAVAN_ENV="development")
    assert forks(gunicorn("services.order.app:create_app()"))
    assert not forks(gunicorn("services.order.app:create_live()", "-k", "gevent"))
    assert not forks(python("-m", "services.order", "work"), CARAVAN_CRASH_AT="relay.after_confirm")
    assert not forks(gunicorn("services.order.app:create_app()"), PROMETHEUS_MULTIPROC_DIR="folder")
    assert not forks(["/bin/sh", "-c", "services.order"])


def test_a_folder_never_forgets_a_shard_in_which_facts_may_lie():
    kept = Kept("secret", "key", "password")
    kept.spread(FLEET, {"order": 3})
    kept.spread(FLEET, {"payment": 2})
    assert {name: number for name, number in kept.shards.items() if number > 1} == {"order": 3, "payment": 2}
