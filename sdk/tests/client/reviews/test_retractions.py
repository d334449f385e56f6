from datetime import timedelta

import pytest

from consilience.client.reviews import retractions
from consilience.client.reviews.retractions import Retractions
from sdk.tests.reviews.specimens import NOW, TestNode, key, placed, retraction_of, review_of

NODE, OTHER, REVIEWER = TestNode.named("node"), TestNode.named("other"), key("reviewer")
REVIEW = placed(review_of(NODE, reviewer=REVIEWER))
RETRACTION = placed(retraction_of(review_of(NODE, reviewer=REVIEWER), author=REVIEWER))


def test_retractions_are_remembered_by_whom_they_are_about() -> None:
    seen = Retractions()
    seen.note([REVIEW, RETRACTION])
    assert seen.about(NODE.root.public_key, now=NOW) == (RETRACTION,)
    assert seen.about(OTHER.root.public_key, now=NOW) == ()


def test_a_retraction_that_has_ended_is_none() -> None:
    seen = Retractions()
    seen.note([RETRACTION])
    assert seen.about(NODE.root.public_key, now=RETRACTION.place.end - timedelta(seconds=1)) == (RETRACTION,)
    assert seen.about(NODE.root.public_key, now=RETRACTION.place.end) == ()


def test_of_too_many_retractions_those_seen_last_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retractions, "MAX_RETRACTIONS", 1)
    other = placed(retraction_of(review_of(OTHER, reviewer=REVIEWER), author=REVIEWER))
    seen = Retractions()
    seen.note([RETRACTION, other])
    assert seen.about(NODE.root.public_key, now=NOW) == ()
    assert seen.about(OTHER.root.public_key, now=NOW) == (other,)
