"""A client of one outside party that we chose ourselves: one session, bounded in time and size."""

from __future__ import annotations

from typing import Any

import msgspec
import requests
from requests.adapters import HTTPAdapter

from shared.kernel.errors import OutsideUnavailable
from shared.storage.unit_of_work import forbid_open_transaction

MAX_ANSWER = 1024 * 1024


class Outbound:
    """An HTTP client of one outside party. Thread safe."""

    def __init__(self, base_url: str, headers: dict[str, str], *, timeout: tuple[float, float] = (2.0, 5.0)) -> None:
        self.base_url, self.timeout = base_url.rstrip("/"), timeout
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.headers.update(headers)
        self.session.mount("http", HTTPAdapter(pool_maxsize=8))

    def call(
        self, method: str, path: str, body: Any = None, *, key: str = "", query: dict[str, str] | None = None
    ) -> tuple[int, Any]:
        """``(status, JSON)`` of an answer below 500. Raises OutsideUnavailable when the outcome is unknown."""
        forbid_open_transaction()
        headers = {"Content-Type": "application/json"} | ({"Idempotency-Key": key} if key else {})
        data = None if body is None else msgspec.json.encode(body)
        try:
            with self.session.request(
                method, self.base_url + path, params=query, data=data, headers=headers, timeout=self.timeout,
                allow_redirects=False, stream=True,
            ) as answer:  # fmt: skip
                raw = answer.raw.read(MAX_ANSWER + 1, decode_content=True)
                if answer.status_code >= 500 or len(raw) > MAX_ANSWER:
                    raise OutsideUnavailable(f"{method} {path}: {answer.status_code}, {len(raw)} bytes")
                return answer.status_code, msgspec.json.decode(raw) if raw else None
        except (requests.RequestException, OSError, msgspec.MsgspecError) as error:
            raise OutsideUnavailable(f"{method} {path}: {error!r}") from error
