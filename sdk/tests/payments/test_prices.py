import pytest

from consilience.payments.prices import tariff_words
from consilience.tariffs import PricedUnit, Tariff, UnitPrice


@pytest.mark.parametrize("unit", [unit for unit in PricedUnit if unit > 0])
def test_every_unit_has_words(unit: PricedUnit) -> None:
    words = tariff_words(Tariff(id="t", asset="TEST/0", prices=(UnitPrice(unit=unit, price=1, per=2),)))
    assert "another kind" not in words


def test_a_tariff_is_told_with_all_that_it_asks_for() -> None:
    prices = (
        UnitPrice(unit=PricedUnit.REQUEST, price=2),
        UnitPrice(unit=PricedUnit.OUTPUT_TOKEN, price=2_500_000, per=1_000_000, included=1000),
    )
    tariff = Tariff(id="t", asset="USD/6", prices=prices, minimum_charge=10, tokenizer="words")
    assert tariff_words(tariff) == (
        "0.000002 USD per answer and 2.5 USD per 1,000,000 tokens of output beyond the first 1,000,"
        " 0.00001 USD at least"
    )
