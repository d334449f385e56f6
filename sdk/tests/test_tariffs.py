"""What the constraints of tariffs are is held against the protos in `sdk/tests/_wire/test_payment_constraints.py`."""

from dataclasses import replace

import pytest

from consilience.tariffs import MAX_PRICE, PricedUnit, Tariff, UnitPrice, is_asset, is_id, tariff_violations

PER_BYTE = UnitPrice(unit=PricedUnit.OUTPUT_BYTE, price=3, per=10)
TARIFF = Tariff(id="standard", asset="TEST/0", prices=(PER_BYTE,))


@pytest.mark.parametrize("text", ["BTC/11", "USD/6", "TEST/0", "A1/99", "ABCDEFGHIJKLMNOP/0"])
def test_an_asset_is_named_with_its_scale(text: str) -> None:
    assert is_asset(text)


@pytest.mark.parametrize(
    "text", ["", "BTC", "BTC/", "/6", "btc/11", "B/1", "1BTC/2", "BTC/111", "BTC/-1", "BTC/6\n", "ABCDEFGHIJKLMNOPQ/0"]
)
def test_what_is_no_asset_is_told(text: str) -> None:
    assert not is_asset(text)


def test_tariffs_and_rails_have_ids_as_skills_do() -> None:
    assert all(map(is_id, ("hold.v1", "a" * 64, "0")))
    assert not any(map(is_id, ("", "a" * 65, ".a", "A", "a\n", "ä")))


def test_a_tariff_that_is_in_order_breaks_nothing() -> None:
    assert not list(tariff_violations(TARIFF))
    assert not list(tariff_violations(replace(TARIFF, prices=(replace(PER_BYTE, price=MAX_PRICE, per=MAX_PRICE),))))


def test_a_price_that_is_wrong_is_told_by_its_place() -> None:
    wrong = replace(PER_BYTE, unit=PricedUnit.REQUEST, per=0, included=-1)
    found = [path for path, _ in tariff_violations(replace(TARIFF, prices=(PER_BYTE, wrong)), path="tariffs[2]")]
    assert found == ["tariffs[2].prices[1].per", "tariffs[2].prices[1].included"]


def test_a_unit_of_a_later_version_has_no_price_here() -> None:
    later = replace(PER_BYTE, unit=PricedUnit.UNKNOWN)
    assert [path for path, _ in tariff_violations(replace(TARIFF, prices=(later,)))] == ["tariff.prices[0].unit"]
