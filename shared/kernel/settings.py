"""Settings: the only place that reads the environment."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from environs import Env

DEVELOPMENT_SECRET = "development-only-" + "x" * 32  # noqa: S105  (refused in production, below)


NO_VAULT = "sqlite://"
"""What a service on a server's store gets when no vault is named, as it has no business with personal data: nothing is
in it and nothing can be sealed with it, and no file is made."""


def secrets_in(value: str) -> tuple[str, ...]:
    """``new,old``: while a secret is changed all of them are believed, and the first is signed and written with."""
    return tuple(part for part in map(str.strip, value.split(",")) if part)


class BadSettings(Exception):
    """The environment does not describe a system that may start."""


@dataclass(frozen=True)
class Settings:
    """What one process of one service needs to know. Secrets come by environment or by ``<NAME>_FILE``.

    `secret`, `provider_secret` and `carrier_secret` may be several, see `secrets_in`.
    """

    service: str
    database_url: str
    vault_url: str
    broker_url: str = "embedded:"
    env: str = "development"
    secret: str = DEVELOPMENT_SECRET
    shards: int = 1
    declare: bool = True  # services declare their own topology; off where `topology apply` does it
    public_url: str = "http://127.0.0.1:8080"
    provider_url: str = "http://127.0.0.1:8091"
    provider_secret: str = DEVELOPMENT_SECRET
    carrier_url: str = "http://127.0.0.1:8092"
    carrier_secret: str = DEVELOPMENT_SECRET
    smtp_url: str = ""
    outbound_allowed: tuple[str, ...] = ()  # networks that users' URLs may lead to although they are not public
    sandbox: bool = True
    pool_size: int = 4
    worker_port: int = 0  # health and metrics of a worker process; 0: none
    worker_host: str = "127.0.0.1"

    @property
    def production(self) -> bool:
        return self.env == "production"

    @property
    def secrets(self) -> tuple[str, ...]:
        """The deployment's secrets, the one to write with first."""
        return secrets_in(self.secret)


def inherited(**more: str) -> dict[str, str]:
    """This process's environment and `more`, for a child process."""
    return {**os.environ, **more}


def _is_file(url: str) -> bool:
    return url.startswith("sqlite")


def load(service: str) -> Settings:
    """Read ``CARAVAN_*``. Raises BadSettings, above all in production with a default secret."""
    env = Env()
    with env.prefixed("CARAVAN_"):
        home = Path(env.str("HOME", "build/run")).absolute()

        def secret(name: str, default: str) -> str:
            file = env.str(f"{name}_FILE", "")
            return Path(file).read_text().strip() if file else str(env.str(name, default))

        database_url = secret("DATABASE_URL", f"sqlite:///{home}/{service}.sqlite")
        settings = Settings(
            service=service,
            database_url=database_url,
            vault_url=secret("VAULT_URL", f"sqlite:///{home}/vault.sqlite" if _is_file(database_url) else NO_VAULT),
            broker_url=secret("BROKER_URL", "embedded:"),
            env=env.str("ENV", "development"),
            secret=secret("SECRET", DEVELOPMENT_SECRET),
            shards=env.int("SHARDS", 1),
            declare=env.bool("DECLARE", True),
            public_url=env.str("PUBLIC_URL", "http://127.0.0.1:8080"),
            provider_url=env.str("PROVIDER_URL", "http://127.0.0.1:8091"),
            provider_secret=secret("PROVIDER_SECRET", DEVELOPMENT_SECRET),
            carrier_url=env.str("CARRIER_URL", "http://127.0.0.1:8092"),
            carrier_secret=secret("CARRIER_SECRET", DEVELOPMENT_SECRET),
            smtp_url=secret("SMTP_URL", ""),
            outbound_allowed=tuple(env.list("OUTBOUND_ALLOWED", [])),
            sandbox=env.bool("SANDBOX", env.str("ENV", "development") != "production"),
            pool_size=env.int("POOL_SIZE", 4),
            worker_port=env.int("WORKER_PORT", 0),
            worker_host=env.str("WORKER_HOST", "127.0.0.1"),
        )
    if settings.production:
        given = [secrets_in(one) for one in (settings.secret, settings.provider_secret, settings.carrier_secret)]
        everything = [one for some in given for one in some]
        if not all(given) or DEVELOPMENT_SECRET in everything or min(map(len, everything)) < 32:
            raise BadSettings("production needs its own secrets of at least 32 characters")
        if settings.sandbox:
            raise BadSettings("the sandbox may not be loaded in production")
        if settings.outbound_allowed:
            raise BadSettings("in production users' URLs lead to public addresses only")
    return settings
