from datetime import timedelta
from fractions import Fraction
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consilience.asks import Usage
from consilience.payments import MAX_AMOUNT, charge_of, cost
from consilience.tariffs import MAX_PRICE, PricedUnit, Tariff, UnitPrice, tariff_violations

UNITS = [unit for unit in PricedUnit if unit > 0]


def _tariff(*prices: UnitPrice, minimum_charge: int = 0) -> Tariff:
    return Tariff(id="t", asset="TEST/0", prices=prices, minimum_charge=minimum_charge, tokenizer="words")


def _per(unit: PricedUnit, price: int, per: int = 1, included: int = 0) -> UnitPrice:
    return UnitPrice(unit=unit, price=price, per=per, included=included)


@pytest.mark.parametrize(
    ("prices", "usage", "expected"),
    [
        ((_per(PricedUnit.REQUEST, 7),), Usage(), 7),
        ((_per(PricedUnit.OUTPUT_BYTE, 1, 3),), Usage(output_bytes=10), 4),
        # 1/2 + 1/2 is 1, though each rounded by itself would make 2.
        (
            (_per(PricedUnit.INPUT_TOKEN, 1, 2), _per(PricedUnit.OUTPUT_TOKEN, 1, 2)),
            Usage(input_tokens=1, output_tokens=1),
            1,
        ),
        ((_per(PricedUnit.OUTPUT_BYTE, 5, 1, 10),), Usage(output_bytes=10), 0),
        ((_per(PricedUnit.OUTPUT_BYTE, 5, 1, 10),), Usage(output_bytes=11), 5),
        ((_per(PricedUnit.INPUT_TOKEN, 1),), Usage(input_tokens=9, cached_input_tokens=4), 9),
        (
            (_per(PricedUnit.INPUT_TOKEN, 10), _per(PricedUnit.CACHED_INPUT_TOKEN, 1)),
            Usage(input_tokens=9, cached_input_tokens=4),
            54,
        ),
        ((_per(PricedUnit.MILLISECOND, 1),), Usage(duration=timedelta(microseconds=2999)), 2),
        ((_per(PricedUnit.HIDDEN_TOKEN, 2),), Usage(hidden_tokens=3), 6),
        ((_per(PricedUnit.OUTPUT_BYTE, MAX_PRICE),), Usage(output_bytes=MAX_PRICE), MAX_AMOUNT),
        ((_per(PricedUnit.OUTPUT_BYTE, MAX_PRICE, MAX_PRICE),), Usage(output_bytes=2**62 + 1), 2**62 + 1),
    ],
)
def test_a_cost_is_exact_and_rounded_up_once(prices: tuple[UnitPrice, ...], usage: Usage, expected: int) -> None:
    assert cost(_tariff(*prices), usage) == expected


def test_a_cost_is_never_below_the_minimum() -> None:
    assert cost(_tariff(_per(PricedUnit.OUTPUT_BYTE, 1), minimum_charge=5), Usage()) == 5


def test_a_charge_is_never_above_the_ceiling() -> None:
    tariff = _tariff(_per(PricedUnit.OUTPUT_BYTE, 1))
    assert [charge_of(tariff, Usage(output_bytes=size), ceiling=10) for size in (9, 10, 11)] == [9, 10, 10]


prices = st.builds(
    UnitPrice,
    unit=st.sampled_from(UNITS),
    price=st.integers(0, MAX_PRICE),
    per=st.integers(1, MAX_PRICE),
    included=st.integers(0, 1000),
)
tariffs = st.builds(
    lambda chosen, minimum: _tariff(*chosen, minimum_charge=minimum),
    st.lists(prices, min_size=1, max_size=7, unique_by=lambda price: price.unit),
    st.integers(0, 1000),
)
usages = st.builds(
    Usage,
    input_tokens=st.integers(0, 2**40),
    output_tokens=st.integers(0, 2**40),
    hidden_tokens=st.integers(0, 2**40),
    output_bytes=st.integers(0, 2**40),
)


@given(tariffs, usages, usages)
def test_more_usage_never_costs_less(tariff: Tariff, one: Usage, other: Usage) -> None:
    both = Usage(
        input_tokens=one.input_tokens + other.input_tokens,
        output_tokens=one.output_tokens + other.output_tokens,
        hidden_tokens=one.hidden_tokens + other.hidden_tokens,
        output_bytes=one.output_bytes + other.output_bytes,
    )
    assert cost(tariff, both) >= cost(tariff, one)


@given(tariffs, st.lists(st.integers(0, 2**30), max_size=8), st.randoms(use_true_random=False))
def test_in_how_many_pieces_a_text_came_does_not_change_what_it_costs(
    tariff: Tariff, sizes: list[int], random: Random
) -> None:
    whole = cost(tariff, Usage(output_bytes=sum(sizes), output_tokens=len(sizes)))
    seen = [0]
    for size in random.sample(sizes, len(sizes)):
        seen.append(seen[-1] + size)
    costs = [cost(tariff, Usage(output_bytes=size, output_tokens=count)) for count, size in enumerate(seen)]
    assert costs == sorted(costs)
    assert costs[-1] == whole


@given(tariffs, usages)
def test_a_cost_is_less_than_one_unit_above_the_exact_sum(tariff: Tariff, usage: Usage) -> None:
    counts = {
        PricedUnit.REQUEST: 1,
        PricedUnit.INPUT_TOKEN: usage.input_tokens,
        PricedUnit.OUTPUT_TOKEN: usage.output_tokens,
        PricedUnit.HIDDEN_TOKEN: usage.hidden_tokens,
        PricedUnit.OUTPUT_BYTE: usage.output_bytes,
    }
    exact = sum(
        (
            Fraction(price.price, price.per) * max(0, counts.get(price.unit, 0) - price.included)
            for price in tariff.prices
        ),
        Fraction(0),
    )
    found = cost(tariff, usage)
    if tariff.minimum_charge < found < MAX_AMOUNT:
        assert exact <= found < exact + 1


def test_a_tariff_prices_each_unit_once_and_names_what_counts_tokens() -> None:
    twice = _tariff(_per(PricedUnit.REQUEST, 1), _per(PricedUnit.REQUEST, 2))
    nameless = Tariff(id="t", asset="TEST/0", prices=(_per(PricedUnit.OUTPUT_TOKEN, 1),))
    assert [path for path, _ in tariff_violations(twice)] == ["tariff"]
    assert [path for path, _ in tariff_violations(nameless)] == ["tariff"]
    assert not list(tariff_violations(_tariff(_per(PricedUnit.OUTPUT_TOKEN, 1))))
