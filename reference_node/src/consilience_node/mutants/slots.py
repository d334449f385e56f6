"""Mutants of slots: what a registry keeps of what it admitted (spec section 4.4, steps 9 to 13)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace as changed
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import delete, update

from consilience.nodes import NodeCard
from consilience.reviews import QUOTAS, PublishOutcome, RecordType
from consilience.server.registry import finding, migrations, reading, shelving, statements
from consilience.server.registry.schema import RECORDS
from consilience.units import utc_now
from consilience_node.mutants.registry import mutant, replace

Make = Callable[..., Any]

_LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


@mutant("retired-keys-sign")
def _retired_keys_sign() -> None:
    """What a node signed after it went over to another root key is taken in."""
    replace(statements, "_retirement", lambda _: lambda *_: None)


@mutant("retired-nodes-are-found")
def _retired_nodes_are_found() -> None:
    """A node that went over to another root key is found by an earlier card."""

    def shelved(admit: Make) -> Make:
        def admitted(connection: Any, placed: Any, *, serial: int, **more: Any) -> Any:
            retired = statements._retirement(connection, placed.place.subject)
            outcome = admit(connection, placed, serial=serial, **more)
            card = placed.record.object.value
            if retired is not None and outcome is PublishOutcome.STORED and isinstance(card, NodeCard):
                place = shelving.put_in(connection, card, instead_of=None)
                connection.execute(update(RECORDS).where(RECORDS.c.serial == serial).values(place=place))
            return outcome

        return admitted

    replace(statements, "_admit", shelved)


@mutant("succession-drops-nothing")
def _succession_drops_nothing() -> None:
    """What a node signed after its succession stays, where it came before."""
    replace(statements, "_retire", lambda _: lambda *_: None)


@mutant("succession-drops-everything")
def _succession_drops_everything() -> None:
    """A succession drops everything that is about the old node."""

    def greedy(_: Make) -> Make:
        def retire(connection: Any, succession: Any) -> None:
            others = RECORDS.c.type != int(RecordType.KEY_SUCCESSION)
            connection.execute(delete(RECORDS).where(RECORDS.c.subject == succession.subject, others))

        return retire

    replace(statements, "_retire", greedy)


def _wins(decide: Callable[[Any, Any], bool | None]) -> None:
    """Decides slots otherwise, where a function does."""

    def deciding(wins: Make) -> Make:
        def won(newcomer: Any, *, held: Any) -> bool:
            decided = decide(newcomer, held)
            return bool(wins(newcomer, held=held)) if decided is None else decided

        return won

    replace(statements, "wins", deciding)


def _between(*types: RecordType) -> Callable[[Any, Any], bool]:
    return lambda newcomer, held: (newcomer.type, held.type) == types


@mutant("last-succession-wins")
def _last_succession_wins() -> None:
    """A succession takes the place of an earlier one."""
    both = _between(RecordType.KEY_SUCCESSION, RecordType.KEY_SUCCESSION)
    _wins(lambda newcomer, held: True if both(newcomer, held) else None)


@mutant("earlier-cards-win")
def _earlier_cards_win() -> None:
    """A card takes the place of a later one."""
    both = _between(RecordType.NODE_CARD, RecordType.NODE_CARD)
    _wins(lambda newcomer, held: True if both(newcomer, held) else None)


@mutant("any-retraction-wins")
def _any_retraction_wins() -> None:
    """A retraction takes the place of its target, though it ends sooner."""
    _wins(lambda newcomer, held: True if newcomer.type is RecordType.RETRACTION is not held.type else None)


@mutant("shorter-retraction-wins")
def _shorter_retraction_wins() -> None:
    """Of two retractions the one that came last stays."""
    both = _between(RecordType.RETRACTION, RecordType.RETRACTION)
    _wins(lambda newcomer, held: True if both(newcomer, held) else None)


@mutant("later-review-wins")
def _later_review_wins() -> None:
    """A review may be edited: the later one stays."""
    both = _between(RecordType.REVIEW, RecordType.REVIEW)
    _wins(lambda newcomer, held: newcomer.issue_time > held.issue_time if both(newcomer, held) else None)


@mutant("larger-digest-wins")
def _larger_digest_wins() -> None:
    """Of two rebuttals of one time the one with the larger digest stays."""
    both = _between(RecordType.REBUTTAL, RecordType.REBUTTAL)
    _wins(
        lambda newcomer, held: (
            newcomer.digest > held.digest if both(newcomer, held) and newcomer.issue_time == held.issue_time else None
        )
    )


@mutant("reviews-after-a-retraction")
def _reviews_after_a_retraction() -> None:
    """Whoever took a review back may write another one."""
    both = _between(RecordType.REVIEW, RecordType.RETRACTION)
    _wins(lambda newcomer, held: True if both(newcomer, held) and newcomer.issue_time > held.issue_time else None)


@mutant("losers-are-not-told")
def _losers_are_not_told() -> None:
    """A review that lost its slot is called superseded."""
    replace(statements, "refusal_of", lambda _: lambda *_, **__: None)


@mutant("ended-cards-forgotten")
def _ended_cards_forgotten() -> None:
    """A card that has ended gives its slot to any other."""
    both = _between(RecordType.NODE_CARD, RecordType.NODE_CARD)
    _wins(lambda newcomer, held: True if both(newcomer, held) and held.end <= utc_now() else None)


@mutant("ended-records-fetched")
def _ended_records_fetched() -> None:
    """GetRecord returns what has ended."""
    replace(reading, "get", lambda get: lambda connection, digest, now: get(connection, digest, now=_LONG_AGO))  # noqa: ARG005


@mutant("ended-records-listed")
def _ended_records_listed() -> None:
    """ListRecords returns what has ended."""
    replace(reading, "about", lambda about: lambda *query, now, **page: about(*query, now=_LONG_AGO, **page))  # noqa: ARG005


@mutant("ended-cards-found")
def _ended_cards_found() -> None:
    """FindNodes returns cards that have ended."""
    replace(finding, "fitting", lambda fitting: lambda *query, now, **page: fitting(*query, now=_LONG_AGO, **page))  # noqa: ARG005


def _quotas(change: Callable[[dict[RecordType, int]], None]) -> None:
    quotas = dict(QUOTAS)
    change(quotas)

    def admitting(admit: Make) -> Make:
        return lambda *arguments, **more: admit(*arguments, **{**more, "quotas": quotas})

    replace(statements, "admit", admitting)


@mutant("small-quota")
def _small_quota() -> None:
    """An author keeps 999 advisories."""
    _quotas(lambda quotas: quotas.update({RecordType.ADVISORY: 999}))


@mutant("no-quota")
def _no_quota() -> None:
    """An author keeps as many advisories as he likes."""
    _quotas(lambda quotas: quotas.update({RecordType.ADVISORY: 10**6}))


@mutant("full-quota-takes-nothing")
def _full_quota_takes_nothing() -> None:
    """Whoever has filled his quota publishes no more until something ends."""

    def closing(last: Make) -> Make:
        def last_within(*arguments: Any, **more: Any) -> Any:
            row = last(*arguments, **more)
            return None if row is None else _Last(row)

        return last_within

    replace(statements, "_last_within_quota", closing)


class _Last:
    """A row that nothing pushes out."""

    def __init__(self, row: Any) -> None:
        self.serial, self.end_time, self.slot = row.serial, datetime.max.replace(tzinfo=UTC), row.slot


@mutant("ties-in-the-quota-drop-the-higher-slot")
def _ties_in_the_quota_drop_the_higher_slot() -> None:
    """Of two that end at one time, the one with the lower slot is kept."""

    def turned(rank: Make) -> Make:
        return lambda place: (rank(place)[0], bytes(255 - byte for byte in place.slot))

    def turned_row(last: Make) -> Make:
        def last_within(*arguments: Any, **more: Any) -> Any:
            row = last(*arguments, **more)
            return None if row is None else _Turned(row)

        return last_within

    replace(statements, "rank", turned)
    replace(statements, "_last_within_quota", turned_row)


class _Turned:
    """A row whose slot compares the other way round."""

    def __init__(self, row: Any) -> None:
        self.serial, self.end_time = row.serial, row.end_time
        self.slot = bytes(255 - byte for byte in row.slot)


@mutant("quota-drops-reviews-too")
def _quota_drops_reviews_too() -> None:
    """An author who fills the quota of advisories loses his reviews."""

    def greedy(last: Make) -> Make:
        def last_within(connection: Any, place: Any, **more: Any) -> Any:
            row = last(connection, place, **more)
            if row is not None:
                of_author = (RECORDS.c.author == place.author, RECORDS.c.type == int(RecordType.REVIEW))
                connection.execute(delete(RECORDS).where(*of_author))
            return row

        return last_within

    replace(statements, "_last_within_quota", greedy)


@mutant("retractions-beside-the-quota")
def _retractions_beside_the_quota() -> None:
    """A retraction of what is not there is kept beside the quota."""

    def generous(admit: Make) -> Make:
        def admitted(connection: Any, placed: Any, **more: Any) -> Any:
            if placed.place.type is RecordType.RETRACTION:
                quotas = {kind: most + 1 for kind, most in more["quotas"].items()}
                return admit(connection, changed(placed), **{**more, "quotas": quotas})
            return admit(connection, placed, **more)

        return admitted

    replace(statements, "_admit", generous)


@mutant("records-of-one-life")
def _records_of_one_life() -> None:
    """A registry begins each life without a record."""

    def forgetful(prepare: Make) -> Make:
        def prepared(connection: Any) -> Any:
            identity = prepare(connection)
            connection.execute(delete(RECORDS))
            return identity

        return prepared

    replace(migrations, "prepare", forgetful)
