"""Golden tapes: which facts a story consists of, and what caused each. Re-recorded on purpose by ``make tapes``.

Ids and times differ from run to run and independent services overtake one another, so a tape says, for every kind of
aggregate, the list of its facts with their causes, and how many aggregates had exactly that list.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path

from deploy.story.tape import Said

JOINED, ANSWERS = ("OrderConfirmed", "OrderHeldForReview"), ("StockReserved", "RiskAssessed")


def tape_of(said: Iterable[Said], group_no: str) -> str:
    """The story of one group, as text."""
    lists: dict[tuple[str, str], list[str]] = defaultdict(list)
    for one in said:
        if one.data.get("group_no") == group_no:
            lists[f"{one.publisher} {one.subject.split('/')[0]}", one.subject].append(f"    {one.fact} < {_cause(one)}")
    counted = Counter((kind, "\n".join(facts)) for (kind, _), facts in lists.items())
    return "".join(f"{kind} x {times}\n{facts}\n" for (kind, facts), times in sorted(counted.items()))


def _cause(one: Said) -> str:
    """Where several things race to be the cause, what they have in common.

    A channel answers our call and calls us back at the same time: whichever is first counts.
    """
    if one.fact == "OrderPaymentRequested" or (one.fact in JOINED and one.cause in ANSWERS):
        return "the last answer"
    if one.publisher == "payment" and (one.cause == "a request" or one.cause.startswith("intent")):
        return "word from outside"
    return one.cause


def compared(path: Path, found: str, *, record: bool) -> tuple[str, str]:
    """What was found and what the tape says, to be asserted equal; with `record` the tape is written first."""
    if record:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(found)
    return found, path.read_text()
