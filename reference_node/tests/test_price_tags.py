from __future__ import annotations

import pytest

from consilience.tariffs import PricedUnit, Tariff, UnitPrice
from consilience_node.price_tags import price_tag


def test_a_price_is_told_in_the_order_of_its_units_with_what_is_included_and_the_least() -> None:
    prices = (
        UnitPrice(unit=PricedUnit.REQUEST, price=5000),
        UnitPrice(unit=PricedUnit.OUTPUT_BYTE, price=3, per=1000, included=2000),
    )
    tariff = Tariff(id="day", asset="USD/6", prices=prices, minimum_charge=10_000)
    assert price_tag(tariff) == "0.005 USD per answer, 0.000003 USD per 1,000 bytes beyond 2,000, 0.01 USD at least"


@pytest.mark.parametrize("unit", [unit for unit in PricedUnit if unit > PricedUnit.UNSPECIFIED])
def test_every_unit_has_a_name(unit: PricedUnit) -> None:
    tariff = Tariff(id="day", asset="TEST/0", prices=(UnitPrice(unit=unit, price=1, per=2),), tokenizer="m")
    assert "unit" not in price_tag(tariff)
