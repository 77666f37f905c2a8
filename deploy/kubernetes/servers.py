"""PostgreSQL and RabbitMQ by their established operators, with the same databases, roles and rights as everywhere else.

CloudNativePG; RabbitMQ's cluster operator and its messaging topology operator.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from deploy.fleet import FLEET
from deploy.kubernetes import parts
from deploy.kubernetes.parts import Json, thing
from deploy.rabbitmq.rights import users

NODES = 3
SCRIPT = Path(__file__).parents[1] / "postgres" / "init.sh"
"""Makes the databases and the roles, as in containers; a second run changes nothing."""


def postgres() -> Iterator[Json]:
    """One cluster, and the job that makes a database and a role for each service.

    A commit is safe on two machines before anybody hears of it.
    """
    yield thing(
        "Cluster",
        "caravan-postgres",
        {
            "instances": NODES,
            "enableSuperuserAccess": True,
            "minSyncReplicas": 1,
            "maxSyncReplicas": 1,
            "storage": {"size": "50Gi"},
            "walStorage": {"size": "20Gi"},
            "postgresql": {"parameters": {"max_connections": "300", "shared_buffers": "1GB", "jit": "off"}},
            # Chinese words have no trigrams under plain C.
            "bootstrap": {"initdb": {"encoding": "UTF8", "localeCollate": "C.UTF-8", "localeCType": "C.UTF-8"}},
            "resources": {"requests": {"cpu": "1", "memory": "4Gi"}, "limits": {"memory": "4Gi"}},
        },
        api="postgresql.cnpg.io/v1",
    )
    superuser = {"secretKeyRef": {"name": "caravan-postgres-superuser", "key": "password"}}
    psql = {
        "name": "databases",
        "image": "postgres",
        "command": ["sh", "/script/init.sh"],
        "envFrom": [{"secretRef": {"name": "postgres-passwords"}}],
        "env": [
            {"name": "PGHOST", "value": "caravan-postgres-rw"},
            {"name": "PGUSER", "value": "postgres"},
            {"name": "PGPASSWORD", "valueFrom": superuser},
        ],
        "volumeMounts": [{"name": "script", "mountPath": "/script", "readOnly": True}],
        "securityContext": parts.CONFINED,
        **parts.resources("100m", "128Mi"),
    }
    script = {"name": "script", "configMap": {"name": "postgres-script"}}
    yield parts.job("databases", "databases", "databases", psql, [script])


def rabbitmq() -> Iterator[Json]:
    """Three nodes, so that quorum queues live on when one dies; a user a service, who says only its own facts."""
    cluster = {"rabbitmqClusterReference": {"name": "caravan-rabbitmq"}}
    yield thing(
        "RabbitmqCluster",
        "caravan-rabbitmq",
        {
            "replicas": NODES,
            "persistence": {"storage": "20Gi"},
            "resources": {"requests": {"cpu": "1", "memory": "2Gi"}, "limits": {"memory": "2Gi"}},
            "rabbitmq": {
                "additionalPlugins": ["rabbitmq_prometheus", "rabbitmq_consistent_hash_exchange"],
                "additionalConfig": "cluster_partition_handling = pause_minority\ndefault_vhost = caravan\n",
            },
        },
        api="rabbitmq.com/v1beta1",
    )
    yield _topology("Vhost", "caravan", {"name": "caravan", "defaultQueueType": "quorum"} | cluster)
    for user in users(FLEET):
        name = f"caravan-{user.name}"
        yield _topology("User", name, {"importCredentialsSecret": {"name": f"rabbitmq-{user.name}"}} | cluster)
        whose = {"vhost": "caravan", "userReference": {"name": name}} | cluster
        rights = {"configure": user.configure, "write": user.write, "read": user.read}
        yield _topology("Permission", name, whose | {"permissions": rights})
        topics = {"exchange": user.exchange, "write": user.topics, "read": ".*"}
        yield _topology("TopicPermission", name, whose | {"permissions": topics})


def _topology(kind: str, name: str, spec: Json) -> Json:
    return thing(kind, name, spec, api="rabbitmq.com/v1beta1")
