"""The sandboxes as processes: nothing is lost when one is killed."""

import json
import os
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
import requests
from urllib3.util import Retry

from deploy.sandbox.tests.makers import API_KEY, SECRET, Merchant


@contextmanager
def running(module, home, callback_url, **environment):
    """A process group that is killed with -9 on leaving."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    secret_file = home / "secrets.json"
    secret_file.write_text(json.dumps({"api_key": API_KEY, "webhook_secret": SECRET}))
    command = [sys.executable, "-m", f"deploy.sandbox.{module}", "--port", str(port), "--home", str(home)]
    command += ["--callback-url", callback_url, "--secret-file", str(secret_file)]
    process = subprocess.Popen(command, start_new_session=True, env=os.environ | environment)
    merchant = Merchant(f"http://127.0.0.1:{port}")
    # Until it listens, connecting is refused: asked again after pauses that double from 0.1 s.
    patient = Retry(connect=9, backoff_factor=0.1, backoff_max=2)
    merchant.http.mount("http://", requests.adapters.HTTPAdapter(max_retries=patient))
    try:
        merchant.ask("GET", "/health")
        yield merchant
    finally:
        merchant.http.close()
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_callbacks_that_a_killed_provider_owed_are_delivered_by_the_next_one(tmp_path, receiver):
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # bound but not listening: every callback is refused
        with running("provider", tmp_path, f"http://127.0.0.1:{nobody.getsockname()[1]}/") as shop:
            owed = [shop.paid(f"G{number}")["id"] for number in range(3)]
            assert shop.ask("GET", "/sandbox/quiet") == {"quiet": False, "pending": 3}
            book = shop.ask("GET", "/v1/book")
    with running("provider", tmp_path, receiver.url) as shop:
        told = receiver.wait_for(3)
        assert sorted(event["data"]["id"] for event in told) == sorted(owed)
        assert shop.ask("GET", "/v1/book") == book
        assert receiver.forged == 0


def test_a_provider_killed_amid_payments_still_tells_of_every_one_it_took(tmp_path, receiver):
    with running("provider", tmp_path, receiver.url) as shop:
        pages = [f"{shop.url}/pay/{shop.charge(f'G{number}')['id']}" for number in range(120)]

        def pay(page):
            try:
                return requests.post(page, json={"outcome": "succeed"}, timeout=5).status_code
            except requests.RequestException:
                return None  # the buyer does not know whether it was paid

        crowd = ThreadPoolExecutor(4)
        payments = crowd.map(pay, pages)
        receiver.wait_for(20)
    sure = [code for code in payments if code is not None]
    crowd.shutdown()
    with running("provider", tmp_path, receiver.url) as shop:
        shop.settle()
        book = shop.ask("GET", "/v1/book?limit=500")["items"]
    paid = {charge["id"] for charge in book if charge["captured"]}
    assert paid == {event["data"]["id"] for event in receiver.got}
    assert 0 < len(sure) <= len(paid)


def test_a_carrier_keeps_connections_open(tmp_path, receiver):
    with running("carrier", tmp_path, receiver.url) as warehouse:
        pool = warehouse.http.get_adapter("http://").poolmanager.connection_from_url(warehouse.url)
        connections = pool.num_connections
        warehouse.courier(warehouse.book(), "collect", "scan")
        receiver.wait_for(2)
        assert pool.num_connections == connections


@pytest.mark.parametrize("module", ["provider", "carrier"])
def test_neither_starts_as_a_process_in_production(module, tmp_path):
    (tmp_path / "s.json").write_text("{}")
    command = [sys.executable, "-m", f"deploy.sandbox.{module}", "--port", "1", "--home", str(tmp_path)]
    command += ["--callback-url", "http://127.0.0.1:1/", "--secret-file", str(tmp_path / "s.json")]
    environment = os.environ | {"CARAVAN_ENV": "production"}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert ended.returncode != 0
    assert "do not run in production" in ended.stderr
