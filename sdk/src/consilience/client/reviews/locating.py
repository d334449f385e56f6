"""Locating: the card of a node of which the id alone is known, over as many root keys as it has had since (spec 1.3).

A registry is believed in nothing: each step has to be the one that the newest card seen of the old key commits to.
"""

from __future__ import annotations

from collections.abc import Sequence

from consilience.client.caller import Caller
from consilience.client.cards import MAX_SUCCESSIONS, Cards, NodeReference
from consilience.client.reviews.gathering import Gathered, gather
from consilience.client.reviews.registries import Reading, Registry, opened_registries
from consilience.envelopes import Signed
from consilience.errors import ProtocolError, RecordUnknownError
from consilience.identity import format_node_id
from consilience.nodes import NodeCard
from consilience.reviews import OpenRecord, Placed, Record, RecordQuery, RecordType
from consilience.units import PublicKey

WANTED = (RecordType.NODE_CARD, RecordType.KEY_SUCCESSION)


async def located(node_id: PublicKey, *, caller: Caller, registries: Sequence[NodeReference]) -> Signed[NodeCard]:
    """Returns the newest card of a node; see `Client.locate`.

    Args:
        node_id: Its root key, or one that it had before.
        caller: Whose cards are remembered.
        registries: Whom to ask.

    Raises:
        UsageError: There is no registry to ask.
        RecordUnknownError: None of them has a card of it.
        ProtocolError: A hand-over is none that the node committed to (NODE-KEY-003), or the card does not hold.
        ConsilienceError: No registry answered.
    """
    asked, cards = opened_registries(registries, caller=caller), caller.cards
    for _ in range(MAX_SUCCESSIONS + 1):
        if (successor := await cards.successor(node_id)) is not None:
            node_id = successor
            continue
        found = await _records_of(node_id, registries=asked, caller=caller)
        card = next((one.record for one in found.merged.records if one.place.type is RecordType.NODE_CARD), None)
        successions = [one.record for one in found.held if one.place.type is RecordType.KEY_SUCCESSION]
        if successions:
            node_id = await _successor_by(successions, cards=cards)
        elif card is not None:
            return await cards.believe(card.object)  # type: ignore[arg-type]
        else:
            raise RecordUnknownError(f"no registry that was asked has a card of {format_node_id(node_id)}")
    raise ProtocolError(f"the node names more than {MAX_SUCCESSIONS} former keys", requirement="ERR-FLD-001")


async def _successor_by(successions: Sequence[OpenRecord], *, cards: Cards) -> PublicKey:
    """Follows the one of several hand-overs that the newest card seen commits to; raises as `Cards.succeed`.

    Each is tried with the card that it rests on, the newest of these first: so it does not depend on which registry
    served which, and one that does not hold hides none that does.
    """
    failure: ProtocolError | None = None
    for succession in sorted(successions, key=_sequence_of_card, reverse=True):
        try:
            return await cards.succeed(succession.object, card=succession.card)  # type: ignore[arg-type]
        except ProtocolError as error:
            failure = failure or error
    raise failure or ProtocolError("there is no hand-over to follow", requirement="NODE-KEY-003")


def _sequence_of_card(record: OpenRecord) -> int:
    return 0 if record.card is None else record.card.value.sequence


async def _records_of(node_id: PublicKey, *, registries: Sequence[Registry], caller: Caller) -> Gathered:
    query = RecordQuery(author=node_id, types=WANTED)

    async def records(registry: Registry) -> Reading[Record]:
        return await registry.records(query)

    def fits(placed: Placed) -> bool:
        return placed.place.author == node_id and placed.place.type in WANTED

    return await gather(registries, records, now=caller.clock(), fits=fits)
