"""Who may speak to whom; everything else is refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from deploy.fleet import COMMONS, FLEET
from deploy.kubernetes.parts import LABEL, PORT, WORKER_PORT, Json, labels, thing

POSTGRES = {"podSelector": {"matchLabels": {"cnpg.io/cluster": "caravan-postgres"}}}
RABBITMQ = {"podSelector": {"matchLabels": {f"{LABEL}/name": "caravan-rabbitmq"}}}
PROMETHEUS = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}
INGRESS = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress-nginx"}}}
KEDA = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "keda"}}}
OPERATORS = [
    {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}}
    for name in ("cnpg-system", "rabbitmq-system")
]
OUTSIDE = {
    "ipBlock": {"cidr": "0.0.0.0/0", "except": ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16"]}
}
SPEAKS_OUTSIDE = {"payment": ("web", "worker"), "shipping": ("web", "worker"), "support": ("worker",)}
"""Who calls the provider, the carrier, merchants' addresses."""
EDGE = labels("gateway", "")


def policies() -> Iterator[Json]:
    yield thing(
        "NetworkPolicy", "nobody", {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}, api="networking.k8s.io/v1"
    )
    dns = [_to([{"namespaceSelector": {}}], 53, "UDP"), _to([{"namespaceSelector": {}}], 53)]
    yield _policy("names", {}, leave=dns)
    yield _policy("gateway", EDGE, enter=[_from([INGRESS], 8080)], leave=[_to([{"podSelector": {}}], PORT)])
    gateway = {"podSelector": {"matchLabels": EDGE}}
    for one in FLEET:
        roles = ["web", "worker", "migrate", *(["live"] if one.live else [])]
        for role in roles:
            enter = [] if role in ("worker", "migrate") else [_from([gateway, PROMETHEUS], PORT)]
            enter += [_from([PROMETHEUS], WORKER_PORT)] if role == "worker" else []
            leave = [_to([POSTGRES], 5432)]
            leave += [_to([RABBITMQ], 5672), _to([RABBITMQ], 5671)] if role == "worker" else []
            if role in SPEAKS_OUTSIDE.get(one.name, ()):
                leave += [_to([OUTSIDE], 443), *([_to([OUTSIDE], 587)] if one.name == "support" else [])]
            yield _policy(f"{one.name}-{role}", labels(one.name, role), enter, leave)
    looks = [_to([POSTGRES], 5432), _to([RABBITMQ], 5672), _to([RABBITMQ], 15672)]
    yield _policy(COMMONS, labels(COMMONS, ""), [_from([gateway, PROMETHEUS], PORT)], looks)
    yield _policy("databases", labels("databases", "databases"), leave=[_to([POSTGRES], 5432)])
    ours = {"podSelector": {"matchLabels": {f"{LABEL}/part-of": "caravan"}}}
    yield _policy(
        "postgres",
        POSTGRES["podSelector"]["matchLabels"],
        [_from([ours, POSTGRES], 5432), _from([POSTGRES, *OPERATORS], 8000), _from([PROMETHEUS], 9187)],
        [{"to": [POSTGRES]}, _to([{"ipBlock": {"cidr": "0.0.0.0/0"}}], 443), _to([OUTSIDE], 6443)],
    )
    yield _policy(
        "rabbitmq",
        RABBITMQ["podSelector"]["matchLabels"],
        [
            _from([ours], 5672), _from([ours], 5671), {"from": [RABBITMQ]},
            _from([ours, KEDA, *OPERATORS], 15672), _from([PROMETHEUS], 15692),
        ],
        [{"to": [RABBITMQ]}, _to([{"ipBlock": {"cidr": "0.0.0.0/0"}}], 443)],
    )  # fmt: skip


def _policy(name: str, who: Json, enter: list[Json] | None = None, leave: list[Json] | None = None) -> Json:
    spec: dict[str, Any] = {"podSelector": {"matchLabels": who} if who else {}, "policyTypes": []}
    for kind, key, rules in (("Ingress", "ingress", enter), ("Egress", "egress", leave)):
        if rules:
            spec["policyTypes"].append(kind)
            spec[key] = rules
    return thing("NetworkPolicy", name, spec, api="networking.k8s.io/v1")


def _from(who: list[Json], port: int) -> Json:
    return {"from": who, "ports": [{"protocol": "TCP", "port": port}]}


def _to(who: list[Json], port: int, protocol: str = "TCP") -> Json:
    return {"to": who, "ports": [{"protocol": protocol, "port": port}]}
