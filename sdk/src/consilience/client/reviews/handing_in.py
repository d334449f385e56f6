"""Handing in: whoever did not serve what others did is brought it, and tells by its answer why it did not.

It was behind, or had it all along and was silent, or speaks of something newer, which it then has to show.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from consilience.client.reviews.faults import Fault, FaultKind, failed, not_served
from consilience.client.reviews.registries import FAILURES, Ask, Registry, answer_of
from consilience.client.reviews.verifying import verified
from consilience.errors import (
    ConsilienceError,
    LimitExceededError,
    NoRegistryError,
    ProtocolError,
    RecordRetractedError,
    RefusedError,
    TicketUsedError,
    TransportError,
)
from consilience.reviews import Placed, PublishOutcome, RecordQuery, RecordType, merged


@dataclass(slots=True, kw_only=True)
class HandedIn:
    """What came of handing in what a registry did not serve.

    Attributes:
        faults: What that shows.
        newer: What it has in the place of what others served.
    """

    faults: list[Fault] = field(default_factory=list)
    newer: list[Placed] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class _Said:
    """What a registry says to what is brought to it.

    Attributes:
        faults: What that shows by itself.
        known: What it says that it has already.
        superseded: What it says that something newer stands in the place of.
    """

    faults: list[Fault] = field(default_factory=list)
    known: list[Placed] = field(default_factory=list)
    superseded: list[Placed] = field(default_factory=list)


async def hand_in(registry: Registry, lacking: Sequence[Placed], *, ask: Ask, now: datetime) -> HandedIn:
    """Hands in what a registry did not serve, and has it show what it says to that.

    Args:
        registry: It served something for the question.
        lacking: What others served.
        ask: Asks the question again.
        now: Aware UTC.
    """
    said = await _brought(registry, lacking)
    newer, unshown = await _in_place_of(said.superseded, registry=registry, now=now)
    unserved = await _asked_again(registry, ask, said.known) if said.known else []
    return HandedIn(faults=[*said.faults, *unshown, *unserved], newer=newer)


async def _brought(registry: Registry, lacking: Sequence[Placed]) -> _Said:
    """Brings records to a registry, and returns what it says to them."""
    said = _Said()

    def tell(kind: FaultKind, placed: Placed, words: str) -> None:
        said.faults.append(not_served(placed, registry=registry, kind=kind, words=f"and {words}"))

    for placed in lacking:
        try:
            outcome = await registry.publish(placed.record.record)
        except (TransportError, ProtocolError, NoRegistryError, LimitExceededError) as error:
            said.faults.append(failed(registry, error))
            return said
        except (RecordRetractedError, TicketUsedError):
            outcome = PublishOutcome.SUPERSEDED
        except RefusedError as error:
            tell(FaultKind.REFUSING, placed, f"refuses it: {error}")
            continue
        match outcome:
            case PublishOutcome.STORED:
                tell(FaultKind.BEHIND, placed, "has it now")
            case PublishOutcome.KNOWN:
                said.known.append(placed)
            case PublishOutcome.SUPERSEDED:
                said.superseded.append(placed)
            case _:
                tell(FaultKind.REFUSING, placed, "says what this version does not understand")
    return said


async def _asked_again(registry: Registry, ask: Ask, known: Sequence[Placed]) -> list[Fault]:
    """Asks a registry again that says that it has what it did not serve: it may have come just now."""
    answer = await answer_of(registry, ask)
    if isinstance(answer, ConsilienceError):
        return [failed(registry, answer)]
    served = {record.digest for record in answer.items}
    return [
        not_served(
            placed,
            registry=registry,
            kind=FaultKind.BEHIND if placed.place.digest in served or not answer.is_whole else FaultKind.SILENT,
            words="which it has",
        )
        for placed in known
    ]


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
            return newer, [*faults, failed(registry, error)]
        if winner is not None:
            newer.append(winner)
        else:
            words = "shows nothing of what it says stands in its place"
            faults.append(not_served(placed, registry=registry, kind=FaultKind.REFUSING, words=f"and {words}"))
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
        found, _ = await asyncio.to_thread(verified, registry, reading.items, now=now, fits=lambda _: True)
        held = {other.slot: other for other in merged({"": [placed, *found]}).records}
        if (winner := held[placed.slot]).place.digest != place.digest:
            return winner
    return None
