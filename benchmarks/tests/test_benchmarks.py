"""The parts of the benchmarks that can be wrong without anybody noticing: the load generator, and the document."""

import threading
from collections import Counter

import msgspec
import pytest

from benchmarks import load, report
from benchmarks.accept import Pair, Rate
from benchmarks.bare import Bare
from benchmarks.copies import copies
from benchmarks.flow import Drain, Hot, Payable
from benchmarks.ground import less_idle
from benchmarks.growth import Growth, Pace
from benchmarks.run import QUICK, Results
from deploy.serving import Server

KEYS = {
    "accept_per_s", "floor_per_s", "accept_ratio", "cpu_ms_per_completed_order", "payable_p50_ms", "payable_p99_ms",
    "drain_facts_per_s", "drain_ratio", "hot_sku_ratio", "conditions", "stack_idle_mib", "embedded_idle_mib",
    "bytes_per_completed_order", "outbox_bytes_at_rest", "growth_rate_ratio", "growth_p99_ratio",
}  # fmt: skip


class Shop:
    """Answers 202 with the path, 429 to whoever asks for too much; counts what it was asked."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.asked: Counter[str] = Counter()
        self.lock = threading.Lock()

    def __call__(self, environ, start_response):
        path = environ["PATH_INFO"]
        with self.lock:
            self.asked[path] += 1
        body = path.encode()
        status = "429 Too Many Requests" if path == "/too-much" else "202 Accepted"
        start_response(status, [("Content-Length", str(len(body)))])
        return [body]


@pytest.fixture
def shop():
    server = Server()
    app = Shop(server.url)
    server.start(app)
    yield app
    server.stop()


def requests(shop, *paths):
    return [load.request("POST", path, shop.url.rpartition("//")[2], b"{}") for path in paths]


def test_every_request_is_sent_once_and_its_answer_is_brought_back_in_its_place(shop):
    paths = [f"/{number}" for number in range(50)]
    outcome = load.send(shop.url, requests(shop, *paths), 4, keep=True).expect(202)
    assert shop.asked == Counter(paths)
    assert outcome.bodies == [path.encode() for path in paths]
    assert len(outcome.latencies) == 50
    assert min(outcome.latencies) > 0


def test_arrivals_keep_to_their_moments(shop):
    outcome = load.send(shop.url, requests(shop, *["/"] * 20), 8, rate=100).expect(202)
    assert outcome.seconds >= 0.19  # the last one falls due after 19 hundredths, however fast the answers are


def test_a_refusal_is_not_taken_for_an_answer(shop):
    with pytest.raises(load.Refused):
        load.send(shop.url, requests(shop, "/", "/too-much"), 1).expect(202)


def test_a_quantile_is_a_value_that_was_measured():
    values = [float(number) for number in range(1, 201)]
    assert (load.quantile(values, 0.5), load.quantile(values, 0.99), load.quantile([7.0], 0.99)) == (100, 198, 7)


def test_what_idling_costs_is_taken_off_by_the_time_that_passed():
    assert less_idle({"order.web": 3.0, "wall": 20.0}, {"order.web": 0.5, "wall": 10.0}) == {"order.web": 2.0}


def test_the_document_has_what_others_compare_by():
    rate = Rate(10, 100.0, 0.01, 0.02, 0.1, 12.0)
    pair = Pair(8, rate, Rate(10, 150.0, 0.01, 0.02, 0.1, 4.0))
    results = Results(QUICK, conditions={"machine": {"load_before": [0.5], "cpus": 2}, "yardstick_best_ms": 3.0})
    results.idle, results.wall, results.yardstick_ms = {"order.web": 0.0, "wall": 2.0}, 1.0, 3.0
    results.used = {"order.web": 0.2, "postgres orders": 0.1, "rabbit": 0.1}
    results.accept, results.accept_with_events = [pair], [pair]
    results.payable, results.drain = Payable(10, 5.0, 2.0, 90.0, 120.0, 30.0, 0.1), Drain(100, 0.5, Bare(400.0, 0.5))
    results.hot, results.heard_per_order = Hot(30, 40.0, 50.0), 38.8
    before, after = Pace(40.0, 200.0, 10.0, 12.0, 50.0), Pace(38.0, 150.0, 9.0, 18.0, 50.0)
    results.growth = Growth(20_000, 60.0, 2**31, before, after)
    told = msgspec.json.decode(report.document(results))
    assert told.keys() >= KEYS
    assert told["accept_ratio"] == pytest.approx(2 / 3, rel=1e-3)
    assert told["cpu_ms_per_completed_order"] == pytest.approx(80)
    assert told["cpu_over_bare"] == pytest.approx(80 / (5.15 * 4 + 38.8 * 0.5), rel=1e-3)
    assert told["drain_facts_per_s"] == 200
    assert (told["drain_ratio"], told["hot_sku_ratio"]) == (0.5, 0.8)
    assert (told["growth_rate_ratio"], told["growth_p99_ratio"]) == (0.75, 1.5)
    assert any("order" in line for line in report.lines(results))


def test_copies_have_names_of_their_own_in_columns_and_in_bodies_and_the_goods_they_shared():
    group_no, fact = "G1111111111111111", "0190aaaa-bbbb-7ccc-8ddd-000000000000"
    body = f"{group_no}-1 {fact} tea"
    row = f"{group_no}-1\t{fact}\ttea\t\\\\x{body.encode().hex()}\n".encode()

    first, second = copies(row, group_no, {group_no, fact}, range(7, 9))

    for number, copy in ((7, first), (8, second)):
        new, other = f"G9{number:015}", f"{fact[:-12]}{number:08x}0000"
        written = f"{new}-1 {other} tea".encode().hex()
        assert copy.decode() == f"{new}-1\t{other}\ttea\t\\\\x{written}\n"
        assert len(copy) == len(row)
    with pytest.raises(ValueError, match="cannot be numbered"):
        list(copies(row, group_no, {group_no, "tea"}, range(1)))
