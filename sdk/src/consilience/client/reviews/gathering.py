"""Gathering: one question to several registries, by the algorithm of spec section 4.6.

What each one served is verified here, laid together, and held against what the others served. Whoever lacks something
is handed it: its answer tells whether it was behind, or had it all along and was silent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import Enum

from consilience._wire.records import open_record
from consilience.calls import MAX_CLOCK_SKEW
from consilience.client.reviews.registries import FAILURES, Reading, Registry
from consilience.errors import (
    ConsilienceError,
    FieldInvalidError,
    LimitExceededError,
    NoRegistryError,
    ProtocolError,
    RecordRetractedError,
    RefusedError,
    TicketUsedError,
    TransportError,
)
from consilience.reviews import (
    Merged,
    Placed,
    PublishOutcome,
    Record,
    RecordQuery,
    RecordType,
    card_fits,
    merged,
    place_of,
)
from consilience.reviews.finding import NodeQuery
from consilience.units import Digest

MAX_HANDED_IN = 32
"""Records that one registry is handed after one question; the rest waits for the next."""


class FaultKind(Enum):
    """What is wrong with a registry."""

    UNREACHABLE = "unreachable"
    """It did not answer."""
    NO_REGISTRY = "no registry"
    """It is a node that keeps no records, and its card does not say that it does."""
    BUSY = "busy"
    """It was asked too often from this address, and answers later."""
    REFUSING = "refusing"
    """It refused the question, or what others hold, or answered by none of the rules; or it says that it has something
    newer, and does not show it."""
    INVALID = "invalid"
    """It served what does not hold, or does not fit: no registry admits it, whatever its clock (REC-READ-001)."""
    BEHIND = "behind"
    """It did not serve what others did, or something older, and has taken it in now."""
    SILENT = "silent"
    """It did not serve what it has."""
    PARTIAL = "read in part"
    """It has more that fits than is read of one registry: what it did not serve is not held against it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Something wrong with a registry.

    Attributes:
        registry: The one that it is.
        kind: What is wrong.
        detail: For people.
        digest: The record that shows it; empty: none does.
    """

    registry: str
    kind: FaultKind
    detail: str
    digest: bytes = b""

    def __str__(self) -> str:
        return f"{self.registry} is {self.kind.value}: {self.detail}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathered:
    """What several registries know together.

    Attributes:
        merged: One view of it.
        served_by: By the digest of each record, the names of the registries that served it.
        faults: What is wrong with which of them.
    """

    merged: Merged
    served_by: dict[Digest, tuple[str, ...]]
    faults: tuple[Fault, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Served:
    """What a registry served that holds.

    Attributes:
        registry: The registry.
        records: What it served.
        is_whole: Whether that is all that it has.
    """

    registry: Registry
    records: list[Placed]
    is_whole: bool


@dataclass(slots=True, kw_only=True)
class _HandedIn:
    """What came of handing in what a registry did not serve.

    Attributes:
        faults: What that shows.
        known: What it says that it has already.
        superseded: What it says that something newer stands in the place of.
    """

    faults: list[Fault] = field(default_factory=list)
    known: list[Placed] = field(default_factory=list)
    superseded: list[Placed] = field(default_factory=list)


_HERE = ""
"""Under this name stands, where records are laid together, what no registry served."""

Ask = Callable[[Registry], Awaitable[Reading[Record]]]


async def gather(
    registries: Sequence[Registry],
    ask: Ask,
    *,
    now: datetime,
    fits: Callable[[Placed], bool],
    known: Sequence[Placed] = (),
) -> Gathered:
    """Asks several registries one question, and tells what they know together and who held something back.

    Args:
        registries: One at least.
        ask: Asks one of them, and returns what it served, unverified.
        now: Aware UTC.
        fits: Whether a record that holds is an answer to the question.
        known: Answers that were seen before and still hold.

    Raises:
        ConsilienceError: None of them answered; the failure of the first.
    """
    answers = await asyncio.gather(*(_answer(registry, ask) for registry in registries))
    if all(isinstance(answer, ConsilienceError) for answer in answers):
        raise next(answer for answer in answers if isinstance(answer, ConsilienceError))
    served, faults = await _served(registries, answers, now=now, fits=fits)
    holding = {name: one.records for name, one in served.items()}
    view = merged({**holding, _HERE: known})
    news: list[Placed] = []
    for name, one in served.items():
        lacking = _lacking(one, view=view, missing=view.missing.get(name, frozenset()), now=now)
        handed = await _hand_in(one.registry, lacking[:MAX_HANDED_IN])
        newer, unshown = await _in_place_of(handed.superseded, registry=one.registry, now=now)
        news += newer
        faults += [*handed.faults, *unshown]
        if handed.known:
            faults += await _asked_again(one.registry, ask, handed.known)
    if news:
        view = merged({**holding, _HERE: [*known, *news]})
        faults += _outdated(holding, [winner for winner in news if not winner.place.is_in_dispute(now=now)])
    serving: dict[Digest, tuple[str, ...]] = {}
    for name, records in holding.items():
        for placed in records:
            serving[placed.place.digest] = (*serving.get(placed.place.digest, ()), name)
    return Gathered(merged=replace(view, missing={}), served_by=serving, faults=tuple(faults))


def opened(record: Record, *, now: datetime, skew: timedelta = timedelta(0)) -> Placed:
    """Returns a record that a client may use (REC-READ-001).

    Args:
        record: As it came.
        now: Aware UTC.
        skew: What ended no longer ago is returned all the same.

    Raises:
        RefusedError: It fails a step of spec section 4.4.
    """
    found = open_record(record)
    return Placed(record=found, place=place_of(found, now=now, skew=skew))


async def _answer(registry: Registry, ask: Ask) -> Reading[Record] | ConsilienceError:
    try:
        return await ask(registry)
    except FAILURES as error:
        return error


def _failed(registry: Registry, error: ConsilienceError) -> Fault:
    match error:
        case TransportError():
            kind = FaultKind.UNREACHABLE
        case NoRegistryError():
            return Fault(registry=registry.name, kind=FaultKind.NO_REGISTRY, detail="it keeps no records")
        case LimitExceededError(retry_after=timedelta()):
            kind = FaultKind.BUSY
        case _:
            kind = FaultKind.REFUSING
    return Fault(registry=registry.name, kind=kind, detail=str(error))


async def _served(
    registries: Sequence[Registry],
    answers: Sequence[Reading[Record] | ConsilienceError],
    *,
    now: datetime,
    fits: Callable[[Placed], bool],
) -> tuple[dict[str, _Served], list[Fault]]:
    """Returns by the names of registries what they served that holds, and what is wrong with the answers."""
    served: dict[str, _Served] = {}
    faults: list[Fault] = []
    for registry, answer in zip(registries, answers, strict=True):
        if isinstance(answer, ConsilienceError):
            faults.append(_failed(registry, answer))
            continue
        records, broken = await asyncio.to_thread(_holding, registry, answer.items, now=now, fits=fits)
        served[registry.name] = _Served(registry=registry, records=records, is_whole=answer.is_whole)
        faults += broken
        if not answer.is_whole:
            detail = f"{len(answer.items):,} records of it were read, and it goes on"
            faults.append(Fault(registry=registry.name, kind=FaultKind.PARTIAL, detail=detail))
    return served, faults


def _lacking(served: _Served, *, view: Merged, missing: frozenset[Digest], now: datetime) -> list[Placed]:
    """Returns what a registry lacks by any clock; one that was read in part, only where it served what loses to it."""
    lacking = [
        placed for placed in view.records if placed.place.digest in missing and not placed.place.is_in_dispute(now=now)
    ]
    if served.is_whole:
        return lacking
    slots = {placed.slot for placed in served.records}
    return [placed for placed in lacking if placed.slot in slots]


def _holding(
    registry: Registry, records: Sequence[Record], *, now: datetime, fits: Callable[[Placed], bool]
) -> tuple[list[Placed], list[Fault]]:
    """Returns what holds of what a registry served, and what does not hold by any clock.

    It verifies signatures: call it in a thread.
    """
    holding: list[Placed] = []
    faults: list[Fault] = []
    for record in records:
        try:
            placed = opened(record, now=now, skew=MAX_CLOCK_SKEW)
            if not fits(placed):
                raise FieldInvalidError("it is not what was asked for")
        except RefusedError as error:
            detail = f"it served {record.digest.hex()[:16]}, which does not hold: {error}"
            faults.append(Fault(registry=registry.name, kind=FaultKind.INVALID, detail=detail, digest=record.digest))
        else:
            holding += [] if placed.place.has_ended(now=now) else [placed]
    return holding, faults


async def _hand_in(registry: Registry, lacking: Sequence[Placed]) -> _HandedIn:
    """Hands in what a registry lacks, and returns what that shows."""
    handed = _HandedIn()

    def tell(kind: FaultKind, placed: Placed, words: str) -> None:
        handed.faults.append(_not_served(placed, registry=registry, kind=kind, words=f"and {words}"))

    for placed in lacking:
        try:
            outcome = await registry.publish(placed.record.record)
        except (TransportError, ProtocolError, NoRegistryError, LimitExceededError) as error:
            handed.faults.append(_failed(registry, error))
            return handed
        except (RecordRetractedError, TicketUsedError):
            outcome = PublishOutcome.SUPERSEDED
        except RefusedError as error:
            tell(FaultKind.REFUSING, placed, f"refuses it: {error}")
            continue
        match outcome:
            case PublishOutcome.STORED:
                tell(FaultKind.BEHIND, placed, "has it now")
            case PublishOutcome.KNOWN:
                handed.known.append(placed)
            case PublishOutcome.SUPERSEDED:
                handed.superseded.append(placed)
            case _:
                tell(FaultKind.REFUSING, placed, "says what this version does not understand")
    return handed


async def _asked_again(registry: Registry, ask: Ask, known: Sequence[Placed]) -> list[Fault]:
    """Asks a registry again that says that it has what it did not serve: it may have come just now."""
    answer = await _answer(registry, ask)
    if isinstance(answer, ConsilienceError):
        return [_failed(registry, answer)]
    served = {record.digest for record in answer.items}
    return [
        _not_served(
            placed,
            registry=registry,
            kind=FaultKind.BEHIND if placed.place.digest in served or not answer.is_whole else FaultKind.SILENT,
            words="which it has",
        )
        for placed in known
    ]


def _not_served(placed: Placed, *, registry: Registry, kind: FaultKind, words: str) -> Fault:
    detail = f"it did not serve the {_name(placed)}, {words}"
    return Fault(registry=registry.name, kind=kind, detail=detail, digest=placed.place.digest)


def _name(placed: Placed) -> str:
    return f"{placed.place.type.name.lower()} {placed.place.digest.hex()[:16]}"


async def _in_place_of(
    superseded: Sequence[Placed], *, registry: Registry, now: datetime
) -> tuple[list[Placed], list[Fault]]:
    """Returns what a registry has in the place of records as it says, and what that shows where it has nothing."""
    newer: list[Placed] = []
    faults: list[Fault] = []
    for placed in superseded:
        try:
            winner = await _winner_over(placed, registry=registry, now=now)
        except FAILURES as error:
            return newer, [*faults, _failed(registry, error)]
        if winner is not None:
            newer.append(winner)
        else:
            words = "shows nothing of what it says stands in its place"
            faults.append(_not_served(placed, registry=registry, kind=FaultKind.REFUSING, words=f"and {words}"))
    return newer, faults


async def _winner_over(placed: Placed, *, registry: Registry, now: datetime) -> Placed | None:
    """Returns what a registry has in the slot of a record that wins it, or None; raises any of `FAILURES`."""
    place = placed.place
    queries = [RecordQuery(subject=place.subject, author=place.author)]
    if place.slot_type in (RecordType.REVIEW, RecordType.ADVISORY):
        # A retraction counts whatever it says of whom it is about, and is listed by that.
        queries.append(RecordQuery(author=place.author, types=(RecordType.RETRACTION,)))
    for query in queries:
        reading = await registry.records(query)
        found, _ = await asyncio.to_thread(_holding, registry, reading.items, now=now, fits=lambda _: True)
        held = {other.slot: other for other in merged({"": [placed, *found]}).records}
        if (winner := held[placed.slot]).place.digest != place.digest:
            return winner
    return None


def _outdated(served: dict[str, list[Placed]], news: Sequence[Placed]) -> list[Fault]:
    """Tells which registries served what something newer stands in the place of."""
    slots = {placed.slot: placed for placed in news}
    return [
        Fault(
            registry=name,
            kind=FaultKind.BEHIND,
            detail=f"it served the {_name(old)}, and there is a newer one",
            digest=old.place.digest,
        )
        for name, records in served.items()
        for old in records
        if (winner := slots.get(old.slot)) is not None and winner.place.digest != old.place.digest
    ]


def fits_query(query: NodeQuery) -> Callable[[Placed], bool]:
    """Returns what tells whether a record is the card of a node that fits."""

    def fits(placed: Placed) -> bool:
        card = placed.record.object.value
        return placed.place.type is RecordType.NODE_CARD and card_fits(card, query)  # type: ignore[arg-type]

    return fits
