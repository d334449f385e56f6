import itertools
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consilience import reviews
from consilience.errors import RecordRetractedError, SuccessionInvalidError, TicketUsedError
from consilience.reviews.records import Place
from consilience.reviews.slots import refusal_of, wins, within_quotas
from consilience.units import Digest
from sdk.tests.reviews.specimens import (
    DAY,
    HOUR,
    NOW,
    TestNode,
    advisory_about,
    card_record,
    key,
    retraction_of,
    review_of,
)

NODE, REVIEWER = TestNode.named("node"), key("reviewer")
REVIEW = review_of(NODE, reviewer=REVIEWER)
RECORD_TYPE = reviews.RecordType


def _place(record: reviews.OpenRecord) -> Place:
    return reviews.place_of(record, now=NOW)


def test_of_two_cards_the_later_wins() -> None:
    older, newer = _place(card_record(NODE, issued=NOW - DAY)), _place(card_record(NODE))
    assert wins(newer, held=older)
    assert not wins(older, held=newer)
    assert refusal_of(older, held=newer) is None


def test_of_two_cards_of_one_sequence_the_smaller_digest_wins() -> None:
    one, two = _place(card_record(NODE, name="one")), _place(card_record(NODE, name="two"))
    smaller, larger = sorted((one, two), key=lambda place: place.digest)
    assert wins(smaller, held=larger)
    assert not wins(larger, held=smaller)


def test_an_edited_review_loses_to_the_first_and_is_refused() -> None:
    edited = _place(review_of(NODE, reviewer=REVIEWER, comment="On second thoughts.", at=NOW + timedelta(seconds=1)))
    assert not wins(edited, held=_place(REVIEW))
    assert isinstance(refusal_of(edited, held=_place(REVIEW)), TicketUsedError)


def test_a_retraction_wins_and_no_review_comes_back() -> None:
    retraction = _place(retraction_of(REVIEW, author=REVIEWER))
    assert wins(retraction, held=_place(REVIEW))
    again = _place(review_of(NODE, reviewer=REVIEWER, at=NOW - timedelta(seconds=1)))
    for review in (_place(REVIEW), again):
        assert not wins(review, held=retraction)
        assert isinstance(refusal_of(review, held=retraction), RecordRetractedError)


def test_a_retraction_that_ends_sooner_takes_nothing_back() -> None:
    brief = _place(retraction_of(REVIEW, author=REVIEWER, end=NOW + DAY))
    assert not wins(brief, held=_place(REVIEW))
    assert wins(_place(REVIEW), held=brief)


def test_an_advisory_is_retracted_in_the_same_way() -> None:
    advisory = advisory_about(NODE.root.public_key, author=REVIEWER)
    retraction = _place(retraction_of(advisory, author=REVIEWER))
    assert wins(retraction, held=_place(advisory))
    assert isinstance(refusal_of(_place(advisory), held=retraction), RecordRetractedError)


def test_what_a_stranger_retracts_is_another_slot() -> None:
    foreign = _place(retraction_of(REVIEW, author=key("stranger")))
    assert (foreign.author, foreign.slot) != (_place(REVIEW).author, _place(REVIEW).slot)


def test_of_two_rebuttals_the_later_wins() -> None:
    first, second = _place(NODE.rebuttal(REVIEW, at=NOW - HOUR)), _place(NODE.rebuttal(REVIEW))
    assert first.slot == second.slot
    assert wins(second, held=first)
    assert not wins(first, held=second)


def test_the_first_succession_stays() -> None:
    first = _place(NODE.succession(at=NOW))
    earlier = _place(NODE.succession(at=NOW - timedelta(minutes=1)))
    assert not wins(earlier, held=first)
    assert isinstance(refusal_of(earlier, held=first), SuccessionInvalidError)


def _slot(number: int) -> bytes:
    return bytes([number]) * 32


def _drawn(kind: reviews.RecordType, *, slot: int, issued: int, end: int, digest: int) -> Place:
    return Place(
        type=kind,
        slot_type=RECORD_TYPE.REVIEW,
        author=b"a" * 32,
        slot=_slot(slot),
        subject=b"s" * 32,
        issue_time=NOW + timedelta(seconds=issued),
        end=NOW + timedelta(days=end),
        digest=Digest(bytes([digest]) * 32),
    )


def _made(spec: tuple[int, int, int, bool, int]) -> Place:
    """A review, whose end its slot fixes, or a retraction, whose end is its own."""
    slot, issued, end, retracts, digest = spec
    kind = RECORD_TYPE.RETRACTION if retracts else RECORD_TYPE.REVIEW
    return _drawn(kind, slot=slot, issued=issued, end=end if retracts else slot * 2, digest=digest)


SPECS = st.tuples(st.integers(1, 6), st.integers(0, 3), st.integers(1, 14), st.booleans(), st.integers(0, 255))
QUOTA = {RECORD_TYPE.REVIEW: 3}


def _taken_in(order: list[Place]) -> set[bytes]:
    """What a registry holds that admits one by one, by winner and quota alone."""
    held: dict[bytes, Place] = {}
    for place in order:
        if place.slot not in held or wins(place, held=held[place.slot]):
            held[place.slot] = place
        held = {kept.slot: kept for kept in within_quotas(held.values(), quotas=QUOTA)}
    return {place.digest for place in held.values()}


@given(st.lists(SPECS, max_size=6, unique_by=lambda spec: spec[4]), st.randoms(use_true_random=False))
def test_what_is_held_in_the_end_does_not_depend_on_the_order(
    specs: list[tuple[int, int, int, bool, int]], random: object
) -> None:
    places = [_made(spec) for spec in specs]
    shuffled = list(places)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    doubled = [*shuffled, *places]
    assert _taken_in(places) == _taken_in(shuffled) == _taken_in(doubled)


def test_the_quota_keeps_what_ends_last_whatever_the_order() -> None:
    places = [_drawn(RECORD_TYPE.REVIEW, slot=n, issued=0, end=n, digest=n) for n in range(1, 6)]
    assert {frozenset(_taken_in(list(order))) for order in itertools.permutations(places)} == {
        frozenset(_slot(number) for number in (3, 4, 5))
    }


@pytest.mark.parametrize("kind", [kind for kind in reviews.QUOTAS if kind > 0])
def test_every_slot_type_has_a_quota(kind: reviews.RecordType) -> None:
    assert reviews.QUOTAS[kind] >= 1
    assert reviews.RecordType.RETRACTION not in reviews.QUOTAS
