"""Makes tariffs.json: what usage costs, to the unit.

The costs were reckoned by hand, as the comments tell; a test compares them with what the judge's own rule makes of the
same bytes.
"""

from __future__ import annotations

from collections.abc import Iterator

from google.protobuf.duration_pb2 import Duration

from consilience.v1.ask_pb2 import Usage
from consilience.v1.tariff_pb2 import (
    PRICED_UNIT_CACHED_INPUT_TOKEN,
    PRICED_UNIT_HIDDEN_TOKEN,
    PRICED_UNIT_INPUT_TOKEN,
    PRICED_UNIT_MILLISECOND,
    PRICED_UNIT_OUTPUT_BYTE,
    PRICED_UNIT_OUTPUT_TOKEN,
    PRICED_UNIT_REQUEST,
    PRICED_UNIT_UNSPECIFIED,
    PricedUnit,
    Tariff,
    UnitPrice,
)
from consilience_conformance.vectors.generator import payments
from consilience_conformance.vectors.generator.layout import BugType, Case, Group, Note, Refused, VectorFile

_NOTES = {
    "Plain": Note(bug_type=BugType.BASIC, description="A tariff without a catch."),
    "RoundsDown": Note(bug_type=BugType.WRONG_AMOUNT, description="A part of a unit costs a whole one."),
    "AddsOne": Note(bug_type=BugType.WRONG_AMOUNT, description="What comes out even is not rounded up."),
    "RoundsEachPrice": Note(bug_type=BugType.WRONG_AMOUNT, description="The sum is rounded, and not what it is of."),
    "WholeBlocks": Note(bug_type=BugType.WRONG_AMOUNT, description="Part of `per` units costs part of the price."),
    "FloatArithmetic": Note(bug_type=BugType.WRONG_AMOUNT, description="Floating-point numbers come to another cost."),
    "Overflow64": Note(bug_type=BugType.WRONG_AMOUNT, description="On the way there are more than 64 bits."),
    "CapMissing": Note(bug_type=BugType.BOUNDARY, description="No cost is above 2^63 - 1."),
    "IgnoresIncluded": Note(bug_type=BugType.WRONG_AMOUNT, description="The first units are included."),
    "NegativeQuantity": Note(
        bug_type=BugType.WRONG_AMOUNT, description="What is left of the included units makes nothing else cheaper."
    ),
    "CountsCachedTwice": Note(
        bug_type=BugType.WRONG_AMOUNT, description="Cached tokens with a price of their own are no input tokens too."
    ),
    "CachedFree": Note(
        bug_type=BugType.WRONG_AMOUNT, description="Cached tokens without a price of their own are input tokens."
    ),
    "MinimumForgotten": Note(bug_type=BugType.WRONG_AMOUNT, description="The minimum is above the sum."),
    "MinimumAdded": Note(bug_type=BugType.WRONG_AMOUNT, description="The minimum is not added to the sum."),
    "MillisecondsRoundedUp": Note(bug_type=BugType.WRONG_AMOUNT, description="A begun millisecond does not count."),
    "SecondsForgotten": Note(bug_type=BugType.WRONG_AMOUNT, description="A duration has seconds and nanoseconds."),
    "BrokenTariff": Note(bug_type=BugType.MISSING_CHECK, description="A tariff that breaks its rules has no cost."),
}
_MOST = 2**63 - 1
_PRICE_LIMIT = 10**15

_REQUEST = PRICED_UNIT_REQUEST
_INPUT = PRICED_UNIT_INPUT_TOKEN
_CACHED = PRICED_UNIT_CACHED_INPUT_TOKEN
_TOKEN = PRICED_UNIT_OUTPUT_TOKEN
_HIDDEN = PRICED_UNIT_HIDDEN_TOKEN
_BYTE = PRICED_UNIT_OUTPUT_BYTE
_TIME = PRICED_UNIT_MILLISECOND


def make() -> VectorFile:
    """Returns the file."""
    cases = [*_plain(), *_rounding(), *_large(), *_included(), *_cached(), *_minima(), *_times(), *_broken()]
    return VectorFile(
        name="tariffs",
        subject="The cost of usage by a tariff, exactly.",
        spec="docs/spec/3-payments.md",
        notes=_NOTES,
        groups=[Group(type="TariffCost", comment="One tariff, and what was used", cases=cases)],
    )


def _price(unit: PricedUnit.ValueType, price: int, per: int = 1, included: int = 0) -> UnitPrice:
    return UnitPrice(unit=unit, price=price, per=per, included=included)


def _tariff(*prices: UnitPrice, minimum: int = 0) -> Tariff:
    return Tariff(id="standard", asset=payments.ASSET, prices=prices, minimum_charge=minimum, tokenizer="SmolLM2-135M")


def _used(size: int = 0, *, nanoseconds: int = 0, **counts: int) -> Usage:
    duration = Duration(seconds=nanoseconds // 10**9, nanos=nanoseconds % 10**9)
    return Usage(output_bytes=size, duration=duration, **counts)


def _case(comment: str, flags: str, tariff: Tariff, usage: Usage, cost: int) -> Case:
    """Returns a test; a cost is a text, because not every reader of JSON has whole numbers of 64 bits."""
    inputs = {
        "tariff": tariff.SerializeToString(deterministic=True).hex(),
        "usage": usage.SerializeToString(deterministic=True).hex(),
        "cost": str(cost),
    }
    return Case(comment=comment, flags=flags.split(), inputs=inputs)


def _plain() -> Iterator[Case]:
    yield _case("7 for the answer", "Plain", _tariff(_price(_REQUEST, 7)), _used(), 7)
    yield _case("10 bytes at 3", "Plain", _tariff(_price(_BYTE, 3)), _used(10), 30)
    yield _case("3 hidden tokens at 2", "Plain", _tariff(_price(_HIDDEN, 2)), _used(hidden_tokens=3), 6)
    yield _case("nothing for anything", "Plain", _tariff(_price(_BYTE, 0)), _used(10), 0)
    everything = _used(
        70, nanoseconds=80_000_000, input_tokens=30, cached_input_tokens=10, output_tokens=50, hidden_tokens=60
    )
    each = [_price(unit, 10**place) for place, unit in enumerate((_REQUEST, _INPUT, _CACHED, _TOKEN, _HIDDEN, _BYTE))]
    each.append(_price(_TIME, 10**6))
    # 1 + 20 · 10 + 10 · 10^2 + 50 · 10^3 + 60 · 10^4 + 70 · 10^5 + 80 · 10^6
    yield _case("all units at once", "Plain CountsCachedTwice", _tariff(*each), everything, 87_651_201)
    yield _case("what has no price", "Plain", _tariff(_price(_REQUEST, 1)), everything, 1)


def _rounding() -> Iterator[Case]:
    yield _case("5 + 13 · 3 / 10 = 8.9", "RoundsDown IgnoresIncluded WholeBlocks", payments.tariff(), _used(33), 9)
    third = _tariff(_price(_BYTE, 1, 3))
    yield _case("1 / 3", "RoundsDown", third, _used(1), 1)
    yield _case("10 / 3", "RoundsDown", third, _used(10), 4)
    yield _case("9 / 3, which comes out even", "AddsOne", third, _used(9), 3)
    yield _case("1 / 10^15", "RoundsDown", _tariff(_price(_BYTE, 1, _PRICE_LIMIT)), _used(1), 1)
    halves = _tariff(_price(_INPUT, 1, 2), _price(_TOKEN, 1, 2))
    yield _case("1 / 2 + 1 / 2", "RoundsEachPrice", halves, _used(input_tokens=1, output_tokens=1), 1)
    thirds = _tariff(_price(_REQUEST, 1, 3), _price(_TOKEN, 2, 3), _price(_BYTE, 1, 3))
    yield _case("1 / 3 + 2 / 3 + 4 / 3 = 7 / 3", "RoundsEachPrice", thirds, _used(4, output_tokens=1), 3)
    sixths = _tariff(_price(_REQUEST, 1, 2), _price(_TOKEN, 1, 3), _price(_BYTE, 1, 6))
    yield _case("1 / 2 + 1 / 3 + 1 / 6", "RoundsEachPrice", sixths, _used(1, output_tokens=1), 1)
    per_thousand = _tariff(_price(_TOKEN, 10, 1000))
    yield _case("1 token at 10 per 1000", "WholeBlocks RoundsDown", per_thousand, _used(output_tokens=1), 1)
    yield _case("1500 tokens at 10 per 1000", "WholeBlocks", per_thousand, _used(output_tokens=1500), 15)
    yield _case("110 · 11 / 10", "FloatArithmetic", _tariff(_price(_BYTE, 11, 10)), _used(110), 121)
    tenths = _tariff(_price(_REQUEST, 1, 10), _price(_TOKEN, 27, 10), _price(_BYTE, 2, 10))
    yield _case("0.1 + 2.7 + 0.2", "FloatArithmetic RoundsEachPrice", tenths, _used(1, output_tokens=1), 3)


def _large() -> Iterator[Case]:
    one = _tariff(_price(_BYTE, 1))
    yield _case("2^53 + 1 bytes at 1", "FloatArithmetic", one, _used(2**53 + 1), 2**53 + 1)
    dear = _tariff(_price(_REQUEST, 1), _price(_BYTE, _PRICE_LIMIT))
    yield _case("1 + 9007 · 10^15", "FloatArithmetic", dear, _used(9007), 9007 * 10**15 + 1)
    even = _tariff(_price(_BYTE, _PRICE_LIMIT, _PRICE_LIMIT))
    yield _case("(2^62 + 1) · 10^15 / 10^15", "Overflow64", even, _used(2**62 + 1), 2**62 + 1)
    wide = _tariff(_price(_BYTE, _PRICE_LIMIT, 10**12))
    yield _case("10^13 · 10^15 / 10^12", "Overflow64", wide, _used(10**13), 10**16)
    # Numbers without common divisors: the denominator of the sum has 150 bits.
    fine = _tariff(*(_price(unit, 1, _PRICE_LIMIT - less) for unit, less in ((_REQUEST, 0), (_TOKEN, 1), (_BYTE, 11))))
    yield _case("1 / 10^15 + 1 / (10^15 - 1) + 1 / (10^15 - 11)", "RoundsEachPrice", fine, _used(1, output_tokens=1), 1)
    yield _case("10^15 · 10^15", "CapMissing Overflow64", _tariff(_price(_BYTE, 10**15)), _used(10**15), _MOST)
    yield _case("2^63 - 1", "FloatArithmetic", one, _used(_MOST), _MOST)
    more = _tariff(_price(_REQUEST, 1), _price(_BYTE, 1))
    yield _case("2^63 - 2 + 1", "FloatArithmetic", more, _used(_MOST - 1), _MOST)
    yield _case("2^63 - 1 + 1", "CapMissing Overflow64", more, _used(_MOST), _MOST)
    half = _tariff(_price(_REQUEST, 1, 2), _price(_BYTE, 1))
    yield _case("2^63 - 1 + 1 / 2, which is above when it is rounded", "CapMissing", half, _used(_MOST), _MOST)
    four = _tariff(_price(_BYTE, 4))
    yield _case("2^64, of which 64 bits are zero", "CapMissing Overflow64", four, _used(2**62), _MOST)


def _included() -> Iterator[Case]:
    ten = _tariff(_price(_BYTE, 5, 1, 10))
    yield _case("10 of 10 included bytes", "IgnoresIncluded", ten, _used(10), 0)
    yield _case("a byte beyond 10 included ones", "IgnoresIncluded", ten, _used(11), 5)
    yield _case("9 of 10 included bytes", "IgnoresIncluded", ten, _used(9), 0)
    yield _case("an answer, included", "IgnoresIncluded", _tariff(_price(_REQUEST, 7, 1, 1)), _used(), 0)
    with_answer = _tariff(_price(_REQUEST, 7), _price(_BYTE, 5, 1, 100))
    yield _case("7, and 10 of 100 included bytes", "IgnoresIncluded NegativeQuantity", with_answer, _used(10), 7)
    blocks = _tariff(_price(_BYTE, 3, 10, 20))
    yield _case("(25 - 20) · 3 / 10 = 1.5", "IgnoresIncluded RoundsDown WholeBlocks", blocks, _used(25), 2)
    much = _tariff(_price(_REQUEST, 1), _price(_BYTE, _PRICE_LIMIT, 1, _PRICE_LIMIT))
    yield _case("1, and 10^15 included bytes", "NegativeQuantity", much, _used(0), 1)


def _cached() -> Iterator[Case]:
    both = _tariff(_price(_INPUT, 10), _price(_CACHED, 1))
    nine = _used(input_tokens=9, cached_input_tokens=4)
    yield _case("5 input tokens at 10, 4 cached ones at 1", "CountsCachedTwice", both, nine, 54)
    yield _case("9 input tokens at 10, 4 of them cached", "CachedFree", _tariff(_price(_INPUT, 10)), nine, 90)
    yield _case("4 cached tokens at 1, input free", "Plain", _tariff(_price(_CACHED, 1)), nine, 4)
    all_cached = _used(input_tokens=4, cached_input_tokens=4)
    yield _case("all input cached", "CountsCachedTwice", both, all_cached, 4)
    free = _tariff(_price(_INPUT, 10), _price(_CACHED, 0))
    yield _case("a price of zero for cached tokens is a price", "CountsCachedTwice", free, nine, 50)
    reverse = _tariff(_price(_CACHED, 1), _price(_INPUT, 10))
    yield _case("the cached ones priced first", "CountsCachedTwice", reverse, nine, 54)
    included = _tariff(_price(_INPUT, 1, 1, 50), _price(_CACHED, 0))
    hundred = _used(input_tokens=100, cached_input_tokens=40)
    yield _case("100 - 40 cached - 50 included", "CountsCachedTwice IgnoresIncluded", included, hundred, 10)
    more = _used(input_tokens=3, cached_input_tokens=5)
    yield _case("more cached tokens than input tokens", "NegativeQuantity CountsCachedTwice", both, more, 5)


def _minima() -> Iterator[Case]:
    five = _tariff(_price(_BYTE, 1), minimum=5)
    yield _case("3, of 5 at least", "MinimumForgotten MinimumAdded", five, _used(3), 5)
    yield _case("nothing, of 5 at least", "MinimumForgotten", five, _used(), 5)
    yield _case("8, of 5 at least", "MinimumAdded", five, _used(8), 8)
    fifths = _tariff(_price(_BYTE, 1, 5), minimum=5)
    yield _case("21 / 5 = 4.2, of 5 at least", "MinimumAdded", fifths, _used(21), 5)
    yield _case("26 / 5 = 5.2, of 5 at least", "MinimumAdded RoundsDown", fifths, _used(26), 6)
    most = _tariff(_price(_BYTE, 1), minimum=_PRICE_LIMIT)
    yield _case("the largest minimum", "MinimumForgotten", most, _used(1), _PRICE_LIMIT)
    capped = _tariff(_price(_BYTE, 1), minimum=1)
    yield _case("2^63 - 1, of 1 at least", "MinimumAdded", capped, _used(_MOST), _MOST)


def _times() -> Iterator[Case]:
    time = _tariff(_price(_TIME, 1))
    yield _case("2 ms and 999999 ns", "MillisecondsRoundedUp", time, _used(nanoseconds=2_999_999), 2)
    yield _case("999999 ns", "MillisecondsRoundedUp", time, _used(nanoseconds=999_999), 0)
    yield _case("1.5 s", "SecondsForgotten", time, _used(nanoseconds=1_500_000_000), 1500)
    seconds = _tariff(_price(_TIME, 1, 1000))
    yield _case("1500 ms at 1 for 1000", "RoundsDown SecondsForgotten", seconds, _used(nanoseconds=1_500_000_000), 2)
    # 300 years: more nanoseconds than 64 bits count.
    ages = _used(nanoseconds=9_467_280_000 * 10**9 + 1_000_000)
    yield _case("300 years and 1 ms", "Overflow64 SecondsForgotten", time, ages, 9_467_280_000_001)


def _broken() -> Iterator[Case]:
    def case(comment: str, tariff: Tariff) -> Case:
        inputs = {
            "tariff": tariff.SerializeToString(deterministic=True).hex(),
            "usage": _used(10, output_tokens=2).SerializeToString(deterministic=True).hex(),
        }
        refused = Refused(requirement="PAY-TRF-001")
        return Case(comment=comment, flags=["BrokenTariff"], inputs=inputs, refused=refused)

    yield case("no price", _tariff())
    yield case("a unit priced twice", _tariff(_price(_BYTE, 1), _price(_BYTE, 2)))
    yield case("no unit", _tariff(_price(PRICED_UNIT_UNSPECIFIED, 1)))
    future = UnitPrice.FromString(bytes([0x08, 99, 0x10, 1, 0x18, 1]))
    yield case("a unit of the future", _tariff(_price(_BYTE, 1), future))
    yield case("a price for zero units", _tariff(_price(_BYTE, 1, 0)))
    yield case("a price below zero", _tariff(_price(_REQUEST, 100), _price(_BYTE, -1)))
    yield case("a price above 10^15", _tariff(_price(_BYTE, _PRICE_LIMIT + 1)))
    yield case("included units below zero", _tariff(_price(_BYTE, 1, 1, -1)))
    yield case("a minimum below zero", _tariff(_price(_BYTE, 1), minimum=-1))
    nameless = _tariff(_price(_TOKEN, 1))
    nameless.ClearField("tokenizer")
    yield case("tokens that nobody counts", nameless)
    scaleless = _tariff(_price(_BYTE, 1))
    scaleless.asset = "TEST"
    yield case("an asset without its scale", scaleless)
