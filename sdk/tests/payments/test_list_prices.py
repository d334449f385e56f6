from datetime import timedelta

import pytest

from consilience.asks import Usage
from consilience.errors import UsageError
from consilience.payments import Amount, ListPrices

USAGE = Usage(input_tokens=1000, output_tokens=300, output_bytes=1200, duration=timedelta(seconds=2))


@pytest.mark.parametrize(
    ("texts", "units"),
    [
        (["2.50 USD/6 per 1000000 output tokens"], 750),
        (["2.50 USD/6 per 1,000,000 output tokens"], 750),
        (["2.50 USD/6 per 1_000_000 output tokens", "0.50 USD/6 per 1000000 input tokens"], 1250),
        (["0.01 USD/6 per answer"], 10_000),
        (["1 USD/6 per 3 answers"], 333_334),
        (["0.001 USD/6 per 1000 output bytes"], 1200),
        (["0.000001 USD/6 per millisecond"], 2000),
        (["  1   USD/6   per  output token "], 300_000_000),
    ],
)
def test_usage_costs_what_the_list_says(texts: list[str], units: int) -> None:
    assert ListPrices.parse(texts).cost(USAGE) == Amount(units, "USD/6")


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        ([], "one asset"),
        (["1 USD/6 per answer", "1 EUR/2 per output token"], "EUR/2, USD/6"),
        (["1 USD/6 per answer", "2 USD/6 per answer"], "must price each unit once"),
        (["1 USD/6 per 0 answers"], "per must be"),
        (["-1 USD/6 per answer"], "price must be"),
        (["1 USD/6 per , answers"], "is no number"),
        ([f"1 USD/6 per 1{'0' * 5000} answers"], "is no list price"),
        (["1 USD/6 per kilowatt hour"], "the units are answers, input tokens"),
        (["1 USD per answer"], "is no amount"),
        (["a lot"], "is no list price"),
    ],
)
def test_what_is_no_list_of_prices_is_told(texts: list[str], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        ListPrices.parse(texts)


def test_a_list_is_told_in_words() -> None:
    prices = ListPrices.parse(["2.50 USD/6 per 1000000 output tokens"])
    assert str(prices) == "2.5 USD per 1,000,000 tokens of output"
