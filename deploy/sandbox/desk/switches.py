"""What goes wrong, and for whom: rows that the next matching thing to happen uses up."""

import json
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

from deploy.sandbox.desk.bodies import Body, Field, integer, nested, one_of, optional, read, seconds, text
from deploy.sandbox.desk.book import Row, Tx

SCHEMA = """
CREATE TABLE IF NOT EXISTS switches (
    id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, what TEXT NOT NULL, reference TEXT NOT NULL,
    amount TEXT NOT NULL, times INTEGER, params TEXT NOT NULL) STRICT;
"""
Kinds = Mapping[str, Mapping[str, Field]]
SCOPE = ("what", "reference", "amount")

# The answer to the merchant goes wrong; matched by the operation's name, such as `create_charge`.
ANSWERS: Kinds = {
    "slow": {"seconds": optional(seconds(60), 3.0)},  # the work is done, the answer is late
    "error_before": {  # 500 or another refusal, nothing done
        "status": optional(integer(400, 599), 500),
        "code": optional(text(60), "internal_error"),
    },
    "error_after": {},  # 500, everything done
    "garbage": {},  # 200, everything done, an answer that is no JSON
}
# The callback goes wrong; matched by the event's type, such as `charge.succeeded`.
CALLBACKS: Kinds = {
    "callback_lost": {},
    "callback_delay": {"seconds": optional(seconds(10**8))},  # of business time; absent: until released
    "callback_reorder": {},  # sent after the next one about the same thing
    "callback_duplicate": {"copies": optional(integer(1, 100), 1)},
}


def add(tx: Tx, kinds: Kinds, given: Any) -> Body:
    """Turn a switch on from `{kind, scope?: {what?, reference?, amount?}, times?: n or "always", …params}`.

    The scope holds shell patterns (`*` when left out). `times` is 1 when left out.
    """
    glob, known = text(200), {**ANSWERS, **CALLBACKS, **kinds}
    kind = given.get("kind") if isinstance(given, dict) else None
    shape = {
        "kind": Field(one_of(*known)),
        "scope": optional(nested({key: optional(glob, "*") for key in SCOPE})),
        "times": optional(lambda times: None if times == "always" else integer(1, 10**6)(times), 1),
    }
    body = read({**shape, **known.get(str(kind), {})}, given)
    scope = body["scope"] or dict.fromkeys(SCOPE, "*")
    params = {name: value for name, value in body.items() if name not in shape}
    tx.add("switches", kind=kind, **scope, times=body["times"], params=json.dumps(params))
    return listed(tx)[-1]


def listed(tx: Tx) -> list[Body]:
    """The switches that are still on, oldest first."""
    return [_shown(row) for row in tx.all("SELECT * FROM switches ORDER BY id")]


def _shown(row: Row) -> Body:
    times = "always" if row["times"] is None else row["times"]
    scope = {key: row[key] for key in SCOPE}
    return {"id": row["id"], "kind": row["kind"], "scope": scope, "times": times, **json.loads(row["params"])}


def used(tx: Tx, kind: str, what: str, reference: str, amount: int) -> Body | None:
    """The parameters of the oldest switch of this kind that fits, used up once; None when none does."""
    facts = {"what": what, "reference": reference, "amount": str(amount)}
    for row in tx.all("SELECT * FROM switches WHERE kind = ? ORDER BY id", kind):
        if all(fnmatchcase(facts[key], row[key]) for key in SCOPE):
            if row["times"] is not None:
                tx.run("UPDATE switches SET times = times - 1 WHERE id = ?", row["id"])
                tx.run("DELETE FROM switches WHERE id = ? AND times = 0", row["id"])
            params: Body = json.loads(row["params"])
            return params
    return None


def off(tx: Tx, switch_id: int | None) -> int:
    """Turn one switch off, or all of them; how many were on."""
    return tx.run("DELETE FROM switches WHERE ? IS NULL OR id = ?", switch_id, switch_id)
