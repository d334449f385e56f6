import itertools
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import ClassVar

from consilience.reviews import Placed, merged
from sdk.tests.reviews.specimens import (
    DAY,
    NOW,
    TestNode,
    advisory_about,
    card_record,
    key,
    placed,
    retraction_of,
    review_of,
)

NODE, OTHER, REVIEWER = TestNode.named("node"), TestNode.named("other"), key("reviewer")
REVIEW = review_of(NODE, reviewer=REVIEWER)
OLD_CARD, NEW_CARD = placed(card_record(NODE, issued=NOW - DAY)), placed(card_record(NODE))


def test_each_record_counts_once_whoever_served_it() -> None:
    view = merged({"one": [NEW_CARD, placed(REVIEW)], "two": [placed(REVIEW), NEW_CARD, NEW_CARD]})
    assert list(view.records) == [NEW_CARD, placed(REVIEW)]
    assert view.missing == {}


def test_a_registry_that_replays_an_old_card_is_noticed() -> None:
    view = merged({"honest": [NEW_CARD], "liar": [OLD_CARD]})
    assert view.records == (NEW_CARD,)
    assert view.missing == {"liar": {NEW_CARD.place.digest}}


def test_a_registry_that_drops_a_record_is_noticed() -> None:
    view = merged({"honest": [NEW_CARD, placed(REVIEW)], "liar": [NEW_CARD]})
    assert view.missing == {"liar": {REVIEW.digest}}


def test_a_retraction_that_one_registry_has_seen_counts_against_the_review_of_the_other() -> None:
    retraction = placed(retraction_of(REVIEW, author=REVIEWER))
    view = merged({"one": [placed(REVIEW)], "two": [retraction]})
    assert view.records == (retraction,)
    assert view.missing == {"one": {retraction.place.digest}}


def test_the_view_does_not_depend_on_the_order_of_registries_or_records() -> None:
    edited = review_of(NODE, reviewer=REVIEWER, comment="Changed.", at=NOW + timedelta(seconds=1))
    served = [placed(REVIEW), placed(edited), OLD_CARD, NEW_CARD, placed(NODE.rebuttal(REVIEW))]
    views = {
        frozenset(record.place.digest for record in merged({"one": order[:2], "two": order[2:]}).records)
        for order in itertools.permutations(served)
    }
    assert len(views) == 1


def test_the_latest_rebuttal_of_the_subject_stands_beside_a_review() -> None:
    earlier, latest = NODE.rebuttal(REVIEW, at=NOW - DAY), NODE.rebuttal(REVIEW)
    foreign = OTHER.rebuttal(REVIEW, at=NOW + timedelta(seconds=1))
    view = merged({"one": map(placed, [REVIEW, earlier, foreign]), "two": [placed(latest)]})
    assert view.rebuttal_of(placed(REVIEW)) == latest.object.value


def test_an_advisory_has_its_own_rebuttal_and_one_of_another_node_is_none() -> None:
    advisory = advisory_about(NODE.root.public_key, author=REVIEWER)
    records: list[Placed] = [placed(record) for record in (advisory, REVIEW, NODE.rebuttal(REVIEW))]
    assert merged({"one": records}).rebuttal_of(placed(advisory)) is None
    rebuttal = NODE.rebuttal(advisory)
    assert merged({"one": [*records, placed(rebuttal)]}).rebuttal_of(placed(advisory)) == rebuttal.object.value
    assert merged({"one": [placed(advisory), placed(OTHER.rebuttal(advisory))]}).rebuttal_of(placed(advisory)) is None


class _Counted(tuple[Placed, ...]):
    """Records that count how often they are gone through."""

    __slots__ = ()
    times: ClassVar[int] = 0

    def __iter__(self) -> Iterator[Placed]:
        _Counted.times += 1
        return super().__iter__()


def test_the_rebuttals_of_all_reviews_are_looked_for_once() -> None:
    reviews = [placed(review_of(NODE, reviewer=REVIEWER, number=number)) for number in range(20)]
    records = _Counted([*reviews, *(placed(NODE.rebuttal(one.record)) for one in reviews)])
    view = replace(merged({}), records=records)
    assert all(view.rebuttal_of(review) is not None for review in reviews)
    assert _Counted.times == 1
