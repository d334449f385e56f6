"""Tariffs: what a card says about money, what answers cost and on which rails it comes (spec sections 3.1 and 3.4).

Values alone; the cost of usage is computed in `consilience.payments.costs`.

>>> per_token = UnitPrice(unit=PricedUnit.OUTPUT_TOKEN, price=3, per=1000)
>>> Tariff(id="standard", asset="USD/6", prices=(per_token,), tokenizer="SmolLM2-135M").asset
'USD/6'
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from consilience.units import NamedNumber, PublicKey

MAX_PRICE = 10**15
"""The largest price, divisor, count of included units and minimum charge of a tariff."""
MAX_PRICES = 16
MAX_TOKENIZER_CHARACTERS = 128
MAX_TARIFF_MODELS = 64

_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_ASSET = re.compile(r"[A-Z][A-Z0-9]{1,15}/[0-9]{1,2}")


class PricedUnit(NamedNumber):
    """What is priced of the usage of an answer."""

    UNKNOWN = -1
    UNSPECIFIED = 0
    REQUEST = 1
    INPUT_TOKEN = 2
    CACHED_INPUT_TOKEN = 3
    OUTPUT_TOKEN = 4
    HIDDEN_TOKEN = 5
    OUTPUT_BYTE = 6
    MILLISECOND = 7


TOKEN_UNITS = frozenset(
    {PricedUnit.INPUT_TOKEN, PricedUnit.CACHED_INPUT_TOKEN, PricedUnit.OUTPUT_TOKEN, PricedUnit.HIDDEN_TOKEN}
)
"""The units that only a tokenizer can count."""


class Backing(NamedNumber):
    """What stands behind a session."""

    UNKNOWN = -1
    UNSPECIFIED = 0
    PREPAID = 1
    CREDIT = 2
    ESCROW = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitPrice:
    """The price of one unit: `price` for every `per` units beyond the first `included`, in units of the asset."""

    unit: PricedUnit
    price: int
    per: int = 1
    included: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Tariff:
    """What usage costs.

    Attributes:
        id: Names it within the card.
        asset: Of all its amounts, with its scale: `BTC/11`.
        prices: One at least, each unit once.
        minimum_charge: The least that an answer costs, in units of the asset.
        tokenizer: What counts the tokens; needed where tokens are priced.
        model_ids: The models that it prices; empty: all of the skill.
    """

    id: str
    asset: str
    prices: tuple[UnitPrice, ...]
    minimum_charge: int = 0
    tokenizer: str = ""
    model_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rail:
    """A rail on which a node takes money; see `Rail` in tariff.proto for each field. Amounts are in the asset."""

    id: str
    network: str
    assets: tuple[str, ...]
    backings: tuple[Backing, ...]
    issuers: tuple[PublicKey, ...] = ()
    max_credit: int = 0
    min_deposit: int = 0
    max_deposit: int = 0


def is_asset(text: str) -> bool:
    """Tells whether a text is the id of an asset: `BTC/11`."""
    return _ASSET.fullmatch(text) is not None


def is_id(text: str) -> bool:
    """Tells whether a text can name a tariff or a rail."""
    return _ID.fullmatch(text) is not None


def is_unit(unit: PricedUnit) -> bool:
    """Tells whether a unit is one of this version."""
    return unit > PricedUnit.UNSPECIFIED


def tariff_violations(
    tariff: Tariff, *, path: str = "tariff", units: Callable[[PricedUnit], bool] = is_unit
) -> Iterator[tuple[str, str]]:
    """Tells what breaks the rules of tariff.proto: paths of fields, and what they must be.

    Args:
        tariff: Of a card, or of a quote.
        path: Where it stands.
        units: Tells which units may be priced.
    """
    if not is_id(tariff.id):
        yield f"{path}.id", f"must match {_ID.pattern}"
    if not is_asset(tariff.asset):
        yield f"{path}.asset", f"must match {_ASSET.pattern}"
    yield from _prices_violations(tariff.prices, path=f"{path}.prices", units=units)
    if not 0 <= tariff.minimum_charge <= MAX_PRICE:
        yield f"{path}.minimum_charge", f"must be 0 to {MAX_PRICE}"
    if len(tariff.tokenizer) > MAX_TOKENIZER_CHARACTERS:
        yield f"{path}.tokenizer", f"must have at most {MAX_TOKENIZER_CHARACTERS} characters"
    if len(tariff.model_ids) > MAX_TARIFF_MODELS:
        yield f"{path}.model_ids", f"must be at most {MAX_TARIFF_MODELS}"
    priced = [price.unit for price in tariff.prices if is_unit(price.unit)]
    if len(set(priced)) != len(priced):
        yield path, "must price each unit once"
    if not tariff.tokenizer and TOKEN_UNITS.intersection(priced):
        yield path, "must name a tokenizer where tokens are priced"


def _prices_violations(
    prices: tuple[UnitPrice, ...], *, path: str, units: Callable[[PricedUnit], bool]
) -> Iterator[tuple[str, str]]:
    if not 1 <= len(prices) <= MAX_PRICES:
        yield path, f"must be 1 to {MAX_PRICES}"
    for index, price in enumerate(prices):
        if not units(price.unit):
            yield f"{path}[{index}].unit", "must be a unit of this version"
        yield from _price_violations(price, path=f"{path}[{index}]")


def _price_violations(price: UnitPrice, *, path: str) -> Iterator[tuple[str, str]]:
    for name, least in (("price", 0), ("per", 1), ("included", 0)):
        if not least <= getattr(price, name) <= MAX_PRICE:
            yield f"{path}.{name}", f"must be {least} to {MAX_PRICE}"
