"""Verifying: what holds of what a registry served, and what no registry may keep by any clock (REC-READ-001)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from consilience._wire.records import open_record
from consilience.calls import MAX_CLOCK_SKEW
from consilience.client.reviews.faults import Fault, FaultKind
from consilience.client.reviews.registries import Registry
from consilience.errors import FieldInvalidError, RefusedError
from consilience.reviews import Placed, Record, place_of


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


def verified(
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
