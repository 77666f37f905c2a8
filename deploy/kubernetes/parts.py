"""What every manifest is made of: names, labels, probes, rights, secrets by reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Json = dict[str, Any]

IMAGE = "caravan"
PORT, WORKER_PORT = 8000, 8001
SHARDS = 4
"""Inbox queues of each service, hence the most workers that share its facts."""
USER = 10001
"""The image's user."""
SECRETS = "/run/secrets/caravan"
GRACE_SECONDS = 40
LABEL = "app.kubernetes.io"

SETTINGS = {
    "CARAVAN_ENV": "production",
    "CARAVAN_SHARDS": str(SHARDS),
    "CARAVAN_PUBLIC_URL": "https://shop.example.com",
    "CARAVAN_PROVIDER_URL": "https://provider.example.com",
    "CARAVAN_CARRIER_URL": "https://carrier.example.com",
    "CARAVAN_WORKER_PORT": str(WORKER_PORT),
    "CARAVAN_WORKER_HOST": "0.0.0.0",  # noqa: S104  (the pod's own address)
}
"""What all processes share; an overlay replaces the addresses."""

COMMON_SECRETS = ("secret", "provider-secret", "carrier-secret")
"""Keys of the Secret `caravan-secrets`."""


CONFINED = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}


def labels(name: str, role: str) -> Json:
    return {f"{LABEL}/name": name, f"{LABEL}/component": role, f"{LABEL}/part-of": "caravan"}


def thing(kind: str, name: str, spec: Json | None = None, *, api: str = "v1", **more: Any) -> Json:
    """One manifest."""
    found: Json = {"apiVersion": api, "kind": kind, "metadata": {"name": name} | more.pop("metadata", {})}
    return found | ({"spec": spec} if spec is not None else {}) | more


def secret_files(secrets: Mapping[str, Sequence[str]]) -> tuple[list[Json], list[Json], Json]:
    """Variables, mounts and the volume that bring keys of Secrets as files: never into the environment."""
    variables = [
        {"name": f"CARAVAN_{key.upper().replace('-', '_')}_FILE", "value": f"{SECRETS}/{key}"}
        for keys in secrets.values()
        for key in keys
    ]
    sources = [
        {"secret": {"name": name, "items": [{"key": key, "path": key} for key in keys]}}
        for name, keys in secrets.items()
    ]
    mount = {"name": "secrets", "mountPath": SECRETS, "readOnly": True}
    return variables, [mount], {"name": "secrets", "projected": {"sources": sources, "defaultMode": 0o440}}


def container(name: str, secrets: Mapping[str, Sequence[str]], **more: Any) -> tuple[Json, Json]:
    """A container of our image, and the volume with its secrets."""
    variables, mounts, volume = secret_files(secrets)
    return {
        "name": name,
        "image": IMAGE,
        "envFrom": [{"configMapRef": {"name": "caravan-settings"}}],
        "env": [*more.pop("env", []), *variables],
        "volumeMounts": [*mounts, {"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108  (the pod's own)
        "securityContext": CONFINED,
    } | more, volume


def pod(name: str, role: str, containers: Sequence[Json], volumes: Sequence[Json], **more: Any) -> Json:
    """A pod template that may do nothing it need not, spread over machines."""
    return {
        "metadata": {"labels": labels(name, role)},
        "spec": {
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": GRACE_SECONDS,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": USER,
                "runAsGroup": USER,
                "fsGroup": USER,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "topologySpreadConstraints": [
                {
                    "maxSkew": 1,
                    "topologyKey": "kubernetes.io/hostname",
                    "whenUnsatisfiable": "ScheduleAnyway",
                    "labelSelector": {"matchLabels": labels(name, role)},
                }
            ],
            "containers": list(containers),
            "volumes": [*volumes, {"name": "tmp", "emptyDir": {}}],
        }
        | more,
    }


def probes(port: int) -> Json:
    """Alive is not ready: a store that is away must not have the process killed."""

    def get(path: str, **timing: int) -> Json:
        return {"httpGet": {"path": path, "port": port}, "timeoutSeconds": 3} | timing

    return {
        "startupProbe": get("/livez", periodSeconds=2, failureThreshold=60),
        "livenessProbe": get("/livez", periodSeconds=10, failureThreshold=6),
        "readinessProbe": get("/readyz", periodSeconds=5, failureThreshold=2),
    }


def resources(cpu: str, memory: str) -> Json:
    """Asked for; memory is also the limit, processor time has none, so that nobody is throttled while others idle."""
    return {"resources": {"requests": {"cpu": cpu, "memory": memory}, "limits": {"memory": memory}}}


def deployment(name: str, role: str, template: Json, replicas: int | None) -> Json:
    """Without `replicas` somebody else scales it."""
    spec = {
        "selector": {"matchLabels": labels(name, role)},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
        "template": template,
    } | ({} if replicas is None else {"replicas": replicas})
    return thing("Deployment", full_name(name, role), spec, api="apps/v1", metadata={"labels": labels(name, role)})


def job(name: str, service: str, role: str, it: Json, volumes: Sequence[Json]) -> Json:
    """Once at each release, tried again until what it needs is there; gone ten minutes after."""
    template = pod(service, role, [it], volumes, restartPolicy="OnFailure")
    del template["spec"]["topologySpreadConstraints"]
    spec = {"backoffLimit": 20, "ttlSecondsAfterFinished": 600, "template": template}
    return thing("Job", name, spec, api="batch/v1", metadata={"labels": labels(service, role)})


def full_name(name: str, role: str) -> str:
    return f"{name}-{role}" if role else name


def disruption_budget(name: str, role: str) -> Json:
    spec = {"maxUnavailable": 1, "selector": {"matchLabels": labels(name, role)}}
    return thing("PodDisruptionBudget", full_name(name, role), spec, api="policy/v1")


def cluster_service(name: str, role: str, port: int) -> Json:
    spec = {"selector": labels(name, role), "ports": [{"name": "http", "port": port, "targetPort": port}]}
    return thing("Service", full_name(name, role), spec)
