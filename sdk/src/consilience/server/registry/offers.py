"""Offers: what a card is found by, and what a query looks for, in terms and numbers that an index can hold.

It comes to what `consilience.reviews.fits` says, which is the rule. Of each term and number stands which skills have
it, a bit each, so that a card takes up no more for saying one thing of all its skills. Whoever changes what a card is
found by raises `migrations.SCHEMA_VERSION`: what stands in the index is taken out again by what is computed here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from consilience.nodes import DataClass, NodeCard, Skill, effective_data_class
from consilience.reviews import NodeQuery, PriceCeiling
from consilience.reviews.finding import PLAIN_TEXT, reference_costs, sizes_of, words_of

LAST_BIT = 63
"""Stands for all skills from the 64th on: whoever meets it looks at the card."""

MAX_VALUE = 2**63 - 1
"""A larger cost is within no bound that can be asked for."""

_TERM_BYTES = 8
_REMEMBERED = 16_384
"""Terms whose numbers are remembered: the common ones are in most cards."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offers:
    """What a card is found by.

    Attributes:
        terms: The skills that have each term.
        numbers: The skills that have each pair of a term and a value. The term tells how many digits the value has.
    """

    terms: dict[int, int]
    numbers: dict[tuple[int, int], int]


NOTHING = Offers(terms={}, numbers={})


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One thing that a skill has to have: any of some terms, one at least; with bounds, one of a value within them."""

    terms: tuple[int, ...]
    bounds: tuple[int, int] | None = None


def offers_of(card: NodeCard) -> Offers:
    """Returns what a card is found by; nothing, where it has no skills."""
    terms: dict[int, int] = {}
    numbers: dict[tuple[int, int], int] = {}
    for number, skill in enumerate(card.skills):
        bit = _bit(number)
        for term in _terms_of_skill(card, skill):
            terms[term] = terms.get(term, 0) | bit
        for pair in _numbers_of_skill(card, skill):
            numbers[pair] = numbers.get(pair, 0) | bit
    if every := sum({_bit(number) for number in range(len(card.skills))}):
        terms |= dict.fromkeys(_terms_of_card(card), every)
    return Offers(terms=terms, numbers=numbers)


def wanted_by(query: NodeQuery) -> tuple[Wanted, ...]:
    """Returns all that a skill has to have for a query; nothing: any will do."""
    return tuple(_wanted_by(query))


def is_one(skills: int) -> bool:
    """Tells whether a single skill has something."""
    return not has_last(skills) and skills & (skills - 1) == 0


def has_last(skills: int) -> bool:
    """Tells whether the last bit is among those that have something, which may stand for several skills."""
    return skills < 0


def _bit(number: int) -> int:
    """Returns the bit of a skill, as databases count: the last one is the sign."""
    return 1 << number if number < LAST_BIT else -(1 << LAST_BIT)


def _terms_of_card(card: NodeCard) -> Iterator[int]:
    """Yields what all skills of a card are found by."""
    yield from (_term("rail", rail.id) for rail in card.rails)
    yield from (_term("profile", str(int(profile))) for profile in card.profiles if profile > 0)
    yield from (_term("word", word) for word in words_of(f"{card.name}\n{card.description}"))


def _terms_of_skill(card: NodeCard, skill: Skill) -> Iterator[int]:
    yield _term("skill", skill.id)
    for domain in skill.domains:
        yield from (_term("domain", part) for part in _beginnings(domain, mark="."))
    for language in skill.languages or ("",):
        yield from (_term("language", part) for part in _beginnings(language.casefold(), mark="-"))
    yield from (_term("media", media_type) for media_type in skill.input_media_types or (PLAIN_TEXT,))
    yield from (_term("word", word) for word in words_of("\n".join((skill.id, skill.description, *skill.domains))))
    for data_class in range(1, effective_data_class(card, skill) + 1):
        yield _term("data class", str(data_class))


def _numbers_of_skill(card: NodeCard, skill: Skill) -> Iterator[tuple[int, int]]:
    if not skill.tariff_ids:
        yield _term("free", ""), 0
    for asset, cost in reference_costs(card, skill).items():
        if cost <= MAX_VALUE:
            yield _number(f"cost {asset}", len(str(cost))), cost
    for size in sizes_of(card, skill):
        yield _number("size", len(str(size))), size


def _wanted_by(query: NodeQuery) -> Iterator[Wanted]:
    if query.skill_id:
        yield _one_of(_term("skill", query.skill_id))
    if query.domain:
        yield _one_of(_term("domain", query.domain))
    if query.language:
        yield _one_of(_term("language", query.language.casefold()), _term("language", ""))
    if query.input_media_type:
        yield _one_of(_term("media", query.input_media_type))
    if query.data_class > DataClass.UNSPECIFIED:
        yield _one_of(_term("data class", str(int(query.data_class))))
    if query.price is not None:
        yield _within_price(query.price)
    yield from map(_one_of, _terms_of_node(query))
    if query.min_parameter_count or query.max_parameter_count:
        least, most = max(query.min_parameter_count, 1), query.max_parameter_count or MAX_VALUE
        digits = range(len(str(least)), max(len(str(least)), len(str(most))) + 1)  # one at least: no value is within
        yield Wanted(terms=tuple(_number("size", count) for count in digits), bounds=(least, most))


def _terms_of_node(query: NodeQuery) -> Iterator[int]:
    """Yields what the whole card may have, for all its skills."""
    if query.rail_id:
        yield _term("rail", query.rail_id)
    for profile in query.profiles:
        yield _term("profile", str(int(profile)))
    for word in words_of(query.text):
        yield _term("word", word)


def _one_of(*terms: int) -> Wanted:
    return Wanted(terms=terms)


def _within_price(price: PriceCeiling) -> Wanted:
    digits = range(1, len(str(price.max_cost)) + 1)
    costs: Iterable[int] = (_number(f"cost {price.asset}", count) for count in digits)
    return Wanted(terms=(_term("free", ""), *costs), bounds=(0, price.max_cost))


def _beginnings(name: str, *, mark: str) -> Iterator[str]:
    """Yields a name, and what stands before each mark in it."""
    parts = name.split(mark)
    return (mark.join(parts[:count]) for count in range(1, len(parts) + 1))


def _number(name: str, digits: int) -> int:
    """Returns the term of numbers of so many digits: small ones are found without a look at large ones."""
    return _term(name, str(digits))


@lru_cache(maxsize=_REMEMBERED)
def _term(kind: str, value: str) -> int:
    """Returns the number that stands for a term. Who found a second term for one would be found by what it did not say.

    Sixty-four bits of a hash: to find one that collides with a given one takes 2^64 tries, and gains what writing the
    word into one's card does.
    """
    return int.from_bytes(hashlib.blake2b(f"{kind}:{value}".encode(), digest_size=_TERM_BYTES).digest(), signed=True)
