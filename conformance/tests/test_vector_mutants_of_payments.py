"""The vectors of payments can fail too: each careless way to reckon a cost fails the very tests that bear its flag."""

import math
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import pytest

from consilience.v1 import tariff_pb2
from consilience.v1.ask_pb2 import Usage
from consilience.v1.tariff_pb2 import Tariff, UnitPrice
from consilience_conformance import vectors
from consilience_conformance.rules import tariffs

Test = dict[str, Any]
MOST = 2**63 - 1


def _costs() -> Iterator[tuple[Test, Tariff, Usage]]:
    for test in vectors.load("tariffs")["testGroups"][0]["tests"]:
        if test["result"] == "valid":
            tariff = Tariff.FromString(bytes.fromhex(test["tariff"]))
            yield test, tariff, Usage.FromString(bytes.fromhex(test["usage"]))


def _quantities(tariff: Tariff, usage: Usage) -> Iterator[tuple[UnitPrice, int]]:
    cached_apart = any(price.unit == tariff_pb2.PRICED_UNIT_CACHED_INPUT_TOKEN for price in tariff.prices)
    counts = {
        tariff_pb2.PRICED_UNIT_REQUEST: 1,
        tariff_pb2.PRICED_UNIT_INPUT_TOKEN: usage.input_tokens - cached_apart * usage.cached_input_tokens,
        tariff_pb2.PRICED_UNIT_CACHED_INPUT_TOKEN: usage.cached_input_tokens,
        tariff_pb2.PRICED_UNIT_OUTPUT_TOKEN: usage.output_tokens,
        tariff_pb2.PRICED_UNIT_HIDDEN_TOKEN: usage.hidden_tokens,
        tariff_pb2.PRICED_UNIT_OUTPUT_BYTE: usage.output_bytes,
        tariff_pb2.PRICED_UNIT_MILLISECOND: usage.duration.seconds * 1000 + usage.duration.nanos // 10**6,
    }
    for price in tariff.prices:
        yield price, max(0, max(0, counts[price.unit]) - price.included)


def _reckoned(
    tariff: Tariff,
    usage: Usage,
    *,
    part: Callable[[UnitPrice, int], Fraction | int] = lambda price, used: Fraction(used * price.price, price.per),
    rounded: Callable[[Fraction | int], int] = math.ceil,
    cap: int | None = MOST,
) -> int:
    total = rounded(sum((part(price, used) for price, used in _quantities(tariff, usage)), start=Fraction(0)))
    cost = max(total, tariff.minimum_charge)
    return cost if cap is None else min(cost, cap)


def _wrapped(number: int) -> int:
    """Returns what is left of a number in 64 bits with a sign."""
    return (number + 2**63) % 2**64 - 2**63


def _in_64_bits(tariff: Tariff, usage: Usage) -> int:
    if usage.duration.seconds:
        nanoseconds = _wrapped(usage.duration.seconds * 10**9 + usage.duration.nanos)
        usage = _with(usage, milliseconds=max(0, nanoseconds) // 10**6)
    found = _reckoned(
        tariff, usage, part=lambda price, used: Fraction(_wrapped(used * price.price), price.per), cap=None
    )
    return _wrapped(found)


def _with(usage: Usage, *, milliseconds: int) -> Usage:
    changed = Usage()
    changed.CopyFrom(usage)
    changed.duration.seconds, rest = divmod(milliseconds, 1000)
    changed.duration.nanos = rest * 10**6
    return changed


def _without_included(tariff: Tariff, usage: Usage) -> int:
    return _reckoned(_changed(tariff, lambda price: price.ClearField("included")), usage)


def _changed(tariff: Tariff, change: Callable[[UnitPrice], object]) -> Tariff:
    copy = Tariff()
    copy.CopyFrom(tariff)
    for price in copy.prices:
        change(price)
    return copy


def _negative(tariff: Tariff, usage: Usage) -> int:
    cached_apart = tariffs.priced_units(tariff) & {tariff_pb2.PRICED_UNIT_CACHED_INPUT_TOKEN}
    total = Fraction(0)
    for price, _ in _quantities(tariff, usage):
        (_, used), *_ = _quantities(Tariff(prices=[_free_of_included(price)]), usage)
        if cached_apart and price.unit == tariff_pb2.PRICED_UNIT_INPUT_TOKEN:
            used = usage.input_tokens - usage.cached_input_tokens
        total += Fraction((used - price.included) * price.price, price.per)
    return min(max(math.ceil(total), tariff.minimum_charge), MOST)


def _free_of_included(price: UnitPrice) -> UnitPrice:
    return UnitPrice(unit=price.unit, price=price.price, per=price.per)


def _cached_twice(tariff: Tariff, usage: Usage) -> int:
    whole = Usage()
    whole.CopyFrom(usage)
    whole.input_tokens += whole.cached_input_tokens
    return _reckoned(tariff, whole)


def _cached_free(tariff: Tariff, usage: Usage) -> int:
    if tariff_pb2.PRICED_UNIT_CACHED_INPUT_TOKEN in tariffs.priced_units(tariff):
        return _reckoned(tariff, usage)
    less = Usage()
    less.CopyFrom(usage)
    less.input_tokens -= less.cached_input_tokens
    return _reckoned(tariff, less)


def _in_floats(tariff: Tariff, usage: Usage) -> int:
    total = sum(float(used) * (price.price / price.per) for price, used in _quantities(tariff, usage))
    return max(math.ceil(total), tariff.minimum_charge)


def _of_nanoseconds_alone(tariff: Tariff, usage: Usage) -> int:
    return _reckoned(tariff, _with(usage, milliseconds=usage.duration.nanos // 10**6))


MUTANTS: dict[str, Callable[[Tariff, Usage], int]] = {
    "RoundsDown": lambda tariff, usage: _reckoned(tariff, usage, rounded=math.floor),
    "AddsOne": lambda tariff, usage: _reckoned(tariff, usage, rounded=lambda total: math.floor(total) + 1),
    "RoundsEachPrice": lambda tariff, usage: _reckoned(
        tariff, usage, part=lambda price, used: math.ceil(Fraction(used * price.price, price.per))
    ),
    "WholeBlocks": lambda tariff, usage: _reckoned(
        tariff, usage, part=lambda price, used: math.ceil(Fraction(used, price.per)) * price.price
    ),
    "FloatArithmetic": _in_floats,
    "Overflow64": _in_64_bits,
    "CapMissing": lambda tariff, usage: _reckoned(tariff, usage, cap=None),
    "IgnoresIncluded": _without_included,
    "NegativeQuantity": _negative,
    "CountsCachedTwice": _cached_twice,
    "CachedFree": _cached_free,
    "MinimumForgotten": lambda tariff, usage: _reckoned(Tariff(prices=tariff.prices), usage),
    "MinimumAdded": lambda tariff, usage: _reckoned(Tariff(prices=tariff.prices), usage) + tariff.minimum_charge,
    "MillisecondsRoundedUp": lambda tariff, usage: _reckoned(
        tariff, _with(usage, milliseconds=usage.duration.seconds * 1000 - -usage.duration.nanos // 10**6)
    ),
    "SecondsForgotten": _of_nanoseconds_alone,
}
NO_MUTANT = {"Plain", "BrokenTariff"}


def test_the_costs_reckoned_by_hand_are_those_of_the_rule_of_the_judge() -> None:
    assert all(str(tariffs.cost(tariff, usage)) == test["cost"] for test, tariff, usage in _costs())


def test_a_careful_cost_passes() -> None:
    assert [test["comment"] for test, tariff, usage in _costs() if str(_reckoned(tariff, usage)) != test["cost"]] == []


def test_every_flag_has_its_mutant() -> None:
    assert MUTANTS.keys() | NO_MUTANT == vectors.load("tariffs")["notes"].keys()


@pytest.mark.parametrize("flag", MUTANTS)
def test_a_careless_cost_fails_every_test_that_bears_its_flag(flag: str) -> None:
    flagged = [(test, tariff, usage) for test, tariff, usage in _costs() if flag in test["flags"]]
    passed = [test["comment"] for test, tariff, usage in flagged if str(MUTANTS[flag](tariff, usage)) == test["cost"]]
    assert flagged
    assert not passed
