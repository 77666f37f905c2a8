"""Every metric of the platform, by name, in one place. Labels never hold ids or paths."""

from __future__ import annotations

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.values import ValueClass

CONTENT_TYPE = CONTENT_TYPE_LATEST

consumed = Counter("caravan_consumed", "Messages taken from the bus, by what became of them", ["service", "result"])
handler_seconds = Histogram("caravan_handler_seconds", "Time to handle one batch", ["service"])
batch_size = Histogram("caravan_batch_size", "Facts handled in one batch", ["service"], buckets=(1, 2, 5, 10, 20, 50))
unexpected = Counter("caravan_unexpected", "Facts an aggregate's state did not know, by name", ["service", "fact"])
dead = Counter("caravan_dead", "Messages that became dead rows", ["service", "reason"])
end_to_end = Histogram(
    "caravan_end_to_end_seconds", "From the telling of a fact to its handling", ["service"],
    buckets=(0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600),
)  # fmt: skip
relay_published = Counter("caravan_relay_published", "Facts the broker confirmed, by name", ["service", "fact"])
relay_failed = Counter("caravan_relay_failed", "Facts nacked, returned or timed out (tried again)", ["service"])
relay_leader = Gauge("caravan_relay_leader", "1 where this process relays", ["service"], multiprocess_mode="livesum")
outbox_pending = Gauge("caravan_outbox_pending", "Pointers not confirmed yet", ["service"], multiprocess_mode="max")
outbox_oldest = Gauge(
    "caravan_outbox_oldest_age_seconds", "Age of the oldest pointer", ["service"], multiprocess_mode="max"
)
retry_pending = Gauge("caravan_retry_pending", "Kept rows by status", ["service", "status"], multiprocess_mode="max")
broker_connected = Gauge("caravan_broker_connected", "1 while connected", ["service"], multiprocess_mode="livesum")
broker_blocked = Gauge("caravan_broker_blocked", "1 while it blocks us", ["service"], multiprocess_mode="livesum")
timer_lag = Gauge("caravan_timer_lag_seconds", "How late the oldest due timer is", ["service"], multiprocess_mode="max")
calls_pending = Gauge(
    "caravan_calls_pending", "Outside calls to be made or tried again", ["service", "kind"], multiprocess_mode="max"
)
calls_oldest = Gauge(
    "caravan_calls_oldest_age_seconds", "Age of the oldest outside call that has not succeeded", ["service", "kind"],
    multiprocess_mode="max",
)  # fmt: skip
pool_in_use = Gauge(
    "caravan_db_pool_in_use", "Connections to the store that are taken", ["service"], multiprocess_mode="livesum"
)
webhooks = Counter("caravan_webhooks", "Attempts to tell merchants' systems, by what came of them", ["result"])
invariant_breaches = Gauge(
    "caravan_invariant_breaches", "Breaches found at the last look", ["invariant"], multiprocess_mode="max"
)
topology_missing = Gauge(
    "caravan_topology_missing", "Declared queues, exchanges and bindings that the broker lacks", ["service"],
    multiprocess_mode="max",
)  # fmt: skip
topology_altered = Gauge(
    "caravan_topology_altered", "Queues, exchanges and bindings that are not as declared", ["service"],
    multiprocess_mode="max",
)  # fmt: skip
requests = Histogram("caravan_request_seconds", "HTTP requests", ["service", "method", "rule", "status"])


def page() -> bytes:
    """All metrics of this process, or, where gunicorn's workers share a folder, of all of them."""
    if getattr(ValueClass, "__name__", "") != "MmapedValue":  # PROMETHEUS_MULTIPROC_DIR was not set
        return generate_latest(REGISTRY)
    together = CollectorRegistry()
    MultiProcessCollector(together)  # type: ignore[no-untyped-call]
    return generate_latest(together)
