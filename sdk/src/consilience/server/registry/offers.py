"""Offers: what a card is found by, and what a query looks for, in terms and numbers that an index can hold.

It comes to what `consilience.reviews.fits` says, which is the rule.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from consilience.nodes import DataClass, NodeCard, Skill, effective_data_class
from consilience.reviews import NodeQuery
from consilience.reviews.finding import PLAIN_TEXT, reference_costs, sizes_of, words_of

MAX_TERM_BYTES = 200
"""A longer term stands as its hash: no database indexes keys of any length."""

SIZE = b"size"
CARD_ITSELF = 0
"""The number of what belongs to the whole card."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A skill as it is searched for; `numbers` are pairs of a name and a value."""

    number: int
    data_class: int
    free: bool
    terms: frozenset[bytes]
    numbers: frozenset[tuple[bytes, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One thing that has to be there: any of some terms, in the skill, or also in the whole card."""

    terms: frozenset[bytes]
    also_of_card: bool = False


def terms_of_card(card: NodeCard) -> frozenset[bytes]:
    """Returns what all skills of a node are found by."""
    return frozenset(
        [
            *(_term("rail", rail.id) for rail in card.rails),
            *(_term("profile", str(int(profile))) for profile in card.profiles if profile > 0),
            *(_term("word", word) for word in words_of(f"{card.name}\n{card.description}")),
        ]
    )


def offers_of(card: NodeCard) -> Iterator[Offer]:
    """Yields the skills of a node as they are searched for."""
    for number, skill in enumerate(card.skills, start=CARD_ITSELF + 1):
        costs = {(cost_name(asset), cost) for asset, cost in reference_costs(card, skill).items()}
        sizes = {(SIZE, size) for size in sizes_of(card, skill)}
        yield Offer(
            number=number,
            data_class=max(effective_data_class(card, skill), DataClass.UNSPECIFIED),
            free=not skill.tariff_ids,
            terms=frozenset(_terms_of_skill(skill)),
            numbers=frozenset(costs | sizes),
        )


def wanted_by(query: NodeQuery) -> Iterator[Wanted]:
    """Yields what has to be there for a query; classes, prices and sizes apart."""
    if query.skill_id:
        yield Wanted(terms=frozenset({_term("skill", query.skill_id)}))
    if query.domain:
        yield Wanted(terms=frozenset({_term("domain", query.domain)}))
    if query.language:
        yield Wanted(terms=frozenset({_term("language", query.language.casefold()), _term("language", "")}))
    if query.input_media_type:
        yield Wanted(terms=frozenset({_term("media", query.input_media_type)}))
    if query.rail_id:
        yield Wanted(terms=frozenset({_term("rail", query.rail_id)}), also_of_card=True)
    for profile in query.profiles:
        yield Wanted(terms=frozenset({_term("profile", str(int(profile)))}), also_of_card=True)
    for word in words_of(query.text):
        yield Wanted(terms=frozenset({_term("word", word)}), also_of_card=True)


def cost_name(asset: str) -> bytes:
    """Returns under what name the cost of the reference usage in an asset stands."""
    return _term("cost", asset)


def _terms_of_skill(skill: Skill) -> Iterator[bytes]:
    yield _term("skill", skill.id)
    for domain in skill.domains:
        yield from (_term("domain", part) for part in _beginnings(domain, mark="."))
    for language in skill.languages:
        yield from (_term("language", part) for part in _beginnings(language.casefold(), mark="-"))
    if not skill.languages:
        yield _term("language", "")
    yield from (_term("media", media_type) for media_type in skill.input_media_types or (PLAIN_TEXT,))
    yield from (_term("word", word) for word in words_of("\n".join((skill.id, skill.description, *skill.domains))))


def _beginnings(name: str, *, mark: str) -> Iterator[str]:
    """Yields a name, and what stands before each mark in it."""
    parts = name.split(mark)
    return (mark.join(parts[:count]) for count in range(1, len(parts) + 1))


def _term(kind: str, value: str) -> bytes:
    term = f"{kind}:{value}".encode()
    return term if len(term) <= MAX_TERM_BYTES else b"#" + hashlib.sha256(term).digest()
