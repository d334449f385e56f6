"""Prices: a tariff in the words of a person.

>>> from consilience.tariffs import PricedUnit, UnitPrice
>>> per_token = UnitPrice(unit=PricedUnit.OUTPUT_TOKEN, price=250, per=1000)
>>> tariff_words(Tariff(id="t", asset="USD/6", prices=(per_token,), tokenizer="words"))
'0.00025 USD per 1,000 tokens of output'
"""

from __future__ import annotations

from consilience.payments.amounts import Amount
from consilience.tariffs import PricedUnit, Tariff, UnitPrice

_ONE_AND_MANY = {
    PricedUnit.REQUEST: ("answer", "answers"),
    PricedUnit.INPUT_TOKEN: ("token of input", "tokens of input"),
    PricedUnit.CACHED_INPUT_TOKEN: ("token of cached input", "tokens of cached input"),
    PricedUnit.OUTPUT_TOKEN: ("token of output", "tokens of output"),
    PricedUnit.HIDDEN_TOKEN: ("token that is not shown", "tokens that are not shown"),
    PricedUnit.OUTPUT_BYTE: ("byte of output", "bytes of output"),
    PricedUnit.MILLISECOND: ("millisecond", "milliseconds"),
}


def tariff_words(tariff: Tariff) -> str:
    """Returns what a tariff asks for."""
    words = " and ".join(price_words(price, asset=tariff.asset) for price in tariff.prices)
    if not tariff.minimum_charge:
        return words
    return f"{words}, {Amount(tariff.minimum_charge, tariff.asset)} at least"


def price_words(price: UnitPrice, *, asset: str) -> str:
    """Returns one price, of the units of an asset."""
    one, many = _ONE_AND_MANY.get(price.unit, ("unit of another kind", "units of another kind"))
    units = one if price.per == 1 else f"{price.per:,} {many}"
    free = f" beyond the first {price.included:,}" if price.included else ""
    return f"{Amount(price.price, asset)} per {units}{free}"
