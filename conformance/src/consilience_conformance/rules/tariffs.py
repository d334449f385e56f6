"""Rules of tariffs (spec section 3.1): what usage costs, by exact fractions, and which units a tariff prices."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from fractions import Fraction

from consilience.v1 import ask_pb2, tariff_pb2

MOST = 2**63 - 1
"""No amount is above it."""

_NANOSECONDS = 10**9
_MILLISECOND = 10**6


def cost(tariff: tariff_pb2.Tariff, usage: ask_pb2.Usage) -> int:
    """Returns what usage costs, in units of the tariff's asset: the algorithm of section 3.1, step by step."""
    units = priced_units(tariff)
    total = Fraction(0)
    for price in tariff.prices:
        quantity = max(0, _quantity(price.unit, usage, units=units))
        if price.per > 0:  # a tariff that breaks its rules is for the rules of fields to tell
            total += Fraction(max(0, quantity - price.included) * price.price, price.per)
    rounded_up = -(-total.numerator // total.denominator)
    return min(max(rounded_up, tariff.minimum_charge), MOST)


def charge(tariff: tariff_pb2.Tariff, usage: ask_pb2.Usage, *, ceiling: int) -> int:
    """Returns the charge of usage: its cost, or the ceiling of the ask, if that is lower (section 3.6)."""
    return min(cost(tariff, usage), ceiling)


def ceiling_of(quote_max_charge: int, ask: ask_pb2.Ask) -> int:
    """Returns the ceiling of an ask: the lower of what its quote and its own limits say."""
    own = ask.limits.max_charge if ask.limits.HasField("max_charge") else quote_max_charge
    return min(quote_max_charge, own)


def priced_units(tariff: tariff_pb2.Tariff) -> AbstractSet[int]:
    """Returns the units that a tariff prices, by their numbers."""
    return {price.unit for price in tariff.prices}


def _quantity(unit: int, usage: ask_pb2.Usage, *, units: AbstractSet[int]) -> int:
    match unit:
        case tariff_pb2.PRICED_UNIT_REQUEST:
            return 1
        case tariff_pb2.PRICED_UNIT_INPUT_TOKEN:
            apart = tariff_pb2.PRICED_UNIT_CACHED_INPUT_TOKEN in units
            return usage.input_tokens - (usage.cached_input_tokens if apart else 0)
        case tariff_pb2.PRICED_UNIT_CACHED_INPUT_TOKEN:
            return usage.cached_input_tokens
        case tariff_pb2.PRICED_UNIT_OUTPUT_TOKEN:
            return usage.output_tokens
        case tariff_pb2.PRICED_UNIT_HIDDEN_TOKEN:
            return usage.hidden_tokens
        case tariff_pb2.PRICED_UNIT_OUTPUT_BYTE:
            return usage.output_bytes
        case tariff_pb2.PRICED_UNIT_MILLISECOND:
            return (usage.duration.seconds * _NANOSECONDS + usage.duration.nanos) // _MILLISECOND
        case _:
            return 0
