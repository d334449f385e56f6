"""However the steps of a look fall among what cards are found by, all looks together find every card that fits."""

from dataclasses import replace
from typing import Any

from consilience import nodes
from consilience.reviews import NodeQuery, OpenRecord, card_fits
from consilience.server.registry import Arc
from consilience.server.registry.finding import STEPS
from consilience.server.registry.ring import place_on_ring
from consilience.server.registry.store import SqlRecordStore
from consilience.units import Digest
from sdk.tests.reviews.specimens import NOW, TestNode, card_record, placed


def _placed_nodes(count: int) -> list[TestNode]:
    """Returns nodes in the order in which they stand on the ring."""
    named = (TestNode.named(f"node {number}") for number in range(count))
    return sorted(named, key=lambda node: place_on_ring(node.root.public_key))


async def _found(store: SqlRecordStore, query: NodeQuery) -> list[Digest]:
    arc, found = Arc(), list[Digest]()
    while arc.after < arc.until:
        look = await store.fitting(query, arc=arc, limit=101, now=NOW)
        found += [record.digest for _, record in look.cards]
        arc = replace(arc, after=look.until)
    return found


async def _finds_what_fits(store: SqlRecordStore, query: NodeQuery, cards: list[Any]) -> None:
    for start in range(0, len(cards), 250):
        await store.admit([placed(card) for card in cards[start : start + 250]], now=NOW)
    fitting = {card.digest for card in cards if card_fits(card.object.value, query)}
    assert fitting
    found = await _found(store, query)
    assert set(found) == fitting
    assert len(found) == len(fitting)


def _large(node: TestNode) -> OpenRecord:
    models = (nodes.Model(id="m", parameter_count=1_500_000_000),)
    return card_record(node, models=models, skills=[nodes.Skill(id="s", domains=("cook",), model_ids=("m",))])


def _lawyer(node: TestNode) -> OpenRecord:
    return card_record(node, skills=[nodes.Skill(id="s", domains=("law",))])


def _of_many_models(node: TestNode) -> OpenRecord:
    """Returns a card of which just the last and largest model does the law."""
    models = tuple(nodes.Model(id=f"m{number}", parameter_count=1_000_000_000 + number) for number in range(64))
    ids = [model.id for model in models]
    skills = [
        nodes.Skill(id="many", domains=("cook",), model_ids=tuple(ids[:-1])),
        nodes.Skill(id="one", domains=("law",), model_ids=(ids[-1],)),
    ]
    return card_record(node, models=models, skills=skills)


async def test_a_card_of_many_sizes_is_found_by_the_last_where_the_steps_end(store: SqlRecordStore) -> None:
    *others, last = _placed_nodes(2 * STEPS)
    large, lawyers = others[0 : 2 * STEPS - 2 : 2], [*others[1::2], others[-1]]
    cards = [*map(_large, large), *map(_lawyer, lawyers), _of_many_models(last)]
    query = NodeQuery(domain="law", min_parameter_count=1_000_000_000, max_parameter_count=1_999_999_999)
    await _finds_what_fits(store, query, cards)
