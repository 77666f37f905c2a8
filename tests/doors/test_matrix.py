"""Who may do what: every operation, asked by everybody, about what is theirs, another's, and not there at all."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from werkzeug.test import TestResponse

from shared.kernel.ids import group_number, new_id
from shared.storage.trust import STRANGER
from shared.storage.types import audit
from tests.doors.house import BUYERS, PEOPLE, SELLERS, STAFF, House
from tests.doors.injections import MARK, requests_to
from tests.doors.operations import Operation, body_for, fields_of, objects_in, operations, removes
from tests.ends import end_of

pytestmark = pytest.mark.xdist_group("doors")
ROLES = frozenset({"buyer", "seller", "operator"})
COUNTERPARTS = dict(zip(BUYERS + SELLERS, (*reversed(BUYERS), *reversed(SELLERS)), strict=True)) | {STAFF: BUYERS[0]}
BY_ROLE = {"buyer": BUYERS[0], "seller": SELLERS[0], "operator": STAFF}
OPEN = [one for one in operations() if "anyone" in one.who]
FOR_ROLES = [one for one in operations() if one.who <= ROLES]
SIGNED = [one for one in operations() if "signature" in one.who]
EVERYBODYS = {"category_id", "sku"}
"""What one may name though it is not one's own: to buy it, or to put something under it."""
THE_SAME_FOR_ALL = {"GET /v1/webhook-types"}
TRACE = re.compile(r'"trace_id":"[^"]*"')
MISSING = {
    "order_no": f"{group_number()}-1", "group_no": group_number(), "payment_id": f"pay_{group_number()}",
    "refund_id": f"{group_number()}-1-r1", "sku": "no-such-thing", "category_id": "no-such-shelf",
}  # fmt: skip


UNSAFE = re.compile(rf"[^\x20-\x7e]|{MARK}[^%\w]")
"""What no header may hold: anything but ASCII, or what was put in as it was."""


class Asker:
    """Asks operations, about somebody's things."""

    def __init__(self, house: House) -> None:
        self.house = house

    def own(self, one: Operation, person: str) -> dict[str, str] | None:
        """Things of `person` for all arguments; None when the person has none of a kind."""
        found = {name: self.house.things[name].get(person, []) for name in one.arguments}
        return {name: ids[0] for name, ids in found.items()} if all(found.values()) else None

    def others(self, one: Operation, person: str) -> dict[str, str] | None:
        """Somebody else's things, none of which `person` may see; None where everything is the person's."""
        for other in (COUNTERPARTS[person], *PEOPLE):
            found = self.own(one, other)
            if found and not any(thing in self.house.things[name].get(person, []) for name, thing in found.items()):
                return found
        return None

    def missing(self, one: Operation) -> dict[str, str]:
        return {name: MISSING.get(name) or new_id() for name in one.arguments}

    def ask(
        self,
        one: Operation,
        person: str | None,
        ids: dict[str, str],
        *,
        known: dict[str, Any] | None = None,
        more: dict[str, Any] | None = None,
        **options: Any,
    ) -> TestResponse:
        """`known`: values for fields of the body, before those that are the person's; `more`: fields added to it."""
        mine = {name: owned.get(person or "") for name, owned in self.house.things.items()}
        body = body_for(one.body, {name: owned[0] for name, owned in mine.items() if owned} | (known or {}))
        return self.house.ask(person, one.method, one.path(ids), body if more is None else body | more, **options)

    def denials(self) -> int:
        """Rows in the audit trails of all services."""
        count = sa.select(sa.func.count()).select_from(audit)
        found = 0
        for database in self.house.platform.stores.values():
            with database.read() as connection:
                found += connection.execute(count).scalar_one()
        return found

    def strangers(self, result: str) -> set[str]:
        """The operations that nobody in particular was denied for this reason."""
        wanted = sa.select(audit.c.action).where(audit.c.actor == STRANGER, audit.c.result == result)
        found: set[str] = set()
        for database in self.house.platform.stores.values():
            with database.read() as connection:
                found |= set(connection.execute(wanted).scalars())
        return found


@pytest.fixture(scope="module")
def asker(house: House) -> Iterator[Asker]:
    house.plant_letters(1)
    yield Asker(house)
    house.remove_letters()


def said(answer: TestResponse) -> tuple[int, Any]:
    """Status and body without what is new in every answer."""
    body = answer.get_json(force=True) if "json" in answer.mimetype and answer.data else None
    return answer.status_code, {name: value for name, value in (body or {}).items() if name != "trace_id"}


def test_every_operation_says_who_may_ask_it_and_what_its_path_names(house: House) -> None:
    for one in operations():
        assert one.who, one
        assert one.who <= ROLES or one.who in ({"anyone"}, {"signature"}), one
        if one not in SIGNED:
            assert set(one.arguments) <= house.things.keys(), f"{one}: make things of this kind in tests/doors/house.py"


def test_nobody_enters_where_a_role_is_asked_for(asker: Asker) -> None:
    for one in FOR_ROLES:
        answer = asker.ask(one, None, asker.missing(one))
        assert said(answer)[1].get("code") == "unauthenticated", f"{one}: {answer.status}"
        assert answer.headers["WWW-Authenticate"] == "Bearer"
    noted = asker.strangers("unauthenticated")
    assert {f"{one.method} {one.rule.removeprefix('/v1')}" for one in FOR_ROLES} <= noted


def test_no_bad_token_opens_any_door(asker: Asker) -> None:
    tokens = {role: asker.house.bad_tokens(person) for role, person in BY_ROLE.items()}
    for one in FOR_ROLES:
        role = sorted(one.who)[0]
        for kind, token in tokens[role].items():
            answer = asker.ask(one, BY_ROLE[role], asker.own(one, BY_ROLE[role]) or asker.missing(one), token=token)
            assert answer.status_code == 401, f"{one} took a token {kind}: {answer.status}"


def test_a_session_that_was_ended_opens_no_door(asker: Asker) -> None:
    house = asker.house
    tokens = {role: house.token(person) for role, person in BY_ROLE.items()}
    house.end_sessions(tokens.values())
    for one in FOR_ROLES:
        role = sorted(one.who)[0]
        answer = asker.ask(one, BY_ROLE[role], asker.missing(one), token=tokens[role])
        assert said(answer)[1].get("code") == "revoked_session", f"{one}: {answer.status}"


def test_other_roles_are_refused_each_with_one_line_in_the_audit_trail(asker: Asker) -> None:
    for one in FOR_ROLES:
        for person in BY_ROLE.values():
            if asker.house.principals[person].roles & one.who:
                continue
            before = asker.denials()
            found = asker.ask(one, person, asker.missing(one))
            assert said(found)[1].get("code") == "forbidden", f"{one} as {person}: {found.status}"
            assert asker.denials() == before + 1, f"{one} as {person}"


def test_what_is_anothers_is_as_if_it_were_not_there_and_the_attempt_is_noted(asker: Asker) -> None:
    for one in FOR_ROLES:
        for person in PEOPLE:
            theirs = asker.others(one, person) if one.arguments else None
            if theirs is None or not asker.house.principals[person].roles & one.who:
                continue
            before = asker.denials()
            other, absent = (said(asker.ask(one, person, ids)) for ids in (theirs, asker.missing(one)))
            assert other == absent, f"{one} as {person}"
            assert other[0] == 404, f"{one} as {person}"
            assert asker.denials() == before + 2, f"{one} as {person}"


def test_what_is_open_to_all_shows_strangers_no_more_than_it_shows_nobody(asker: Asker) -> None:
    for one in OPEN:
        for person in PEOPLE:
            theirs = asker.others(one, person) if one.arguments else None
            if theirs is not None:
                assert said(asker.ask(one, person, theirs)) == said(asker.ask(one, None, theirs)), f"{one} as {person}"


def test_machines_that_do_not_sign_change_nothing(asker: Asker) -> None:
    for one in SIGNED:
        for name in ("sandbox", "nobody"):
            for person in (None, *PEOPLE):
                answer = asker.ask(one, person, dict.fromkeys(one.arguments, name), data=b"{}")
                assert 400 <= answer.status_code < 500, f"{one} as {person}: {answer.status}"
        assert f"{one.method} {one.rule.removeprefix('/v1')}" in asker.strangers("bad_signature"), one


def test_no_answer_holds_anything_of_the_other_family(asker: Asker) -> None:
    """Whatever one may read, lists included, also when a list is asked for the others' things by name."""
    house, silent = asker.house, set()
    for one in FOR_ROLES:
        if one.method != "GET" or one.stream or one.who == {"operator"}:
            continue
        shown = 0
        for person in BUYERS + SELLERS:
            mine = asker.own(one, person)
            if mine is None or not house.principals[person].roles & one.who:
                continue
            theirs = {
                name: owned[COUNTERPARTS[person]]
                for name, owned in house.things.items()
                if COUNTERPARTS[person] in owned
            }
            for query in ({}, *({name: theirs[name][0]} for name in one.query.keys() & theirs.keys())):
                text = asker.ask(one, person, mine, query_string=query).get_data(as_text=True)
                leaked = [mark for mark in house.marks(COUNTERPARTS[person]) if mark in text]
                assert not leaked, f"{one} as {person} with {query}: {leaked}"
                shown += not query and any(mark in text for mark in house.marks(person))
        if not shown:
            silent.add(str(one))
    assert silent <= THE_SAME_FOR_ALL, "nothing was there to be leaked"


def test_what_is_ones_own_is_there(asker: Asker) -> None:
    """The matrix has teeth: the doors that were shut are open to whom they are meant for (test_fuzz.py removes)."""
    for one in (one for one in FOR_ROLES if not removes(one)):
        entered = 0
        for person in PEOPLE:
            mine = asker.own(one, person)
            if mine is not None and asker.house.principals[person].roles & one.who:
                answer = asker.ask(one, person, mine)
                shut = said(answer)[1].get("code") in ("unauthenticated", "forbidden")
                assert not shut, f"{one} as {person}: {answer.data!r}"
                if one.arguments:
                    assert answer.status_code != 404, f"{one} as {person}: {answer.data!r}"
                entered += 1
        assert entered, f"nobody could be let in by {one}"


def test_a_body_that_names_anothers_thing_is_refused_as_if_it_named_none(asker: Asker) -> None:
    named = 0
    for one in FOR_ROLES:
        for person in BUYERS + SELLERS:
            mine = asker.own(one, person)
            if one.body is None or mine is None or not asker.house.principals[person].roles & one.who:
                continue
            for name in fields_of(one.body) & asker.house.things.keys():
                theirs = asker.house.things[name].get(COUNTERPARTS[person])
                mentioned = name in str(body_for(one.body, {}))
                if theirs and mentioned and (name not in EVERYBODYS or (name == "sku" and one.who == {"seller"})):
                    other, absent = (
                        asker.ask(one, person, mine, known={name: thing}).get_data(as_text=True).replace(thing, "")
                        for thing in (theirs[0], MISSING.get(name) or new_id())
                    )
                    assert TRACE.sub("", other) == TRACE.sub("", absent), f"{one} as {person}"
                    assert '"code":' in other, f"{one} as {person}: {other}"
                    named += 1
    assert named > 10


def test_no_body_takes_what_is_not_in_it(asker: Asker) -> None:
    """Nobody names a price, an owner, a state or a version where the platform decides it."""
    for one in operations():
        if one.body is None or one in SIGNED:
            continue
        person = BY_ROLE[sorted(one.who)[0]] if one in FOR_ROLES else None
        ids = (asker.own(one, person) if person else None) or asker.missing(one)
        for name in {"seller_id", "buyer_id", "account_id", "state", "version", "balance", "roles"} - fields_of(
            one.body
        ):
            answer = asker.ask(one, person, ids, known={}, more={name: "x"})
            assert answer.status_code == 422, f"{one}: {answer.data!r}"
            assert said(answer)[1]["errors"]["json"][name] == ["Unknown field."], f"{one}: {answer.data!r}"


def test_what_is_in_a_body_is_as_closed_as_the_body(asker: Asker) -> None:
    for one in operations():
        for schema in objects_in(one.body or {}):
            assert schema.get("additionalProperties") is not None, f"{one} takes any field in {schema}"


def test_no_text_is_taken_for_more_than_a_text_wherever_it_is_put(asker: Asker) -> None:
    """SQL, headers, templates, paths: no fault, nothing of it in a header, and the other family's is as it was."""
    house, found = asker.house, Counter[int]()
    house.platform.settle()
    theirs = dict.fromkeys([house.families[1].mark, house.families[1].buyer.account_id], "THEIRS")

    def kept() -> list[str]:
        """What goes to their own systems, which nobody has, is tried again meanwhile."""
        return [line for line in end_of(house.platform, theirs, {}) if not line.startswith("support ")]

    before = kept()
    for number, one in enumerate(operations()):
        person = house.who_may(one.who)
        gone = person is None or "letter_id" in one.arguments  # the letter is for other tests to find
        ids = (None if gone else asker.own(one, str(person))) or asker.missing(one)
        mine = {name: owned[person][0] for name, owned in house.things.items() if owned.get(person or "")}
        for asked in requests_to(one, ids, body_for(one.body, mine)):
            answer = house.ask(
                person, one.method, asked.path, data=asked.raw, content_type="application/json",
                environ_base={"REMOTE_ADDR": f"198.51.{number % 250}.{sum(found.values()) % 250}"},
            )  # fmt: skip
            found[answer.status_code] += 1
            assert answer.status_code < 500, f"{asked}: {answer.data!r}"
            assert not answer.data or "json" in answer.mimetype or one.stream, f"{asked}: {answer.mimetype}"
            heads = [*answer.headers.keys(), *answer.headers.values()]
            assert not [head for head in heads if UNSAFE.search(head)], f"{asked}: {answer.headers}"
            assert "Set-Cookie" not in answer.headers, str(asked)
    house.platform.settle()
    after = kept()
    assert len(after) >= len(before)
    assert [line for line in after if MARK in line] == []
    assert found[200] + found[201] + found[202] + found[204] > 100, "hardly any of it was let in"
