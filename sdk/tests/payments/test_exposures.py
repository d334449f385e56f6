import pytest

from consilience.payments import Exposure, least_cost, question_cost
from consilience.payments.exposures import TEMPLATE_TOKENS
from consilience.tariffs import PricedUnit, Tariff, UnitPrice

REQUEST = UnitPrice(unit=PricedUnit.REQUEST, price=5)
INPUT = UnitPrice(unit=PricedUnit.INPUT_TOKEN, price=1, per=10)


def tariff(*prices: UnitPrice, minimum_charge: int = 0) -> Tariff:
    return Tariff(id="t", asset="TEST/0", prices=prices, minimum_charge=minimum_charge, tokenizer="words")


@pytest.mark.parametrize(
    ("metered", "amount"),
    [(None, 7 + 20), (0, 20), (30, 50), (85, 100), (100, 100)],
)
def test_a_window_ahead_of_what_was_counted_is_at_risk_and_never_more_than_the_ceiling(
    metered: int | None, amount: int
) -> None:
    assert Exposure(ceiling=100, window=20, question=7, metered=metered).amount == amount


def test_a_question_costs_at_most_a_token_for_each_byte() -> None:
    assert question_cost(tariff(REQUEST, INPUT), size_bytes=44, max_input_tokens=0) == 5 + (44 + TEMPLATE_TOKENS) // 10


def test_a_question_costs_no_more_than_the_longest_prompt() -> None:
    assert question_cost(tariff(REQUEST, INPUT), size_bytes=10**6, max_input_tokens=100) == 15


def test_the_least_cost_is_that_of_an_answer_without_text() -> None:
    assert least_cost(tariff(REQUEST, INPUT)) == 5
    assert least_cost(tariff(INPUT, minimum_charge=3)) == 3
