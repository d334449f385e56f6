"""Price tags: what a tariff costs, in a line for people.

>>> from consilience.tariffs import UnitPrice
>>> per_token = UnitPrice(unit=PricedUnit.OUTPUT_TOKEN, price=600_000, per=1_000_000)
>>> price_tag(Tariff(id="standard", asset="USD/6", prices=(per_token,), minimum_charge=50, tokenizer="smollm2"))
'0.6 USD per 1,000,000 output tokens, 0.00005 USD at least'
"""

from __future__ import annotations

from consilience.payments import Amount
from consilience.tariffs import PricedUnit, Tariff, UnitPrice

_NOUNS = {
    PricedUnit.REQUEST: "answer",
    PricedUnit.INPUT_TOKEN: "input token",
    PricedUnit.CACHED_INPUT_TOKEN: "cached input token",
    PricedUnit.OUTPUT_TOKEN: "output token",
    PricedUnit.HIDDEN_TOKEN: "hidden token",
    PricedUnit.OUTPUT_BYTE: "byte",
    PricedUnit.MILLISECOND: "millisecond",
}


def price_tag(tariff: Tariff) -> str:
    """Returns what a tariff costs, as the card lists it; load and hour may move it."""
    least = (f"{Amount(tariff.minimum_charge, tariff.asset)} at least",) if tariff.minimum_charge else ()
    return ", ".join((*(_price(price, asset=tariff.asset) for price in tariff.prices), *least))


def _price(price: UnitPrice, *, asset: str) -> str:
    noun = _NOUNS.get(price.unit, "unit")
    many = f"{price.per:,} {noun}s" if price.per > 1 else noun
    beyond = f" beyond {price.included:,}" if price.included else ""
    return f"{Amount(price.price, asset)} per {many}{beyond}"
