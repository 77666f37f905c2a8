"""Reviews by those who bought the thing, and nobody else."""

import pytest

from services.catalog.tests.makers import mug, on_sale, received, seller
from shared.contracts.catalog import ReviewPosted


def review(order_no="G1-1", line_id="1", stars=5, **more):
    return {"order_no": order_no, "line_id": line_id, "stars": stars, "text": "很好 / very good"} | more


def test_a_buyer_reviews_each_line_once(both):
    product, buyer = on_sale(both), both.caller("buyer")
    assert buyer.post("/v1/reviews", review()).json["code"] == "no_such_purchase"
    both.hear(received(both, buyer.account_id, product, "TEE-S", "TEE-M"))
    assert [one["line_id"] for one in buyer.get("/v1/reviews/open").json["items"]] == ["2", "1"]
    first = buyer.post("/v1/reviews", review(stars=5))
    assert (first.status, first.json["sku"]) == (201, "TEE-S")
    again = buyer.post("/v1/reviews", review(stars=1))
    assert (again.status, again.json["code"]) == (409, "already_reviewed")
    assert buyer.post("/v1/reviews", review(line_id="2", stars=2)).status == 201
    assert [(fact.line_id, fact.stars, fact.group_no) for fact in both.said(ReviewPosted)] == [
        ("1", 5, "G1"),
        ("2", 2, "G1"),
    ]
    assert both.caller().get(f"/v1/products/{product}").json["rating"] == {"count": 2, "average": 3.5}
    assert both.caller().get("/v1/products").json["items"][0]["rating"]["average"] == 3.5
    assert buyer.get("/v1/reviews/open").json["items"] == []


def test_reviews_are_shown_newest_first_and_without_their_writers(both):
    product, buyer = on_sale(both), both.caller("buyer")
    both.hear(received(both, buyer.account_id, product, "TEE-S", "TEE-M", "TEE-S"))
    for line in "123":
        buyer.post("/v1/reviews", review(line_id=line, text=f"line {line}"))
    url = f"/v1/products/{product}/reviews?limit=2"
    first = both.caller().get(url).json
    second = both.caller().get(f"{url}&cursor={first['next']}").json
    assert [one["text"] for one in first["items"] + second["items"]] == ["line 3", "line 2", "line 1"]
    assert buyer.account_id not in str(first)
    assert first["rating"] == {"count": 3, "average": 5.0}


def test_nobody_reviews_what_another_bought(stage):
    product, buyer = on_sale(stage), stage.caller("buyer")
    stage.hear(received(stage, buyer.account_id, product, "TEE-S"))
    thief = stage.caller("buyer").post("/v1/reviews", review())
    assert (thief.status, thief.json["code"]) == (404, "no_such_purchase")
    assert seller(stage).post("/v1/reviews", review()).status == 404
    assert stage.caller().post("/v1/reviews", review()).status == 401
    assert stage.said(ReviewPosted) == []


def test_the_time_to_review_ends(both):
    product, buyer = on_sale(both), both.caller("buyer")
    both.hear(received(both, buyer.account_id, product, "TEE-S"))
    both.advance(days=8)
    late = buyer.post("/v1/reviews", review())
    assert (late.status, late.json["code"]) == (409, "review_window_closed")
    assert buyer.get("/v1/reviews/open").json["items"] == []


def test_a_receipt_told_twice_gives_one_right(both):
    product, buyer = on_sale(both), both.caller("buyer")
    both.hear(received(both, buyer.account_id, product, "TEE-S"))
    buyer.post("/v1/reviews", review())
    both.hear(received(both, buyer.account_id, product, "TEE-S"))  # as another message
    assert both.kept() == []
    assert buyer.post("/v1/reviews", review()).json["code"] == "already_reviewed"


@pytest.mark.parametrize(
    ("wrong", "field"),
    [({"stars": 0}, "stars"), ({"stars": 6}, "stars"), ({"stars": "5"}, "stars"), ({"text": "x" * 2001}, "text"),
     ({"buyer_id": "x"}, "buyer_id")],
)  # fmt: skip
def test_a_bad_review_names_its_field(stage, wrong, field):
    answer = stage.caller("buyer").post("/v1/reviews", review(**wrong))
    assert (answer.status, answer.json["field"]) == (422, field)


def test_many_receipts_come_in_one_batch(both):
    product, buyer = on_sale(both, mug()), both.caller("buyer")
    both.hear(*(received(both, buyer.account_id, product, "MUG", order_no=f"G{n}-1") for n in range(30)))
    assert both.kept() == []
    assert len(buyer.get("/v1/reviews/open").json["items"]) == 30
