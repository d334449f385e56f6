"""Retirements: nodes that have gone over to another root key, as a registry shows it that finds them no longer.

Registries that have not heard of a succession go on serving what others refuse for it. Neither lies.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import datetime

from consilience.client.reviews.registries import Registry
from consilience.client.reviews.verifying import verified
from consilience.identity import next_root_digest
from consilience.nodes import KeySuccession, NodeCard, keeps_commitment
from consilience.reviews import Placed, RecordQuery, RecordType


async def successions_of(node_id: bytes, *, registry: Registry, now: datetime) -> tuple[Placed, ...]:
    """Returns the hand-overs of a root key that a registry shows and that hold; raises any of `FAILURES`."""
    query = RecordQuery(author=node_id, types=(RecordType.KEY_SUCCESSION,))

    def fits(placed: Placed) -> bool:
        return placed.place.type is RecordType.KEY_SUCCESSION and placed.place.author == node_id

    reading = await registry.records(query)
    found, _ = await asyncio.to_thread(verified, registry, reading.items, now=now, fits=fits)
    return tuple(found)


def retires(succession: Placed, placed: Placed) -> bool:
    """Tells whether a record of or about a node counts no more, because the node handed over.

    What is later than the succession is refused by step 9 of spec section 4.4. A card from before is found no longer,
    unless it commits to another key: then the old one is in two hands, and nobody can tell here in whose.
    """
    place, value = placed.place, placed.record.object.value
    if place.subject != succession.place.author or place.since is None:
        return False
    if place.since > succession.place.issue_time:
        return True
    handed_over = succession.record.object.value
    if not isinstance(value, NodeCard) or not isinstance(handed_over, KeySuccession):
        return False
    return keeps_commitment(next_root_digest(handed_over.new_node_id), seen=value.next_root_digest)


def retired_by(successions: Iterable[Placed], records: Iterable[Placed]) -> frozenset[bytes]:
    """Returns the digests of those records that count no more."""
    by_node: dict[bytes, list[Placed]] = {}
    for succession in successions:
        by_node.setdefault(succession.place.author, []).append(succession)
    return frozenset(
        placed.place.digest
        for placed in records
        if any(retires(succession, placed) for succession in by_node.get(placed.place.subject, ()))
    )
