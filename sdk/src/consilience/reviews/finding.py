"""Finding: what is asked of a registry, and which skills fit (spec sections 4.5 and 4.6).

`fits` is the rule itself. A registry answers by an index that comes to the same, and a client applies it to what came.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import chain

from consilience.asks import Usage
from consilience.asks.questions import refuse_violations
from consilience.errors import FieldViolation
from consilience.nodes import DataClass, Model, NodeCard, Profile, Skill, effective_data_class
from consilience.payments import cost
from consilience.reviews.statements import RecordType
from consilience.tariffs import Tariff, is_asset, is_id, is_unit
from consilience.units import NamedNumber

REFERENCE_USAGE = Usage(input_tokens=1000, output_tokens=250, output_bytes=1000, duration=timedelta(seconds=5))
"""By what it costs, prices that count different things are compared."""

PLAIN_TEXT = "text/plain"
MAX_QUERY_CHARACTERS = 256
MAX_MEDIA_TYPE_CHARACTERS = 128
MAX_CHOICES = 16
MAX_TOKEN_BYTES = 256
KEY_BYTES = 32
MAX_NUMBER = 2**63 - 1
"""The highest cost, and number of parameters, that can be asked for."""

_LANGUAGE = re.compile(r"[A-Za-z0-9]{1,8}(-[A-Za-z0-9]{1,8})*")
_WORD = re.compile(r"[^\W_]+")


class PublishOutcome(NamedNumber):
    """What became of a record that was not refused."""

    UNKNOWN = -1
    STORED = 1
    KNOWN = 2
    SUPERSEDED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceCeiling:
    """The most that the reference usage may cost, in units of an asset; a free skill keeps every bound."""

    asset: str
    max_cost: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeQuery:
    """What a node has to offer; see `FindNodesRequest` in registry.proto for each field. Empty and zero ask nothing."""

    skill_id: str = ""
    domain: str = ""
    language: str = ""
    input_media_type: str = ""
    data_class: DataClass = DataClass.UNSPECIFIED
    price: PriceCeiling | None = None
    rail_id: str = ""
    profiles: tuple[Profile, ...] = ()
    min_parameter_count: int = 0
    max_parameter_count: int = 0
    text: str = ""
    page_size: int = 0
    page_token: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordQuery:
    """Whose records are wanted: about a subject, by an author, or both; no types: all of them."""

    subject: bytes = b""
    author: bytes = b""
    types: tuple[RecordType, ...] = ()
    page_size: int = 0
    page_token: bytes = b""


def words_of(text: str) -> tuple[str, ...]:
    """Returns the words of a text: longest runs of letters and digits, after case folding, each once, in order."""
    return tuple(dict.fromkeys(_WORD.findall(text.casefold())))


def words_of_skill(card: NodeCard, skill: Skill) -> tuple[str, ...]:
    """Returns the words by which a skill of a node is found."""
    return words_of("\n".join((card.name, card.description, skill.id, skill.description, *skill.domains)))


def reference_costs(card: NodeCard, skill: Skill) -> dict[str, int]:
    """Returns what the reference usage costs at the least, by asset; of a free skill, nothing is named.

    What a tariff comes to that prices a unit of a later version, nobody knows here.
    """
    costs: dict[str, int] = {}
    for tariff in card.tariffs_of(skill):
        if not all(is_unit(price.unit) for price in tariff.prices):
            continue
        costs[tariff.asset] = min(_reference_cost(tariff), costs.get(tariff.asset, _reference_cost(tariff)))
    return costs


def fits(card: NodeCard, skill: Skill, query: NodeQuery) -> bool:
    """Tells whether a skill fits in everything that is asked for (REG-FIND-001)."""
    return (
        query.skill_id in ("", skill.id)
        and (not query.domain or any(_is_within(domain, query.domain, mark=".") for domain in skill.domains))
        and (not query.language or not skill.languages or any(_speaks(query, spoken) for spoken in skill.languages))
        and query.input_media_type in ("", *(skill.input_media_types or (PLAIN_TEXT,)))
        and query.data_class <= max(effective_data_class(card, skill), DataClass.UNSPECIFIED)
        and (query.price is None or _is_affordable(card, skill, query.price))
        and (not query.rail_id or card.rail(query.rail_id) is not None)
        and set(query.profiles) <= set(card.profiles)
        and _has_model(card, skill, query)
        and set(words_of(query.text)) <= set(words_of_skill(card, skill))
    )


def card_fits(card: NodeCard, query: NodeQuery) -> bool:
    """Tells whether a skill of a node fits."""
    return any(fits(card, skill, query) for skill in card.skills)


def sizes_of(card: NodeCard, skill: Skill) -> tuple[int, ...]:
    """Returns the parameters of the models of a skill, as far as they are told."""
    return tuple(model.parameter_count for model in _models(card, skill) if model.parameter_count > 0)


def check_query(query: NodeQuery | RecordQuery) -> None:
    """Checks the declared constraints of a query.

    Raises:
        FieldInvalidError: With the violations found.
    """
    found = _node_violations(query) if isinstance(query, NodeQuery) else _record_violations(query)
    refuse_violations(chain(found, _page_violations(query)))


def _node_violations(query: NodeQuery) -> Iterator[FieldViolation]:
    for name in ("skill_id", "domain", "rail_id"):
        if getattr(query, name) and not is_id(getattr(query, name)):
            yield FieldViolation(field=name, description="must be empty, or an id")
    if query.language and not _LANGUAGE.fullmatch(query.language):
        yield FieldViolation(field="language", description="must be empty, or a BCP 47 tag")
    for name, most in (("input_media_type", MAX_MEDIA_TYPE_CHARACTERS), ("text", MAX_QUERY_CHARACTERS)):
        if len(getattr(query, name)) > most:
            yield FieldViolation(field=name, description=f"must have at most {most} characters")
    if query.data_class is DataClass.UNKNOWN:
        yield FieldViolation(field="data_class", description="must be a class of this version")
    if query.price is not None:
        yield from _price_violations(query.price)
    yield from _choices(query.profiles, field="profiles")
    for name in ("min_parameter_count", "max_parameter_count"):
        if not 0 <= getattr(query, name) <= MAX_NUMBER:
            yield FieldViolation(field=name, description=f"must be 0 to {MAX_NUMBER}")


def _price_violations(price: PriceCeiling) -> Iterator[FieldViolation]:
    if not is_asset(price.asset):
        yield FieldViolation(field="price.asset", description="must be the id of an asset, as USD/6")
    if not 0 <= price.max_cost <= MAX_NUMBER:
        yield FieldViolation(field="price.max_cost", description=f"must be 0 to {MAX_NUMBER}")


def _record_violations(query: RecordQuery) -> Iterator[FieldViolation]:
    for name in ("subject", "author"):
        if getattr(query, name) and len(getattr(query, name)) != KEY_BYTES:
            yield FieldViolation(field=name, description=f"must be empty, or {KEY_BYTES} bytes")
    if not query.subject and not query.author:
        yield FieldViolation(field="list_records_request", description="must name a subject or an author")
    yield from _choices(query.types, field="types")


def _choices(values: tuple[NamedNumber, ...], *, field: str) -> Iterator[FieldViolation]:
    named = [value for value in values if value >= 0]  # two of a later version are two, and read as one
    if len(values) > MAX_CHOICES or len(set(named)) != len(named):
        yield FieldViolation(field=field, description=f"must be at most {MAX_CHOICES}, each once")


def _page_violations(query: NodeQuery | RecordQuery) -> Iterator[FieldViolation]:
    if query.page_size < 0:
        yield FieldViolation(field="page_size", description="must not be negative")
    if len(query.page_token) > MAX_TOKEN_BYTES:
        yield FieldViolation(field="page_token", description=f"must have at most {MAX_TOKEN_BYTES} bytes")


def _reference_cost(tariff: Tariff) -> int:
    return cost(tariff, REFERENCE_USAGE)


def _is_affordable(card: NodeCard, skill: Skill, price: PriceCeiling) -> bool:
    return not skill.tariff_ids or reference_costs(card, skill).get(price.asset, price.max_cost + 1) <= price.max_cost


def _is_within(name: str, whole: str, *, mark: str) -> bool:
    return name == whole or name.startswith(whole + mark)


def _speaks(query: NodeQuery, language: str) -> bool:
    return _is_within(language.casefold(), query.language.casefold(), mark="-")


def _has_model(card: NodeCard, skill: Skill, query: NodeQuery) -> bool:
    if not query.min_parameter_count and not query.max_parameter_count:
        return True
    most = query.max_parameter_count or None
    return any(size >= query.min_parameter_count and (most is None or size <= most) for size in sizes_of(card, skill))


def _models(card: NodeCard, skill: Skill) -> Iterator[Model]:
    return (model for model in card.models if model.id in skill.model_ids)
