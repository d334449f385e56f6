"""List prices: what the same usage would have cost elsewhere, at prices that a user writes down.

>>> from consilience.asks import Usage
>>> prices = ListPrices.parse(["2.50 USD/6 per 1000000 output tokens", "0.50 USD/6 per 1,000,000 input tokens"])
>>> str(prices.cost(Usage(input_tokens=200_000, output_tokens=1_000)))
'0.1025 USD'
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from consilience.asks import Usage
from consilience.errors import UsageError
from consilience.payments.amounts import Amount
from consilience.payments.costs import cost
from consilience.payments.prices import tariff_words
from consilience.tariffs import PricedUnit, Tariff, UnitPrice, tariff_violations

_UNITS = {
    "answer": PricedUnit.REQUEST,
    "input token": PricedUnit.INPUT_TOKEN,
    "cached input token": PricedUnit.CACHED_INPUT_TOKEN,
    "output token": PricedUnit.OUTPUT_TOKEN,
    "hidden token": PricedUnit.HIDDEN_TOKEN,
    "output byte": PricedUnit.OUTPUT_BYTE,
    "millisecond": PricedUnit.MILLISECOND,
}
_PRICE = re.compile(r"(?P<amount>\S+\s+\S+)\s+per\s+(?:(?P<per>[0-9,_]{1,40})\s+)?(?P<unit>[a-z][a-z ]*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class ListPrices:
    """Prices to compare with, in one asset; each unit once.

    Attributes:
        tariff: The prices in the form of a node's.
    """

    tariff: Tariff

    @classmethod
    def parse(cls, texts: Iterable[str]) -> Self:
        """Reads prices such as `2.50 USD/6 per 1000000 output tokens` or `0.01 USD/6 per answer`.

        The units: answers, input tokens, cached input tokens, output tokens, hidden tokens, output bytes, milliseconds.

        Raises:
            UsageError: One is none, or they are in different assets, or price a unit twice.
        """
        read = [_price(text) for text in texts]
        assets = {asset for asset, _ in read}
        if len(assets) != 1:
            raise UsageError(f"list prices are in one asset, not in {', '.join(sorted(assets)) or 'none'}")
        prices = tuple(price for _, price in read)
        tariff = Tariff(id="list", asset=assets.pop(), prices=prices, tokenizer="any")
        for path, description in tariff_violations(tariff):
            raise UsageError(f"the list prices are none: {path.removeprefix('tariff.')} {description}")
        return cls(tariff=tariff)

    @property
    def asset(self) -> str:
        """What the prices are in."""
        return self.tariff.asset

    def cost(self, usage: Usage) -> Amount:
        """Returns what usage costs at these prices, rounded up once."""
        return Amount(cost(self.tariff, usage), self.asset)

    def __str__(self) -> str:
        return tariff_words(self.tariff)


def _price(text: str) -> tuple[str, UnitPrice]:
    found = _PRICE.fullmatch(text.strip())
    unit = _UNITS.get(found["unit"].strip().removesuffix("s")) if found else None
    if found is None or unit is None:
        raise UsageError(
            f"{text!r} is no list price: write it as `2.50 USD/6 per 1000000 output tokens`; the units are"
            f" {', '.join(f'{name}s' for name in _UNITS)}"
        )
    amount = Amount.parse(" ".join(found["amount"].split()))
    per = re.sub("[,_]", "", found["per"] or "1")
    if not per:
        raise UsageError(f"{text!r} is no list price: {found['per']!r} is no number")
    return amount.asset, UnitPrice(unit=unit, price=amount.value, per=int(per))
