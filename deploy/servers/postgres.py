"""A private PostgreSQL."""

import signal
import subprocess
from pathlib import Path
from typing import Literal
from urllib.parse import quote

import psycopg
from psycopg import sql

from deploy.servers.certificates import Certificate
from deploy.servers.install import find
from deploy.servers.process import Server

_SETTINGS = """
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
max_connections = 300
shared_buffers = 256MB
wal_buffers = 16MB
max_wal_size = 2GB
checkpoint_timeout = 15min
random_page_cost = 1.1
timezone = 'UTC'
log_timezone = 'UTC'
idle_in_transaction_session_timeout = 5min
# As files in the data folder: after a kill -9 nothing is left in the machine's shared memory.
dynamic_shared_memory_type = mmap
# No queries of ours profit, and each backend pays for it.
jit = off
"""
_NOT_DURABLE = """
fsync = off
full_page_writes = off
autovacuum_naptime = 15min
"""
_TLS = """
ssl = on
ssl_cert_file = '{chain}'
ssl_key_file = '{key}'
ssl_min_protocol_version = 'TLSv1.2'
"""
_SIGNALS = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}


class PostgresServer(Server):
    """PostgreSQL on 127.0.0.1 with passwords (scram), UTF-8 and the C.UTF-8 locale.

    Durable unless `fsync=False`, which is for tests: faster, and a crash of the machine ruins the data; a
    crash of the server alone does not. With a `certificate` (for 127.0.0.1) clients are served over TLS alone.
    """

    kind = "postgres"
    user = "postgres"
    ports = ("sql",)

    def __init__(
        self,
        folder: Path | None = None,
        *,
        keep: bool | None = None,
        fsync: bool = True,
        certificate: Certificate | None = None,
    ) -> None:
        super().__init__(folder, keep=keep)
        self.fsync, self.certificate = fsync, certificate

    def url(self, database: str = "postgres", role: str = "postgres", password: str | None = None) -> str:
        """An SQLAlchemy URL; by default the administrator's, to the server's own database."""
        password = self._secret("postgres") if password is None else password
        where = f"postgresql+psycopg://{quote(role)}:{quote(password, safe='')}@127.0.0.1:{self.port}/{database}"
        if self.certificate is None:
            return where
        return f"{where}?sslmode=verify-full&sslrootcert={quote(str(self.certificate.authority))}"

    def create_database(self, name: str, role: str, password: str) -> str:
        """A new database that only this role (made if need be) and the administrator may enter; its URL.

        Raises psycopg.errors.DuplicateDatabase when there is one of that name.
        """
        database, owner = sql.Identifier(name), sql.Identifier(role)
        with self._connect() as db:
            db.execute("SELECT pg_advisory_lock(1)")  # PostgreSQL refuses two changes of one role at a time
            known = db.execute("SELECT FROM pg_roles WHERE rolname = %s", [role]).fetchone() is not None
            change = "ALTER" if known else "CREATE"
            db.execute(sql.SQL("{} ROLE {} LOGIN PASSWORD {}").format(sql.SQL(change), owner, sql.Literal(password)))
            db.execute("SELECT pg_advisory_unlock(1)")
            # Where nothing need be durable, copying the files costs a third of writing each page through the log.
            how = sql.SQL("WAL_LOG" if self.fsync else "FILE_COPY")
            create = sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE template0 STRATEGY {}")
            db.execute(create.format(database, owner, how))
            db.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(database))
        return self.url(name, role, password)

    def drop_database(self, name: str) -> None:
        """Remove a database with all in it, cutting its connections; nothing happens when there is none."""
        with self._connect() as db:
            db.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def connections(self, database: str | None = None) -> int:
        """How many clients are connected, this question's own connection not counted."""
        with self._connect() as db:
            row = db.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"
                " AND pid <> pg_backend_pid() AND (%(name)s::text IS NULL OR datname = %(name)s)",
                {"name": database},
            ).fetchone()
        return int(row[0]) if row else 0

    def restart(self, mode: Literal["smart", "fast", "immediate"] = "fast") -> None:
        """Stop (smart: wait for clients; fast: cut them; immediate: as in a crash) and start again."""
        self._shut_down(mode)
        self.start()

    def kill9(self) -> None:
        """Crash: kill -9 of the server and all its processes at once; the data stays as it lies."""
        super().kill9()
        self._free_memory()

    def _launch(self) -> None:
        data = self.folder / "data"
        programs = find("postgres")
        if not (data / "PG_VERSION").exists():
            password = self._write("password", self._secret("postgres"))
            self._run(
                programs / "initdb", "--pgdata", data, "--username", "postgres", "--pwfile", password,
                "--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C.UTF-8", "--no-sync",
                "--no-instructions",
            )  # fmt: skip
            password.unlink()
            with (data / "postgresql.conf").open("a") as conf:
                conf.write("include 'caravan.conf'\n")
        settings = _SETTINGS + ("" if self.fsync else _NOT_DURABLE)
        if self.certificate is not None:
            chain, key = (self._write(one.name, one.read_text(), mode=0o400) for one in self.certificate[1:])
            settings += _TLS.format(chain=chain, key=key)
            self._write("data/pg_hba.conf", "hostssl all all 127.0.0.1/32 scram-sha-256\n")
        self._write("data/caravan.conf", f"{settings}port = {self.port}\n")
        self._spawn("postgres", [programs / "postgres", "-D", data])

    def _ready(self) -> bool:
        try:
            self._connect().close()
        except psycopg.OperationalError:
            return False
        return True

    def _halt(self) -> None:
        self._shut_down("fast")

    def _shut_down(self, mode: str) -> None:
        if process := self.process:
            process.signal(_SIGNALS[mode])
            self._await_end(process.tree())

    def _connect(self) -> psycopg.Connection:
        return psycopg.connect(
            host="127.0.0.1", port=self.port, user="postgres", password=self._secret("postgres"),
            dbname="postgres", autocommit=True, connect_timeout=10,
        )  # fmt: skip

    def _free_memory(self) -> None:
        """Remove the few bytes of shared memory by which PostgreSQL notices a second server on its data."""
        try:
            lines = (self.folder / "data" / "postmaster.pid").read_text().splitlines()
        except (FileNotFoundError, NotADirectoryError):
            return  # it ended in order
        if len(lines) > 6 and len(key := lines[6].split()) == 2:
            subprocess.run(["ipcrm", "--shmem-id", key[1]], capture_output=True, check=False)
