"""schemathesis against a whole platform: every operation as somebody who may ask it, about things that are there."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping
from typing import Any

import schemathesis
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema

from shared.kernel.ids import new_id
from tests.doors.house import House

QUICK = 20
"""Examples of an operation in a run that everybody waits for."""
SEEDED = 0.75
"""How often a key that was invented is replaced by one of a thing that is there."""


def configuration(examples: int, seed: int) -> SchemathesisConfig:
    return SchemathesisConfig.from_dict(
        {
            "seed": seed,
            "request-timeout": 30,
            "max-stream-events": 1,
            "continue-on-failure": True,
            "cache": {"enabled": False},
            "generation": {"max-examples": examples, "database": "none"},
            "phases": {
                "stateful": {"max-steps": 5, "generation": {"max-examples": max(10, examples // 2)}},
                # Every boundary of every field: thousands of requests, for those who have the time.
                "coverage": {"enabled": examples > QUICK, "unexpected-methods": ["delete"]},
            },
            "checks": {
                "enabled": True,
                "positive_data_acceptance": {"enabled": False},
                # 413, 414, 431: what was invented may also be too much.
                "negative_data_rejection": {
                    "expected-statuses": [400, 401, 403, 404, 405, 409, 413, 414, 415, 422, 431]
                },
            },
        }
    )


class Report:
    """What a run found: `statuses` by operation, and `faults`, each with a way to see it again."""

    def __init__(self) -> None:
        self.statuses: dict[str, Counter[int]] = {}
        self.faults: dict[tuple[str, str, str], str] = {}

    def note(self, event: Any) -> None:
        if isinstance(event, events.ScenarioFinished):
            self._scenario(event.recorder)
        elif isinstance(event, events.NonFatalError):
            self.faults[event.label, "error", type(event.value).__name__] = str(event.value)
        elif isinstance(event, events.FatalError):
            raise event.exception
        elif isinstance(event, events.Interrupted):
            raise KeyboardInterrupt

    def _scenario(self, recorder: Any) -> None:
        for number, node in recorder.cases.items():
            exchange = recorder.interactions.get(number)
            if exchange is not None and exchange.response is not None:
                found = self.statuses.setdefault(node.value.operation.label, Counter())
                found[exchange.response.status_code] += 1
        for number, checks in recorder.checks.items():
            for check in checks:
                if check.failure_info is not None:
                    failure = check.failure_info.failure
                    label = recorder.cases[number].value.operation.label
                    how = f"{failure.message}\n{check.failure_info.code_sample}"
                    self.faults.setdefault((label, check.name, failure.title), how)

    def unreached(self) -> dict[str, dict[int, int]]:
        """Operations that never did what they are for, with what they said instead."""
        return {
            label: dict(found)
            for label, found in sorted(self.statuses.items())
            if not any(200 <= status < 300 for status in found)
        }

    def show(self) -> str:
        return "\n\n".join(f"{' / '.join(where)}\n{how}" for where, how in sorted(self.faults.items()))


def run(url: str, house: House, seeds: Mapping[str, list[dict[str, Any]]], examples: int, seed: int) -> Report:
    """Everything the document at `url` says; `seeds`: by operation, what is asked first of all."""
    schema = schemathesis.openapi.from_url(f"{url}/v1/openapi.json", config=configuration(examples, seed))
    report = Report()
    known = {operation.label: operation for operation in (found.ok() for found in schema.get_all_operations())}
    for label, wishes in seeds.items():
        for asked in wishes:
            _ask(house, known[label], asked, report)
    _Guide(house, seed).lead(schema)
    for event in from_schema(schema).execute():
        report.note(event)
    return report


def _ask(house: House, operation: Any, asked: dict[str, Any], report: Report) -> None:
    """One request that should do what the operation is for, looked at as closely as the invented ones."""
    person = asked.get("person") or house.who_may(operation.definition.raw["x-authz"])
    headers = {"Idempotency-Key": new_id()} if operation.method == "post" else {}
    if person:
        headers["Authorization"] = f"Bearer {house.token(person, asked.get('session', ''))}"
    parts: dict[str, Any] = {"path_parameters": asked.get("path"), "query": asked.get("query")}
    if asked.get("body") is not None:
        parts |= {"body": asked["body"], "media_type": "application/json"}
    case = operation.Case(**{name: part for name, part in parts.items() if part is not None}, headers=headers)
    response = case.call()
    report.statuses.setdefault(operation.label, Counter())[response.status_code] += 1
    try:
        case.validate_response(response)
    except BaseExceptionGroup as error:  # all that the checks have to say
        why = "\n".join(str(one) for one in error.exceptions)
        report.faults[operation.label, "asked for its work", str(response.status_code)] = why


class _Guide:
    """Signs requests in and puts keys of things into them; a part is left as it was invented."""

    def __init__(self, house: House, seed: int) -> None:
        self.house, self.dice = house, random.Random(seed)

    def lead(self, schema: Any) -> None:
        house = self.house

        class SignedIn:
            def get(self, case: Any, _context: Any) -> str | None:
                person = house.who_may(case.operation.definition.raw["x-authz"])
                return house.token(person) if person else None

            def set(self, case: Any, token: str | None, _context: Any) -> None:
                if token:
                    case.headers["Authorization"] = f"Bearer {token}"

        def map_path_parameters(context: Any, path_parameters: Any) -> Any:
            return self._seeded(context, path_parameters)

        def map_body(context: Any, body: Any) -> Any:
            return self._seeded(context, body)

        def map_headers(_context: Any, headers: Any) -> Any:
            if headers and "Idempotency-Key" in headers and self.dice.random() < SEEDED:
                headers["Idempotency-Key"] = new_id()
            return headers

        schema.auth(refresh_interval=None)(SignedIn)  # a token each: some end their session
        for hook in (map_path_parameters, map_body, map_headers):
            schema.hook(hook)

    def _seeded(self, context: Any, part: Any, name: str = "") -> Any:
        if isinstance(part, dict):
            return {key: self._seeded(context, value, key) for key, value in part.items()}
        if isinstance(part, list):
            return [self._seeded(context, value, name.removesuffix("s")) for value in part]
        if isinstance(part, str) and self.dice.random() < SEEDED:
            person = self.house.who_may(context.operation.definition.raw["x-authz"])
            return self.house.pick(name, person, self.dice) or part
        return part
