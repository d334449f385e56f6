"""Gathering: one question to several registries, by the algorithm of spec section 4.6.

What each one served is verified here, laid together, and held against what the others served. Whoever lacks something
is handed it: its answer tells whether it was behind, or had it all along and was silent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import chain

from consilience.client.reviews.faults import Fault, FaultKind, failed, name_of
from consilience.client.reviews.handing_in import hand_in
from consilience.client.reviews.registries import Ask, Reading, Registry, answer_of
from consilience.client.reviews.retirements import retired_by
from consilience.client.reviews.verifying import verified
from consilience.errors import ConsilienceError
from consilience.reviews import Merged, Placed, Record, RecordType, card_fits, merged
from consilience.reviews.finding import NodeQuery
from consilience.units import Digest

MAX_HANDED_IN = 32
"""Records that one registry is handed after one question; the rest waits for the next."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathered:
    """What several registries know together.

    Attributes:
        merged: One view of it.
        held: All that was served and holds, what lost its slot included, and once with each card that stood beside it.
        served_by: By the digest of each record, the names of the registries that served it.
        faults: What is wrong with which of them.
    """

    merged: Merged
    held: tuple[Placed, ...]
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


_HERE = ""
"""Under this name stands, where records are laid together, what no registry served."""


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
        ask: Asks one of them, and returns what it served, unverified. For one registry it is waited as for three
            calls, all that follows from the question included; what came by then counts.
        now: Aware UTC.
        fits: Whether a record that holds is an answer to the question.
        known: Answers that were seen before and still hold.

    Raises:
        ConsilienceError: None of them answered; the failure of the first.
    """
    asked = [registry.for_one_question() for registry in registries]
    answers = await asyncio.gather(*(answer_of(registry, ask) for registry in asked))
    if all(isinstance(answer, ConsilienceError) for answer in answers):
        raise next(answer for answer in answers if isinstance(answer, ConsilienceError))
    served, faults = await _served(asked, answers, now=now, fits=fits)
    holding = {name: one.records for name, one in served.items()}
    view = merged({**holding, _HERE: known})
    handed = await asyncio.gather(
        *(
            hand_in(one.registry, _lacking(one, view=view, now=now)[:MAX_HANDED_IN], ask=ask, now=now)
            for one in served.values()
        )
    )
    faults += (fault for one in handed for fault in one.faults)
    news = [newer for one in handed for newer in one.newer]
    successions = [succession for one in handed for succession in one.successions]
    if news or successions:
        everything = {**holding, _HERE: [*known, *news]}
        retired = retired_by(successions, chain.from_iterable(everything.values()))
        counting = {name: _without(retired, records) for name, records in everything.items()}
        view = merged(counting)
        certain = [winner for winner in _without(retired, news) if not winner.place.is_in_dispute(now=now)]
        faults = [fault for fault in faults if fault.digest not in retired]
        faults += [*_outlived(holding, retired), *_outdated(counting, certain)]
    held = {_digests(placed): placed for records in holding.values() for placed in records}
    serving: dict[Digest, tuple[str, ...]] = {}
    for name, records in holding.items():
        for placed in records:
            serving[placed.place.digest] = (*serving.get(placed.place.digest, ()), name)
    return Gathered(
        merged=replace(view, missing={}), held=tuple(held.values()), served_by=serving, faults=tuple(faults)
    )


def _digests(placed: Placed) -> tuple[Digest, Digest | None]:
    """Returns those of a record and of the card beside it."""
    card = placed.record.card
    return placed.place.digest, None if card is None else card.digest


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
            faults.append(failed(registry, answer))
            continue
        records, broken = await asyncio.to_thread(verified, registry, answer.items, now=now, fits=fits)
        served[registry.name] = _Served(registry=registry, records=records, is_whole=answer.is_whole)
        faults += broken
        if not answer.is_whole:
            detail = f"{len(answer.items):,} records of it were read, and {answer.why}"
            faults.append(Fault(registry=registry.name, kind=FaultKind.PARTIAL, detail=detail))
    return served, faults


def _lacking(served: _Served, *, view: Merged, now: datetime) -> list[Placed]:
    """Returns what a registry lacks by any clock; one that was read in part, only where it served what loses to it."""
    missing = view.missing.get(served.registry.name, frozenset())
    lacking = [
        placed for placed in view.records if placed.place.digest in missing and not placed.place.is_in_dispute(now=now)
    ]
    if served.is_whole:
        return lacking
    slots = {placed.slot for placed in served.records}
    return [placed for placed in lacking if placed.slot in slots]


def _without(retired: frozenset[bytes], records: Iterable[Placed]) -> list[Placed]:
    return [placed for placed in records if placed.place.digest not in retired]


def _outlived(served: dict[str, list[Placed]], retired: frozenset[bytes]) -> list[Fault]:
    """Tells which registries served what counts no more, because its node has handed over."""
    return [
        Fault(
            registry=name,
            kind=FaultKind.BEHIND,
            detail=f"it served the {name_of(placed)}, and the node has gone over to another root key",
            digest=placed.place.digest,
        )
        for name, records in served.items()
        for placed in records
        if placed.place.digest in retired
    ]


def _outdated(served: dict[str, list[Placed]], news: Sequence[Placed]) -> list[Fault]:
    """Tells which registries served what something newer stands in the place of."""
    slots = {placed.slot: placed for placed in news}
    return [
        Fault(
            registry=name,
            kind=FaultKind.BEHIND,
            detail=f"it served the {name_of(old)}, and there is a newer one",
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
