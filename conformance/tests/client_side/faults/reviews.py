"""Faults in counting what is said of nodes, and in saying it."""

import dataclasses
from collections.abc import Callable
from typing import Any

from conformance.tests.client_side.faults.registry import fault, replace
from consilience.client import openings
from consilience.client.reviews import gathering, opinions, verifying
from consilience.client.reviews.retractions import Retractions
from consilience.errors import SigningKeyUnknownError, SuccessionInvalidError, TicketInvalidError
from consilience.reviews import Merged, Rebuttal, RecordType, Review, merging, records, reviewer_commitment


def _overlooks_in_reviews(name: str, right: Callable[[Review], dict[str, Any]]) -> None:
    """Registers the fault of a client that checks a review as if some of its fields were right."""

    def apply() -> None:
        def make(check: Any) -> Any:
            return lambda review: check(dataclasses.replace(review, **right(review)))

        replace(records, "_check_ticket", make)

    fault(name)(apply)


def _with(signed: Any, **fields: Any) -> Any:
    return dataclasses.replace(signed, value=dataclasses.replace(signed.value, **fields))


def _attested(review: Review, **fields: Any) -> dict[str, Any]:
    return {} if review.attestation is None else {"attestation": _with(review.attestation, **fields)}


_overlooks_in_reviews(
    "overlooks-whose-ticket-it-is",
    lambda review: {
        "ticket": _with(
            review.ticket, reviewer_commitment=reviewer_commitment(review.reviewer, salt=review.ticket_salt)
        )
    },
)
_overlooks_in_reviews(
    "counts-reviews-of-scripts", lambda review: {"ticket": _with(review.ticket, skill_id="units.convert")}
)
_overlooks_in_reviews(
    "overlooks-the-day-of-a-ticket",
    lambda review: {"issue_time": max(review.issue_time, review.ticket.value.issue_day)},
)
_overlooks_in_reviews(
    "overlooks-what-is-attested", lambda review: _attested(review, ticket_digest=review.ticket.digest)
)
_overlooks_in_reviews(
    "overlooks-whom-an-attestation-names", lambda review: _attested(review, node_id=review.ticket.value.node_id)
)


def _refuses(name: str, wrong: Callable[[Any, Any], bool], error: type[Exception]) -> None:
    """Registers the fault of a client that refuses records that hold."""

    def apply() -> None:
        def make(place_of: Any) -> Any:
            def strict(record: Any, *, now: Any, **more: Any) -> Any:
                if isinstance(record.object.value, Review) and wrong(record, now):
                    raise error("it is not as one is used to")
                return place_of(record, now=now, **more)

            return strict

        replace(verifying, "place_of", make)

    fault(name)(apply)


_refuses("wants-a-card-beside-each-review", lambda record, _: record.card is None, SigningKeyUnknownError)
_refuses(
    "wants-cards-beside-to-last",
    lambda record, now: record.card is not None and record.card.value.expire_time < now,
    SigningKeyUnknownError,
)
_refuses("counts-no-paid-answers", lambda record, _: record.object.value.attestation is not None, TicketInvalidError)


@fault("counts-every-review-of-a-ticket")
def _counts_every_review_of_a_ticket() -> None:
    def make(merge: Any) -> Any:
        def generous(served: Any) -> Merged:
            view: Merged = merge(served)
            held = {placed.slot: placed for placed in view.records}
            losers = {
                placed.place.digest: placed
                for placeds in served.values()
                for placed in placeds
                if held[placed.slot].place.type is placed.place.type is RecordType.REVIEW
            }
            kept = {placed.place.digest: placed for placed in view.records}
            return dataclasses.replace(view, records=tuple({**kept, **losers}.values()))

        return generous

    replace(gathering, "merged", make)


def _decides(name: str, kind: RecordType, decide: Callable[[Any, Any], bool]) -> None:
    """Registers the fault of a client that decides a slot between two records of a type by another rule."""

    def apply() -> None:
        def make(wins: Any) -> Any:
            def wrongly(newcomer: Any, *, held: Any) -> bool:
                return bool(decide(newcomer, held) if newcomer.type is held.type is kind else wins(newcomer, held=held))

            return wrongly

        replace(merging, "wins", make)

    fault(name)(apply)


_decides(
    "keeps-the-larger-digest",
    RecordType.REVIEW,
    lambda newcomer, held: (held.issue_time, newcomer.digest) > (newcomer.issue_time, held.digest),
)
_decides("keeps-the-first-rebuttal", RecordType.REBUTTAL, lambda *_: False)
_decides("keeps-the-card-that-came-first", RecordType.NODE_CARD, lambda *_: False)


@fault("overlooks-retractions")
def _overlooks_retractions() -> None:
    replace(opinions, "WANTED", lambda wanted: tuple(one for one in wanted if one is not RecordType.RETRACTION))


@fault("forgets-retractions")
def _forgets_retractions() -> None:
    replace(Retractions, "about", lambda _: lambda *_, **__: ())


@fault("heeds-retractions-of-anybody")
def _heeds_retractions_of_anybody() -> None:
    def make(merge: Any) -> Any:
        def gullible(served: Any) -> Merged:
            view: Merged = merge(served)
            gone = {placed.place.slot for placed in view.records if placed.place.type is RecordType.RETRACTION}
            left = tuple(
                placed
                for placed in view.records
                if placed.place.type is RecordType.RETRACTION or placed.place.slot not in gone
            )
            return dataclasses.replace(view, records=left)

        return gullible

    replace(gathering, "merged", make)


@fault("shows-no-rebuttal")
def _shows_no_rebuttal() -> None:
    replace(Merged, "rebuttal_of", lambda _: lambda *_: None)


@fault("shows-rebuttals-of-anybody")
def _shows_rebuttals_of_anybody() -> None:
    def anybody(view: Merged, placed: Any) -> Any:
        values = (other.record.object.value for other in view.records if other.place.slot == placed.place.slot)
        return next((value for value in values if isinstance(value, Rebuttal)), None)

    replace(Merged, "rebuttal_of", lambda _: anybody)
    replace(
        opinions, "gather", lambda gather: lambda *asked, **rest: gather(*asked, **{**rest, "fits": lambda _: True})
    )


def _overlooks_in_successions(name: str, right: Callable[[Any, Any], tuple[Any, Any]]) -> None:
    """Registers the fault of a client that checks a succession, and the card beside it, as if they were right."""

    def apply() -> None:
        def make(check: Any) -> Any:
            def lenient(succession: Any, *, card: Any) -> None:
                if card is None:
                    raise SuccessionInvalidError("there is no card")
                succession, card = right(succession, card)
                check(succession, card=card)

            return lenient

        replace(records, "_check_succession", make)

    fault(name)(apply)


_overlooks_in_successions(
    "overlooks-whom-an-acceptance-names",
    lambda succession, card: (
        dataclasses.replace(succession, acceptance=_with(succession.acceptance, old_node_id=succession.old_node_id)),
        card,
    ),
)
_overlooks_in_successions(
    "overlooks-whose-card-hands-over",
    lambda succession, card: (succession, _with(card, node_id=succession.old_node_id)),
)
_overlooks_in_successions(
    "overlooks-when-a-card-hands-over", lambda succession, card: (succession, _with(card, sequence=1))
)


@fault("follows-any-heir")
def _follows_any_heir() -> None:
    replace(records, "check_commitment", lambda _: lambda *_, **__: None)


@fault("hands-over-without-a-card")
def _hands_over_without_a_card() -> None:
    def make(check: Any) -> Any:
        return lambda succession, *, card: None if card is None else check(succession, card=card)

    replace(records, "_check_succession", make)


@fault("draws-one-salt")
def _draws_one_salt() -> None:
    replace(openings, "new_salt", lambda _: lambda: bytes(32))
