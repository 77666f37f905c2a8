"""Everything that happens to an order's shipments, shuffled and doubled, through the real doors: one end."""

import random

import pytest
import sqlalchemy as sa

from services.shipping.tests.makers import GROUP, Shop, allocated, at, cancel_wish
from shared.contracts.event import Fact
from shared.contracts.shipping import ShipmentCancellationRejected, ShipmentCancelled, Shipped


@pytest.mark.parametrize("seed", range(12))
def test_one_end_whatever_the_order_of_what_happens(small_shop, seed):
    shop, chance, order_no = small_shop, random.Random(seed), f"{GROUP}-{seed + 1}"
    (shipment_id,) = shop.sold(order_no=order_no)
    reference = f"{shipment_id}.1"
    deeds = [lambda deed=deed: shop.do(deed, shipment_id) for deed in ("pick", "pack", "hand-over")]

    def report(body):
        if shop.carrier.booked:  # a carrier that was not booked has nothing to say
            assert shop.send(body) == 200

    calls = [lambda body=body: report(body) for body in shop.story(reference, "collect", "scan", "out", "deliver")]
    wish = shop.stage.bytes_of(cancel_wish(order_no=order_no))
    stop = [lambda: shop.stage.hear_bytes(wish)] if seed % 3 == 0 else []

    mixed = (deeds + calls + stop) * 2
    chance.shuffle(mixed)
    for happening in [*mixed, *deeds, *calls, *stop]:
        happening()
    shop.stage.call()

    shipped = [said for said in shop.stage.said(Shipped) if said.shipment_id == shipment_id]
    answers = shop.stage.said(ShipmentCancelled) + shop.stage.said(ShipmentCancellationRejected)
    state = shop.see(shipment_id)["state"]
    assert len(answers) == len(stop)
    assert (state, len(shipped)) in ([("DELIVERED", 1)] if not stop else [("DELIVERED", 1), ("CANCELLED", 0)])
    assert isinstance(answers[0], ShipmentCancelled) == (state == "CANCELLED") if stop else True
    assert shop.stage.kept() == []


def test_a_batch_costs_the_same_few_statements_whatever_its_size(postgres_url, tmp_path):
    shop, costs = Shop(postgres_url, tmp_path), []
    for size in (2, 20):
        numbers = [f"{GROUP}-{size}{n}" for n in range(size)]
        facts: list[Fact] = [shop.confirmed(number) for number in numbers]
        facts += [allocated(at("w1", "l1", 2), order_no=number) for number in numbers]
        bodies = [shop.stage.bytes_of(fact) for fact in facts]
        statements: list[str] = []

        def note(_connection, _cursor, statement, *_rest, into=statements):
            into.append(statement)

        engine = shop.stage.node.database.engine
        sa.event.listen(engine, "before_cursor_execute", note)
        shop.stage.hear_bytes(*bodies)
        sa.event.remove(engine, "before_cursor_execute", note)
        costs.append(len(statements))
    shop.stage.close()
    assert costs[0] == costs[1] <= 12
