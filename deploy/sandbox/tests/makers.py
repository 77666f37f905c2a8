"""The people in these tests: a merchant's receiver of callbacks, and a merchant with a key."""

import base64
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import requests

from deploy.sandbox.desk import Settings, signing

API_KEY = "a-key-for-tests-only"
SECRET = "whsec_" + base64.b64encode(b"a webhook secret for tests only").decode()
PATIENCE_S = 20


class Receiver:
    """The merchant's end of the callbacks: verifies, counts, answers as told (`answers`, then 200) while it is open."""

    def __init__(self):
        self.got, self.sent, self.forged, self.answers = [], [], 0, []
        self.open = threading.Event()
        self.open.set()
        self._news = threading.Condition()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 5

            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                self.send_response(receiver.take(dict(self.headers.items()), body))
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format, *args):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request, client_address):
                """A sender that was killed hangs up in the middle; that is what these tests are about."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1/callbacks"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def take(self, headers, body):
        with self._news:
            self.sent.append(json.loads(body))
            self._news.notify_all()
        assert self.open.wait(PATIENCE_S)
        with self._news:
            answer = self.answers.pop(0) if self.answers else 200
            if not signing.verify(SECRET, headers, body, time.time()):  # noqa: TID251 - a signature's age is real
                self.forged += 1
            elif answer == 200:
                event = json.loads(body)
                self.got += event["data"]["events"] if event["type"] == "bundle" else [event]
            self._news.notify_all()
            return answer

    def wait_for(self, count):
        """The first `count` callbacks taken, once there are as many."""
        with self._news:
            assert self._news.wait_for(lambda: len(self.got) >= count, PATIENCE_S), self.got
            return list(self.got)

    def wait_for_message(self):
        """Return once a message has come, answered or not."""
        with self._news:
            assert self._news.wait_for(lambda: self.sent, PATIENCE_S)

    def types(self):
        return [event["type"] for event in self.got]

    def close(self):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class Merchant:
    """Speaks to a sandbox over HTTP: `ask` gives the answer's body and insists on its status."""

    def __init__(self, url):
        self.url = url
        self.http = requests.Session()
        self.http.trust_env = False
        self.http.headers["Authorization"] = f"Bearer {API_KEY}"
        self._keys = 0

    def ask(self, method, path, body=None, *, status=200, key=None, timeout=PATIENCE_S):
        headers = {"Idempotency-Key": key} if key else {}
        answer = self.http.request(method, self.url + path, json=body, headers=headers, timeout=timeout)
        assert answer.status_code == status, (answer.status_code, answer.text)
        return answer.json()

    def post(self, path, body=None, *, status=201, key=None):
        """POST with a key of its own unless one is given."""
        self._keys += 1
        return self.ask("POST", path, body, status=status, key=key or f"key-{self._keys}")

    def settle(self):
        assert self.ask("GET", f"/sandbox/quiet?timeout={PATIENCE_S}")["quiet"]

    def now(self):
        return self.ask("GET", "/sandbox/clock")["now"]

    def switch(self, kind, **rest):
        return self.ask("POST", "/sandbox/switches", {"kind": kind, **rest}, status=201)

    # -- the provider

    def charge(self, reference="G1", amount=12900, *, status=201, key=None, **rest):
        wish = {"merchant_reference": reference, "method": "alipay_qr", "amount": amount, "currency": "CNY",
                "expires_at": "2999-01-01T00:00:00Z"}  # fmt: skip
        return self.post("/v1/charges", wish | rest, status=status, key=key)

    def pay(self, charge, outcome="succeed", *, status=200):
        return self.ask("POST", f"/pay/{charge['id']}", {"outcome": outcome}, status=status)

    def paid(self, *args, **rest):
        charge = self.charge(*args, **rest)
        self.pay(charge)
        return self.see(charge)

    def see(self, charge):
        return self.ask("GET", f"/v1/charges/{charge['id']}")

    def close(self, charge):
        return self.ask("POST", f"/v1/charges/{charge['id']}/close")

    def refund(self, charge, amount, *, status=201, key=None, **rest):
        wish = {"charge": charge["id"], "refund_reference": "R1", "amount": amount, "currency": "CNY"}
        return self.post("/v1/refunds", wish | rest, status=status, key=key)

    # -- the carrier

    def book(self, reference="S1", *, status=201, key=None, **rest):
        wish = {"reference": reference, "service": "standard", "parcels": [{"weight_g": 800, "size": "S"}],
                "origin": {"country": "CN", "city": "Hangzhou"},
                "destination": {"country": "CN", "city": "Chengdu"}}  # fmt: skip
        return self.post("/v1/shipments", wish | rest, status=status, key=key)

    def courier(self, shipment, *deeds, status=200, **given):
        answers = [
            self.ask("POST", f"/courier/{shipment['tracking_no']}/{deed}", given, status=status) for deed in deeds
        ]
        return answers[-1]


def settings(home, url, **rest):
    return Settings(home, url, API_KEY, SECRET, **{"retry_s": (0.05, 0.1), "max_tries": 10, **rest})
