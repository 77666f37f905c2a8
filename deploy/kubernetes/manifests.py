"""The manifests of `base/`, file by file: the same services, names, ports and settings as in containers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import yaml

from deploy.fleet import COMMONS, FLEET, Member, table
from deploy.gateway.__main__ import containers
from deploy.gateway.nginx import configuration
from deploy.kubernetes import network, parts, servers
from deploy.kubernetes.parts import PORT, SHARDS, WORKER_PORT, Json, thing

PRIVATE = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")
"""Where the ingress is: its word is taken for where a client came from."""
GATEWAY_PORT = 8080
QUEUES = "caravan-queues"
"""The Secret with the broker's management address, and KEDA's leave to use it."""
WAITING_PER_WORKER = "200"
"""Facts in a service's inbox for which one more worker is wanted."""


def files() -> dict[str, str]:
    """By name: the text of each file."""
    made = {
        "settings.yaml": [thing("ConfigMap", "caravan-settings", data=parts.SETTINGS), _queues()],
        **{f"{one.name}.yaml": list(_service(one)) for one in FLEET},
        "commons.yaml": list(_commons()),
        "gateway.yaml": list(_gateway()),
        "network.yaml": list(network.policies()),
        "postgres.yaml": list(servers.postgres()),
        "rabbitmq.yaml": list(servers.rabbitmq()),
    }
    texts = {name: _text(manifests) for name, manifests in made.items()}
    texts["nginx.conf"] = configuration(table(), replace(containers(), resolver="", trusted_proxies=PRIVATE))
    texts["init.sh"] = servers.SCRIPT.read_text()
    return texts | {"kustomization.yaml": _text([_kustomization(sorted(made))])}


def secrets_of(one: Member) -> dict[str, list[str]]:
    """By Secret: the keys that a service's processes see."""
    own = ["database-url", "broker-url"] + (["vault-url"] if one.vault != "none" else [])
    return {f"{one.name}-store": own, "caravan-secrets": list(parts.COMMON_SECRETS)}


def _service(one: Member) -> Iterator[Json]:
    yield from _web(one, "web", [], one.web_workers)
    if one.live:
        live = ["gunicorn", "-c", "deploy/gunicorn.conf.py", "-k", "gevent", f"{one.module}:create_live()"]
        yield from _web(one, "live", live, 1)
    yield from _worker(one)
    yield _migration(one)


def _web(one: Member, role: str, command: Sequence[str], processes: int) -> Iterator[Json]:
    env = [{"name": "CARAVAN_SERVICE", "value": one.name}]
    if role == "live":
        env += [{"name": "CARAVAN_MAX_REQUESTS", "value": "0"}]
    elif processes > 1:
        env += [
            {"name": "CARAVAN_WEB_WORKERS", "value": str(processes)},
            {"name": "PROMETHEUS_MULTIPROC_DIR", "value": "/tmp/metrics"},  # noqa: S108  (the pod's own)
        ]
    it, volume = parts.container(
        role, secrets_of(one), env=env, ports=[{"name": "http", "containerPort": PORT}],
        **parts.probes(PORT), **parts.resources(f"{250 * processes}m", f"{192 + 128 * processes}Mi"),
        **({"command": list(command)} if command else {}),
    )  # fmt: skip
    yield parts.deployment(one.name, role, parts.pod(one.name, role, [it], [volume]), None if role == "web" else 2)
    yield parts.cluster_service(one.name, role, PORT)
    yield parts.disruption_budget(one.name, role)
    if role == "web":
        yield _more_under_load(one)


def _more_under_load(one: Member) -> Json:
    spec = {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": f"{one.name}-web"},
        "minReplicas": 2,
        "maxReplicas": 10,
        "metrics": [
            {
                "type": "Resource",
                "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}},
            }
        ],
    }
    return thing("HorizontalPodAutoscaler", f"{one.name}-web", spec, api="autoscaling/v2")


def _worker(one: Member) -> Iterator[Json]:
    """As many workers as its inbox asks for, never more than it has shards.

    A fact that is published before all queues exist reaches only those that do, so each pod sees to the queues first.
    """
    it, volume = parts.container(
        "worker", secrets_of(one),
        env=[{"name": "CARAVAN_SERVICE", "value": one.name}],
        command=["python", "-m", f"services.{one.name}", "work"],
        ports=[{"name": "metrics", "containerPort": WORKER_PORT}],
        **parts.probes(WORKER_PORT), **parts.resources("250m", "384Mi"),
    )  # fmt: skip
    first, theirs = _declares_queues()
    template = parts.pod(one.name, "worker", [it], [volume, theirs], initContainers=[first])
    yield parts.deployment(one.name, "worker", template, None)
    yield parts.disruption_budget(one.name, "worker")
    yield thing(
        "ScaledObject",
        f"{one.name}-worker",
        {
            "scaleTargetRef": {"name": f"{one.name}-worker"},
            "minReplicaCount": 1,
            "maxReplicaCount": SHARDS,
            "cooldownPeriod": 300,
            "triggers": [
                {
                    "type": "rabbitmq",
                    "metadata": {
                        "protocol": "http",
                        "useRegex": "true",
                        "queueName": rf"^caravan\.{one.name}\.in\.v1\.",
                        "operation": "sum",
                        "mode": "QueueLength",
                        "value": WAITING_PER_WORKER,
                    },
                    "authenticationRef": {"name": QUEUES},
                }
            ],
        },
        api="keda.sh/v1alpha1",
    )


def _queues() -> Json:
    """How KEDA comes to see how long the inboxes are."""
    host = {"parameter": "host", "name": QUEUES, "key": "host"}
    return thing("TriggerAuthentication", QUEUES, {"secretTargetRef": [host]}, api="keda.sh/v1alpha1")


def _declares_queues() -> tuple[Json, Json]:
    it, volume = parts.container(
        "topology", {"caravan-topology": ["broker-url"], "caravan-secrets": list(parts.COMMON_SECRETS)},
        env=[{"name": "CARAVAN_SERVICE", "value": "account"}],
        command=["python", "-m", "services.account", "topology", "--all"], **parts.resources("100m", "256Mi"),
    )  # fmt: skip
    it["volumeMounts"] = [one | {"name": one["name"].replace("secrets", "topology")} for one in it["volumeMounts"]]
    return it, volume | {"name": "topology"}


def _migration(one: Member) -> Json:
    it, volume = parts.container(
        "migrate", secrets_of(one),
        env=[{"name": "CARAVAN_SERVICE", "value": one.name}],
        command=["python", "-m", f"services.{one.name}", "migrate"], **parts.resources("100m", "256Mi"),
    )  # fmt: skip
    return parts.job(f"migrate-{one.name}", one.name, "migrate", it, [volume])


def _commons() -> Iterator[Json]:
    command = ["gunicorn", "-c", "deploy/gunicorn.conf.py", "deploy.commons:create_commons()"]
    env = [{"name": "CARAVAN_OPS_FILE", "value": f"{parts.SECRETS}/ops.json"}]
    it, volume = parts.container(
        COMMONS, {"caravan-operations": ["ops.json"]}, command=command,
        ports=[{"name": "http", "containerPort": PORT}], **parts.probes(PORT), **parts.resources("100m", "384Mi"),
    )  # fmt: skip
    it["env"] = env  # it is a description, not one setting
    yield parts.deployment(COMMONS, "", parts.pod(COMMONS, "", [it], [volume]), 1)
    yield parts.cluster_service(COMMONS, "", PORT)


def _gateway() -> Iterator[Json]:
    name = "gateway"
    it = {
        "name": "nginx",
        "image": "nginx",
        "command": ["nginx", "-g", "daemon off; pid /tmp/nginx.pid;"],
        "ports": [{"name": "http", "containerPort": GATEWAY_PORT}],
        "volumeMounts": [
            {"name": "configuration", "mountPath": "/etc/nginx/nginx.conf", "subPath": "nginx.conf", "readOnly": True},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108  (the pod's own)
            {"name": "tmp", "mountPath": "/var/cache/nginx", "subPath": "cache"},
        ],
        "securityContext": parts.CONFINED,
        "readinessProbe": {"tcpSocket": {"port": GATEWAY_PORT}, "periodSeconds": 5},
        "livenessProbe": {"tcpSocket": {"port": GATEWAY_PORT}, "periodSeconds": 10, "failureThreshold": 6},
        **parts.resources("200m", "128Mi"),
    }
    volume = {"name": "configuration", "configMap": {"name": "caravan-gateway"}}
    yield parts.deployment(name, "", parts.pod(name, "", [it], [volume]), 2)
    yield parts.cluster_service(name, "", GATEWAY_PORT)
    yield parts.disruption_budget(name, "")


def _kustomization(resources: list[str]) -> Json:
    return {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "namespace": "caravan",
        "resources": resources,
        "configMapGenerator": [
            {"name": "caravan-gateway", "files": ["nginx.conf"]},
            {"name": "postgres-script", "files": ["init.sh"]},
        ],
        "images": [
            {"name": parts.IMAGE, "newTag": "latest"},
            {"name": "nginx", "newTag": "stable"},
            {"name": "postgres", "newTag": "17"},
        ],
    }


def _text(manifests: Sequence[Json]) -> str:
    note = "# Made by `make docs` from deploy/fleet.py and deploy/kubernetes: change those, not this.\n"
    return note + yaml.dump_all(manifests, Dumper=_Plain, sort_keys=False, width=120, allow_unicode=True)


class _Plain(yaml.SafeDumper):
    """No anchors: a reader of one manifest need not look for another."""

    def ignore_aliases(self, data: object) -> bool:
        return True
