"""The manifests are what Kubernetes takes, agree with the containers of docker-compose.yml, and hold no secret."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from deploy.fleet import FLEET
from deploy.kubernetes.parts import SHARDS
from deploy.rabbitmq.rights import users
from shared.messaging.rabbit.topology import queue_name

ROOT = Path(__file__).parents[1] / "kubernetes"
COMPOSE = Path(__file__).parents[2] / "docker-compose.yml"
VERSION = "1.34"
CUSTOM = {
    ("postgresql.cnpg.io/v1", "Cluster"),
    ("rabbitmq.com/v1beta1", "RabbitmqCluster"),
    ("rabbitmq.com/v1beta1", "Vhost"),
    ("rabbitmq.com/v1beta1", "User"),
    ("rabbitmq.com/v1beta1", "Permission"),
    ("rabbitmq.com/v1beta1", "TopicPermission"),
    ("keda.sh/v1alpha1", "ScaledObject"),
    ("keda.sh/v1alpha1", "TriggerAuthentication"),
}

Json = dict[str, Any]


def documents(file: Path) -> list[Json]:
    return [one for one in yaml.safe_load_all(file.read_text()) if one]


def built(folder: Path) -> list[Json]:
    """What `kubectl kustomize` would make of it: the resources with the patches, for the operations used here."""
    (plan,) = documents(folder / "kustomization.yaml")
    found: list[Json] = []
    for name in plan["resources"]:
        path = (folder / name).resolve()
        found += built(path) if path.is_dir() else documents(path)
    for patch in plan.get("patches", ()):
        target = patch["target"]
        chosen = [
            one
            for one in found
            if one["kind"] == target["kind"] and re.fullmatch(target.get("name", ".*"), one["metadata"]["name"])
        ]
        assert chosen, f"{target} is nobody"
        for one in chosen:
            for step in yaml.safe_load(patch["patch"]):
                assert step["op"] == "replace"
                *way, last = step["path"].strip("/").split("/")
                place = one
                for part in way:
                    place = place[part]
                assert last in place, f"{step['path']} of {one['metadata']['name']}"
                place[last] = step["value"]
    return found


BASE = built(ROOT / "base")


def of(kind: str, *, among: list[Json] = BASE) -> dict[str, Json]:
    return {one["metadata"]["name"]: one for one in among if one["kind"] == kind}


def containers(manifest: Json) -> Iterator[Json]:
    spec = manifest["spec"]["template"]["spec"]
    yield from spec["containers"]
    yield from spec.get("initContainers", ())


@pytest.fixture(scope="module")
def compose() -> Json:
    found: Json = yaml.safe_load(COMPOSE.read_text())["services"]
    return found


@pytest.mark.parametrize("folder", ["base", "overlays/development", "overlays/production"])
def test_every_manifest_is_one_that_kubernetes_or_an_operator_knows(folder: str) -> None:
    for one in built(ROOT / folder):
        if (one["apiVersion"], one["kind"]) not in CUSTOM:
            kubernetes_validate.validate(one, VERSION, strict=True)


def test_a_manifest_with_a_wrong_word_would_be_found() -> None:
    wrong = copy.deepcopy(of("Deployment")["order-web"])
    wrong["spec"]["template"]["spec"]["containers"][0]["redinessProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, VERSION, strict=True)


def test_the_same_processes_run_as_in_containers(compose: Json) -> None:
    ours = set(of("Deployment"))
    theirs = {name for name in compose if re.search("-(web|worker|live)$", name)} | {"commons", "gateway"}
    assert ours == theirs
    jobs = set(of("Job"))
    assert jobs == {f"migrate-{one.name}" for one in FLEET} | {"databases"}


def test_each_process_is_told_the_same_as_in_containers(compose: Json) -> None:
    (settings,) = of("ConfigMap").values()
    for name, manifest in of("Deployment").items():
        if name in ("commons", "gateway"):
            continue
        (it,) = manifest["spec"]["template"]["spec"]["containers"]
        told = {one["name"].removesuffix("_FILE") for one in it["env"]} | set(settings["data"])
        asked = set(compose[name]["environment"])
        processes = {"CARAVAN_WEB_WORKERS", "PROMETHEUS_MULTIPROC_DIR"}
        assert told - processes == asked, name
    assert settings["data"]["CARAVAN_SHARDS"] == compose["order-worker"]["environment"]["CARAVAN_SHARDS"]
    assert settings["data"]["CARAVAN_WORKER_PORT"] == compose["order-worker"]["environment"]["CARAVAN_WORKER_PORT"]


def test_the_gateway_finds_every_service_it_leads_to() -> None:
    text = (ROOT / "base" / "nginx.conf").read_text()
    services = of("Service")
    for name, port in re.findall(r"^\s+server ([\w-]+):(\d+)", text, re.MULTILINE):
        assert services[name]["spec"]["ports"][0]["port"] == int(port)
        (labels,) = [one["spec"]["template"]["metadata"]["labels"] for one in [of("Deployment")[name]]]
        assert services[name]["spec"]["selector"] == labels


def test_workers_grow_with_their_own_inbox_and_never_beyond_their_shards() -> None:
    for one in FLEET:
        scaled = of("ScaledObject")[f"{one.name}-worker"]["spec"]
        assert scaled["maxReplicaCount"] == SHARDS
        (trigger,) = scaled["triggers"]
        access = of("TriggerAuthentication")[trigger["authenticationRef"]["name"]]["spec"]
        assert access == {"secretTargetRef": [{"parameter": "host", "name": "caravan-queues", "key": "host"}]}
        queues = [queue_name(other.name, shard) for other in FLEET for shard in range(SHARDS)]
        matched = [queue for queue in queues if re.search(trigger["metadata"]["queueName"], queue)]
        assert matched == [queue_name(one.name, shard) for shard in range(SHARDS)]


def test_each_service_has_the_same_rights_on_the_broker_as_everywhere() -> None:
    for user in users(FLEET):
        rights = of("Permission")[f"caravan-{user.name}"]["spec"]["permissions"]
        assert rights == {"configure": user.configure, "write": user.write, "read": user.read}
        assert of("TopicPermission")[f"caravan-{user.name}"]["spec"]["permissions"]["write"] == user.topics


def test_no_process_may_more_than_it_needs() -> None:
    policies = [one["spec"] for one in of("NetworkPolicy").values()]
    assert {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]} in policies  # nobody speaks to anybody, but…
    bound = [one["podSelector"].get("matchLabels") for one in policies]
    for name, manifest in (of("Deployment") | of("Job")).items():
        template = manifest["spec"]["template"]
        assert template["spec"]["automountServiceAccountToken"] is False
        assert template["spec"]["securityContext"]["runAsNonRoot"] is True
        assert template["metadata"]["labels"] in bound, f"{name} has no policy of its own"
        for it in containers(manifest):
            assert it["securityContext"]["readOnlyRootFilesystem"] is True
            assert it["securityContext"]["capabilities"] == {"drop": ["ALL"]}
            assert "memory" in it["resources"]["limits"], name


def test_secrets_are_named_and_explained_and_never_written_down() -> None:
    text = "\n".join(file.read_text() for file in (ROOT / "base").glob("*.yaml"))
    assert not of("Secret")
    named = set(re.findall(r"secret:\n\s+name: ([\w-]+)", text))
    named |= set(re.findall(r"secretRef:\n\s+name: ([\w-]+)", text))
    readme = (ROOT / "README.md").read_text()
    explained = set(re.findall(r"^\| `([^`]+)`", readme, re.MULTILINE))
    stores = {f"{one.name}-store" for one in FLEET}
    assert named - stores <= explained
    assert stores <= named
    assert "<service>-store" in explained
