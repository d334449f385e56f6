"""Finding: nodes with a skill that fits, out of several registries, ranked by the asker and by nobody else.

A registry is told what kind of skill is looked for, and never a question (REG-PRIV-001): what is near to one is found
here, among the cards that have come.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypedDict

from consilience.client.caller import Caller
from consilience.client.cards import Cards, NodeReference
from consilience.client.reviews.faults import Fault, FaultKind
from consilience.client.reviews.gathering import Gathered, fits_query, gather
from consilience.client.reviews.registries import Reading, Registry, opened_registries
from consilience.envelopes import Signed
from consilience.errors import FieldInvalidError, UsageError
from consilience.nodes import DataClass, NodeCard, Profile, Skill
from consilience.payments import Amount
from consilience.payments.budgets import spendable
from consilience.reviews import NodeQuery, PriceCeiling, Record, card_fits, check_query, fits
from consilience.reviews.finding import reference_costs, words_of, words_of_skill

_PROFILES = frozenset(profile for profile in Profile if profile > 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundNode:
    """A node with a skill that fits; `card` can be asked as it is: `client.ask(…, node=found.card)`.

    Attributes:
        card: Verified.
        skill: The one that fits, the nearest and cheapest of them.
        price: What the reference usage costs (spec section 4.6), in the asset that is asked for, else in the first of
            the skill. None: the skill is free, or by a tariff of a later version, which nobody can tell here. Among
            equally near nodes the cheapest come first, and last those whose price nobody can tell. Prices in different
            assets are not compared: where there are several, the free come first, and chance orders the rest.
        near: How many words of the question the skill is described with.
        registries: Who served the card.
    """

    card: Signed[NodeCard]
    skill: Skill
    price: Amount | None
    near: int
    registries: tuple[str, ...]

    @property
    def is_free(self) -> bool:
        """Whether the skill costs nothing; else it has a price, or one that nobody can tell here."""
        return not self.skill.tariff_ids


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundNodes:
    """What several registries know of nodes.

    Attributes:
        nodes: The nearest and cheapest first; how good they say they are is not looked at.
        faults: What is wrong with which registry.
    """

    nodes: tuple[FoundNode, ...]
    faults: tuple[Fault, ...]


class Wanted(TypedDict, total=False):
    """What a node has to offer; see `FindNodesRequest` in registry.proto for each. It is all that a registry is told.

    Attributes:
        skill: The id of a skill.
        domain: What the skill knows about: `law` finds `law.de`.
        language: A language of it: `en` finds `en-GB`.
        input_media_type: A media type that it reads.
        data_class: The class of data that it has to read.
        max_price: The most that the reference usage of spec section 4.6 may cost: `0.001 USD/6`.
        rail: The id of a rail on which the node is paid.
        profiles: Profiles that it declares, all of them.
        min_parameters: Bounds the parameters of a model of the skill from below.
        max_parameters: Bounds those of the same model from above.
        text: Words of names and descriptions, all of which have to be there. It is no place for a question.
    """

    skill: str
    domain: str
    language: str
    input_media_type: str
    data_class: DataClass
    max_price: Amount | str
    rail: str
    profiles: Iterable[Profile]
    min_parameters: int
    max_parameters: int
    text: str


async def found_by(caller: Caller, *, registries: Sequence[NodeReference], near: str, wanted: Wanted) -> FoundNodes:
    """Asks registries for what is wanted; see `Client.find`.

    Raises:
        UsageError: Something is asked for that cannot be, or there is no registry to ask.
        ConsilienceError: No registry answered.
    """
    return await find(
        query_of(wanted),
        registries=opened_registries(registries, caller=caller),
        near=near,
        now=caller.clock(),
        cards=caller.cards,
    )


def query_of(wanted: Wanted) -> NodeQuery:
    """Returns what registries are asked.

    Raises:
        UsageError: It cannot be asked for.
    """
    if unknown := wanted.keys() - Wanted.__annotations__.keys():
        raise UsageError(
            f"nodes are not found by {', '.join(sorted(unknown))}, but by {', '.join(Wanted.__annotations__)}"
        )
    profiles = tuple(wanted.get("profiles", ()))
    if unnamed := [profile for profile in profiles if profile not in _PROFILES]:
        raise UsageError(f"no profile of this version is {unnamed[0]!r}: name those of `Profile`; nothing was sent")
    amount = None if (price := wanted.get("max_price")) is None else spendable(price, name="max_price")
    query = NodeQuery(
        skill_id=wanted.get("skill", ""),
        domain=wanted.get("domain", ""),
        language=wanted.get("language", ""),
        input_media_type=wanted.get("input_media_type", ""),
        data_class=wanted.get("data_class", DataClass.UNSPECIFIED),
        price=None if amount is None else PriceCeiling(asset=amount.asset, max_cost=amount.value),
        rail_id=wanted.get("rail", ""),
        profiles=profiles,
        min_parameter_count=wanted.get("min_parameters", 0),
        max_parameter_count=wanted.get("max_parameters", 0),
        text=wanted.get("text", ""),
    )
    try:
        check_query(query)
    except FieldInvalidError as error:
        raise UsageError(f"no registry can be asked for this: {error}; nothing was sent") from error
    return query


async def find(
    query: NodeQuery, *, registries: Sequence[Registry], near: str, now: datetime, cards: Cards
) -> FoundNodes:
    """Asks registries for nodes, and ranks what holds.

    Args:
        query: What is asked for.
        registries: Whom to ask.
        near: A question, which stays here; empty: none.
        now: Aware UTC.
        cards: What was seen before.

    Raises:
        ConsilienceError: No registry answered.
    """

    async def served(registry: Registry) -> Reading[Record]:
        reading = await registry.cards(query)
        records = tuple(Record(object=card) for card in reading.items)
        return Reading(items=records, is_whole=reading.is_whole, why=reading.why)

    gathered = await gather(registries, served, now=now, fits=fits_query(query))
    newest = await cards.newest(placed.record.object for placed in gathered.merged.records)  # type: ignore[misc]
    wanted = frozenset(words_of(near))
    nodes = [
        _found(card, query=query, wanted=wanted, registries=gathered.served_by.get(card.digest, ()))
        for card in newest
        if now < card.value.expire_time and card_fits(card.value, query)  # a newer card may fit no more
    ]
    return FoundNodes(
        nodes=ranked(nodes, chance=os.urandom(16)),
        faults=(*gathered.faults, *_replayed(gathered, newest=newest)),
    )


def _replayed(gathered: Gathered, *, newest: Sequence[Signed[NodeCard]]) -> list[Fault]:
    """Tells which registries served a card that loses to what was seen before: a newer one, or a hand-over."""
    used = {card.digest for card in newest}
    return [
        Fault(
            registry=name,
            kind=FaultKind.BEHIND,
            detail=f"it served the card {placed.place.digest.hex()[:16]}, and a newer one or key was seen before",
            digest=placed.place.digest,
        )
        for placed in gathered.merged.records
        if placed.place.digest not in used
        for name in gathered.served_by.get(placed.place.digest, ())
    ]


def ranked(nodes: Sequence[FoundNode], *, chance: bytes) -> tuple[FoundNode, ...]:
    """Returns nodes in their order: near to the question, cheap, and then by chance; see `FoundNode.price`.

    How good a node says it is orders nothing, or who boasts comes first; reputation is for that. Chance is what a node
    cannot choose: by node ids, whoever makes many keys would come first.
    """
    comparable = len({node.price.asset for node in nodes if node.price is not None}) <= 1

    def rank(node: FoundNode) -> tuple[int, bool, int, bytes]:
        cost = 0 if node.price is None else node.price.value
        unknown = node.price is None and not node.is_free
        lot = hashlib.sha256(chance + node.card.value.node_id).digest()
        return -node.near, unknown, cost if comparable else min(cost, 1), lot

    return tuple(sorted(nodes, key=rank))


def _found(
    card: Signed[NodeCard], *, query: NodeQuery, wanted: frozenset[str], registries: tuple[str, ...]
) -> FoundNode:
    """Returns the node of a card with the skill that is nearest and cheapest of those that fit."""
    skills = [
        FoundNode(
            card=card,
            skill=skill,
            price=_price(card.value, skill, query=query),
            near=len(wanted.intersection(words_of_skill(card.value, skill))),
            registries=registries,
        )
        for skill in card.value.skills
        if fits(card.value, skill, query)
    ]
    return ranked(skills, chance=b"")[0]


def _price(card: NodeCard, skill: Skill, *, query: NodeQuery) -> Amount | None:
    """Returns what the reference usage costs, in the asset that is asked for, else in the first of the skill."""
    costs = reference_costs(card, skill)
    asset = query.price.asset if query.price is not None else next(iter(costs), "")
    return Amount(costs[asset], asset) if asset in costs else None
