"""Costs: a pure function of what an answer has used (spec section 3.1).

Exact sums over one denominator, rounded up once: in how many pieces the text came never changes the price.

>>> from consilience.tariffs import PricedUnit, UnitPrice
>>> per_byte = UnitPrice(unit=PricedUnit.OUTPUT_BYTE, price=1, per=3)
>>> cost(Tariff(id="t", asset="TEST/0", prices=(per_byte,)), Usage(output_bytes=10))
4
"""

from __future__ import annotations

import math
from datetime import timedelta

from consilience.asks.answers import Usage
from consilience.tariffs import PricedUnit, Tariff

MAX_AMOUNT = 2**63 - 1
"""The largest amount on the wire."""

_MILLISECOND = timedelta(milliseconds=1)


def cost(tariff: Tariff, usage: Usage) -> int:
    """Returns what usage costs, in units of the tariff's asset (PAY-TRF-001)."""
    cached_apart = any(price.unit is PricedUnit.CACHED_INPUT_TOKEN for price in tariff.prices)
    common = math.lcm(*(price.per for price in tariff.prices))
    total = 0
    for price in tariff.prices:
        beyond = _quantity(price.unit, usage, cached_apart=cached_apart) - price.included
        total += max(0, beyond) * price.price * (common // price.per)
    rounded_up = -(-total // common)
    return min(max(rounded_up, tariff.minimum_charge), MAX_AMOUNT)


def charge_of(tariff: Tariff, usage: Usage, *, ceiling: int) -> int:
    """Returns the charge of usage: its cost, but no more than the ceiling of the ask (spec section 3.6)."""
    return min(cost(tariff, usage), ceiling)


def _quantity(unit: PricedUnit, usage: Usage, *, cached_apart: bool) -> int:
    match unit:
        case PricedUnit.REQUEST:
            return 1
        case PricedUnit.INPUT_TOKEN:
            return usage.input_tokens - (usage.cached_input_tokens if cached_apart else 0)
        case PricedUnit.CACHED_INPUT_TOKEN:
            return usage.cached_input_tokens
        case PricedUnit.OUTPUT_TOKEN:
            return usage.output_tokens
        case PricedUnit.HIDDEN_TOKEN:
            return usage.hidden_tokens
        case PricedUnit.OUTPUT_BYTE:
            return usage.output_bytes
        case PricedUnit.MILLISECOND:
            return usage.duration // _MILLISECOND
        case _:
            return 0
