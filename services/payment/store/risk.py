"""What was assessed, and what is known of buyers; velocity is counted over the assessments themselves."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import sqlalchemy as sa

from services.payment.domain.risk import DAY, HOUR, Habits
from services.payment.store.rows import add, first, metadata, remembered
from shared.contracts.order import OrderPlaced
from shared.contracts.payment import RiskAssessed
from shared.storage.types import Body, Moment
from shared.storage.unit_of_work import UnitOfWork

risk_assessment = sa.Table(
    "risk_assessment",
    metadata,
    sa.Column("order_no", sa.String(64), primary_key=True),
    sa.Column("group_no", sa.String(64), nullable=False),
    sa.Column("buyer_id", sa.String(64), nullable=False),
    sa.Column("score", sa.Integer, nullable=False),
    sa.Column("decision", sa.String(8), nullable=False),
    sa.Column("rules_hit", Body, nullable=False),
    sa.Column("model_version", sa.String(32), nullable=False),
    sa.Column("assessed_at", Moment, nullable=False),
    sa.Index("risk_assessment_buyer", "buyer_id", "assessed_at", "group_no"),
)

risk_buyer = sa.Table(
    "risk_buyer",
    metadata,
    sa.Column("buyer_id", sa.String(64), primary_key=True),
    sa.Column("registered_at", Moment, nullable=True),
    sa.Column("cod_refusals", sa.Integer, nullable=False, server_default="0"),
)


def load_habits(tx: UnitOfWork, buyer_ids: Iterable[str]) -> dict[str, Habits]:
    """The habits of these buyers, read with two statements for a whole batch and remembered in it."""
    known: dict[str, Habits] = remembered(tx, risk_assessment)
    wanted = sorted({buyer_id for buyer_id in buyer_ids if buyer_id not in known})
    if not wanted:
        return known
    known.update({buyer_id: Habits() for buyer_id in wanted})
    past, person = risk_assessment.c, risk_buyer.c
    recent = sa.case((past.assessed_at > tx.now() - HOUR, past.group_no))
    checkouts = (
        sa.select(
            past.buyer_id,
            sa.func.count(past.group_no.distinct()).label("today"),
            sa.func.count(recent.distinct()).label("this_hour"),
        )
        .where(tx.among(past.buyer_id, wanted), past.assessed_at > tx.now() - DAY)
        .group_by(past.buyer_id)
    )
    for row in tx.execute(checkouts):
        known[row.buyer_id].today, known[row.buyer_id].this_hour = row.today, row.this_hour
    for row in tx.execute(sa.select(risk_buyer).where(tx.among(person.buyer_id, wanted))):
        known[row.buyer_id].registered_at = row.registered_at
        known[row.buyer_id].cod_refusals = row.cod_refusals
    return known


def add_assessment(tx: UnitOfWork, order: OrderPlaced, risk: RiskAssessed) -> None:
    """Keep what was decided, and why."""
    row = {
        "order_no": order.order_no, "group_no": order.group_no, "buyer_id": order.buyer_id,
        "score": risk.score,
        "decision": risk.decision, "rules_hit": msgspec.json.encode(risk.rules_hit),
        "model_version": risk.model_version, "assessed_at": tx.now(),
    }  # fmt: skip
    add(tx, first(risk_assessment), row)


def note_buyer(tx: UnitOfWork, buyer_id: str) -> None:
    """Somebody registered now."""
    row = tx.insert(risk_buyer).values(buyer_id=buyer_id, registered_at=tx.now(), cod_refusals=0)
    tx.execute(
        row.on_conflict_do_update(
            index_elements=[risk_buyer.c.buyer_id], set_={"registered_at": row.excluded.registered_at}
        )
    )
    remembered(tx, risk_assessment).pop(buyer_id, None)


def note_cod_refusal(tx: UnitOfWork, buyer_id: str) -> None:
    """A cash order was refused at the door."""
    row = tx.insert(risk_buyer).values(buyer_id=buyer_id, registered_at=None, cod_refusals=1)
    tx.execute(
        row.on_conflict_do_update(
            index_elements=[risk_buyer.c.buyer_id], set_={"cod_refusals": risk_buyer.c.cod_refusals + 1}
        )
    )
    remembered(tx, risk_assessment).pop(buyer_id, None)
