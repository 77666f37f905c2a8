"""A private RabbitMQ node."""

import base64
import hashlib
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

import msgspec
import requests

from deploy.servers.certificates import Certificate
from deploy.servers.install import find
from deploy.servers.process import Server, ServerError, accepts, wait_until

_PLUGINS = ("rabbitmq_consistent_hash_exchange", "rabbitmq_management", "rabbitmq_prometheus")

# In Erlang's own notation and not in rabbitmq.conf, whose translation takes a second at every start.
_CONFIG = """[
 {{rabbit, [{listeners}, {{load_definitions, "{definitions}"}},
   {{cluster_nodes, {{[{peers}], disc}}}}]}},
 {{rabbitmq_management, [{{tcp_config, [{{ip, "127.0.0.1"}}, {{port, {management}}}]}}]}},
 {{rabbitmq_prometheus, [{{tcp_config, [{{ip, "127.0.0.1"}}, {{port, {prometheus}}}]}}]}},
 {{ra, [{{wal_max_size_bytes, 67108864}}]}}
].
"""
_PLAIN = '{{tcp_listeners, [{{"127.0.0.1", {amqp}}}]}}'
_TLS = """{{tcp_listeners, []}}, {{ssl_listeners, [{{"127.0.0.1", {amqp}}}]}},
   {{ssl_options, [{{certfile, "{chain}"}}, {{keyfile, "{key}"}}, {{versions, ['tlsv1.3', 'tlsv1.2']}}]}}"""
# Two schedulers that do not spin: the node shares its machine with everything that it serves.
_ERLANG = "+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none -kernel inet_dist_use_interface {127,0,0,1}"
_ALARMS = {
    "memory": (("set_vm_memory_high_watermark", "0.00001"), ("set_vm_memory_high_watermark", "0.4")),
    "disk": (("set_disk_free_limit", "1000000GB"), ("set_disk_free_limit", "50MB")),
}


class User(msgspec.Struct, frozen=True):
    """A user of the broker and what they may do, as regular expressions on names within one vhost.

    `topics` bounds the routing keys they may publish with on `exchange`; None sets no bound.
    """

    name: str
    configure: str = ".*"
    write: str = ".*"
    read: str = ".*"
    exchange: str = "caravan.events"
    topics: str | None = None
    tags: str = ""


class RabbitServer(Server):
    """A RabbitMQ node with a vhost, its users and an Erlang port mapper of its own, all on 127.0.0.1.

    `admin` may do all there is; `users` are added to it when the data is new. There is no guest. With `joins` it is a
    further node of that one's cluster: same users and mapper; that one must have been started, and outlive it.
    With a `certificate` (for 127.0.0.1) clients are served over TLS alone.
    """

    kind = "rabbit"
    user = "rabbitmq"
    ports = ("amqp", "management", "prometheus", "distribution", "epmd")

    def __init__(
        self,
        folder: Path | None = None,
        *,
        keep: bool | None = None,
        vhost: str = "caravan",
        users: Sequence[User] = (),
        joins: "RabbitServer | None" = None,
        certificate: Certificate | None = None,
    ) -> None:
        super().__init__(folder, keep=keep)
        self.certificate = certificate
        self.vhost, self.joins = vhost, joins
        self.users = (User("admin", tags="administrator"), *users)
        self.mates: list[RabbitServer] = []
        if joins is not None:
            joins.mates.append(self)
            self.state.ports["epmd"], self.state.secrets = joins.state.ports["epmd"], joins.state.secrets
        self._http = requests.Session()
        self._http.trust_env = False  # a proxy has no business between us and 127.0.0.1

    def amqp_url(self, user: str = "admin", vhost: str | None = None) -> str:
        """Where clients connect, with this user's name and password, to the given or the node's own vhost. Names the
        nodes that joined this one, too."""
        hosts = ",".join(f"127.0.0.1:{node.port}" for node in (self, *self.mates))
        place = quote(self.vhost if vhost is None else vhost, safe="")
        where = f"://{quote(user)}:{self._secret(user)}@{hosts}/{place}"
        return (
            f"amqps{where}?cacertfile={quote(str(self.certificate.authority))}" if self.certificate else f"amqp{where}"
        )

    @property
    def management_url(self) -> str:
        """Root of the management HTTP API, with admin's name and password."""
        return f"http://admin:{self._secret('admin')}@127.0.0.1:{self.state.ports['management']}"

    @property
    def prometheus_url(self) -> str:
        """The page of metrics."""
        return f"http://127.0.0.1:{self.state.ports['prometheus']}/metrics"

    def api(self, method: str, path: str, body: object = None) -> Any:
        """Ask the management API (`path` comes after /api/) and return its answer, or None if that is empty.

        Raises ServerError when it refuses.
        """
        answer = self._http.request(method, f"{self.management_url}/api/{path}", json=body, timeout=30)
        if not answer.ok:
            raise ServerError(f"{method} {path}: {answer.status_code} {answer.text}")
        return answer.json() if answer.content else None

    def add_vhost(self, name: str) -> str:
        """A new, empty vhost that admin may use; returns admin's URL to it."""
        self.api("PUT", f"vhosts/{quote(name, safe='')}")
        self.add_user(self.users[0], name)
        return self.amqp_url("admin", name)

    def delete_vhost(self, name: str) -> None:
        """Remove a vhost with all in it, cutting its connections."""
        self.api("DELETE", f"vhosts/{quote(name, safe='')}")

    def add_user(self, user: User, vhost: str | None = None) -> str:
        """Add a user, or give one these rights in another vhost; returns their URL to it."""
        place = quote(self.vhost if vhost is None else vhost, safe="")
        self.api("PUT", f"users/{user.name}", {"password": self._secret(user.name), "tags": user.tags})
        self.api("PUT", f"permissions/{place}/{user.name}", _permission(user))
        if user.topics is not None:
            self.api("PUT", f"topic-permissions/{place}/{user.name}", _topic_permission(user))
        return self.amqp_url(user.name, vhost)

    def ctl(self, *command: str) -> str:
        """Run `rabbitmqctl` on this node (takes a second or two) and return what it says."""
        return self._run(find("rabbit") / "rabbitmqctl", "--quiet", *command, env=self._environment())

    def stop_app(self) -> None:
        """Stop the broker inside its Erlang machine, as an upgrade does; clients lose their connections."""
        self.ctl("stop_app")

    def start_app(self) -> None:
        """Start it again, and return when clients are served."""
        self.ctl("start_app")
        self._await(self._ready, 60, "did not get ready")

    def restart(self) -> None:
        """Stop the node in order and start it again on the same ports."""
        self._halt()
        self.start()

    def set_alarm(self, kind: Literal["memory", "disk"], on: bool) -> None:
        """Raise or clear a resource alarm; while one is on, whoever publishes is blocked."""
        self.ctl(*_ALARMS[kind][0 if on else 1])
        wait_until(lambda: (kind in self.alarms()) == on, 30, f"the {kind} alarm did not turn {on=}")

    def alarms(self) -> set[str]:
        """The resource alarms that are on: memory, disk."""
        answer = self._http.get(f"{self.management_url}/api/health/checks/alarms", timeout=30)  # 503 when any is
        return {alarm["resource"].split()[0] for alarm in answer.json().get("alarms", [])}  # "disk space"

    def crash(self) -> None:
        """kill -9 of the node alone: where it is one of several, the others still find each other."""
        self._kill(self.kind)

    def kill9(self) -> None:
        """Crash: kill -9 of the node; the data stays as it lies."""
        super().kill9()
        self._http.close()

    @property
    def node(self) -> str:
        """Its name among the nodes of a cluster."""
        return f"caravan-{hashlib.sha256(str(self.folder).encode()).hexdigest()[:8]}@localhost"

    def _launch(self) -> None:
        self._own(self.folder)
        self._write("enabled_plugins", f"[{','.join(_PLUGINS)}].\n")
        self._write(".erlang.cookie", self._secret("cookie"), mode=0o400)
        peers = f"'{self.joins.node}'" if self.joins else ""
        definitions = self._write("definitions.json", msgspec.json.encode(self._definitions()).decode())
        listeners = _PLAIN.format(**self.state.ports)
        if self.certificate is not None:
            chain, key = (self._write(one.name, one.read_text(), mode=0o400) for one in self.certificate[1:])
            listeners = _TLS.format(chain=chain, key=key, **self.state.ports)
        parts = {"definitions": definitions, "peers": peers, "listeners": listeners}
        self._write("advanced.config", _CONFIG.format(**parts, **self.state.ports))
        # The mapper is started by us and in the foreground: the one that Erlang would start for itself
        # turns into a daemon and outlives the node.
        mapper = (self.joins or self).state.processes.get("epmd")
        if mapper is None or not mapper.alive:
            self._spawn("epmd", ["epmd", "-port", str(self.state.ports["epmd"]), "-address", "127.0.0.1"])
            self._await_port("epmd")
        server = find("rabbit") / "rabbitmq-server"
        self._spawn("rabbit", ["/bin/sh", "-c", 'ulimit -n "$(ulimit -Hn)"; exec "$0"', server])

    def _await_port(self, name: str) -> None:
        wait_until(lambda: accepts(self.state.ports[name]), 20, f"{name} did not listen")

    def _environment(self) -> dict[str, str]:
        return super()._environment() | {
            "ERL_EPMD_PORT": str(self.state.ports["epmd"]),
            "RABBITMQ_NODENAME": self.node,
            "RABBITMQ_DIST_PORT": str(self.state.ports["distribution"]),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "data"),
            "RABBITMQ_LOG_BASE": str(self.folder / "log"),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_PID_FILE": str(self.folder / "rabbit.pid"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "enabled_plugins"),
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq.conf"),  # there is none: see _CONFIG
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(self.folder / "advanced.config"),
            "RABBITMQ_CONF_ENV_FILE": str(self.folder / "rabbitmq-env.conf"),  # nor this: the system's is not ours
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": _ERLANG,
            # Together they make the script become the node: signals reach it, and no shell stays behind.
            "RABBITMQ_ALLOW_INPUT": "1",
            "RABBITMQ_SERVER_START_ARGS": "-noinput",
        }

    def _definitions(self) -> Mapping[str, object]:
        return definitions(self.vhost, self.users, lambda name: {"password_hash": _hash(self._secret(name))})

    def _ready(self) -> bool:
        if not accepts(self.port):  # opened last of all
            return False
        try:
            self.api("GET", "whoami")
        except (requests.RequestException, ServerError):
            return False
        return True

    def _halt(self) -> None:
        if process := self.process:
            tree = process.tree()
            process.signal(signal.SIGTERM)
            self._await_end(tree)


def definitions(
    vhost: str, users: Sequence[User], password: Callable[[str], Mapping[str, str]]
) -> dict[str, list[dict[str, str]]]:
    """What a node loads at its start: one vhost, and its users with their rights. `password` answers, by a user's name,
    what proves them: `password`, or its `password_hash`."""
    here = {"vhost": vhost}
    return {
        "vhosts": [{"name": vhost}],
        "users": [{"name": u.name, **password(u.name), "tags": u.tags} for u in users],
        "permissions": [{"user": u.name, **here, **_permission(u)} for u in users],
        "topic_permissions": [{"user": u.name, **here, **_topic_permission(u)} for u in users if u.topics is not None],
    }


def _permission(user: User) -> dict[str, str]:
    return {"configure": user.configure, "write": user.write, "read": user.read}


def _topic_permission(user: User) -> dict[str, str]:
    return {"exchange": user.exchange, "write": user.topics or "", "read": ".*"}


def _hash(password: str) -> str:
    """As RabbitMQ stores a password: a salt, and SHA-256 over salt and password."""
    salt = os.urandom(4)
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()
