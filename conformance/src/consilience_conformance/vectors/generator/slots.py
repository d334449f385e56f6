"""Makes slots.json: which of two records of one author stays in a slot, and what a registry says to the other."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import partial
from itertools import combinations, count

from consilience.v1 import review_pb2
from consilience.v1.registry_pb2 import Record
from consilience_conformance import envelopes
from consilience_conformance.vectors.generator import messages, reviews
from consilience_conformance.vectors.generator.actors import ASKER, NEXT_ROOT, NODE, SIGNING_KEY, rfc3339, timestamp
from consilience_conformance.vectors.generator.layout import BugType, Case, Group, Json, Note, Refused, VectorFile

_NOTES = {
    "Cards": Note(bug_type=BugType.DISAGREEMENT, description="Of two cards, the one that 1.3 selects."),
    "Successions": Note(bug_type=BugType.AUTH_BYPASS, description="A succession stays, whatever comes after it."),
    "TakenBack": Note(
        bug_type=BugType.DISAGREEMENT, description="A retraction that ends no sooner than what it takes back."
    ),
    "EndsSooner": Note(bug_type=BugType.BOUNDARY, description="A retraction that ends before what it takes back."),
    "Retractions": Note(bug_type=BugType.DISAGREEMENT, description="Of two retractions, the one that ends later."),
    "Reviews": Note(bug_type=BugType.DISAGREEMENT, description="Of two reviews of a ticket, the earlier."),
    "Rebuttals": Note(bug_type=BugType.DISAGREEMENT, description="Of two rebuttals of one review, the later."),
    "Tie": Note(bug_type=BugType.DISAGREEMENT, description="Where times find no difference, the smaller digest wins."),
}
_NAMES = ("one", "two", "three", "four", "five", "six", "seven", "eight")
_MICROSECOND = timedelta(microseconds=1)
_MINUTE = timedelta(minutes=1)
_NOW = reviews.REVIEW_TIME + timedelta(hours=1)
_ADVISORY_END = reviews.REVIEW_TIME + timedelta(days=30)
_TICKET_USED = Refused(reason="TICKET_USED", requirement="REC-SLOT-001")
_RETRACTED = Refused(reason="RECORD_RETRACTED", requirement="REC-SLOT-001")
_SUCCESSION = Refused(reason="SUCCESSION_INVALID", requirement="REC-KEY-001")


def make() -> VectorFile:
    """Returns the file."""
    return VectorFile(
        name="slots",
        subject="Slots: of two records of one author, which one stays, whichever came first.",
        spec="docs/spec/4-reviews.md",
        notes=_NOTES,
        groups=[
            Group(
                type="SlotDecision",
                comment="A record that holds a slot, and one that comes later; a registry would admit both",
                shared={"now": rfc3339(_NOW)},
                cases=[
                    *_cards(),
                    *_successions(),
                    *_taken_back(),
                    *_advisories_taken_back(),
                    *_retractions(),
                    *_reviews(),
                    *_rebuttals(),
                ],
            )
        ],
    )


def _hex(record: Record) -> str:
    return record.SerializeToString(deterministic=True).hex()


def _both_ways(
    comment: str, *flags: str, winner: Record, loser: Record, refused: Refused | None = None
) -> Iterator[Case]:
    """Yields what a registry that holds the loser says to the winner, and the reverse.

    Args:
        comment: What tells the two apart.
        flags: Of the notes.
        winner: Stays.
        loser: Does not.
        refused: What is said to the loser, or None: that it is superseded.
    """
    taken: Json = {"held": _hex(loser), "newcomer": _hex(winner), "outcome": "STORED"}
    yield Case(comment=f"{comment}: the winner comes later", flags=flags, inputs=taken)
    left: Json = {"held": _hex(winner), "newcomer": _hex(loser)}
    if refused is None:
        left = {**left, "outcome": "SUPERSEDED"}
    yield Case(comment=f"{comment}: the loser comes later", flags=flags, inputs=left, refused=refused)


def _ties(what: str, flag: str, make: Callable[[str], Record], *, refused: Refused | None = None) -> Iterator[Case]:
    """Yields ties of records that only a name tells apart: two, and two whose payloads alone hash the other way."""
    made = sorted(map(make, _NAMES), key=_digest)
    crossed = next((one, two) for one, two in combinations(made, 2) if _payload_hash(one) > _payload_hash(two))
    for more, (winner, loser) in (("", (made[0], made[-1])), (", whose payloads hash the other way", crossed)):
        comment = f"two {what} of one time{more}"
        yield from _both_ways(comment, flag, "Tie", winner=winner, loser=loser, refused=refused)


def _against_digests(make: Callable[[str], Record], *, loser: Record) -> Record:
    """Returns a record that would lose, were it for the digests."""
    names = (f"number {number}" for number in count())
    return next(record for record in map(make, names) if _digest(record) > _digest(loser))


def _payload_hash(record: Record) -> bytes:
    return hashlib.sha256(record.object.payload).digest()


def _digest(record: Record) -> bytes:
    return envelopes.envelope_digest(record.object)


def _card(*, name: str = "units", issue_time: datetime = messages.CARD_ISSUE_TIME) -> Record:
    card = messages.card(issue_time=issue_time)
    card.name = name
    return reviews.record(envelopes.seal(card, seed=NODE.seed))


def _cards() -> Iterator[Case]:
    newer = _against_digests(
        lambda name: _card(name=name, issue_time=messages.CARD_ISSUE_TIME + _MICROSECOND), loser=_card()
    )
    yield from _both_ways("two cards, a microsecond apart", "Cards", winner=newer, loser=_card())
    yield from _ties("cards", "Cards", lambda name: _card(name=name))


def _succession(issue_time: datetime) -> Record:
    acceptance = reviews.acceptance()
    acceptance.issue_time.CopyFrom(timestamp(issue_time))
    accepted = envelopes.seal(acceptance, seed=NEXT_ROOT.seed)
    return reviews.shown(reviews.succession(accepted=accepted), by=NODE)


def _successions() -> Iterator[Case]:
    one, other = _succession(reviews.REVIEW_TIME), _succession(reviews.REVIEW_TIME + _MINUTE)
    for comment, held, newcomer in (("a later succession", one, other), ("an earlier succession", other, one)):
        inputs = {"held": _hex(held), "newcomer": _hex(newcomer)}
        yield Case(comment=f"{comment} of the same key", flags=["Successions"], inputs=inputs, refused=_SUCCESSION)


def _review(*, issue_time: datetime = reviews.REVIEW_TIME, comment: str = "") -> Record:
    review = reviews.review(of=reviews.sealed_ticket())
    review.issue_time.CopyFrom(timestamp(issue_time))
    review.comment = comment
    return reviews.shown(review, by=ASKER)


def _retraction(
    *,
    end: datetime = reviews.REVIEW_END,
    issue_time: datetime = reviews.REVIEW_TIME + _MINUTE,
    comment: str = "",
    of: Record | None = None,
) -> Record:
    """Returns a retraction of the review, or of an advisory."""
    retraction = reviews.retraction()
    retraction.issue_time.CopyFrom(timestamp(issue_time))
    retraction.expire_time.CopyFrom(timestamp(end))
    retraction.comment = comment
    if of is not None:
        retraction.target_type = review_pb2.RECORD_TYPE_ADVISORY
        retraction.target_digest = _digest(of)
    return reviews.record(envelopes.seal(retraction, seed=ASKER.seed))


def _taken_back() -> Iterator[Case]:
    end = reviews.REVIEW_END
    taken = [
        ("a review, and a retraction that ends with it", _retraction()),
        ("a review, and a retraction that ends later", _retraction(end=end + _MINUTE)),
        ("a review, and a retraction that was written first", _retraction(issue_time=reviews.ISSUE_DAY)),
        ("a review, and a retraction of its very instant", _retraction(issue_time=reviews.REVIEW_TIME)),
    ]
    for comment, retraction in taken:
        yield from _both_ways(comment, "TakenBack", winner=retraction, loser=_review(), refused=_RETRACTED)
    late = _review(issue_time=reviews.REVIEW_TIME + timedelta(minutes=30))
    comment = "a review whose end is counted from its ticket, and a retraction that ends with it"
    yield from _both_ways(comment, "TakenBack", winner=_retraction(), loser=late, refused=_RETRACTED)
    for name, by in (("a microsecond", _MICROSECOND), ("a year", timedelta(days=365))):
        comment = f"a review, and a retraction that ends {name} sooner"
        yield from _both_ways(comment, "EndsSooner", winner=_review(), loser=_retraction(end=end - by))


def _advisories_taken_back() -> Iterator[Case]:
    advisory = reviews.record(envelopes.seal(reviews.advisory(), seed=ASKER.seed))
    for comment, end in (("with it", _ADVISORY_END), ("later", _ADVISORY_END + _MINUTE)):
        yield from _both_ways(
            f"an advisory, and a retraction that ends {comment}",
            "TakenBack",
            winner=_retraction(end=end, of=advisory),
            loser=advisory,
            refused=_RETRACTED,
        )
    sooner = _retraction(end=_ADVISORY_END - _MICROSECOND, of=advisory)
    comment = "an advisory, and a retraction that ends a microsecond sooner"
    yield from _both_ways(comment, "EndsSooner", winner=advisory, loser=sooner)


def _longer_retraction(issue_time: datetime, comment: str) -> Record:
    return _retraction(issue_time=issue_time, end=reviews.REVIEW_END + _MICROSECOND, comment=comment)


def _retractions() -> Iterator[Case]:
    usual = _retraction()
    for when, issue_time in (("first", reviews.REVIEW_TIME), ("last", reviews.REVIEW_TIME + 2 * _MINUTE)):
        longer = _against_digests(partial(_longer_retraction, issue_time), loser=usual)
        comment = f"two retractions, the longer written {when}"
        yield from _both_ways(comment, "Retractions", winner=longer, loser=usual)
    yield from _ties("retractions", "Retractions", lambda name: _retraction(comment=name))


def _reviews() -> Iterator[Case]:
    usual, later = _review(), _review(issue_time=reviews.REVIEW_TIME + _MICROSECOND, comment="On second thought.")
    first = _against_digests(lambda name: _review(comment=name), loser=later)
    comment = "two reviews, a microsecond apart"
    yield from _both_ways(comment, "Reviews", winner=first, loser=later, refused=_TICKET_USED)
    first = _against_digests(lambda name: _review(issue_time=reviews.ISSUE_DAY, comment=name), loser=usual)
    comment = "two reviews, one of the first instant that can be"
    yield from _both_ways(comment, "Reviews", winner=first, loser=usual, refused=_TICKET_USED)
    yield from _ties("reviews", "Reviews", lambda name: _review(comment=name), refused=_TICKET_USED)


def _rebuttal(*, issue_time: datetime = reviews.REVIEW_TIME + 2 * _MINUTE, comment: str = "No.") -> Record:
    rebuttal = reviews.rebuttal()
    rebuttal.issue_time.CopyFrom(timestamp(issue_time))
    rebuttal.comment = comment
    return reviews.shown(rebuttal, by=SIGNING_KEY)


def _rebuttals() -> Iterator[Case]:
    time = reviews.REVIEW_TIME + 2 * _MINUTE + _MICROSECOND
    later = _against_digests(lambda name: _rebuttal(issue_time=time, comment=name), loser=_rebuttal())
    yield from _both_ways("two rebuttals, a microsecond apart", "Rebuttals", winner=later, loser=_rebuttal())
    yield from _ties("rebuttals", "Rebuttals", lambda name: _rebuttal(comment=name))
