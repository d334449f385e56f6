"""Handing in: whoever did not serve what others did is brought it, and tells by its answer why it did not.

It was behind, or had it all along and was silent; or it speaks of something newer, or of a root key that was handed
over, and then it has to show that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from consilience.client.reviews.faults import Fault, FaultKind, failed, not_served
from consilience.client.reviews.registries import FAILURES, Ask, Registry
from consilience.client.reviews.retirements import retires, successions_of
from consilience.client.reviews.verifying import verified
from consilience.errors import (
    KeyRetiredError,
    LimitExceededError,
    NoRegistryError,
    ProtocolError,
    RecordRetractedError,
    RefusedError,
    TicketUsedError,
    TransportError,
)
from consilience.reviews import QUOTAS, Placed, PublishOutcome, RecordQuery, RecordType, merged


@dataclass(slots=True, kw_only=True)
class HandedIn:
    """What came of handing in what a registry did not serve.

    Attributes:
        faults: What that shows.
        newer: What it has in the place of what others served.
        successions: Hand-overs for which it refuses, or does not serve, what others do.
    """

    faults: list[Fault] = field(default_factory=list)
    newer: list[Placed] = field(default_factory=list)
    successions: list[Placed] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class _Said:
    """What a registry says to what is brought to it.

    Attributes:
        faults: What that shows by itself.
        known: What it says that it has already.
        beaten: What it says that something newer stands in the place of.
        passed_over: What something newer stands in the place of, or its author has more than one author may keep.
        retired: What it refuses because the node has handed over.
    """

    faults: list[Fault] = field(default_factory=list)
    known: list[Placed] = field(default_factory=list)
    beaten: list[Placed] = field(default_factory=list)
    passed_over: list[Placed] = field(default_factory=list)
    retired: list[Placed] = field(default_factory=list)


async def hand_in(registry: Registry, lacking: Sequence[Placed], *, ask: Ask, now: datetime) -> HandedIn:
    """Hands in what a registry did not serve, and has it show what it says to that.

    Args:
        registry: It served something for the question.
        lacking: What others served.
        ask: Asks the question again.
        now: Aware UTC.
    """
    said = await _brought(registry, lacking)
    handed = HandedIn(faults=said.faults)
    try:
        await _show_newer(said, handed, registry=registry, now=now)
        silent = await _asked_again(registry, ask, said.known, handed=handed) if said.known else []
        await _show_successions(said.retired, silent, handed=handed, registry=registry, now=now)
    except FAILURES as error:
        if (fault := failed(registry, error)) not in handed.faults:
            handed.faults.append(fault)
    return handed


async def _brought(registry: Registry, lacking: Sequence[Placed]) -> _Said:
    """Brings records to a registry, and returns what it says to them."""
    said = _Said()

    def tell(kind: FaultKind, placed: Placed, words: str) -> None:
        said.faults.append(not_served(placed, registry=registry, kind=kind, words=f"and {words}"))

    for placed in lacking:
        try:
            outcome = await _outcome(placed, registry=registry)
        except (TransportError, ProtocolError, NoRegistryError, LimitExceededError) as error:
            said.faults.append(failed(registry, error))
            break
        match outcome:
            case PublishOutcome.STORED:
                tell(FaultKind.BEHIND, placed, "has it now")
            case PublishOutcome.KNOWN:
                said.known.append(placed)
            case PublishOutcome.SUPERSEDED if QUOTAS[placed.place.slot_type] > 1:
                said.passed_over.append(placed)
            case PublishOutcome.SUPERSEDED | RecordRetractedError() | TicketUsedError():
                said.beaten.append(placed)
            case KeyRetiredError():
                said.retired.append(placed)
            case RefusedError() as refusal:
                tell(FaultKind.REFUSING, placed, f"refuses it: {refusal}")
            case _:
                tell(FaultKind.REFUSING, placed, "says what this version does not understand")
    return said


async def _outcome(placed: Placed, *, registry: Registry) -> PublishOutcome | RefusedError:
    """Brings a record to a registry; raises what does not depend on the record."""
    try:
        return await registry.publish(placed.record.record)
    except LimitExceededError:
        raise
    except RefusedError as refusal:
        return refusal


async def _asked_again(registry: Registry, ask: Ask, known: Sequence[Placed], *, handed: HandedIn) -> list[Placed]:
    """Asks a registry again that says that it has what it did not serve, and returns what it still does not serve.

    It may have come just now.
    """
    answer = await ask(registry)
    served = {record.digest for record in answer.items}
    silent = [placed for placed in known if answer.is_whole and placed.place.digest not in served]
    handed.faults += [
        not_served(placed, registry=registry, kind=FaultKind.BEHIND, words="which it has")
        for placed in known
        if placed not in silent
    ]
    return silent


async def _show_newer(said: _Said, handed: HandedIn, *, registry: Registry, now: datetime) -> None:
    """Has a registry show what it has in the place of records, as it says; raises any of `FAILURES`.

    Of a type of which an author may keep several, what it passes over proves nothing: it may keep others.
    """
    for placed in (*said.beaten, *said.passed_over):
        winner = await _winner_over(placed, registry=registry, now=now)
        if winner is not None:
            handed.newer.append(winner)
        elif placed in said.beaten:
            words = "and shows nothing of what it says stands in its place"
            handed.faults.append(not_served(placed, registry=registry, kind=FaultKind.REFUSING, words=words))


async def _show_successions(
    refused: Sequence[Placed], silent: Sequence[Placed], *, handed: HandedIn, registry: Registry, now: datetime
) -> None:
    """Has a registry show for which hand-overs it refuses or does not serve records; raises any of `FAILURES`."""
    shown: dict[bytes, tuple[Placed, ...]] = {}
    for placed in (*refused, *silent):
        node_id = placed.place.subject
        if placed.place.since is not None and node_id not in shown:
            shown[node_id] = await successions_of(node_id, registry=registry, now=now)
        if any(retires(succession, placed) for succession in shown.get(node_id, ())):
            continue
        kind, words = FaultKind.SILENT, "which it has"
        if placed in refused:
            kind, words = FaultKind.REFUSING, "and shows no succession for which it refuses it"
        handed.faults.append(not_served(placed, registry=registry, kind=kind, words=words))
    handed.successions += (succession for found in shown.values() for succession in found)


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
