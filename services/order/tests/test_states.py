"""The table of moves is sound: nothing unreachable, nothing endless, nothing that nobody causes or hears."""

import pytest

from services.order import handlers, timers
from services.order.app import service
from services.order.domain import policy
from services.order.domain.states import MOVES, TARGETS, TERMINAL, State
from shared.contracts.event import REGISTRY

COMMANDS = {
    "PlaceOrder": "/orders",
    "CancelOrder": "/orders/<order_no>/cancel",
    "AdjustPrice": "/orders/<order_no>/price",
    "ChangeAddress": "/orders/<order_no>/address",
    "ApproveOrder": "/orders/<order_no>/approve",
    "RejectOrder": "/orders/<order_no>/reject",
    "ConfirmReceipt": "/orders/<order_no>/receipt",
    "ExtendReceipt": "/orders/<order_no>/receipt/extend",
}
HEARD = {fact.name for fact in handlers.on.handlers}
STEPS = {(move.source, move.target) for move in MOVES if move.target is not None}


def _closure(start, step):
    found, todo = set(), list(start)
    while todo:
        state = todo.pop()
        if state not in found:
            found.add(state)
            todo += step(state)
    return found


def test_every_state_can_be_reached():
    reached = _closure([None], lambda state: [target for source, target in STEPS if source == state])

    assert reached - {None} == set(State)


def test_every_state_can_end():
    ending = _closure(TERMINAL, lambda state: [source for source, target in STEPS if target == state])

    assert ending - {None} == set(State)


def test_what_is_over_moves_no_more():
    assert [move for move in MOVES if move.source in TERMINAL and move.target is not None] == []


def test_every_trigger_has_somebody_who_pulls_it():
    pulled = {
        "command": set(COMMANDS),
        "event": HEARD,
        "timer": set(timers.TRIGGERS.values()),
        "join": {"JoinComplete"},
    }
    for kind, triggers in pulled.items():
        assert {move.trigger for move in MOVES if move.kind == kind} <= triggers, kind
    assert {move.trigger for move in MOVES if move.kind == "command"} == set(COMMANDS)
    assert {move.trigger for move in MOVES if move.kind == "timer"} == set(timers.TRIGGERS.values())


def test_every_command_has_a_door():
    rules = {rule.removeprefix("/v1") for door in service.doors for rule in _rules(door)}

    assert set(COMMANDS.values()) <= rules


def _rules(door):
    from flask import Flask

    app = Flask("rules")
    app.register_blueprint(door)
    return [rule.rule for rule in app.url_map.iter_rules()]


def test_every_deadline_has_a_deed():
    assert set(timers.DEEDS) == set(timers.TRIGGERS)
    assert set(timers.due.by_name) == {*timers.DEEDS, "sweep_quotes"}


def test_every_fact_in_the_table_is_orders_to_say():
    own = {name for publisher, name, _ in REGISTRY if publisher == "order"}

    assert {name for move in MOVES for name in move.says} <= own


def test_every_fact_that_is_orders_to_say_is_said_somewhere():
    said = {name for move in MOVES for name in move.says}

    assert {fact.name for fact in service.publishes()} <= said


@pytest.mark.parametrize("state", sorted(set(State) - TERMINAL))
def test_every_waiting_state_knows_a_deadline(state):
    assert [move.trigger for move in MOVES if move.source == state and move.kind == "timer"]


@pytest.mark.parametrize("state", sorted(set(State) - TERMINAL - {State.RECEIVED}))
def test_people_are_offered_only_what_the_table_allows(state):
    commands = {path.removeprefix("/orders/<order_no>/"): name for name, path in COMMANDS.items()}
    offered = {commands[action] for action, _ in policy.ACTIONS.get(state, ()) if action in commands}

    assert offered <= {move.trigger for move in MOVES if move.source == state}


def test_a_move_that_is_not_in_the_table_is_refused():
    assert State.COMPLETED not in TARGETS[State.SHIPPED, "ConfirmReceipt"]
